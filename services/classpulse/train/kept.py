"""A training run while it trains, on any storage that fsspec knows: its last states, each in a folder of its own, never half there.

A state is whole when the file `whole` lies in its folder, which is written last. The one before is kept, too, until a newer one is
whole. Ray's own list of checkpoints is written in place, so that a full disk leaves half of one, and a run that cannot go on.
"""

from contextlib import AbstractContextManager, suppress
from pathlib import Path

from classpulse.errors import Recoverable
from classpulse.stores import answering, make_folder, store_of
from gesturedet.engine import LAST

STATES, WHOLE, PROBE = "states", "whole", "probe"
KEPT = 2
KEY = "--out"


class Kept:
    """The states of one run, below `url`. Raises BadInput for a URL that fsspec does not know, Recoverable where it does not answer."""

    def __init__(self, url: str) -> None:
        self._store, self._root = store_of(url, key=KEY)
        self.url: str = self._store.unstrip_protocol(self._root)
        """The same for processes elsewhere: a path from the root on."""

    def begun(self) -> bool:
        """Whether a run is kept here, or was left here."""
        with self._answering("a store that can be read"):
            return bool(self.states() or self._store.exists(f"{self._root}/{LAST}"))

    def states(self) -> list[str]:
        """The whole states by name, oldest first."""
        with self._answering("a store that can be read"):
            self._store.invalidate_cache()
            try:
                folders = self._store.ls(f"{self._root}/{STATES}", detail=False)
            except FileNotFoundError:
                return []
            return sorted(_name(path) for path in folders if self._store.exists(f"{path.rstrip('/')}/{WHOLE}"))

    def check(self) -> None:
        """Write a file and take it away again. Raises Recoverable: better now than when there is a state to keep."""
        with self._answering("a store that can be written"):
            make_folder(self._store, f"{self._root}/{STATES}")
            self._store.pipe_file(f"{self._root}/{STATES}/{PROBE}", b"")
            self._store.rm_file(f"{self._root}/{STATES}/{PROBE}")

    def keep(self, folder: Path, name: str) -> None:
        """Copy the files of a folder as the newest state; names rise. Where that fails the older ones are still there."""
        target = self._state(name)
        with self._answering("a store that can be written; what was kept before is whole: --resume goes on"):
            try:
                self._remove(target)
                make_folder(self._store, target)
                for file in sorted(folder.iterdir()):
                    self._store.put_file(str(file), f"{target}/{file.name}")
                self._store.pipe_file(f"{target}/{WHOLE}", b"")
            except BaseException:
                self._remove(target)
                raise
        for old in self.states()[:-KEPT]:
            self._remove(self._state(old))

    def fetch(self, folder: Path, name: str) -> None:
        """Copy a state's files into a folder. Raises Recoverable also where this machine does not see it."""
        with self._answering("a storage that every node sees"):
            for path in self._store.ls(self._state(name), detail=False):
                if _name(path) != WHOLE:
                    self._store.get_file(path, str(folder / _name(path)))

    def finish(self) -> None:
        """Lay the newest state's files where the run was to leave them. Raises Recoverable where none is seen from here."""
        states = self.states()
        if not states:
            raise Recoverable(
                f"{KEY} = {self.url!r}: no state of the run is here; expected a storage that every node sees"
            )
        with self._answering("a store that can be written: --resume goes on"):
            for path in self._store.ls(self._state(states[-1]), detail=False):
                if _name(path) != WHOLE:
                    self._store.cp_file(path, f"{self._root}/{_name(path)}")

    def _state(self, name: str) -> str:
        return f"{self._root}/{STATES}/{name}"

    def _remove(self, path: str) -> None:
        """As far as the storage lets: `whole` goes first, and what is left without it is no state."""
        with suppress(Exception):
            self._store.rm_file(f"{path}/{WHOLE}")
        with suppress(Exception):
            for file in self._store.ls(path, detail=False):  # rm and copy would take a name with [ ] for a pattern
                self._store.rm_file(file)
            self._store.rmdir(path)

    def _answering(self, expected: str) -> AbstractContextManager[None]:
        return answering(f"{KEY} = {self.url!r}", expected)


def _name(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]
