"""What of a room lies in a window: the one meaning of it that planning, removing and proving share."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from classpulse.aggregate.room import Room
from classpulse.aggregate.state import restored
from classpulse.bus.base import Bus
from classpulse.clock import rfc3339
from classpulse.codec import Stored, decode
from classpulse.errors import InvalidRecord
from classpulse.export.folder import Folder
from classpulse.export.parquet import read_columns
from classpulse.export.rows import Kind, school_of
from classpulse.reading import paired, stored_records
from classpulse.records import (
    BehaviourEvent,
    DeadLetter,
    Dropped,
    FrameDetections,
    Heartbeat,
    Record,
    StateEntry,
    TimelineBucket,
)
from classpulse.topics import AGGREGATE_STATE, DAY_MS, DEAD_LETTERS, DETECTIONS, EVENTS, TIMELINES, Topic, partition_of

KINDS: tuple[Kind, ...] = ("timelines", "events")


@dataclass(frozen=True)
class Window:
    """`[start_ms, end_ms)` of a room's time."""

    room: str
    start_ms: int
    end_ms: int

    def touches(self, start_ms: int, end_ms: int) -> bool:
        """Whether a stretch of time reaches into it; what has no length counts where it lies."""
        return start_ms < self.end_ms and max(end_ms, start_ms + 1) > self.start_ms

    def widened(self, spans: Iterable[tuple[int, int]]) -> "Window":
        """Over all of these stretches (buckets) that it touches: a bucket is erased whole."""
        touched = [span for span in spans if self.touches(*span)]
        start_ms = min([self.start_ms, *(start for start, _ in touched)])
        return Window(self.room, start_ms, max([self.end_ms, *(end for _, end in touched)]))

    def partition(self, topic: Topic) -> int:
        """The room's partition of a topic."""
        return partition_of(self.room, topic.partitions)


@dataclass
class Tally:
    """Records of one partition: those meant, the offset after the last of them, and how many others lie before that."""

    count: int = 0
    end: int | None = None
    others: int = 0
    passed: int = 0

    def add(self, record: Stored, *, meant: bool) -> None:
        """Count the partition's next record."""
        if meant:
            self.count, self.end, self.others = self.count + 1, record.offset + 1, self.passed
        else:
            self.passed += 1


@dataclass
class Found:
    """What of a window a reader finds: records of each topic, and rows of each export folder.

    `ids`: the events that touch the window; `open_ms`: since when one of them lasts still; `provisional_ms`: the start of
    the first bucket that is not final. `superseded`: older revisions of buckets that a broker has not compacted away yet.
    """

    events: Tally = field(default_factory=Tally)
    detections: Tally = field(default_factory=Tally)
    letters: Tally = field(default_factory=Tally)
    buckets: list[str] = field(default_factory=list)
    state: list[str] = field(default_factory=list)
    rows: dict[Path, dict[Kind, int]] = field(default_factory=dict)
    ids: frozenset[str] = frozenset()
    open_ms: int | None = None
    provisional_ms: int | None = None
    superseded: int = 0

    def counts(self) -> dict[str, int]:
        """How many, by where they lie."""
        counts = {
            EVENTS.name: self.events.count,
            TIMELINES.name: len(self.buckets),
            DETECTIONS.name: self.detections.count,
            AGGREGATE_STATE.name: len(self.state),
            DEAD_LETTERS.name: self.letters.count,
        }
        return counts | {f"{path}/{kind}": n for path, kinds in self.rows.items() for kind, n in kinds.items()}


def look(bus: Bus, window: Window, folders: Iterable[Folder]) -> Found:
    """Everything of a window that a reader finds."""
    found = Found()
    reaches_ms = _events(bus, window, found)
    _buckets(bus, window, found)
    determining = Window(window.room, reaches_ms, window.end_ms)
    found.detections = _tally(bus, DETECTIONS, window, lambda record: _told_in(record, determining))
    found.letters = _tally(bus, DEAD_LETTERS, None, lambda record: _letter_of(record) == window.room)
    room = room_remembered(bus, window)
    found.state = [] if room is None else list(_state_in(room, window))
    found.rows = {folder.path: {kind: _rows(folder, kind, window) for kind in KINDS} for folder in folders}
    return found


def room_remembered(bus: Bus, window: Window) -> Room | None:
    """The room as aggregate has it in mind (its last committed state); None where it knows no such room."""
    entries = [noun_of(record) for record in bus.latest(AGGREGATE_STATE, partition=window.partition(AGGREGATE_STATE))]
    mine = [entry for entry in entries if isinstance(entry, StateEntry) and entry.room == window.room]
    remembered = restored(mine).get(window.room)
    return None if remembered is None else remembered.room


