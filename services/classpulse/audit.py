"""bus → a proof: of every camera, frames captured = in timelines + Σ dropped{reason}, from the logs alone.

Each partition of detections.v1 is counted anew (`Recount`) beside the same partition of timelines.v1, page by page, as far as
the other was appended. A running site may be audited: first is noted what aggregate has committed, which must then be found
published; timelines.v1 ends before detections.v1 is seen to end, so nothing is found published that its detections cannot give.
Both ends are looked at twice, because a broker shows one step in two partitions a few milliseconds apart.

What ingest has counted itself (ingest-state.v1, written with each record of frames.v1) is compared too: frames that detect
has read and never told are missing. No picture is read for it.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from classpulse.accounts import Account
from classpulse.aggregate.admission import MOST_BUCKET_MS
from classpulse.aggregate.plans import REPEAT_EVERY_MS
from classpulse.bus.base import Bus
from classpulse.codec import Stored, decode
from classpulse.errors import InvalidRecord
from classpulse.reading import offset_at, stored_records
from classpulse.records import IngestState, TimelineBucket, hidden, room_of
from classpulse.recount import Fault, Ingested, Recount, Window
from classpulse.topics import DETECTIONS, FRAMES, INGEST_STATE, TIMELINES, partition_of

GROUP = "aggregate"
PAGE = 256
LOOKS = 2
BEFORE_MS = REPEAT_EVERY_MS + 2 * MOST_BUCKET_MS
"""How long before a window reading begins: a room's plan is repeated within that."""


@dataclass(frozen=True)
class Audit:
    """What an audit found. `faults`: per room that does not add up, the first bucket.

    `from_ms`: per room whose log was cut, from when it could be compared (None: nowhere yet). `span_ms`: from the beginning
    of the first to the end of the last bucket that was looked at; None where there was none.
    """

    accounts: tuple[Account, ...]
    faults: tuple[Fault, ...]
    from_ms: dict[str, int | None]
    span_ms: tuple[int, int] | None

    @property
    def balanced(self) -> bool:
        """Whether everything adds up."""
        return not self.faults and all(account.balanced for account in self.accounts)

    @property
    def unexplained(self) -> int:
        """How many frames nothing is told of, or too much is; at least one a bucket that differs. 0 where everything adds up."""
        buckets = sum(fault.buckets for fault in self.faults)
        return max(buckets, sum(abs(account.difference) for account in self.accounts))


def audit(
    bus: Bus,
    rooms: Collection[str] = (),
    *,
    from_ms: int | None = None,
    to_ms: int | None = None,
    advance: Callable[[int], None] = lambda _records: None,
) -> Audit:
    """Audit these rooms (none: all but hidden ones), in whole buckets: those that touch `[from_ms, to_ms)`.

    `advance` is called now and then with how many more offsets of detections.v1 are done with.
    """
    window = Window() if from_ms is None else Window(from_ms)
    window = window if to_ms is None else window._replace(to_ms=to_ms)
    ingested = _ingested(bus, rooms, from_ms) if to_ms is None else {}
    counted: list[Recount] = []
    accounts: list[Account] = []
    for partition in partitions_of(rooms):
        for recount in _Partition(bus, partition, rooms, window, advance).recounts(from_ms, ingested):
            counted.append(recount)
            accounts += recount.accounts(ingested.get(recount.key, {}))
    spans = [recount.span_ms for recount in counted if recount.span_ms is not None]
    return Audit(
        accounts=tuple(sorted(accounts, key=lambda account: account.camera)),
        faults=tuple(sorted(recount.fault for recount in counted if recount.fault is not None)),
        from_ms={recount.key: recount.from_ms for recount in counted if not recount.whole},
        span_ms=(min(start for start, _ in spans), max(end for _, end in spans)) if spans else None,
    )


def partitions_of(rooms: Collection[str]) -> list[int]:
    """The partitions these rooms lie in; all, where none is named."""
    named = {partition_of(room, DETECTIONS.partitions) for room in rooms}
    return sorted(named) if rooms else list(range(DETECTIONS.partitions))


