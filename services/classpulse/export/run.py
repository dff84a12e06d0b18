"""bus → Parquet, second half: what came onto events.v1 and timelines.v1 since the last run, exported exactly once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from classpulse.bus.base import Bus, Place
from classpulse.codec import REPUBLISHED, Stored, decode, header
from classpulse.errors import BadInput, InvalidRecord
from classpulse.export.folder import Folder, Pending, Selection, file_name
from classpulse.export.parquet import read_columns, write_rows
from classpulse.export.rows import Shelf, rows_of, school_of, shelf_of, start_of
from classpulse.faults import fault
from classpulse.reading import PAGE_BYTES, PAGE_RECORDS, room_configs
from classpulse.records import BehaviourEvent, TimelineBucket
from classpulse.topics import EVENTS, TIMELINES, topic_named

TOPICS_EXPORTED = (EVENTS, TIMELINES)
RANGE_NOUNS = 20_000
"""So many buckets or events are exported at a time: the bound on a run's memory."""

Noun = BehaviourEvent | TimelineBucket


@dataclass
class Exported:
    """What a run added."""

    buckets: int = 0
    events: int = 0
    files: int = 0
    unreadable: int = 0


@dataclass
class Work:
    """What a run has to do: per partition the range of offsets to read.

    `gone`: ranges that were removed from the log before any run had read them. `done`: what a killed run had begun.
    """

    ranges: dict[Place, tuple[int, int]]
    gone: dict[Place, tuple[int, int]]
    done: Exported

    @property
    def offsets(self) -> int:
        """How many offsets are to be read."""
        return sum(end - start for start, end in self.ranges.values())


@dataclass
class _Range:
    """What one range of a partition holds: by key the nouns to export, and the keys of buckets that were deleted.

    `again`: the events that were told before; an earlier range may have them.
    """

    end: int
    nouns: dict[str, Noun] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    again: set[str] = field(default_factory=set)
    unreadable: int = 0


def prepare(bus: Bus, folder: Folder) -> Work:
    """Finish what a killed run had begun, then say what there is to do. Raises BadInput where the log is another's."""
    work = Work({}, {}, Exported())
    if (pending := folder.manifest.pending) is not None:
        first, _ = bus.ends(topic_named(pending.topic))[pending.partition]
        if pending.from_offset < first:
            work.gone[pending.place] = (pending.from_offset, min(first, pending.to_offset))
        _write(folder, pending, _read(bus, folder, pending.place, pending.from_offset, pending.to_offset), work.done)
        folder.end(pending.place, pending.to_offset)
    for topic in TOPICS_EXPORTED:
        for partition, (first, end) in sorted(bus.ends(topic).items()):
            place = Place(topic.name, partition)
            position = folder.position(place)
            if position is None:
                position = first
            _check_same_log(folder, place, position, end)
            if position < first:
                work.gone[place] = (work.gone.get(place, (position, first))[0], first)
            work.ranges[place] = (max(position, first), end)
    return work


def export(
    bus: Bus,
    folder: Folder,
    work: Work,
    advance: Callable[[int], None] = lambda _offsets: None,
    *,
    range_nouns: int = RANGE_NOUNS,
) -> Exported:
    """Add the final buckets and ended events of those ranges; `advance` is told how many more offsets are done."""
    for place, (start, _) in work.ranges.items():
        folder.move(place, start)  # from the first run on: what goes unread between two runs is noticed
    folder.save()
    zones = {room: config.time_zone for room, config in sorted(room_configs(bus).items())}
    for place, (start, end) in work.ranges.items():
        at = start
        while at < end:
            found = _read(bus, folder, place, at, end, most=range_nouns)
            _add(folder, Pending(*place, at, found.end, zones), found, work.done)
            advance(found.end - at)
            at = found.end
    return work.done


def _add(folder: Folder, pending: Pending, found: _Range, done: Exported) -> None:
    if found.nouns or found.deleted:
        folder.begin(pending)
        fault("export.planned")
        _write(folder, pending, found, done)
    folder.end(pending.place, pending.to_offset)
    fault("export.recorded")


