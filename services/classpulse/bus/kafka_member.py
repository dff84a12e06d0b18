"""One owner of partitions on a Kafka cluster: polls committed records, and commits a step as one transaction.

A member is a static member of its consumer group (KIP-345) and its transactional id is its place (group, index, slot), so
its successor takes both over: the broker then refuses whatever the earlier one still says. Kafka hands partitions out, and
may take them away, but only while `poll` waits: no step is ever open then.
"""

from collections.abc import Callable, Mapping, Sequence

from kafka import KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.structs import OffsetAndMetadata

from classpulse.bus.base import DEADLINE_MS, MAX_IN_FLIGHT_BYTES, Place
from classpulse.bus.kafka_intake import Intake, instance
from classpulse.bus.kafka_link import Errand, Link
from classpulse.bus.kafka_topics import BATCH_BYTES, OVERHEAD_BYTES
from classpulse.clock import SystemClock
from classpulse.codec import Outgoing, Stored
from classpulse.errors import Fatal, Fenced, RecordTooLarge, Recoverable
from classpulse.faults import fault

TRANSACTION_MS = 10_000
"""The broker ends a transaction that stays open so long: a successor never waits longer for a dead predecessor's."""

RETRY_MS = 3
"""The broker asks to come again while it still writes the markers of the transaction before; the library's 100 ms are long. All
that this producer tries again waits so long: what it sends, who leads, and its id while a predecessor's transaction is open."""

PASS_EVERY_MS = 500
CLOSE_S = 2.0

SETTLES_MS = 1_000
"""The broker writes a transaction's markers a moment after it said that it is committed; never so much later."""

_committed_ms = [-SETTLES_MS]


def just_committed() -> bool:
    """Whether a member in this process committed so lately that its records may not be visible yet."""
    return SystemClock().monotonic_ms() - _committed_ms[0] < SETTLES_MS


Check = Callable[[Sequence[Outgoing], Mapping[Place, int], frozenset[Place], str], None]
"""Refuses outputs and positions that cannot be committed: outputs, positions, what is owned, by whom."""


class Outlet:
    """The writing half: one transaction after another, each with a deadline, under one transactional id."""

    def __init__(self, link: Link, transactional_id: str, *, in_group: bool) -> None:
        """`in_group`: each step names a member of a consumer group, which the broker checks, too."""
        self._link, self._id, self._what = link, transactional_id, f"write as {transactional_id}"
        self._in_group = in_group
        self._clock = SystemClock()
        self._abort: Errand | None = None
        self._spoilt = False
        with link.meaning(self._what):
            self._producer = self._open()

    def commit(self, outputs: Sequence[Outgoing], positions: Mapping[Place, int], metadata: object) -> None:
        """All of it, or nothing. Raises Recoverable and RecordTooLarge (nothing written), Fenced, Fatal when that is not known."""
        give_up_ms = self._clock.monotonic_ms() + DEADLINE_MS
        with self._link.meaning(self._what):
            self._recover()
            try:
                self._producer.begin_transaction()
                fault("bus.begun")
                self._send(outputs, give_up_ms)
                fault("bus.outputs_written")
                self._send_positions(positions, metadata, give_up_ms)
                fault("bus.positions_written")
            except (kafka_errors.KafkaError, Recoverable, RecordTooLarge) as error:
                self._give_up(error)
                raise
        self._end()

    def close(self) -> None:
        """Let go; an open transaction is ended by the successor or by the broker."""
        _close(self._producer)

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

    def _end(self) -> None:
        """Commit. From here on only the broker knows: without its answer a fresh process has to ask it."""
        unknown = f"{self._link.name}: {self._what}: not known to be committed"
        try:
            if not Errand(self._producer.commit_transaction).ended(DEADLINE_MS):
                raise Fatal(f"{unknown} within {DEADLINE_MS} ms; expected an answer")
            _committed_ms[0] = self._clock.monotonic_ms()
        except kafka_errors.KafkaError as error:
            meant = self._link.translated(error, self._what)
            raise meant if isinstance(meant, Fenced) else Fatal(f"{unknown} ({error}); expected an answer") from error

    def _give_up(self, error: Exception) -> None:
        """Begin to abort; the broker may be away, so the next commit waits for its end. A fenced transaction has ended."""
        if isinstance(error, RecordTooLarge):
            self._spoilt = True
        elif not isinstance(error, kafka_errors.KafkaError) or not isinstance(self._link.translated(error, ""), Fenced):
            self._abort = Errand(self._producer.abort_transaction)

    def _recover(self) -> None:
        """Wait for the last step's abort. A producer that cannot abort, or was refused a record, is opened anew.

        Raises Fatal for one that cannot abort and is in no group: somebody may have taken its place meanwhile, whom a new
        producer would fence. Its owner has to begin anew, as whoever takes the place does.
        """
        if self._abort is not None:
            aborted, self._abort = self._aborted(self._abort), None
            if not aborted and not self._in_group:
                raise Fatal(
                    f"{self._link.name}: {self._what}: the last step could not be aborted; expected a fresh start"
                )
            self._spoilt = self._spoilt or not aborted
        if self._spoilt:
            self.close()
            self._producer = self._open()
            self._spoilt = False

    def _aborted(self, abort: Errand) -> bool:
        """Whether the abort ended well in time; where it did not, the next producer of this id aborts instead. Raises Fenced."""
        try:
            return abort.ended(DEADLINE_MS)
        except kafka_errors.KafkaError as error:
            if isinstance(meant := self._link.translated(error, self._what), Fenced):
                raise meant from error
            return False

    def _open(self) -> KafkaProducer:
        """A producer of this id; what its predecessor left open is aborted, and what the predecessor still says is refused."""
        with self._link.making() as client:
            producer = KafkaProducer(
                **client,
                transactional_id=self._id,
                transaction_timeout_ms=TRANSACTION_MS,
                delivery_timeout_ms=DEADLINE_MS,
                max_block_ms=DEADLINE_MS,
                retry_backoff_ms=RETRY_MS,
                max_request_size=MAX_IN_FLIGHT_BYTES + OVERHEAD_BYTES,
                batch_size=BATCH_BYTES,
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )
        try:
            producer.init_transactions()
        except kafka_errors.KafkaError:
            _close(producer)
            raise
        return producer


