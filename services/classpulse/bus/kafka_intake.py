"""The reading half of a member on Kafka: partitions that its group gives and takes, records fair over them, what was missed."""

import re
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import MemberState

from classpulse.bus.base import DEADLINE_MS, Place
from classpulse.bus.kafka_link import READING, Link, told_offsets
from classpulse.bus.limits import stored_bytes
from classpulse.clock import SystemClock
from classpulse.codec import Stored
from classpulse.errors import Fenced

SESSION_MS = 10_000
HEARTBEAT_MS = 500
"""How soon a member learns that partitions are to be handed out anew; a cooperative hand-over takes two such rounds."""

FETCH_WAIT_MS = 250
FETCH_BYTES = 8 * 1024 * 1024
POLL_RECORDS = 500
"""Taken from the client at once, or as many as a step asks for: a step is one of its polls."""

LOOK_MS = 500
KEPT_S = 0.02
CLOSE_MS = 2_000


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

    def __init__(self, link: Link, group: str, topics: Sequence[str], name: str) -> None:
        """`name`: who this is in the group, as `instance` says."""
        self._link, self._what = link, f"read {', '.join(topics)} as {group}"
        self._clock = SystemClock()
        self._changes = Changes()
        self._waiting: dict[Place, deque[Stored]] = {}
        self._begun: dict[Place, int] = {}
        self._missed: dict[Place, int] = {}
        self._handed_over: set[Place] = set()
        self._given: dict[Place, int] = {}
        self._done: dict[Place, int] = {}
        with link.meaning(self._what):
            self._consumer = KafkaConsumer(
                **link.client(),
                **READING,
                group_id=group,
                group_instance_id=name,
                auto_offset_reset="none",
                partition_assignment_strategy=[CooperativeStickyAssignor()],
                session_timeout_ms=SESSION_MS,
                heartbeat_interval_ms=HEARTBEAT_MS,
                fetch_max_wait_ms=FETCH_WAIT_MS,
                fetch_max_bytes=FETCH_BYTES,
            )
            for topic in topics:  # known before the group is joined: else its leader may hand out nothing, for ever
                self._consumer.partitions_for_topic(topic)
            self._consumer.subscribe(list(topics), listener=self._changes)

    def assignment(self) -> frozenset[Place]:
        """The partitions that are ours since the last poll."""
        return frozenset(self._waiting)

    def poll(self, max_records: int, max_bytes: int, timeout_ms: int) -> list[Stored]:
        """The next records: one partition after the other, each in its turn."""
        self._check_fence()
        timeout_ms = min(timeout_ms, DEADLINE_MS)
        if max_records < 1:
            self._fill(timeout_ms, max_records, at_rest=True)
            return []
        give_up_ms = self._clock.monotonic_ms() + timeout_ms
        self._fill(0 if any(self._waiting.values()) else timeout_ms, max_records)
        while (
            not (self.settled() and any(self._waiting.values()))
            and (left_ms := give_up_ms - self._clock.monotonic_ms()) > 0
        ):
            self._fill(left_ms, max_records)
        taken: list[Stored] = []
        left_bytes = max_bytes
        for place in list(self._waiting) if self.settled() else ():
            left_bytes -= self._take(place, taken, max_records, left_bytes)
            if self._waiting[place]:
                break
        self._given |= {Place(record.topic, record.partition): record.offset + 1 for record in taken}
        return taken

    def committed(self, positions: Mapping[Place, int]) -> None:
        """These positions are the group's now."""
        self._done |= positions

    def ahead(self) -> dict[Place, int]:
        """Where all that was given is committed and only transactions' markers follow: the positions behind them."""
        found: dict[Place, int] = {}
        with self._link.meaning(self._what), suppress(kafka_errors.NoOffsetForPartitionError):  # the next poll begins
            for place, waiting in self._waiting.items():
                partition = TopicPartition(*place)
                if place not in self._done:
                    self._done[place] = self._consumer.committed(partition, timeout_ms=DEADLINE_MS) or 0
                position = self._consumer.position(partition, timeout_ms=LOOK_MS)
                done = not waiting and self._given.get(place, 0) <= self._done[place]
                if done and position is not None and position > self._done[place]:
                    found[place] = position
        return found

    def settled(self) -> bool:
        """Whether the group has handed out its partitions. While it does, nothing is given: the broker might refuse its commit."""
        stable: bool = self._consumer.group_metadata().state == MemberState.STABLE
        return stable

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
                self._given.pop(place, None)
                if start is not None:
                    settle(self._consumer)
                    self._consumer.seek(partition, start)

    def metadata(self) -> object:
        """Who we are in the group now: the broker refuses the positions of who no longer is (KIP-447)."""
        return self._consumer.group_metadata()

    def close(self) -> None:
        """Go without a word to the group: a static member's place is kept for its successor, for the session's length."""
        self._consumer.close(autocommit=False, timeout_ms=CLOSE_MS)

    def _take(self, place: Place, taken: list[Stored], max_records: int, max_bytes: int) -> int:
        """Move a partition's records over until a limit is met; how much they weigh. The partition is last in line from now on."""
        waiting = self._waiting.pop(place)
        self._waiting[place] = waiting
        size_bytes = 0
        while waiting and len(taken) < max_records:
            weighs = stored_bytes(waiting[0])
            if taken and size_bytes + weighs > max_bytes:
                break
            size_bytes += weighs
            taken.append(waiting.popleft())
        return size_bytes

    def _fill(self, timeout_ms: int, max_records: int, *, at_rest: bool = False) -> None:
        """Take what the client has. Partitions that still have records here are paused: what is held stays bounded."""
        self._consumer.pause(*(TopicPartition(*p) for p, records in self._waiting.items() if records or at_rest))
        self._keep_join()
        self._keep_parked()
        with self._link.meaning(self._what):
            try:
                fetched = self._consumer.poll(timeout_ms=timeout_ms, max_records=max(POLL_RECORDS, max_records))
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

    def _check_fence(self) -> None:
        """Raises Fenced when another process has joined in this place.

        kafka-python 3.0.12 (coordinator/base.py, _do_heartbeat) then merely stops its heartbeats: polls go on, and what
        the group's other members own by then would be read here too.
        """
        if self.settled() and not self._consumer._coordinator._heartbeat_enabled:  # noqa: SLF001 - there is no other way
            raise Fenced(
                f"{self._link.name}: {self._what}: no longer in the group; expected to be the latest of this place"
            )

    def _keep_join(self) -> None:
        """Keep the outcome of a join that ended between two polls, and see to it that somebody asks for it.

        kafka-python 3.0.12 (coordinator/base.py, join_group_async) throws it away and joins anew, so that all others
        must join anew as well: where polls are short, a group then never settles. And a join that only newer metadata set
        off is asked for no more once its leader has seen them: the member then stays without heartbeats and records.
        """
        coordinator = self._consumer._coordinator  # noqa: SLF001 - there is no other way in
        if coordinator.rejoining:
            coordinator.rejoin_needed = True
        ended = coordinator._join_task  # noqa: SLF001
        if ended is None or not ended.succeeded():
            return

        async def outcome() -> object:
            await coordinator._net.sleep(KEPT_S)  # noqa: SLF001 - still under way when the next poll looks
            return ended.value

        coordinator._join_task = coordinator._manager.call_soon(outcome)  # noqa: SLF001

    def _keep_parked(self) -> None:
        """See to it that what a paused partition had fetched is given when it goes on.

        kafka-python 3.0.12 (consumer/fetcher.py, fetched_records) takes it up only where no other partition's batch is in its
        place, though that may long be empty: with nothing new elsewhere, the partition stands still for ever.
        """
        fetcher = self._consumer._fetcher  # noqa: SLF001 - there is no other way in
        if not fetcher._next_partition_records:  # noqa: SLF001
            fetcher._next_partition_records = None  # noqa: SLF001

    def _follow(self) -> None:
        """Forget what was taken away, and make room for what was given."""
        gone, self._changes.gone = self._changes.gone, set()
        for place in gone:
            self._waiting.pop(place, None)
            for held in (self._begun, self._missed, self._given, self._done):
                held.pop(place, None)
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
        return told_offsets(self._consumer.beginning_offsets, partitions)


def settle(consumer: KafkaConsumer) -> None:
    """Wait until nothing is under way that might undo a seek.

    After a change of leaders kafka-python 3.0.12 has a position checked in its own thread (KIP-320) and then writes back the
    one that it had asked about (consumer/fetcher.py, _handle_offset_for_leader_epoch_response), seek or no seek.
    """
    validation = consumer._fetcher._validation_task  # noqa: SLF001 - there is no other way to know
    if validation is not None and not validation.is_done:
        with suppress(kafka_errors.KafkaTimeoutError):
            consumer._net.run(consumer._manager.wait_for, validation, DEADLINE_MS)  # noqa: SLF001


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


def instance(index: int, slot: str) -> str:
    """A static member's name in its group: letters, digits, `.`, `_` and `-` only."""
    return re.sub(r"[^A-Za-z0-9.-]", lambda found: f"_{ord(found[0]):x}_", f"{index}-{slot}")
