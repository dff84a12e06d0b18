"""One owner of partitions on a Kafka cluster: polls committed records, and commits a step as one transaction.

A member is a static member of its consumer group (KIP-345) and its transactional id is its place (group, index, slot), so
its successor takes both over: the broker then refuses whatever the earlier one still says. Kafka hands partitions out, and
may take them away, but only while `poll` waits: no step is ever open then.
"""

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import OffsetAndMetadata

from classpulse.bus.base import DEADLINE_MS, MAX_IN_FLIGHT_BYTES, Place
from classpulse.bus.kafka_link import Errand, Link
from classpulse.bus.kafka_topics import BATCH_BYTES, OVERHEAD_BYTES
from classpulse.bus.limits import stored_bytes
from classpulse.clock import SystemClock
from classpulse.codec import Outgoing, Stored
from classpulse.errors import Fatal, Fenced, RecordTooLarge, Recoverable
from classpulse.faults import fault

TRANSACTION_MS = 10_000
"""The broker ends a transaction that stays open so long: a successor never waits longer for a dead predecessor's."""

SESSION_MS = 10_000
HEARTBEAT_MS = 500
"""How soon a member learns that partitions are to be handed out anew; a cooperative hand-over takes two such rounds."""

FETCH_WAIT_MS = 250
FETCH_BYTES = 8 * 1024 * 1024
POLL_RECORDS = 500
CLOSE_S = 2.0


Check = Callable[[Sequence[Outgoing], Mapping[Place, int], frozenset[Place], str], None]
"""Refuses outputs and positions that cannot be committed: outputs, positions, what is owned, by whom."""


class Changes(ConsumerRebalanceListener):  # type: ignore[misc]
    """Which partitions changed hands. The library tells it from its own thread, while `poll` waits."""

    def __init__(self) -> None:
        self.gone: set[Place] = set()

    def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Taken away in good order: others may own them from now on."""
        self.gone |= {Place(*one) for one in revoked}

    def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Nothing is read ahead of a poll, so there is nothing to do."""

    def on_partitions_lost(self, lost: Sequence[TopicPartition]) -> None:
        """Others own them already."""
        self.gone |= {Place(*one) for one in lost}


