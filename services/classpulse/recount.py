"""detections.v1 + timelines.v1 → one room's account: its detections are aggregated afresh, beside what was published of it.

Aggregate's own rules say which bucket each frame of a camera is counted in, or missed in; a `Ledger` counts the same sequences
without them. What is held is bounded by what is open: a final bucket is compared when both sides have told it, and forgotten.

Where the log does not begin at its beginning, a room is read from its first plan on, and compared when every camera it expects
has told a time, behind all times that may have been told before: from then on a fresh aggregator knows what decides where a
frame is counted.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from classpulse.accounts import Account, Ledger
from classpulse.aggregate.room import Room
from classpulse.aggregate.rooms import MOST_FINALS, Rooms
from classpulse.aggregate.told import sequences
from classpulse.codec import Stored
from classpulse.errors import InvalidRecord
from classpulse.records import Hole, RoomPlan, TimelineBucket, Told
from classpulse.stage import ALLOWED_SKEW_MS, decode_in_time

NOT_FINAL = "not final"
NOT_LOOKED_AT = "not looked at"


class Window(NamedTuple):
    """Buckets are in it that touch `[from_ms, to_ms)`."""

    from_ms: int = 0
    to_ms: int = sys.maxsize


class Counts(NamedTuple):
    """Frames that are in a timeline, and those that are not, by reason."""

    frames: int
    missing: Mapping[str, int]

    @property
    def captured(self) -> int:
        """All of them."""
        return self.frames + sum(self.missing.values())


class Fault(NamedTuple):
    """The first bucket of a room where it does not add up: what was published, what its detections give; and how many do not."""

    room: str
    start_ms: int
    published: Counts
    given: Counts
    buckets: int = 1


class Ingested(NamedTuple):
    """How far ingest says that a camera's newest epoch has come; `all_read`: detect has read all of that."""

    epoch: int
    next_sequence: int
    all_read: bool


class _Given(NamedTuple):
    """What each camera gave a final bucket; `certain`: it must have been published when timelines.v1 was read."""

    end_ms: int
    cameras: Mapping[str, Counts]
    certain: bool


@dataclass
class _Tally:
    """One camera in the window."""

    counted: int = 0
    in_timelines: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    not_final: int = 0