def noun_of(record: Stored) -> Record | None:
    """A decoded record; None where it is a deletion or cannot be read."""
    try:
        return None if record.value is None else decode(record)
    except InvalidRecord:
        return None


def row_spans(folder: Folder, kind: Kind, window: Window) -> list[tuple[int, int]]:
    """(start_ms, end_ms) of the room's rows around the window."""
    files = folder.files(kind, school_of(window.room), *reach(window))
    rows = [row for file in files for row in read_columns(file, ("room", "start_ms", "end_ms"))]
    return [(int(str(r["start_ms"])), int(str(r["end_ms"]))) for r in rows if r["room"] == window.room]


def buckets_of(bus: Bus, window: Window) -> tuple[dict[str, TimelineBucket], int]:
    """(The room's buckets by key, how many older revisions of those in the window the log holds beside them)."""
    latest: dict[str, TimelineBucket] = {}
    older = 0
    for record in stored_records(bus, TIMELINES, window.partition(TIMELINES)):
        if record.key.rpartition("/")[0] != window.room:
            continue
        before, noun = latest.pop(record.key, None), noun_of(record)
        older += before is not None and window.touches(before.start_ms, before.end_ms)
        if isinstance(noun, TimelineBucket):
            latest[record.key] = noun
    return latest, older


def reach(window: Window) -> tuple[int, int]:
    """When something can have begun that touches the window: nothing lasts longer than a day without a word."""
    return max(0, window.start_ms - DAY_MS), window.end_ms


def _events(bus: Bus, window: Window, found: Found) -> int:
    """The events that touch the window, with both phases; gives when the first of them began, at most the window's start."""
    partition = window.partition(EVENTS)
    mine = (noun_of(r) for r in stored_records(bus, EVENTS, partition) if r.key == window.room)
    spans = paired(noun for noun in mine if isinstance(noun, BehaviourEvent))
    touching = [span for span in spans if window.touches(span.started_at_ms, span.end_or(window.end_ms))]
    found.ids = frozenset(span.id for span in touching)
    found.open_ms = next((span.started_at_ms for span in touching if span.ended_at_ms is None), None)
    found.events = _tally(bus, EVENTS, window, lambda record: is_event_of(record, found.ids))
    return min([window.start_ms, *(span.started_at_ms for span in touching)])


def is_event_of(record: Stored, ids: frozenset[str]) -> bool:
    """Whether a record tells of one of these events."""
    noun = noun_of(record)
    return isinstance(noun, BehaviourEvent) and noun.id in ids


def _buckets(bus: Bus, window: Window, found: Found) -> None:
    latest, found.superseded = buckets_of(bus, window)
    touched = {key: bucket for key, bucket in latest.items() if window.touches(bucket.start_ms, bucket.end_ms)}
    found.buckets = sorted(touched)
    found.provisional_ms = min((bucket.start_ms for bucket in touched.values() if not bucket.final), default=None)


def _tally(bus: Bus, topic: Topic, window: Window | None, meant: Callable[[Stored], bool]) -> Tally:
    """The meant records of the room's partition (without a window: of the topic's only one)."""
    tally = Tally()
    for record in stored_records(bus, topic, 0 if window is None else window.partition(topic)):
        tally.add(record, meant=meant(record))
    return tally


def _told_in(record: Stored, window: Window) -> bool:
    """Whether a record of a camera's story tells of time in the window."""
    if record.key != window.room:
        return False
    match noun_of(record):
        case FrameDetections(captured_at_ms=at_ms) | Heartbeat(at_ms=at_ms):
            return window.touches(at_ms, at_ms)
        case Dropped(first_ms=first_ms, last_ms=last_ms):
            return window.touches(first_ms, last_ms)
    return False


def _letter_of(record: Stored) -> str | None:
    """The room whose record could not be read. What cannot be read cannot be dated either: all of a room's letters count."""
    noun = noun_of(record)
    return noun.key if isinstance(noun, DeadLetter) else None


def _state_in(room: Room, window: Window) -> Iterator[str]:
    """Pieces of aggregate's memory from which something of the window may still come."""
    for start_ms in sorted(room.parts):
        if window.touches(*room.frontier.grid.around(start_ms)):
            yield f"the bucket from {rfc3339(start_ms)} on"
    for runs in room.frontier.unseen.values():
        yield from (f"unseen time from {rfc3339(start)} on" for start, end in runs if window.touches(start, end))
    for story in room.stories.values():  # whatever began before the window's end may go on into it
        yield from (
            f"{span.behaviour} since {rfc3339(span.start_ms)}" for span in story.spans if span.start_ms < window.end_ms
        )


def _rows(folder: Folder, kind: Kind, window: Window) -> int:
    return sum(window.touches(*span) for span in row_spans(folder, kind, window))