def _check_same_log(folder: Folder, place: Place, position: int, end: int) -> None:
    if position > end:
        where = f"{place.topic}/{place.partition} is exported up to offset {position} and ends at {end}"
        raise BadInput([f"{folder.path}: {where}; expected the bus that the folder was begun with"])


def _read(bus: Bus, folder: Folder, place: Place, start: int, end: int, most: int | None = None) -> _Range:
    """A range from `start` on: up to `end`, or until so many nouns were found."""
    found = _Range(end)
    for record in _records(bus, place, start, end):
        _enter(found, record, folder.manifest.selection)
        if most is not None and len(found.nouns) >= most:
            found.end = record.offset + 1
            break
    return found


def _records(bus: Bus, place: Place, start: int, end: int) -> Iterator[Stored]:
    while start < end:
        page = bus.fetch(place, start, max_records=PAGE_RECORDS, max_bytes=PAGE_BYTES)
        for record in page:
            if record.offset >= end:
                return
            yield record
        if not page:
            return
        start = page[-1].offset + 1


def _enter(found: _Range, record: Stored, selection: Selection) -> None:
    """One record: a final bucket or an ended event is exported, a deletion takes its bucket away, all else is passed over."""
    if record.value is None:
        found.nouns.pop(record.key, None)
        found.deleted.add(record.key)
        return
    try:
        noun = decode(record)
    except InvalidRecord:
        found.unreadable += 1
        return
    if not isinstance(noun, BehaviourEvent | TimelineBucket) or not selection.holds(noun.room, start_of(noun)):
        return
    if isinstance(noun, TimelineBucket) and noun.final:
        found.nouns[record.key] = noun
    elif isinstance(noun, BehaviourEvent) and noun.phase == "ended":
        found.nouns[noun.id] = noun
        if header(record, REPUBLISHED) is not None:
            found.again.add(noun.id)


def _write(folder: Folder, pending: Pending, found: _Range, done: Exported) -> None:
    """The files of a range, each where it is not there yet; then rows of buckets that were deleted since go."""
    name = file_name(pending.place, pending.from_offset, pending.to_offset)
    _leave_out(folder, found, name)
    shelves: dict[Shelf, list[Noun]] = {}
    for noun in found.nouns.values():
        shelves.setdefault(shelf_of(noun, _zone(pending, noun)), []).append(noun)
    for shelf, nouns in sorted(shelves.items()):
        path = folder.shelf(shelf) / name
        if path.exists():
            continue
        nouns.sort(key=lambda noun: (noun.room, start_of(noun)))
        write_rows(path, shelf.kind, [row for noun in nouns for row in rows_of(noun, _zone(pending, noun))])
        done.files += 1
    done.buckets += sum(isinstance(noun, TimelineBucket) for noun in found.nouns.values())
    done.events += sum(isinstance(noun, BehaviourEvent) for noun in found.nouns.values())
    done.unreadable += found.unreadable
    _follow_deletions(folder, found.deleted)


def _leave_out(folder: Folder, found: _Range, name: str) -> None:
    """Events told before that other files hold already (an erasure moved them within the log)."""
    for id_ in sorted(found.again):
        noun = found.nouns[id_]
        at_ms = start_of(noun)
        files = [file for file in folder.files("events", school_of(noun.room), at_ms, at_ms) if file.name != name]
        if any(row["id"] == id_ for file in files for row in read_columns(file, ("id",))):
            del found.nouns[id_]


def _zone(pending: Pending, noun: Noun) -> str:
    return pending.zones.get(noun.room, "UTC")


def _follow_deletions(folder: Folder, deleted: set[str]) -> None:
    """A bucket that was erased from the log goes from the files of earlier ranges too."""
    for key in sorted(deleted):
        room, _, start = key.rpartition("/")
        folder.drop("timelines", room, (int(start), int(start)), partial(_begins, int(start)))


def _begins(at_ms: int, start_ms: int, _end_ms: int) -> bool:
    return start_ms == at_ms
