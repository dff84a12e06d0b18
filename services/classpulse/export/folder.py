"""An export folder: Parquet files, and the manifest that says up to where the log is in them.

A file's name tells what is in it: the partition and the range of offsets that it was made from. Before the files of a range
are written the manifest says so (`pending`); afterwards, in one replacement, that they are there. Whoever comes after a kill
finishes that range first, leaving alone what is there already: so no row is lost and none is there twice.
"""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import quote

import msgspec

from classpulse.bus.base import Place
from classpulse.errors import BadInput
from classpulse.export.parquet import DRAFT, drop_rows, put_bytes, sync
from classpulse.export.rows import Kind, Shelf, school_of
from classpulse.reading import local
from classpulse.records import hidden

MANIFEST = "manifest.json"
LOCK = ".lock"
SUFFIX = ".parquet"
VERSION = 1


class Selection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a folder is an export of: these rooms (none: all but hidden ones), what began in `[from_ms, to_ms)`. It never changes."""

    rooms: tuple[str, ...] = ()
    from_ms: int | None = None
    to_ms: int | None = None

    def holds(self, room: str, start_ms: int) -> bool:
        """Whether a noun of this room that began then belongs to it."""
        after = self.from_ms is None or start_ms >= self.from_ms
        among = room in self.rooms if self.rooms else not hidden(room)
        return after and (self.to_ms is None or start_ms < self.to_ms) and among


class Pending(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A range of one partition whose files are being written, and the rooms' time zones that they go by."""

    topic: str
    partition: int
    from_offset: int
    to_offset: int
    zones: dict[str, str]

    @property
    def place(self) -> Place:
        """The partition."""
        return Place(self.topic, self.partition)


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """`positions`: per topic and partition the offset up to which the log is in the files."""

    version: int
    bus: str
    selection: Selection
    positions: dict[str, dict[int, int]] = {}
    pending: Pending | None = None


_decode = msgspec.json.Decoder(Manifest).decode


@dataclass
class Folder:
    """An export folder that nobody else writes in while it is open."""

    path: Path
    manifest: Manifest

    def position(self, place: Place) -> int | None:
        """The offset up to which a partition is in the files; None where none of it was read."""
        return self.manifest.positions.get(place.topic, {}).get(place.partition)

    def begin(self, pending: Pending) -> None:
        """Say which range is being written."""
        self.manifest.pending = pending
        self.save()

    def end(self, place: Place, offset: int) -> None:
        """Say that all before `offset` is in the files, in the replacement that ends what was pending."""
        self.move(place, offset)
        self.manifest.pending = None
        self.save()

    def move(self, place: Place, offset: int) -> None:
        """All before `offset` is in the files, or will never be; kept with the next `save`."""
        self.manifest.positions.setdefault(place.topic, {})[place.partition] = offset

    def save(self) -> None:
        """Replace the manifest."""
        put_bytes(self.path / MANIFEST, msgspec.json.format(msgspec.json.encode(self.manifest)) + b"\n")

    def shelf(self, shelf: Shelf) -> Path:
        """The folder of a shelf, made where it is absent, for good."""
        folder = self.path
        for part in shelf.path.split("/"):
            parent, folder = folder, folder / part
            if not folder.exists():
                folder.mkdir()
                sync(parent)
        return folder

    def files(self, kind: Kind, school: str, from_ms: int, to_ms: int) -> Iterator[Path]:
        """The files that can hold what began in `[from_ms, to_ms)`, whatever the room's time zone."""
        day, last = (_day(at_ms) for at_ms in (from_ms, to_ms))
        day, last = day - timedelta(days=1), last + timedelta(days=1)
        for folder in sorted(self.path.glob(f"{kind}/school={quote(school, safe='')}/day=*")):
            if day.isoformat() <= folder.name.removeprefix("day=") <= last.isoformat():
                yield from sorted(folder.glob(f"*{SUFFIX}"))

    def drop(self, kind: Kind, room: str, span_ms: tuple[int, int], goes: Callable[[int, int], bool]) -> int:
        """Remove a room's rows whose (start_ms, end_ms) `goes`, of those that began in `span_ms`; gives how many."""
        files = list(self.files(kind, school_of(room), *span_ms))
        return sum(drop_rows(file, lambda of, start, end: of == room and goes(start, end)) for file in files)


def file_name(place: Place, from_offset: int, to_offset: int) -> str:
    """The name of what was made from a range of a partition."""
    return f"p{place.partition:02d}-{from_offset:012d}-{to_offset:012d}{SUFFIX}"


@contextmanager
def opened(path: Path, *, bus: str, selection: Selection) -> Iterator[Folder]:
    """An export folder of this bus and selection, made where it is absent. Raises BadInput for another's and while it is used."""
    with _held(path, make=True):
        if not (path / MANIFEST).exists():
            if foreign := sorted(
                one.name for one in path.iterdir() if one.name != LOCK and not one.name.endswith(DRAFT)
            ):
                raise BadInput(
                    [f"{path}: holds {foreign[0]!r} and no {MANIFEST}; expected an empty folder or one of an export"]
                )
            folder = Folder(path, Manifest(VERSION, bus, selection))
            folder.save()
        folder = _loaded(path)
        if faults := list(_differences(folder.manifest, bus, selection)):
            raise BadInput([f"{path}: {fault}" for fault in faults])
        yield folder


@contextmanager
def opened_there(path: Path) -> Iterator[Folder]:
    """An export folder that exists, whatever it is an export of. Raises BadInput where it is none and while it is used."""
    if not (path / MANIFEST).exists():
        raise BadInput([f"{path}: no {MANIFEST} in it; expected the folder of an export"])
    with _held(path, make=False):
        yield _loaded(path)


@contextmanager
def _held(path: Path, *, make: bool) -> Iterator[None]:
    """The folder to ourselves, without what a killed run left half written."""
    try:
        if make:
            path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BadInput([f"{path}: {error.strerror}; expected a folder that can be written"]) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput([f"{path}: another command is writing in it; expected its end first"]) from None
        for draft in path.rglob(f".*{DRAFT}"):
            draft.unlink()
        yield
    finally:
        os.close(lock)


def _loaded(path: Path) -> Folder:
    try:
        manifest = _decode((path / MANIFEST).read_bytes())
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise BadInput([f"{path / MANIFEST}: {error}; expected what an export wrote"]) from error
    if manifest.version != VERSION:
        raise BadInput([f"{path / MANIFEST}: version = {manifest.version}; expected {VERSION}"])
    return Folder(path, manifest)


def _differences(manifest: Manifest, bus: str, selection: Selection) -> Iterable[str]:
    if manifest.bus != bus:
        yield f"it is an export of bus = {manifest.bus!r}; found {bus!r}; expected the same, or another folder"
    if manifest.selection != selection:
        yield (
            f"it is an export of {_words(manifest.selection)}; found {_words(selection)};"
            " expected the same, or another folder"
        )


def _words(selection: Selection) -> str:
    rooms = ", ".join(selection.rooms) or "all rooms"
    limits = [f"{name} {ms}" for name, ms in (("from", selection.from_ms), ("to", selection.to_ms)) if ms is not None]
    return " ".join([rooms, *limits])


def _day(at_ms: int) -> date:
    return local(at_ms, "UTC").date()