class Intake:
    """The reading half: records of the partitions that the group gave us, fair over partitions, knowing what was missed."""

    def __init__(self, link: Link, group: str, topics: Sequence[str], instance: str) -> None:
        self._link, self._what = link, f"read {', '.join(topics)} as {group}"
        self._clock = SystemClock()
        self._changes = Changes()
        self._waiting: dict[Place, deque[Stored]] = {}
        self._begun: dict[Place, int] = {}
        self._missed: dict[Place, int] = {}
        self._handed_over: set[Place] = set()
        with link.meaning(self._what):
            self._consumer = KafkaConsumer(
                **link.client(),
                group_id=group,
                group_instance_id=instance,
                enable_auto_commit=False,
                isolation_level="read_committed",
                auto_offset_reset="none",
                allow_auto_create_topics=False,
                partition_assignment_strategy=[CooperativeStickyAssignor()],
                session_timeout_ms=SESSION_MS,
                heartbeat_interval_ms=HEARTBEAT_MS,
                fetch_max_wait_ms=FETCH_WAIT_MS,
                fetch_max_bytes=FETCH_BYTES,
                metrics_enabled=False,
            )
            self._consumer.subscribe(list(topics), listener=self._changes)

    def assignment(self) -> frozenset[Place]:
        """The partitions that are ours since the last poll."""
        return frozenset(self._waiting)

    def poll(self, max_records: int, max_bytes: int, timeout_ms: int) -> list[Stored]:
        """The next records: one partition after the other, each in its turn."""
        give_up_ms = self._clock.monotonic_ms() + min(timeout_ms, DEADLINE_MS)
        self._fill(0 if any(self._waiting.values()) else min(timeout_ms, DEADLINE_MS))
        while not any(self._waiting.values()) and (left_ms := give_up_ms - self._clock.monotonic_ms()) > 0:
            self._fill(left_ms)
        taken: list[Stored] = []
        for place in list(self._waiting):
            if self._take(place, taken, max_records, max_bytes):
                break
        return taken

    def missed(self) -> dict[Place, int]:
        """What polls since the last call found removed unread."""
        missed, self._missed = self._missed, {}
        return missed

    def handed_over(self) -> frozenset[Place]:
        """What was taken away since the last call, even if it came back."""
        gone, self._handed_over = frozenset(self._handed_over), set()
        return gone

    def rewind(self) -> None:
        """Back to the committed positions; partitions never committed go back to where this member began."""
        with self._link.meaning(self._what):
            for place in self._waiting:
                partition = TopicPartition(*place)
                committed = self._consumer.committed(partition, timeout_ms=DEADLINE_MS)
                start = self._begun.get(place) if committed is None else committed
                self._waiting[place].clear()
                if start is not None:
                    self._consumer.seek(partition, start)

    def metadata(self) -> object:
        """Who we are in the group now: the broker refuses the positions of who no longer is (KIP-447)."""
        return self._consumer.group_metadata()

    def close(self) -> None:
        """Go without a word to the group: a static member's place is kept for its successor, for the session's length."""
        self._consumer.close(autocommit=False, timeout_ms=int(CLOSE_S * 1000))

    def _take(self, place: Place, taken: list[Stored], max_records: int, max_bytes: int) -> bool:
        """Move a partition's records over; true when a limit is met. The partition is last in line from now on."""
        waiting = self._waiting.pop(place)
        self._waiting[place] = waiting
        size_bytes = sum(map(stored_bytes, taken))
        while waiting:
            size_bytes += stored_bytes(waiting[0])
            if len(taken) >= max_records or (taken and size_bytes > max_bytes):
                return True
            taken.append(waiting.popleft())
        return False

    def _fill(self, timeout_ms: int) -> None:
        """Take what the client has. Partitions that still have records here are paused: what is held stays bounded."""
        self._consumer.pause(*(TopicPartition(*p) for p, records in self._waiting.items() if records))
        with self._link.meaning(self._what):
            try:
                fetched = self._consumer.poll(timeout_ms=timeout_ms, max_records=POLL_RECORDS)
            except kafka_errors.NoOffsetForPartitionError as error:
                self._begin(error.args[0])
                fetched = {}
            except kafka_errors.OffsetOutOfRangeError as error:
                self._miss(error.args[0])
                fetched = {}
            self._follow()
        for partition, records in fetched.items():
            if (waiting := self._waiting.get(Place(*partition))) is not None:
                waiting.extend(map(stored, records))
        self._consumer.resume(*self._consumer.paused())

    def _follow(self) -> None:
        """Forget what was taken away, and make room for what was given."""
        gone, self._changes.gone = self._changes.gone, set()
        for place in gone:
            self._waiting.pop(place, None)
            self._begun.pop(place, None)
            self._missed.pop(place, None)
        self._handed_over |= gone
        for partition in sorted(self._consumer.assignment()):
            self._waiting.setdefault(Place(*partition), deque())

    def _begin(self, partitions: Sequence[TopicPartition]) -> None:
        """Nothing was ever committed there: start with the first record there is."""
        for partition, first in self._firsts(partitions).items():
            self._begun[Place(*partition)] = first
            self._consumer.seek(partition, first)

    def _miss(self, partitions: Mapping[TopicPartition, int]) -> None:
        """What was to be read next is gone: go on with what is left, and say so."""
        for partition, first in self._firsts(list(partitions)).items():
            self._missed[Place(*partition)] = first
            self._consumer.seek(partition, first)

    def _firsts(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        firsts: dict[TopicPartition, int] = self._consumer.beginning_offsets(list(partitions), timeout_ms=DEADLINE_MS)
        return firsts


class Outlet:
    """The writing half: one transaction after another, each with a deadline, under one transactional id."""

    def __init__(self, link: Link, transactional_id: str) -> None:
        self._link, self._what = link, f"write as {transactional_id}"
        self._clock = SystemClock()
        self._abort: Errand | None = None
        with link.meaning(self._what):
            self._producer = KafkaProducer(
                **link.client(),
                transactional_id=transactional_id,
                transaction_timeout_ms=TRANSACTION_MS,
                delivery_timeout_ms=DEADLINE_MS,
                max_block_ms=DEADLINE_MS,
                max_request_size=MAX_IN_FLIGHT_BYTES + OVERHEAD_BYTES,
                batch_size=BATCH_BYTES,
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )
            self._producer.init_transactions()

    def commit(self, outputs: Sequence[Outgoing], positions: Mapping[Place, int], metadata: object) -> None:
        """All of it, or nothing. Raises Recoverable and RecordTooLarge (nothing written), Fenced, Fatal when that is not known."""
        self._end_abort()
        give_up_ms = self._clock.monotonic_ms() + DEADLINE_MS
        with self._link.meaning(self._what):
            self._producer.begin_transaction()
            fault("bus.begun")
            try:
                self._send(outputs, give_up_ms)
                fault("bus.outputs_written")
                self._send_positions(positions, metadata, give_up_ms)
                fault("bus.positions_written")
            except (kafka_errors.KafkaError, Recoverable, RecordTooLarge) as error:
                self._give_up(error)
                raise
            if not Errand(self._producer.commit_transaction).ended(DEADLINE_MS):
                raise Fatal(
                    f"{self._link.name}: {self._what}: not known to be committed within {DEADLINE_MS} ms; expected an answer"
                )

    def close(self) -> None:
        """Let go; an open transaction is ended by the successor or by the broker."""
        Errand(lambda: self._producer.close(timeout=CLOSE_S)).ended(int(2 * CLOSE_S * 1000))

    def _send(self, outputs: Sequence[Outgoing], give_up_ms: int) -> None:
        sent = [
            self._producer.send(
                o.topic, value=o.value, key=o.key.encode(), headers=list(o.headers), partition=o.partition
            )
            for o in outputs
        ]
        for number, (output, future) in enumerate(zip(outputs, sent, strict=True)):
            try:
                future.get(timeout=max(0.001, (give_up_ms - self._clock.monotonic_ms()) / 1000))
            except kafka_errors.MessageSizeTooLargeError as error:
                raise RecordTooLarge(
                    f"output {number}, key {output.key!r} for {output.topic}: refused by the broker ({error});"
                    " expected its max.message.bytes as topics.py says"
                ) from error

    def _send_positions(self, positions: Mapping[Place, int], metadata: object, give_up_ms: int) -> None:
        if not positions:
            return
        offsets = {TopicPartition(*place): OffsetAndMetadata(offset, "", -1) for place, offset in positions.items()}
        errand = Errand(lambda: self._producer.send_offsets_to_transaction(offsets, metadata))
        if not errand.ended(max(1, give_up_ms - self._clock.monotonic_ms())):
            raise Recoverable(f"{self._link.name}: {self._what}: positions not taken within {DEADLINE_MS} ms")

    def _give_up(self, error: Exception) -> None:
        """Begin to abort; the broker may be away, so the next commit waits for its end. A fenced transaction has ended."""
        if not isinstance(error, kafka_errors.KafkaError) or not isinstance(self._link.translated(error, ""), Fenced):
            self._abort = Errand(self._producer.abort_transaction)

    def _end_abort(self) -> None:
        if self._abort is None:
            return
        with self._link.meaning(self._what):
            if not self._abort.ended(DEADLINE_MS):
                raise Recoverable(
                    f"{self._link.name}: {self._what}: the last step is not aborted within {DEADLINE_MS} ms"
                )
        self._abort = None


class KafkaMember:
    """Both halves, as the seam wants them."""

    def __init__(self, link: Link, place: tuple[str, int, str], topics: Sequence[str], check: Check) -> None:
        self._who = "member {!r}, index {}, slot {!r}".format(*place)
        self._check, self._closed = check, False
        group, index, slot = place
        self._outlet = Outlet(link, f"classpulse/{group}/{index}/{slot}")
        self._intake = Intake(link, group, topics, _instance(index, slot)) if topics else None

    def assignment(self) -> frozenset[Place]:
        """The partitions that are ours since the last poll."""
        return frozenset() if self._intake is None else self._intake.assignment()

    def poll(self, *, max_records: int, max_bytes: int, timeout_ms: int) -> list[Stored]:
        """The next records; joins the group when first called."""
        self._check_open()
        if self._intake is None:
            SystemClock().sleep_ms(timeout_ms)
            return []
        return self._intake.poll(max_records, max_bytes, timeout_ms)

    def commit(self, outputs: Sequence[Outgoing], positions: Mapping[Place, int]) -> None:
        """The atomic step."""
        self._check_open()
        self._check(outputs, positions, self.assignment(), self._who)
        if outputs or positions:
            self._outlet.commit(outputs, positions, None if self._intake is None else self._intake.metadata())

    def expired(self) -> dict[Place, int]:
        """What polls since the last call found removed unread."""
        return {} if self._intake is None else self._intake.missed()

    def handed_over(self) -> frozenset[Place]:
        """What the group took away since the last call."""
        return frozenset() if self._intake is None else self._intake.handed_over()

    def rewind(self) -> None:
        """Back to the committed positions."""
        self._check_open()
        if self._intake is not None:
            self._intake.rewind()

    def close(self) -> None:
        """Leave."""
        if not self._closed:
            self._closed = True
            self._outlet.close()
            if self._intake is not None:
                self._intake.close()

    def _check_open(self) -> None:
        if self._closed:
            raise Fatal(f"{self._who} is closed; expected an open one")


def stored(record: object) -> Stored:
    """A record of the library as ours."""
    return Stored(
        record.topic,  # type: ignore[attr-defined]
        record.partition,  # type: ignore[attr-defined]
        record.offset,  # type: ignore[attr-defined]
        (record.key or b"").decode(errors="replace"),  # type: ignore[attr-defined]
        record.value,  # type: ignore[attr-defined]
        tuple(record.headers),  # type: ignore[attr-defined]
        record.timestamp,  # type: ignore[attr-defined]
    )


def _instance(index: int, slot: str) -> str:
    """A static member's name in its group: letters, digits, `.`, `_` and `-` only."""
    return re.sub(r"[^A-Za-z0-9.-]", lambda found: f"_{ord(found[0]):x}_", f"{index}-{slot}")
