"""bus → eyes, first half: reads one room's buckets and events back from the bus, as plain view models.

Nothing here draws. A `Cell` always says which of five things is true of its time, so that whatever draws it cannot let
"nothing happened", "nothing was seen" and "nobody was to be observed" look alike.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from itertools import takewhile
from zoneinfo import ZoneInfo

from classpulse.bus.base import Bus, Place
from classpulse.clock import SystemClock, from_rfc3339
from classpulse.codec import Stored, decode
from classpulse.errors import BadInput, InvalidRecord
from classpulse.records import BehaviourEvent, BehaviourTotals, RoomConfig, TimelineBucket, hidden
from classpulse.timetable import in_force
from classpulse.topics import EVENTS, ROOMS, TIMELINES, Topic, partition_of

USUAL_BEHAVIOURS = ("hand-raising", "stand-up", "sleeping")
"""The order people read them in; any other behaviour follows by name."""

PAGE_RECORDS = 1024
PAGE_BYTES = 8 * 1024 * 1024
NOTHING = BehaviourTotals(events=0, person_ms=0, peak=0)


class State(StrEnum):
    """What is true of a stretch of a room's time."""

    ACTIVE = "active"
    QUIET = "quiet"
    UNSEEN = "not seen"
    NOBODY = "nobody to be observed"
    UNRECORDED = "no record"


@dataclass(frozen=True)
class Span:
    """One behaviour of somebody, from its start to its end; `ended_at_ms` is None while it lasts."""

    id: str
    behaviour: str
    started_at_ms: int
    ended_at_ms: int | None
    model: str

    @property
    def camera(self) -> str:
        """The key of the camera that saw it (an event's id begins with it)."""
        return "/".join(self.id.split("/")[:4])

    def end_or(self, now_ms: int) -> int:
        """Its end, or `now_ms` while it lasts (never before its start)."""
        return max(self.started_at_ms, now_ms) if self.ended_at_ms is None else self.ended_at_ms


@dataclass(frozen=True)
class Cell:
    """A stretch `[start_ms, end_ms)` of a room's time: one bucket, several added up, or time of which there is no record.

    `recorded_ms >= due_ms >= observed_ms`: time covered by buckets, time in which somebody was to be observed, time seen.
    """

    start_ms: int
    end_ms: int
    recorded_ms: int = 0
    due_ms: int = 0
    observed_ms: int = 0
    frames: int = 0
    missing: Mapping[str, int] = field(default_factory=dict)
    behaviours: Mapping[str, BehaviourTotals] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    final: bool = True

    @property
    def duration_ms(self) -> int:
        """Its length."""
        return self.end_ms - self.start_ms

    @property
    def unseen_ms(self) -> int:
        """Time in which somebody was to be observed and nobody was seen."""
        return self.due_ms - self.observed_ms

    @property
    def nobody_ms(self) -> int:
        """Time in which nobody was to be observed."""
        return self.recorded_ms - self.due_ms

    @property
    def state(self) -> State:
        """The one word for it; a cell seen in part is what its seen part is (`unseen_ms` tells the rest)."""
        if self.observed_ms > 0:
            active = any(totals.person_ms or totals.events for totals in self.behaviours.values())
            return State.ACTIVE if active else State.QUIET
        if self.due_ms > 0:
            return State.UNSEEN
        return State.NOBODY if self.recorded_ms > 0 else State.UNRECORDED

    def totals(self, behaviour: str) -> BehaviourTotals:
        """One behaviour's numbers; zeros where it did not occur. Only meaningful where something was seen."""
        return self.behaviours.get(behaviour, NOTHING)


