"""The bus inside one process, for route tests and for trying things: the same promises as the others, gone at exit."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from classpulse.bus.base import Place
from classpulse.bus.limits import (
    TOMBSTONE_MS,
    check_compacted,
    check_outputs,
    check_owned,
    check_partition,
    check_place_in_group,
    check_same_shape,
    owned_places,
    stored_bytes,
    unknown_topic,
    within,
)
from classpulse.bus.reader import Reader, wait_for
from classpulse.clock import Clock, SystemClock
from classpulse.codec import Outgoing, Stored
from classpulse.errors import BadInput, Fatal, Fenced
from classpulse.topics import Topic


@dataclass(slots=True)
class _Log:
    """One partition: its records by offset (in offset order), and on compacted topics where each key lies."""

    first: int = 0
    next: int = 0
    size_bytes: int = 0
    records: dict[int, Stored] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)

    def append(self, record: Outgoing, now_ms: int, *, compact: bool) -> None:
        if compact and record.key in self.keys:
            self.remove(self.keys[record.key])
        stored = Stored(
            record.topic, record.partition, self.next, record.key, record.value, tuple(record.headers), now_ms
        )
        self.records[self.next] = stored
        self.size_bytes += stored_bytes(stored)
        if compact:
            self.keys[record.key] = self.next
        self.next += 1

    def remove(self, offset: int) -> None:
        record = self.records.pop(offset)
        self.size_bytes -= stored_bytes(record)
        if self.keys.get(record.key) == offset:
            del self.keys[record.key]

    def cut(self, end: int) -> int:
        """Remove what lies before `end`; gives the number of records removed."""
        gone = [offset for offset in self.records if offset < end]
        for offset in gone:
            self.remove(offset)
        self.first = max(self.first, end)
        return len(gone)

    def end_of_excess(self, limit_bytes: int) -> int:
        """The offset before which records must go so that at most `limit_bytes` are left."""
        left_bytes = self.size_bytes
        for offset, record in self.records.items():
            if left_bytes <= limit_bytes:
                return offset
            left_bytes -= stored_bytes(record)
        return self.next if self.size_bytes > limit_bytes else self.first

    def scan(self, start: int, stop: int) -> list[Stored]:
        return [self.records[o] for o in range(max(start, self.first), stop) if o in self.records]


class MemoryBus:
    """Topics in dictionaries under one lock. `name` is ignored: every bus is its own."""

    retains_itself = False

    def __init__(self, name: str = "", *, clock: Clock | None = None) -> None:
        self.name = name
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        self._topics: dict[str, Topic] = {}
        self._logs: dict[Place, _Log] = {}
        self._positions: dict[tuple[str, Place], int] = {}
        self._claims: dict[tuple[str, Place], int] = {}
        self._tokens: dict[tuple[str, int, str], int] = {}
        self._joined = 0
        self._version = 0
        self._closed = False

    @staticmethod
    def check(address: str) -> None:
        """Nothing of it can be wrong."""

    def create(self, topics: Sequence[Topic]) -> None:
        """Make the topics that do not exist; refuse all if one exists in another shape."""
        with self._open():
            pairs = [(self._topics[topic.name], topic) for topic in topics if topic.name in self._topics]
            faults = [fault for found, wanted in pairs if (fault := check_same_shape(found, wanted))]
            if faults:
                raise BadInput(faults)
            for topic in topics:
                self._topics[topic.name] = topic
                for partition in range(topic.partitions):
                    self._logs.setdefault(Place(topic.name, partition), _Log())

    def member(
        self, group: str, topics: Sequence[Topic], *, index: int = 0, count: int = 1, slot: str = ""
    ) -> "MemoryMember":
        """Join; what an earlier member of the same place, or of the same partitions, commits from now on is refused."""
        check_place_in_group(group, index, count)
        with self._open():
            owned = owned_places([self.topic(topic.name) for topic in topics], index, count)
            self._joined += 1
            self._tokens[group, index, slot] = self._joined
            self._claims.update({(group, place): self._joined for place in owned})
            return MemoryMember(self, (group, index, slot), owned, self._joined)

    def holders(self, group: str) -> dict[int, str]:  # noqa: ARG002 - nobody shares places out
        """Nobody: a later member fences the earlier one of its place, and nothing is shared out."""
        return {}

    def dismiss(self, group: str, *, index: int, slot: str = "") -> None:
        """Nothing to do: places keep their partitions."""

    def fetch(self, place: Place, offset: int, *, max_records: int, max_bytes: int) -> list[Stored]:
        """Committed records from `offset` on."""
        with self._open():
            log = self._log(place)
            return within(iter(log.scan(offset, log.next)), max_records, max_bytes)

    def latest(self, topic: Topic, *, partition: int | None = None, key: str | None = None) -> Iterator[Stored]:
        """The latest record of each key, as of this call."""
        with self._open():
            check_compacted(self.topic(topic.name))
            partitions = range(topic.partitions) if partition is None else [partition]
            logs = [self._log(Place(topic.name, p)) for p in partitions]
            records = [record for log in logs for record in log.records.values()]
            return iter([r for r in records if r.value is not None and (key is None or r.key == key)])

    def ends(self, topic: Topic) -> dict[int, tuple[int, int]]:
        """Per partition: (first, next)."""
        with self._open():
            return dict(self.bounds(self.topic(topic.name).name))

    def positions(self, group: str, topic: Topic) -> dict[int, int]:
        """Committed positions."""
        with self._open():
            self.topic(topic.name)
            return {
                place.partition: offset
                for (owner, place), offset in sorted(self._positions.items())
                if owner == group and place.topic == topic.name
            }

    def lag(self, group: str, topic: Topic) -> tuple[int, int]:
        """(records, bytes) not committed yet."""
        with self._open():
            done = self.positions(group, topic)
            logs = {p: self._log(Place(topic.name, p)) for p in range(topic.partitions)}
            unread = [record for p, log in logs.items() for record in log.scan(done.get(p, 0), log.next)]
            return len(unread), sum(map(stored_bytes, unread))

    def retain(self, now_ms: int) -> int:
        """Apply every topic's limits."""
        with self._open():
            removed = sum(_retain(self._topics[place.topic], log, now_ms) for place, log in self._logs.items())
            self._version += removed > 0
            return removed

    def forget(self, topic: Topic, before: Mapping[int, int]) -> int:
        """Remove what lies before these offsets."""
        with self._open():
            removed = sum(self._log(Place(topic.name, p)).cut(offset) for p, offset in before.items())
            self._version += removed > 0
            return removed

    def close(self) -> None:
        """Refuse every later call."""
        with self._lock:
            self._closed = True

    def topic(self, name: str) -> Topic:
        """The topic as it was created. Raises Fatal where nobody did."""
        if name not in self._topics:
            raise unknown_topic(name, self._topics)
        return self._topics[name]

    def bounds(self, topic: str) -> Mapping[int, tuple[int, int]]:
        """Snapshot: (first, next) per partition."""
        logs = {p: self._logs[Place(topic, p)] for p in range(self._topics[topic].partitions)}
        return {p: (log.first, log.next) for p, log in logs.items()}

    @contextmanager
    def scan(self, place: Place, start: int, stop: int) -> Iterator[Iterator[Stored]]:
        """Snapshot: records of a range."""
        yield iter(self._logs[place].scan(start, stop))

    def version(self) -> int:
        """Rises with every commit."""
        return self._version

    def take(self, reader: Reader, max_records: int, max_bytes: int) -> list[Stored]:
        """One look of a member at the log."""
        with self._open():
            return reader.take(self, max_records=max_records, max_bytes=max_bytes)

    def starts(self, group: str, owned: frozenset[Place]) -> dict[Place, int]:
        """Where a member begins: the committed position, else the first offset there is."""
        with self._open():
            return {place: self._positions.get((group, place), self._logs[place].first) for place in owned}

    def committed(self, group: str, owned: frozenset[Place]) -> dict[Place, int]:
        """The committed positions among `owned`."""
        with self._open():
            return {p: self._positions[group, p] for p in owned if (group, p) in self._positions}

    def apply(self, member: "MemoryMember", outputs: Sequence[Outgoing], positions: Mapping[Place, int]) -> None:
        """The atomic step: everything that can be refused is refused before the first change."""
        with self._open():
            check_outputs(outputs, self.topic)
            check_owned(positions, member.assignment(), member.who)
            self._check_fence(member, positions)
            now_ms = self._clock.now_ms()
            for record in outputs:
                compact = self._topics[record.topic].cleanup == "compact"
                self._logs[Place(record.topic, record.partition)].append(record, now_ms, compact=compact)
            for place, offset in positions.items():
                self._positions[member.place[0], place] = offset
            self._version += 1

    @property
    def clock(self) -> Clock:
        """Whose time is written on records."""
        return self._clock

    def _check_fence(self, member: "MemoryMember", positions: Mapping[Place, int]) -> None:
        group = member.place[0]
        owners = {self._tokens[member.place], *(self._claims[group, place] for place in positions)}
        if owners != {member.token}:
            raise Fenced(f"{member.who}: a later member owns this place; expected to be the latest")

    def _log(self, place: Place) -> _Log:
        check_partition(self.topic(place.topic), place.partition)
        return self._logs[place]

    @contextmanager
    def _open(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise Fatal("memory bus is closed; expected an open one")
            yield


class MemoryMember:
    """One owner of partitions on a MemoryBus."""

    def __init__(self, bus: MemoryBus, place: tuple[str, int, str], owned: frozenset[Place], token: int) -> None:
        self.place, self.token = place, token
        self.who = "member {!r}, index {}, slot {!r}".format(*place)
        self._bus, self._owned = bus, owned
        self._closed = False
        self._reader = Reader(owned)
        self._reader.start(bus.starts(place[0], owned))
        self._begun = bus.starts(place[0], owned)

    def assignment(self) -> frozenset[Place]:
        """The partitions this member owns."""
        return self._owned

    def poll(self, *, max_records: int, max_bytes: int, timeout_ms: int) -> list[Stored]:
        """The next records; a manual clock is advanced by the waiting."""
        self._check_open()
        return wait_for(
            lambda: self._bus.take(self._reader, max_records, max_bytes),
            self._bus.version,
            clock=self._bus.clock,
            timeout_ms=timeout_ms if max_records else 0,
        )

    def commit(self, outputs: Sequence[Outgoing], positions: Mapping[Place, int]) -> None:
        """The atomic step."""
        self._check_open()
        self._bus.apply(self, outputs, positions)

    def expired(self) -> dict[Place, int]:
        """What polls since the last call found removed unread."""
        return self._reader.missed()

    def handed_over(self) -> frozenset[Place]:
        """Nothing: partitions are owned for life."""
        return frozenset()

    def rewind(self) -> None:
        """Back to the committed positions; partitions never committed go back to where this member began."""
        self._check_open()
        self._reader.start({**self._begun, **self._bus.committed(self.place[0], self._owned)})

    def close(self) -> None:
        """Leave."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise Fatal(f"{self.who} is closed; expected an open one")


def _retain(topic: Topic, log: _Log, now_ms: int) -> int:
    """Apply one topic's limits to one partition. Age only grows with the offset, whatever the wall clock did."""
    removed = 0
    if topic.retention_ms is not None:
        old = [o for o, r in log.records.items() if r.appended_at_ms < now_ms - topic.retention_ms]
        removed += log.cut(old[-1] + 1) if old else 0
    if topic.retention_bytes is not None:
        removed += log.cut(log.end_of_excess(topic.retention_bytes))
    if topic.cleanup == "compact":
        dead = [o for o, r in log.records.items() if r.value is None and r.appended_at_ms < now_ms - TOMBSTONE_MS]
        for offset in dead:
            log.remove(offset)
        removed += len(dead)
    return removed