class _Partition:
    """One partition, to be read with what was published of it."""

    def __init__(
        self, bus: Bus, partition: int, rooms: Collection[str], window: Window, advance: Callable[[int], None]
    ) -> None:
        self._bus, self._partition, self._wanted, self._window = bus, partition, frozenset(rooms), window
        self._advance = advance
        self._rooms: dict[str, Recount] = {}
        self._cut = False
        self._committed = 0

    def recounts(self, from_ms: int | None, ingested: Collection[str]) -> Collection[Recount]:
        """Every wanted room, counted. Begins near the window, and where that is not enough, at the beginning."""
        first = self._bus.ends(DETECTIONS)[self._partition][0]
        near = first if from_ms is None else offset_at(self._bus, DETECTIONS, self._partition, from_ms - BEFORE_MS)
        for start in dict.fromkeys((near, first)):
            self._read(start)
            if all(recount.whole for recount in self._rooms.values()):
                break
        for room in ingested:
            if partition_of(room, DETECTIONS.partitions) == self._partition:
                self._recount(room)
        for recount in self._rooms.values():
            recount.close()
        return self._rooms.values()

    def _read(self, start: int) -> None:
        self._rooms, self._cut = {}, start > 0
        self._committed = self._bus.positions(GROUP, DETECTIONS).get(self._partition, 0)
        told_from, published_from = start, self._published_from(start)
        for _ in range(LOOKS):
            published_to = self._bus.ends(TIMELINES)[self._partition][1]
            told_to = self._bus.ends(DETECTIONS)[self._partition][1]
            published = stored_records(self._bus, TIMELINES, self._partition, start=published_from, end=published_to)
            self._read_beside(_Ahead(published), told_from, told_to)
            told_from, published_from = told_to, published_to

    def _published_from(self, start: int) -> int:
        """Where timelines.v1 is as old as detections.v1 from `start` on."""
        oldest = next(stored_records(self._bus, DETECTIONS, self._partition, start=start), None)
        if not self._cut or oldest is None:
            return 0
        return offset_at(self._bus, TIMELINES, self._partition, oldest.appended_at_ms)

    def _read_beside(self, published: "_Ahead", start: int, end: int) -> None:
        done = start
        for record in stored_records(self._bus, DETECTIONS, self._partition, start=start, end=end):
            if self._is_wanted(record.key):
                self._recount(record.key).told(record, certain=record.offset < self._committed)
            if record.offset - done >= PAGE:
                self._advance(record.offset - done)
                done = record.offset
                self._publish(published.until(record.appended_at_ms))
        self._advance(end - done)
        self._publish(published.until(None))

    def _publish(self, records: Iterator[Stored]) -> None:
        for record in records:
            if self._is_wanted(record.key.rpartition("/")[0]) and record.value is not None:
                try:
                    bucket = decode(record)
                except InvalidRecord:
                    continue  # its detections will find it missing
                if isinstance(bucket, TimelineBucket):
                    self._recount(bucket.room).published(bucket)

    def _is_wanted(self, room: str) -> bool:
        return room in self._wanted if self._wanted else not hidden(room)

    def _recount(self, room: str) -> Recount:
        if room not in self._rooms:
            self._rooms[room] = Recount(room, self._window, cut=self._cut)
        return self._rooms[room]


class _Ahead:
    """Records to be read only as far as another log was."""

    def __init__(self, records: Iterator[Stored]) -> None:
        self._records = records
        self._next: Stored | None = None

    def until(self, appended_ms: int | None) -> Iterator[Stored]:
        """Those appended no later; None: all."""
        while (record := self._next or next(self._records, None)) is not None:
            self._next = record
            if appended_ms is not None and record.appended_at_ms > appended_ms:
                return
            self._next = None
            yield record


def _ingested(bus: Bus, rooms: Collection[str], from_ms: int | None) -> dict[str, dict[str, Ingested]]:
    """By room and camera, how far ingest has come; what was told last before `from_ms` is left out."""
    states = [s for s in _states(bus) if (room_of(s.camera) in rooms if rooms else not hidden(s.camera))]
    ends = bus.ends(FRAMES)
    done = bus.positions("detect", FRAMES)
    found: dict[str, dict[str, Ingested]] = {}
    for state in states:
        if from_ms is None or state.last_ms >= from_ms:
            place = partition_of(state.camera, FRAMES.partitions)
            all_read = done.get(place, 0) >= ends[place][1]
            one = Ingested(state.epoch, state.next_sequence, all_read)
            found.setdefault(room_of(state.camera), {})[state.camera] = one
    return found


def _states(bus: Bus) -> Iterator[IngestState]:
    for record in bus.latest(INGEST_STATE):
        try:
            state = decode(record)
        except InvalidRecord:
            continue
        if isinstance(state, IngestState):
            yield state