@dataclass(frozen=True)
class RoomTimeline:
    """A room over `[start_ms, end_ms)`: cells without holes or overlaps, and the spans that touch it."""

    room: str
    time_zone: str
    start_ms: int
    end_ms: int
    cells: tuple[Cell, ...]
    spans: tuple[Span, ...]

    @cached_property
    def behaviours(self) -> tuple[str, ...]:
        """Every behaviour to be shown, the usual ones first."""
        named = {name for cell in self.cells for name in cell.behaviours} | {span.behaviour for span in self.spans}
        return (*USUAL_BEHAVIOURS, *sorted(named - set(USUAL_BEHAVIOURS)))

    @property
    def coverage(self) -> float | None:
        """The share of the due time that was seen; None where nobody was to be observed at all."""
        due_ms = sum(cell.due_ms for cell in self.cells)
        return sum(cell.observed_ms for cell in self.cells) / due_ms if due_ms else None

    @property
    def recorded(self) -> bool:
        """Whether there is a record of any of its time."""
        return any(cell.recorded_ms for cell in self.cells)

    @property
    def whole(self) -> bool:
        """Whether there is a record of all of its time."""
        return all(cell.recorded_ms == cell.duration_ms for cell in self.cells)

    @property
    def frames(self) -> int:
        """Frames in this timeline."""
        return sum(cell.frames for cell in self.cells)

    @property
    def missing(self) -> dict[str, int]:
        """Captured frames that are not in this timeline, by reason."""
        return _added(cell.missing for cell in self.cells)

    @property
    def models(self) -> tuple[str, ...]:
        """Digests of the nets that saw it."""
        return tuple(sorted({model for cell in self.cells for model in cell.models}))


def room_configs(bus: Bus) -> dict[str, RoomConfig]:
    """The rooms by key, each as it is configured now."""
    now_ms = SystemClock().now_ms()
    return {noun.room: in_force(noun, now_ms) for noun in _nouns(bus.latest(ROOMS)) if isinstance(noun, RoomConfig)}


def rooms_on(bus: Bus) -> tuple[str, ...]:
    """Every room that is configured or has a timeline, by key."""
    recorded = {stored.key.rpartition("/")[0] for stored in bus.latest(TIMELINES)}
    return tuple(sorted(recorded | set(room_configs(bus))))


def known_room(bus: Bus, room: str) -> str:
    """`room` itself, or the one room whose last part it is. Raises BadInput naming the nearest one there is.

    A hidden room is known only to who names it in full.
    """
    rooms = [known for known in rooms_on(bus) if known == room or not hidden(known)]
    matches = [known for known in rooms if known == room or known.rpartition("/")[2] == room]
    if len(matches) == 1 or room in matches:
        return room if room in matches else matches[0]
    if not rooms:
        raise BadInput(
            [f"room = {room!r}: there are no rooms on this bus; expected one that is set up or has a timeline"]
        )
    near = difflib.get_close_matches(room, rooms, n=1, cutoff=0.0)
    expected = f"one of {', '.join(matches)}" if matches else f"tenant/school/room; the nearest is {near[0]!r}"
    raise BadInput([f"room = {room!r}: {'several rooms' if matches else 'no such room'}; expected {expected}"])


def read_room(bus: Bus, room: str, *, from_ms: int | None = None, to_ms: int | None = None) -> RoomTimeline:
    """The room's latest buckets and its events that touch `[from_ms, to_ms)`; without limits, all there are.

    A limit that is given is kept: time in it without a bucket comes back as cells of state UNRECORDED.
    """
    buckets = [b for b in read_buckets(bus, room) if _touches(b.start_ms, b.end_ms, from_ms, to_ms)]
    zone = room_configs(bus).get(room, RoomConfig(room=room)).time_zone
    latest_ms = buckets[-1].end_ms if buckets else to_ms if to_ms is not None else 0
    spans = [
        span
        for span in paired(read_events(bus, room))
        if _touches(span.started_at_ms, span.end_or(latest_ms) + 1, from_ms, to_ms)
    ]
    starts = [b.start_ms for b in buckets] + [s.started_at_ms for s in spans]
    ends = [b.end_ms for b in buckets] + [s.end_or(latest_ms) for s in spans]
    start_ms = from_ms if from_ms is not None else min(starts, default=to_ms or 0)
    end_ms = to_ms if to_ms is not None else max([*ends, start_ms])
    return RoomTimeline(room, zone, start_ms, end_ms, cells_of(buckets, start_ms, end_ms), tuple(spans))