class Recount:
    """One room. `cut`: its log does not begin at its beginning.

    `from_ms`: buckets that begin later are compared; None: nowhere yet.
    """

    def __init__(self, key: str, window: Window, *, cut: bool) -> None:
        self.key, self.cut, self._window = key, cut, window
        self.from_ms: int | None = None if cut else -1
        self.fault: Fault | None = None
        self.span_ms: tuple[int, int] | None = None
        self._rooms = Rooms()
        self._planned, self._since_ms = not cut, 0
        self._ledgers: dict[str, Ledger] = {}
        self._given: dict[int, _Given] = {}
        self._published: dict[int, TimelineBucket] = {}
        self._published_ms = -1
        self._tallies: dict[str, _Tally] = {}
        self._frames: Counter[str] = Counter()
        self._captured: Counter[str] = Counter()

    @property
    def whole(self) -> bool:
        """Whether everything in the window can be compared."""
        room = self._room
        if self.from_ms is None or room is None:
            return not self.cut
        return self.from_ms < max(0, room.frontier.grid.around(self._window.from_ms)[0])

    def told(self, record: Stored, *, certain: bool) -> None:
        """The next record of detections.v1; `certain`: what it made final is published."""
        try:
            noun = decode_in_time(record)
            if not self._begun(noun, record):
                return
            unknown = self.cut and isinstance(noun, Told) and self._tells_of_unknown(noun, record)
            self._rooms.take(record, noun)
        except InvalidRecord as error:
            if self._planned:
                self._rooms.unread(record, error)
        else:
            if isinstance(noun, Told):
                self._ledgers.setdefault(noun.camera, Ledger()).tell(noun)
            if self.cut:
                self._look(unknown=unknown)
        self._drain(certain)

    def published(self, bucket: TimelineBucket) -> None:
        """The next bucket of timelines.v1."""
        if bucket.final and self._planned:
            self._published_ms = max(self._published_ms, bucket.start_ms)
            if bucket.frames or bucket.missing:
                self._published[bucket.start_ms] = bucket
                self._meet(bucket.start_ms)

    def close(self) -> None:
        """Both logs were read to their ends: what one side alone has told is not published yet, or a fault."""
        room = self._room
        for start_ms, given in sorted(self._given.items()):
            if self._compares(start_ms, given.end_ms):
                for camera, counts in given.cameras.items():
                    self._count(camera, counts)
                if given.certain or start_ms < self._published_ms:
                    self._fault(start_ms, Counts(0, {}), given.cameras)
                else:
                    for camera, counts in given.cameras.items():
                        self._tallies[camera].not_final += counts.captured
        open_parts = {} if room is None else room.parts
        for start_ms, parts in sorted(open_parts.items()):
            for camera, part in parts.items():
                counts = Counts(part.frames, part.missing)
                self._add_up(camera, counts)
                if self._compares(start_ms, part.end_ms):
                    self._count(camera, counts)
                    self._tallies[camera].not_final += counts.captured
        for start_ms, bucket in sorted(self._published.items()):
            held = self.cut and start_ms in open_parts  # by a camera that went off before the log begins
            if self._compares(start_ms, bucket.end_ms) and not held:
                self._fault(start_ms, _counts(bucket), {})

    def accounts(self, ingested: Mapping[str, Ingested]) -> Iterator[Account]:
        """Each camera's account, as soon as all was read; none of a room that could not be compared."""
        if self.from_ms is None:
            return
        room = self._room
        for camera in sorted({*(room.stories if room is not None else ()), *ingested}):
            tally, ledger = self._tallies.get(camera, _Tally()), self._ledgers.get(camera, Ledger())
            away, all_read = self._on_its_way(ledger, ingested.get(camera))
            other = ledger.captured - self._captured[camera] or ledger.detected - self._frames[camera]
            not_yet = {NOT_FINAL: tally.not_final, NOT_LOOKED_AT: 0 if all_read else away}
            yield Account(
                camera,
                captured=tally.counted + other + away,
                in_timelines=tally.in_timelines,
                dropped=dict(sorted(tally.dropped.items())),
                not_yet={where: count for where, count in not_yet.items() if count},
            )

    @property
    def _room(self) -> Room | None:
        return self._rooms.rooms().get(self.key)

    def _begun(self, noun: object, record: Stored) -> bool:
        """Whether this room is read already: where its log was cut, from its first plan on."""
        if not self._planned and isinstance(noun, RoomPlan):
            self._planned = True
            if "live" in noun.cameras.values():
                self._doubt_until(record)
        return self._planned

    def _tells_of_unknown(self, noun: Told, record: Stored) -> bool:
        """Whether a record follows on others of its epoch that lie before what is left of the log."""
        room = self._room
        story = None if room is None else room.stories.get(noun.camera)
        if story is not None and story.epoch >= 0:
            return noun.epoch < story.epoch and noun.epoch not in story.past
        if isinstance(noun, Hole):
            return False
        first, _ = sequences(noun)
        if (noun.epoch, first) != (0, 0):
            self._doubt_until(record)
        return first > 0

    def _doubt_until(self, record: Stored) -> None:
        """Something was told before of a time that is not known; a record tells of none that is later than this."""
        self._since_ms = max(self._since_ms, record.appended_at_ms + ALLOWED_SKEW_MS)

    def _look(self, *, unknown: bool) -> None:
        """Whether this room can be compared from now on, or only from now on."""
        room = self._room
        if room is None or (self.from_ms is not None and not unknown):
            return
        expected = room.plan.cameras if room.plan is not None else ()
        known = all(room.stories[camera].high_ms is not None for camera in expected)
        if known or self.from_ms is not None:
            self.from_ms = max(room.clock_ms, self._since_ms)
            self.fault, self.span_ms = None, None
            self._tallies.clear()

    def _drain(self, certain: bool) -> None:
        """Take the buckets that have become final off the room."""
        room = self._room
        if room is None:
            return
        room.changed.clear()  # nobody keeps this state
        if not room.owing:
            return
        due = sorted(start_ms for start_ms in room.parts if start_ms < room.frontier.final_until_ms)
        for place, start_ms in enumerate(due):
            parts = room.parts[start_ms]
            counts = {camera: Counts(p.frames, p.missing) for camera, p in parts.items() if p.frames or p.missing}
            if counts:
                end_ms = next(iter(parts.values())).end_ms
                self._given[start_ms] = _Given(end_ms, counts, certain and place < MOST_FINALS)
                for camera, one in counts.items():
                    self._add_up(camera, one)
                self._meet(start_ms)
        room.finals(sys.maxsize)

    def _meet(self, start_ms: int) -> None:
        """Compare a bucket that both sides have told."""
        if start_ms not in self._given or start_ms not in self._published:
            return
        given, published = self._given.pop(start_ms), _counts(self._published.pop(start_ms))
        if not self._compares(start_ms, given.end_ms):
            return
        for camera, counts in given.cameras.items():
            self._count(camera, counts)
            alone = len(given.cameras) == 1  # only then a bucket tells of a camera
            told = published if alone else counts
            self._tallies[camera].in_timelines += told.frames
            self._tallies[camera].dropped.update(told.missing)
        if published != _sum(given.cameras):
            self._fault(start_ms, published, given.cameras)

    def _compares(self, start_ms: int, end_ms: int) -> bool:
        """Whether a bucket is to be compared; notes how far those reach that are."""
        inside = start_ms < self._window.to_ms and end_ms > self._window.from_ms
        if not inside or self.from_ms is None or start_ms <= self.from_ms:
            return False
        first_ms, last_ms = self.span_ms or (start_ms, end_ms)
        self.span_ms = min(first_ms, start_ms), max(last_ms, end_ms)
        return True

    def _count(self, camera: str, counts: Counts) -> None:
        self._tallies.setdefault(camera, _Tally()).counted += counts.captured

    def _add_up(self, camera: str, counts: Counts) -> None:
        self._frames[camera] += counts.frames
        self._captured[camera] += counts.captured

    def _fault(self, start_ms: int, published: Counts, given: Mapping[str, Counts]) -> None:
        found, known = Fault(self.key, start_ms, published, _sum(given)), self.fault
        if known is None:
            self.fault = found
        else:
            self.fault = min(known, found, key=lambda fault: fault.start_ms)._replace(buckets=known.buckets + 1)

    def _on_its_way(self, ledger: Ledger, ingested: Ingested | None) -> tuple[int, bool]:
        """Frames that ingest told of and detections.v1 does not; and whether they never will be."""
        if ingested is None or ingested.epoch < ledger.epoch or (self.cut and ledger.epoch < 0):
            return 0, False
        away = max(0, ingested.next_sequence - ledger.told.get(ingested.epoch, 0))
        return away, ingested.all_read and ledger.hole_reason is None


def _counts(bucket: TimelineBucket) -> Counts:
    return Counts(bucket.frames, bucket.missing)


def _sum(cameras: Mapping[str, Counts]) -> Counts:
    missing: Counter[str] = Counter()
    for counts in cameras.values():
        missing.update(counts.missing)
    return Counts(sum(counts.frames for counts in cameras.values()), dict(missing))
