"""bus → a proof: the stored detections are aggregated again, afresh, and compared with what was published.

Ended events and final buckets must be the same bytes: canonical JSON, sorted by key, without `revision`. Only what the
running aggregate has committed is expected; what it publishes meanwhile is compared too, so it need not be stopped.

Where retention has cut the log, a room is compared from its first plan in what is left on, once every camera heard since
then has been seen without an open span for longer than its longest gap: from there a fresh aggregator knows all it must.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import msgspec

from classpulse.aggregate.room import Publication, Room
from classpulse.aggregate.rooms import Rooms
from classpulse.bus.base import Bus
from classpulse.codec import Stored, decode
from classpulse.errors import InvalidRecord
from classpulse.reading import stored_records
from classpulse.records import BehaviourEvent, Record, RoomPlan, TimelineBucket
from classpulse.stage import decode_in_time
from classpulse.topics import DETECTIONS, EVENTS, TIMELINES

GROUP = "aggregate"
PAGE = 256
_encode = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True)
class ReplayResult:
    """What a replay found. `difference` names the first one there is.

    `from_ms`: per room whose log was cut, from when it could be compared (None: nowhere yet).
    """

    difference: str | None
    records: int
    events: int
    buckets: int
    from_ms: dict[str, int | None]

    @property
    def equal(self) -> bool:
        """Whether everything compared was equal byte for byte."""
        return self.difference is None


@dataclass(frozen=True, order=True)
class Kept:
    """A published noun that a replay must give again: its key, the room, when it began, and its canonical bytes."""

    is_event: bool
    key: str
    room: str
    start_ms: int
    body: bytes


@dataclass
class Computed:
    """What a replay of one partition gave; `certain`: the keys of what must have been published when that was read."""

    cut: bool
    records: int = 0
    certain: set[str] | None = None
    kept: list[Kept] = field(default_factory=list)
    from_ms: dict[str, int | None] = field(default_factory=dict)


def records_stored(bus: Bus) -> int:
    """How many records a replay has to read, about: what is appended meanwhile is not among them."""
    return sum(end - first for first, end in bus.ends(DETECTIONS).values())


def replay(
    bus: Bus, folder: Path | None = None, advance: Callable[[int], None] = lambda _records: None
) -> ReplayResult:
    """Aggregate detections.v1 again and compare; writes `events.jsonl` and `timelines.jsonl` into `folder`, if given.

    `advance` is called now and then with how many more records have been read.

    The files hold the computed ended events and final buckets, partition by partition, sorted by key. Raises
    FileExistsError for a folder that holds such files, other OSErrors when it cannot be written.
    """
    difference: str | None = None
    records = events = buckets = 0
    from_ms: dict[str, int | None] = {}
    with ExitStack() as stack:
        files = _files(folder, stack)
        for partition in sorted(bus.ends(DETECTIONS)):
            certain_end = bus.positions(GROUP, DETECTIONS).get(partition, 0)
            published = sorted(_published(bus, partition))
            computed = _compute(
                bus, partition, certain_end, bus.positions(GROUP, DETECTIONS).get(partition, 0), advance
            )
            from_ms |= computed.from_ms
            difference = difference or _difference(published, computed)
            records += computed.records
            for one in computed.kept:
                events, buckets = events + one.is_event, buckets + (not one.is_event)
                if files:
                    files[0 if one.is_event else 1].write(one.body + b"\n")
    return ReplayResult(difference, records, events, buckets, from_ms)


def kept(noun: Record) -> Kept | None:
    """An ended event or a final bucket as it is compared; None for everything else."""
    if isinstance(noun, BehaviourEvent) and noun.phase == "ended":
        return Kept(True, noun.id, noun.room, noun.started_at_ms, _encode(noun))
    if isinstance(noun, TimelineBucket) and noun.final:
        fields = msgspec.to_builtins(noun)
        del fields["revision"]
        return Kept(False, f"{noun.room}/{noun.start_ms}", noun.room, noun.start_ms, _encode(fields))
    return None


def _files(folder: Path | None, stack: ExitStack) -> list[IO[bytes]]:
    if folder is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    return [stack.enter_context((folder / name).open("xb")) for name in ("events.jsonl", "timelines.jsonl")]


def _published(bus: Bus, partition: int) -> Iterator[Kept]:
    """What events.v1 and timelines.v1 hold of one partition."""
    for record in stored_records(bus, EVENTS, partition):
        yield from _kept_of(record)
    for record in bus.latest(TIMELINES, partition=partition):
        yield from _kept_of(record)


def _kept_of(record: Stored) -> Iterator[Kept]:
    try:
        one = kept(decode(record))
    except InvalidRecord:
        return  # it will be found as computed and not published
    if one is not None:
        yield one


def _compute(bus: Bus, partition: int, certain_end: int, end: int, advance: Callable[[int], None]) -> Computed:
    """A fresh aggregator over what is stored of one partition, up to the offset `end`."""
    computed = Computed(cut=bus.ends(DETECTIONS)[partition][0] > 0)
    rooms = Rooms()
    cuts: dict[str, _Cut] = {}
    for record in stored_records(bus, DETECTIONS, partition):
        if record.offset >= end:
            break
        if record.offset >= certain_end and computed.certain is None:
            computed.certain = {one.key for one in _drained(rooms, computed)}
        computed.records += 1
        if computed.cut and not cuts.setdefault(record.key, _Cut()).passes(record):
            continue
        computed.kept += _kept(_taken(rooms, record))
        if computed.cut and record.key in rooms.rooms():
            cuts[record.key].look(rooms.rooms()[record.key])
        if computed.records % PAGE == 0:
            advance(PAGE)
            _drained(rooms, computed)
    advance(computed.records % PAGE)
    everything = _drained(rooms, computed)
    if computed.certain is None:
        computed.certain = {one.key for one in everything}
    computed.from_ms = {room: cut.from_ms for room, cut in cuts.items()}
    computed.kept.sort()
    return computed


def _taken(rooms: Rooms, record: Stored) -> list[Publication]:
    """One record, handled as the stage's loop and step do."""
    try:
        return rooms.take(record, decode_in_time(record))
    except InvalidRecord as error:
        rooms.unread(record, error)
        return []