def read_buckets(bus: Bus, room: str) -> list[TimelineBucket]:
    """The latest revision of each of the room's buckets, in time order."""
    partition = partition_of(room, TIMELINES.partitions)
    mine = (s for s in bus.latest(TIMELINES, partition=partition) if s.key.rpartition("/")[0] == room)
    buckets = [noun for noun in _nouns(mine) if isinstance(noun, TimelineBucket)]
    return sorted(buckets, key=lambda bucket: bucket.start_ms)


def read_events(bus: Bus, room: str) -> list[BehaviourEvent]:
    """The room's events in the order they were published."""
    mine = (s for s in stored_records(bus, EVENTS, partition_of(room, EVENTS.partitions)) if s.key == room)
    return [noun for noun in _nouns(mine) if isinstance(noun, BehaviourEvent)]


def stored_records(
    bus: Bus, topic: Topic, partition: int, *, start: int = 0, end: int | None = None
) -> Iterator[Stored]:
    """Every committed record that retention has left in a partition, page by page; from `start` on, none from `end` on."""
    place = Place(topic.name, partition)
    first, last = bus.ends(topic).get(partition, (0, 0))
    offset = max(first, start)
    while offset < (last if end is None else end):
        page = bus.fetch(place, offset, max_records=PAGE_RECORDS, max_bytes=PAGE_BYTES)
        if not page:
            return
        yield from page if end is None else takewhile(lambda record: record.offset < end, page)
        offset = page[-1].offset + 1


def offset_at(bus: Bus, topic: Topic, partition: int, at_ms: int) -> int:
    """The offset from which on a partition's records were appended at `at_ms` or later; its end where none was."""
    low, high = bus.ends(topic).get(partition, (0, 0))
    while low < high:
        middle = (low + high) // 2
        record = next(iter(bus.fetch(Place(topic.name, partition), middle, max_records=1, max_bytes=1)), None)
        if record is None or record.appended_at_ms >= at_ms:
            high = middle
        else:
            low = record.offset + 1
    return low


def paired(events: Iterable[BehaviourEvent]) -> list[Span]:
    """Events as spans, by start: what ended has an end, what only started has none."""
    spans: dict[str, Span] = {}
    for event in events:
        known = spans.get(event.id)
        if known is None or known.ended_at_ms is None:
            spans[event.id] = Span(event.id, event.behaviour, event.started_at_ms, event.ended_at_ms, event.model)
    return sorted(spans.values(), key=lambda span: (span.started_at_ms, span.id))


def cell_of(bucket: TimelineBucket) -> Cell:
    """A bucket as a cell."""
    return Cell(
        start_ms=bucket.start_ms,
        end_ms=bucket.end_ms,
        recorded_ms=bucket.end_ms - bucket.start_ms,
        due_ms=bucket.due_ms,
        observed_ms=bucket.observed_ms,
        frames=bucket.frames,
        missing=bucket.missing,
        behaviours=bucket.behaviours,
        models=bucket.models,
        final=bucket.final,
    )


def cells_of(buckets: Sequence[TimelineBucket], start_ms: int, end_ms: int) -> tuple[Cell, ...]:
    """Buckets in time order as cells that fill `[start_ms, end_ms)`: where no bucket is, a cell without a record."""
    cells: list[Cell] = []
    at_ms = start_ms
    for bucket in buckets:
        if bucket.start_ms > at_ms:
            cells.append(Cell(at_ms, bucket.start_ms))
        cells.append(cell_of(bucket))
        at_ms = max(at_ms, bucket.end_ms)
    if end_ms > at_ms:
        cells.append(Cell(at_ms, end_ms))
    return tuple(cells)


def added(cells: Sequence[Cell], start_ms: int, end_ms: int) -> Cell:
    """Cells added up as one: events and times add, `peak` is the greatest. They must lie within `[start_ms, end_ms)`."""
    names = {name for cell in cells for name in cell.behaviours}
    return Cell(
        start_ms=start_ms,
        end_ms=end_ms,
        recorded_ms=sum(cell.recorded_ms for cell in cells),
        due_ms=sum(cell.due_ms for cell in cells),
        observed_ms=sum(cell.observed_ms for cell in cells),
        frames=sum(cell.frames for cell in cells),
        missing=_added(cell.missing for cell in cells),
        behaviours={name: _added_totals([cell.totals(name) for cell in cells]) for name in sorted(names)},
        models=tuple(sorted({model for cell in cells for model in cell.models})),
        final=all(cell.final for cell in cells),
    )


