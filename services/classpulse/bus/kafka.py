"""The district's bus: Apache Kafka, through kafka-python. Members live in kafka_member.py; this is what needs no membership.

Reading here is read-committed too. A transaction that has just ended becomes visible a moment after its member was told so
(the broker writes its markers then), so a look soon after a commit of this process waits for what was appended before it, for
STABLE_MS at most.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from kafka import IsolationLevel, KafkaAdminClient, KafkaConsumer, OffsetSpec, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType, MemberToRemove

from classpulse.bus.base import DEADLINE_MS, Place
from classpulse.bus.kafka_intake import FETCH_BYTES, instance, settle, stored
from classpulse.bus.kafka_link import READING, parse_link, told_offsets
from classpulse.bus.kafka_member import KafkaMember, just_committed
from classpulse.bus.kafka_topics import configs_of, topic_from
from classpulse.bus.limits import (
    check_compacted,
    check_outputs,
    check_owned,
    check_partition,
    check_place_in_group,
    check_same_shape,
    stored_bytes,
    unknown_topic,
    within,
)
from classpulse.clock import SystemClock
from classpulse.codec import Outgoing, Stored
from classpulse.errors import BadInput, Fatal, Recoverable
from classpulse.topics import TOPICS, Topic

STABLE_MS = 1_000
LOOK_AGAIN_MS = 2
PAGE_RECORDS = 1_000
MARKERS = 2
"""So few offsets at the end of a partition may be markers of transactions alone."""
HIDDEN = kafka_errors.TopicAuthorizationFailedError.errno


class KafkaBus:
    """Topics of a cluster; threads may share it. `address`: what follows `kafka://` in the bus's URL."""

    retains_itself = True

    def __init__(self, address: str) -> None:
        self._link = parse_link(address)
        self._clock = SystemClock()
        self._lock = threading.RLock()
        self._topics: dict[str, Topic] = {}
        self._groups: dict[str, KafkaConsumer] = {}
        self._unread: dict[str, Weights] = {}
        self._kept = Weights(self._records)
        self._visible: set[str] = set()
        self._closed = False
        with self._link.connecting(), self._link.making() as client:
            self._admin = KafkaAdminClient(**client)
            # It reads what is there and waits for nothing: what it asks for meanwhile would keep the next look waiting.
            self._reader = KafkaConsumer(
                **client,
                **READING,
                group_id=None,
                auto_offset_reset="earliest",
                fetch_max_bytes=FETCH_BYTES,
                fetch_max_wait_ms=LOOK_AGAIN_MS,
            )

    @staticmethod
    def check(address: str) -> None:
        """Read the address and the files it names; no broker is asked."""
        parse_link(address).client()

    def create(self, topics: Sequence[Topic]) -> None:
        """Make the topics that do not exist; refuse all if one exists in another shape.

        A topic that this process may not see is none of its business. Raises Fatal where one is missing and may not be made.
        """
        with self._using("create topics"):
            there, hidden = self._partitions([topic.name for topic in topics])
            found = [replace(topic, partitions=there[topic.name]) for topic in topics if topic.name in there]
            wanted = {topic.name: topic for topic in topics}
            if faults := [fault for one in found if (fault := check_same_shape(one, wanted[one.name]))]:
                raise BadInput(faults)
            if missing := [topic for topic in topics if topic.name not in {*there, *hidden}]:
                self._make(missing)
            self._topics |= wanted

    def member(
        self, group: str, topics: Sequence[Topic], *, index: int = 0, count: int = 1, slot: str = ""
    ) -> KafkaMember:
        """Join; what an earlier member of the same place commits from now on is refused.

        `count` is only checked: the group shares its partitions among the members there are.
        """
        check_place_in_group(group, index, count)
        names = [self.topic(topic.name).name for topic in topics]
        return KafkaMember(self._link, (group, index, slot), names, self._check)

    def holders(self, group: str) -> dict[int, str]:
        """The static members without a slot (`instance` in kafka_intake.py)."""
        with self._using(f"look at group {group}"):
            members = self._admin.describe_groups([group])[group]["members"]
        names = {one["group_instance_id"] or "": one["client_id"] for one in members}
        return {int(index): who for name, who in names.items() if (index := name.removesuffix("-")).isdigit()}

    def dismiss(self, group: str, *, index: int, slot: str = "") -> None:
        """A static member leaves its group by name (KIP-345); one that has left already is no fault."""
        leaver = MemberToRemove(group_instance_id=instance(index, slot), reason="no successor")
        with self._using(f"leave group {group}"):
            for error in self._admin.remove_group_members(group, [leaver]).values():
                if error not in (kafka_errors.NoError, kafka_errors.UnknownMemberIdError):
                    raise error(leaver)

    def fetch(self, place: Place, offset: int, *, max_records: int, max_bytes: int) -> list[Stored]:
        """Committed records from `offset` on."""
        check_partition(self.topic(place.topic), place.partition)
        with self._using(f"read {place.topic}"):
            first, end = self._bounds([place])[place]
            return within(self._records(place, max(first, offset), end, at_once=max_records), max_records, max_bytes)

    def latest(self, topic: Topic, *, partition: int | None = None, key: str | None = None) -> Iterator[Stored]:
        """The latest record of each key, as of this call."""
        check_compacted(self.topic(topic.name))
        partitions = range(self.topic(topic.name).partitions) if partition is None else [partition]
        places = [Place(topic.name, p) for p in partitions]
        found: list[Stored] = []
        with self._using(f"read {topic.name}"):
            for place, (first, end) in self._bounds(places).items():
                found += _latest(self._records(place, first, end), key)
        return iter(found)

    def ends(self, topic: Topic) -> dict[int, tuple[int, int]]:
        """Per partition: (first, next)."""
        places = [Place(topic.name, p) for p in range(self.topic(topic.name).partitions)]
        with self._using(f"look at {topic.name}"):
            return {place.partition: bounds for place, bounds in self._bounds(places).items()}

    def positions(self, group: str, topic: Topic) -> dict[int, int]:
        """Committed positions; waits for a transaction that is about to move them."""
        partitions = [TopicPartition(topic.name, p) for p in range(self.topic(topic.name).partitions)]
        with self._using(f"look at group {group}"):
            # public on a private attribute: the public `committed` asks for one partition at a time
            found = self._group(group)._coordinator.fetch_committed_offsets(partitions, timeout_ms=DEADLINE_MS)  # noqa: SLF001
            return {one.partition: found[one].offset for one in partitions if one in found and found[one].offset >= 0}

    def lag(self, group: str, topic: Topic) -> tuple[int, int]:
        """(records, bytes) not committed yet; each record is read once to weigh it."""
        done = self.positions(group, topic)
        weights = self._unread.setdefault(group, Weights(self._records))
        records = size_bytes = 0
        with self._using(f"look at {topic.name}"):
            for partition, (first, end) in self.ends(topic).items():
                start = min(end, max(first, done.get(partition, first)))
                records += end - start
                size_bytes += sum(size for _, size in weights.of(Place(topic.name, partition), start, end))
        return records, size_bytes

    def retain(self, now_ms: int) -> int:
        """Apply the limits of the topics this process has created or named, sooner than the broker's whole segments go."""
        return sum(self._retain(topic, now_ms) for topic in list(self._topics.values()))

    def forget(self, topic: Topic, before: Mapping[int, int]) -> int:
        """Remove what lies before these offsets; gives how many offsets went, markers of transactions included."""
        ends = self.ends(topic)
        cuts = {p: min(offset, ends[p][1]) for p, offset in before.items() if offset > ends[p][0]}
        if cuts:
            with self._using(f"remove records of {topic.name}"):
                self._admin.delete_records({TopicPartition(topic.name, p): offset for p, offset in cuts.items()})
        return sum(offset - ends[p][0] for p, offset in cuts.items())

    def close(self) -> None:
        """Let go of every connection."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for client in (*self._groups.values(), self._reader):
                    client.close(autocommit=False, timeout_ms=1_000)
                self._admin.close()

    def topic(self, name: str) -> Topic:
        """The topic as topics.py or its creator says, else as the broker does. Raises Fatal where nobody created it."""
        if name not in self._topics:
            with self._using(f"look at {name}"):
                found = TOPICS.get(name) or self._described(name)
            if found is None:
                raise unknown_topic(name, self._topics)
            self._topics[name] = found
        return self._topics[name]

    def _check(
        self, outputs: Sequence[Outgoing], positions: Mapping[Place, int], owned: frozenset[Place], who: str
    ) -> None:
        check_outputs(outputs, self.topic)
        check_owned(positions, owned, who)

    def _partitions(self, names: Collection[str]) -> tuple[dict[str, int], set[str]]:
        """How many partitions those topics have that exist, and which ones this process may not see."""
        told = self._admin.describe_topics(list(names))
        there = {one["name"]: len(one["partitions"]) for one in told if not one["error_code"]}
        return there, {one["name"] for one in told if one["error_code"] == HIDDEN}

    def _described(self, name: str) -> Topic | None:
        """A topic that is not in topics.py, as the broker keeps it."""
        there, _ = self._partitions([name])
        if name not in there:
            return None
        asked = [ConfigResource(ConfigResourceType.TOPIC, name)]
        told = self._admin.describe_configs(asked, config_filter="all")["topic"][name]
        return topic_from(name, there[name], {key: entry["value"] for key, entry in told.items()})

    def _make(self, topics: Sequence[Topic]) -> None:
        wanted = {t.name: {"num_partitions": t.partitions, "configs": configs_of(t)} for t in topics}
        try:
            self._admin.create_topics(wanted, wait_for_metadata=True)
        except kafka_errors.TopicAlreadyExistsError:  # another process was quicker
            self._admin.wait_for_topics(list(wanted))

    def _bounds(self, places: Sequence[Place]) -> dict[Place, tuple[int, int]]:
        """(first, next) of each. After a commit of this process: waits until what is appended is committed or aborted."""
        partitions = [TopicPartition(*place) for place in places]
        self._check_visible(partitions)
        firsts = told_offsets(self._reader.beginning_offsets, partitions)
        ends = self._stable(partitions) if just_committed() else self._ends_of(partitions)
        return {Place(*one): (firsts[one], max(firsts[one], ends[one])) for one in partitions}

    def _stable(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        wanted = dict.fromkeys(partitions, OffsetSpec.LATEST)
        told = self._admin.list_partition_offsets(wanted, IsolationLevel.READ_UNCOMMITTED, timeout_ms=DEADLINE_MS)
        give_up_ms = self._clock.monotonic_ms() + STABLE_MS
        while True:
            ends = self._ends_of(partitions)
            if all(ends[one] >= told[one].offset for one in partitions) or self._clock.monotonic_ms() >= give_up_ms:
                return ends
            self._clock.sleep_ms(LOOK_AGAIN_MS)

    def _ends_of(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Where what is committed ends, as the leaders say."""
        return told_offsets(self._reader.end_offsets, partitions)

    def _check_visible(self, partitions: Sequence[TopicPartition]) -> None:
        """Once a topic: the library waits in vain for one that may not be seen. Raises its error for that."""
        topics = {one.topic for one in partitions} - self._visible
        if not topics:
            return
        there, hidden = self._partitions(topics)
        if hidden:
            raise kafka_errors.TopicAuthorizationFailedError(hidden)
        self._visible |= there.keys()

    def _records(self, place: Place, start: int, end: int, *, at_once: int = PAGE_RECORDS) -> Iterator[Stored]:
        """Committed records with start <= offset < end, under the lock; so many are decoded at once, at most PAGE_RECORDS.

        Raises Recoverable when they do not come in time.
        """
        if start >= end:
            return
        partition = TopicPartition(*place)
        self._reader.assign([partition])
        settle(self._reader)
        self._reader.seek(partition, start)
        give_up_ms = self._clock.monotonic_ms() + DEADLINE_MS
        while self._reader.position(partition, timeout_ms=DEADLINE_MS) < end:
            for records in self._reader.poll(timeout_ms=LOOK_AGAIN_MS, max_records=min(at_once, PAGE_RECORDS)).values():
                give_up_ms = self._clock.monotonic_ms() + DEADLINE_MS
                for record in records:
                    if record.offset >= end:
                        return
                    yield stored(record)
            if self._clock.monotonic_ms() >= give_up_ms:
                raise Recoverable(
                    f"{self._link.name}: nothing of {place.topic}/{place.partition} came for {DEADLINE_MS} ms"
                )

    def _group(self, group: str) -> KafkaConsumer:
        """A client that may ask for a group's positions without joining it."""
        if group not in self._groups:
            self._groups[group] = KafkaConsumer(**self._link.client(), **READING, group_id=group)
        return self._groups[group]

    def _retain(self, topic: Topic, now_ms: int) -> int:
        if topic.retention_ms is None and topic.retention_bytes is None:
            return 0
        bounds = self.ends(topic)
        cuts = dict.fromkeys(bounds, 0)
        with self._using(f"look at {topic.name}"):
            if topic.retention_ms is not None:
                cuts |= self._young(topic, now_ms - topic.retention_ms, bounds)
            if topic.retention_bytes is not None:
                fitting = {p: self._fitting(topic, Place(topic.name, p), bounds[p]) for p in bounds}
                cuts = {p: max(cuts[p], fitting[p]) for p in bounds}
        return self.forget(topic, cuts)

    def _young(self, topic: Topic, oldest_ms: int, bounds: Mapping[int, tuple[int, int]]) -> dict[int, int]:
        """Per partition, the first offset that was appended at `oldest_ms` or later."""
        wanted = {TopicPartition(topic.name, p): max(0, oldest_ms) for p in bounds}
        found = self._admin.list_partition_offsets(wanted, IsolationLevel.READ_COMMITTED, timeout_ms=DEADLINE_MS)
        starts = {Place(*one): told.offset for one, told in found.items()}
        return {
            place.partition: self._start(place, start, bounds[place.partition][1]) for place, start in starts.items()
        }

    def _start(self, place: Place, start: int, end: int) -> int:
        """`start`, or `end` where no record is left from there on: a transaction's last marker is younger than its records."""
        if start < 0 or (end - start <= MARKERS and next(self._records(place, start, end), None) is None):
            return end
        return start

    def _fitting(self, topic: Topic, place: Place, bounds: tuple[int, int]) -> int:
        """The offset from which on a partition weighs no more than it may."""
        weights = self._kept.of(place, *bounds)
        left_bytes = sum(size for _, size in weights)
        for offset, size in weights:
            if left_bytes <= (topic.retention_bytes or 0):
                return offset
            left_bytes -= size
        return bounds[1] if weights else bounds[0]

    @contextmanager
    def _using(self, what: str) -> Iterator[None]:
        """The lock, an open bus, and the library's errors in our words."""
        with self._lock, self._link.meaning(what):
            if self._closed:
                raise Fatal(f"{self._link.name} is closed; expected an open one")
            yield


class Weights:
    """What the records of partitions weigh: each is read once, from the first offset that is asked for."""

    def __init__(self, read: Callable[[Place, int, int], Iterator[Stored]]) -> None:
        self._read = read
        self._known: dict[Place, deque[tuple[int, int]]] = {}
        self._span: dict[Place, tuple[int, int]] = {}

    def of(self, place: Place, start: int, end: int) -> list[tuple[int, int]]:
        """(offset, bytes) of the records with start <= offset < end; what lies before is not asked for again."""
        known = self._known.setdefault(place, deque())
        begin, read_to = self._span.get(place, (start, start))
        if start < begin:
            known.clear()
            read_to = start
        while known and known[0][0] < start:
            known.popleft()
        for record in self._read(place, max(start, read_to), end):
            known.append((record.offset, stored_bytes(record)))
        self._span[place] = (start, max(end, read_to))
        return list(known)


def _latest(records: Iterator[Stored], key: str | None) -> list[Stored]:
    """The last record of each key, in offset order, without deleted keys."""
    found: dict[str, Stored] = {}
    for record in records:
        if key is None or record.key == key:
            found.pop(record.key, None)
            found[record.key] = record
    return [record for record in found.values() if record.value is not None]