def _close(producer: KafkaProducer) -> None:
    """End a producer, or leave it to its thread when that takes too long. What it has not sent is given up."""

    def end() -> None:
        try:
            producer.close(timeout=CLOSE_S)
        except kafka_errors.KafkaError:  # raised before it has ended its own thread, when no broker takes what is left
            producer._sender.force_close()  # noqa: SLF001 - as its `close` would have done next

    Errand(end).ended(int(2 * CLOSE_S * 1000))


class KafkaMember:
    """Both halves, as the seam wants them."""

    def __init__(self, link: Link, place: tuple[str, int, str], topics: Sequence[str], check: Check) -> None:
        self._who = "member {!r}, index {}, slot {!r}".format(*place)
        self._check, self._closed = check, False
        self._clock = SystemClock()
        self._pass_due_ms = 0
        group, index, slot = place
        self._outlet = Outlet(link, f"classpulse/{group}/{index}/{slot}", in_group=bool(topics))
        self._intake = Intake(link, group, topics, instance(index, slot)) if topics else None

    def assignment(self) -> frozenset[Place]:
        """The partitions that are ours since the last poll."""
        return frozenset() if self._intake is None else self._intake.assignment()

    def poll(self, *, max_records: int, max_bytes: int, timeout_ms: int) -> list[Stored]:
        """The next records; joins the group when first called."""
        self._check_open()
        if self._intake is None:
            self._clock.sleep_ms(timeout_ms)
            return []
        polled = self._intake.poll(max_records, max_bytes, timeout_ms)
        if polled or max_records < 1 or self._clock.monotonic_ms() < self._pass_due_ms:
            return polled
        self._pass_due_ms = self._clock.monotonic_ms() + PASS_EVERY_MS
        self._pass_markers(self._intake)
        return polled

    def commit(self, outputs: Sequence[Outgoing], positions: Mapping[Place, int]) -> None:
        """The atomic step."""
        self._check_open()
        self._check(outputs, positions, self.assignment(), self._who)
        if outputs or positions:
            self._outlet.commit(outputs, positions, None if self._intake is None else self._intake.metadata())
        if self._intake is not None:
            self._intake.committed(positions)

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

    def _pass_markers(self, intake: Intake) -> None:
        """With nothing to do, commit the positions behind markers: who looks at the group then sees that all is done."""
        if intake.settled() and (ahead := intake.ahead()):
            self._outlet.commit((), ahead, intake.metadata())
            intake.committed(ahead)

    def _check_open(self) -> None:
        if self._closed:
            raise Fatal(f"{self._who} is closed; expected an open one")