def merged(cells: Sequence[Cell], step_ms: int) -> tuple[Cell, ...]:
    """Cells added up in steps of `step_ms` aligned to the epoch; each goes where it starts. Steps with none are left out.

    A time without a record spreads over as many steps as it covers, so that a hole is never shown narrower than it is.
    """
    steps: dict[int, list[Cell]] = {}
    for cell in cells:
        for piece in [cell] if cell.recorded_ms else _split(cell, step_ms):
            steps.setdefault(piece.start_ms // step_ms, []).append(piece)
    return tuple(
        added(held, max(index * step_ms, held[0].start_ms), max(held[-1].end_ms, held[0].start_ms))
        for index, held in sorted(steps.items())
    )


def collapsed(cells: Iterable[Cell]) -> Iterator[Cell]:
    """Neighbouring cells of one uneventful state as one, so that a night is one line; all others as they are."""
    run: list[Cell] = []
    for cell in cells:
        if run and not (_uneventful(cell) and _uneventful(run[0]) and _alike(cell, run[0])):
            yield added(run, run[0].start_ms, run[-1].end_ms)
            run = []
        run.append(cell)
    if run:
        yield added(run, run[0].start_ms, run[-1].end_ms)


def moment(text: str, *, key: str, time_zone: str, now_ms: int) -> int:
    """Milliseconds of RFC 3339 text, or of HH:MM[:SS] today in `time_zone`. Raises BadInput naming `key`."""
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", text):
            hour, minute, second = (*(int(part) for part in text.split(":")), 0)[:3]
            today = datetime.fromtimestamp(now_ms // 1000, ZoneInfo(time_zone))
            return int(today.replace(hour=hour, minute=minute, second=second, microsecond=0).timestamp()) * 1000
        return from_rfc3339(text)
    except ValueError as error:
        expected = f"RFC 3339 such as 2026-03-02T08:15:00+01:00, or HH:MM today in {time_zone}"
        raise BadInput([f"{key} = {text!r}: expected {expected} ({error})"]) from error


def local(at_ms: int, time_zone: str) -> datetime:
    """The moment on the room's own clock."""
    seconds, millis = divmod(at_ms, 1000)
    return datetime.fromtimestamp(seconds, ZoneInfo(time_zone)).replace(microsecond=millis * 1000)


def _nouns(records: Iterable[Stored]) -> Iterator[object]:
    """Decoded records; what cannot be read was put aside by the stage that met it."""
    for stored in records:
        try:
            yield decode(stored)
        except InvalidRecord:
            continue


def _touches(start_ms: int, end_ms: int, from_ms: int | None, to_ms: int | None) -> bool:
    return (from_ms is None or end_ms > from_ms) and (to_ms is None or start_ms < to_ms)


def _uneventful(cell: Cell) -> bool:
    whole = cell.unseen_ms == 0 or cell.state is State.UNSEEN
    return cell.state is not State.ACTIVE and whole and not cell.missing


def _alike(cell: Cell, other: Cell) -> bool:
    return (cell.state, cell.final) == (other.state, other.final)


def _split(cell: Cell, step_ms: int) -> Iterator[Cell]:
    at_ms = cell.start_ms
    while at_ms < cell.end_ms:
        next_ms = min(cell.end_ms, (at_ms // step_ms + 1) * step_ms)
        yield Cell(at_ms, next_ms)
        at_ms = next_ms


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for count in counts:
        for name, number in count.items():
            total[name] = total.get(name, 0) + number
    return dict(sorted(total.items()))


def _added_totals(totals: Sequence[BehaviourTotals]) -> BehaviourTotals:
    return BehaviourTotals(
        events=sum(t.events for t in totals),
        person_ms=sum(t.person_ms for t in totals),
        peak=max(t.peak for t in totals),
    )