def _drained(rooms: Rooms, computed: Computed) -> list[Kept]:
    """Add all final buckets that are due; gives everything computed so far."""
    while published := rooms.finals():
        computed.kept += _kept(published)
    for room in rooms.rooms().values():
        room.changed.clear()  # nobody keeps this state
    return computed.kept


def _kept(published: Iterable[Publication]) -> list[Kept]:
    return [one for publication in published if (one := kept(publication.noun)) is not None]


@dataclass
class _Cut:
    """From when a room whose log was cut can be compared."""

    planned: bool = False
    from_ms: int | None = None
    heard: dict[str, int] = field(default_factory=dict)

    def passes(self, record: Stored) -> bool:
        """Whether the replay of this room has begun: at its first plan."""
        if not self.planned:
            try:
                self.planned = isinstance(decode(record), RoomPlan)
            except InvalidRecord:
                return False
        return self.planned

    def look(self, room: Room) -> None:
        """After each record: a camera heard for the first time since the cut makes the room uncertain again."""
        longest_ms = max((rule.longest_gap_ms for rule in room.rules.values()), default=0)
        heard = [story for story in room.stories.values() if story.epoch >= 0]
        for story in heard:
            if story.camera not in self.heard:
                self.heard[story.camera] = story.told_ms
                self.from_ms = None
        if self.from_ms is None and heard:
            clean = all(not s.spans and s.told_ms - self.heard[s.camera] > longest_ms for s in heard)
            self.from_ms = room.clock_ms if clean else None


def _difference(published: list[Kept], computed: Computed) -> str | None:
    """The first key whose bytes differ, or that only one side has; None where all that can be compared is equal."""
    found = {one.key: one for one in computed.kept}
    seen: set[str] = set()
    for one in published:
        if not _comparable(one, computed):
            continue
        if one.key in seen:
            return f"{one.key}: published twice; expected once"
        seen.add(one.key)
        if one.key not in found:
            if computed.cut and not one.is_event:
                continue  # a cut log may leave a bucket open for a camera that went off before the cut
            return f"{one.key}: published {_text(one)}; the replay does not give it"
        if found[one.key].body != one.body:
            return f"{one.key}: published {_text(one)}; the replay gives {_text(found[one.key])}"
    for one in computed.kept:
        if one.key in (computed.certain or ()) and one.key not in seen and _comparable(one, computed):
            return f"{one.key}: the replay gives {_text(one)}; it was not published"
    return None


def _comparable(one: Kept, computed: Computed) -> bool:
    """Whether it lies wholly in what the log still holds."""
    if not computed.cut:
        return True
    from_ms = computed.from_ms.get(one.room)
    return from_ms is not None and one.start_ms >= from_ms


def _text(one: Kept) -> str:
    return one.body.decode()
