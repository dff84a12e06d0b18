"""A training run while it trains, on any storage that fsspec knows: its last states, each in a folder of its own, never half there.

A state is whole when the file `whole` lies in its folder, which is written last. The one before is kept, too, until a newer one is
whole. Ray's own list of checkpoints is written in place, so that a full disk leaves half of one, and a run that cannot go on.
"""

from pathlib import Path

from classpulse.errors import Recoverable
from classpulse.stores import store_of
from gesturedet.engine import LAST

STATES, WHOLE = "states", "whole"
KEPT = 2
KEY = "--out"


class Kept:
    """The states of one run, below `url`. Raises BadInput for a URL that fsspec does not know."""

    def __init__(self, url: str) -> None:
        self._store, self._root = store_of(url, key=KEY)
        self.url: str = self._store.unstrip_protocol(self._root)
        """The same for processes elsewhere: a path from the root on."""

    def begun(self) -> bool:
        """Whether a run is kept here, or was left here. Raises Recoverable where the storage does not answer."""
        return bool(self.states() or self._store.exists(f"{self._root}/{LAST}"))

    def states(self) -> list[str]:
        """The whole states by name, oldest first. Raises Recoverable where the storage does not answer."""
        try:
            self._store.invalidate_cache()
            found: list[str] = self._store.glob(f"{self._root}/{STATES}/*/{WHOLE}")
        except OSError as error:
            raise self._unreachable(error) from error
        return sorted(path.rsplit("/", 2)[1] for path in found)

    def keep(self, folder: Path, name: str) -> None:
        """Copy the files of a folder as the newest state; names rise. Raises Recoverable, and then the older ones are still there."""
        target = f"{self._root}/{STATES}/{name}"
        try:
            self._store.makedirs(target, exist_ok=True)
            for file in sorted(folder.iterdir()):
                self._store.put_file(str(file), f"{target}/{file.name}")
            self._store.pipe_file(f"{target}/{WHOLE}", b"")
        except OSError as error:
            self._remove(target)
            raise self._unreachable(error) from error
        for old in self.states()[:-KEPT]:
            self._remove(f"{self._root}/{STATES}/{old}")

    def fetch(self, folder: Path) -> bool:
        """Copy the newest state's files into a folder; says whether there was one. Raises Recoverable."""
        states = self.states()
        if not states:
            return False
        source = f"{self._root}/{STATES}/{states[-1]}"
        try:
            for path in self._store.ls(source, detail=False):
                name = path.rsplit("/", 1)[-1]
                if name != WHOLE:
                    self._store.get_file(path, str(folder / name))
        except OSError as error:
            raise self._unreachable(error) from error
        return True

    def finish(self) -> None:
        """Lay the newest state's files where the run was to leave them, and forget all states. Raises Recoverable."""
        states = self.states()
        try:
            for path in self._store.ls(f"{self._root}/{STATES}/{states[-1]}", detail=False):
                name = path.rsplit("/", 1)[-1]
                if name != WHOLE:
                    self._store.copy(path, f"{self._root}/{name}")
        except OSError as error:
            raise self._unreachable(error) from error

    def _remove(self, path: str) -> None:
        """As far as the storage lets: what is left is no state, and is written over."""
        try:
            self._store.rm(path, recursive=True)
        except OSError:
            return

    def _unreachable(self, error: OSError) -> Recoverable:
        return Recoverable(f"{KEY} = {self.url!r}: {error}; expected a store that can be written: --resume goes on")
