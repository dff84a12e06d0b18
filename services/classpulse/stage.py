"""The loop, once, for every stage that reads the bus: poll, decode, step, commit; and what each kind of error gets.

A stage is pure as far as it can be: `step` turns decoded records into outputs and remembers nothing it could not rebuild
from what was committed. The loop owns time, retries and dead letters.
"""

import logging
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from classpulse.bus.base import Bus, Member, Place
from classpulse.bus.limits import unread
from classpulse.clock import Clock
from classpulse.codec import Outgoing, Stored, decode, encode
from classpulse.errors import InvalidRecord, RecordTooLarge, Recoverable
from classpulse.faults import fault
from classpulse.records import DeadLetter, Record
from classpulse.telemetry import Metrics
from classpulse.topics import DEAD_LETTERS, TOPICS, topic_named

LAG_EVERY_MS = 2_000
ALLOWED_SKEW_MS = 10_000
"""How much later than its append time a record may say it was captured."""

_log = logging.getLogger("classpulse.stage")


@dataclass(frozen=True, slots=True)
class Taken:
    """A record with where it came from: decoded, or the reason why it cannot be, in its own place among the others."""

    stored: Stored
    noun: Record | InvalidRecord


@dataclass(slots=True)
class Step:
    """What a step produced: records to publish, records put aside, and calls to make once it is all committed."""

    outputs: list[Outgoing] = field(default_factory=list)
    dead: list[tuple[Stored, InvalidRecord]] = field(default_factory=list)
    latencies_ms: list[int] = field(default_factory=list)


class Stage(Protocol):
    """A verb: takes one noun and gives the next."""

    name: str

    def step(self, taken: Sequence[Taken], expired: Mapping[Place, int]) -> Step:
        """Handle records in order; raising Recoverable leaves nothing changed. May raise Fatal.

        Those that cannot be read are put aside by the loop; what else there is to say of them (so that a hole has its
        reason) is said here, in their turn.
        """
        ...

    def forget(self, places: Collection[Place]) -> None:
        """These partitions were another member's for a while, or are from now on: nothing remembered of them holds."""
        ...

    def committed(self, step: Step, now_ms: int) -> None:
        """The step is on the bus: the place for metrics."""
        ...

    def idle(self, now_ms: int) -> list[Outgoing]:
        """Called between steps: records to append because of the time (logged, so that a replay sees them)."""
        ...


@dataclass(frozen=True)
class Pace:
    """How the loop polls."""

    max_records: int = 64
    max_bytes: int = 8 * 1024 * 1024
    timeout_ms: int = 200
    retry_first_ms: int = 50
    retry_most_ms: int = 2_000
    idle_every_ms: int = 500


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a loop has done when it last came round, at `at_ms` of its monotonic clock.

    `busy_ms`: how long its `steps` took, commits included; `oldest_ms`: the age of the oldest record of its last poll. What
    waits for a broker comes round, too; what waits for a net that never answers does not.
    """

    at_ms: int
    steps: int = 0
    busy_ms: int = 0
    oldest_ms: int = 0


class Loop:
    """Runs one stage as one member of its group until told to stop. `pulse` may be looked at from any thread."""

    def __init__(
        self, stage: Stage, bus: Bus, member: Member, clock: Clock, pace: Pace | None = None, *, metrics: Metrics
    ) -> None:
        self.stage, self.bus, self.member, self.clock, self.metrics = stage, bus, member, clock, metrics
        self.pace = pace or Pace()
        self._idle_due_ms = self._lag_due_ms = 0
        self._took = False
        self.pulse = Pulse(clock.monotonic_ms())

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. Raises Fatal (Fenced among them); everything recoverable is retried here."""
        retry_ms = self.pace.retry_first_ms
        while not stop.is_set():
            try:
                self.turn(stop)
                retry_ms = self.pace.retry_first_ms
            except Recoverable as error:
                _log.warning("%s: %s; trying again in %d ms", self.stage.name, error, retry_ms)
                self._beat()
                self.member.rewind()
                self.clock.sleep_ms(retry_ms)
                retry_ms = min(2 * retry_ms, self.pace.retry_most_ms)

    def turn(self, stop: threading.Event | None = None) -> int:
        """One poll and its step; gives the number of records handled. A step once made is committed before it returns."""
        self._append_idle(stop)
        polled = self.member.poll(
            max_records=self.pace.max_records, max_bytes=self.pace.max_bytes, timeout_ms=self.pace.timeout_ms
        )
        began_ms = self.clock.monotonic_ms()
        self._took = bool(polled)
        oldest_ms = self._tell_age(polled)
        if gone := self.member.handed_over():
            _log.info("%s: %d partitions were handed over", self.stage.name, len(gone))
            self.stage.forget(gone)
        if not polled:
            self._beat()
            return 0
        fault("stage.polled")
        step, positions = self._step(polled)
        fault("stage.stepped")
        self._commit(step, positions, stop)
        fault("stage.committed")
        self.stage.committed(step, self.clock.now_ms())
        ended_ms = self.clock.monotonic_ms()
        self.pulse = Pulse(ended_ms, self.pulse.steps + 1, self.pulse.busy_ms + ended_ms - began_ms, oldest_ms)
        return len(polled)

    def _beat(self) -> None:
        """It came round, and nothing waits here."""
        self.pulse = replace(self.pulse, at_ms=self.clock.monotonic_ms(), oldest_ms=0)

    def _step(self, polled: Sequence[Stored]) -> tuple[Step, dict[Place, int]]:
        started = self.clock.monotonic_ms()
        taken = [Taken(record, _read(record)) for record in polled]
        step = self.stage.step(taken, self.member.expired())
        step.dead += [(one.stored, one.noun) for one in taken if isinstance(one.noun, InvalidRecord)]
        step.outputs += [self._dead_letter(record, error) for record, error in step.dead]
        self.metrics.stage_duration_seconds.labels(self.stage.name, "step").observe(
            (self.clock.monotonic_ms() - started) / 1000
        )
        return step, {Place(r.topic, r.partition): r.offset + 1 for r in polled}

    def _commit(self, step: Step, positions: Mapping[Place, int], stop: threading.Event | None) -> None:
        """Until it is committed: the step has changed the stage's memory, so it cannot be forgotten, only repeated."""
        retry_ms = self.pace.retry_first_ms
        outputs = step.outputs
        while True:
            try:
                self.member.commit(outputs, positions)
            except RecordTooLarge as error:
                outputs = [o for o in outputs if o.size_bytes <= TOPICS[o.topic].max_record_bytes]
                _log.error("%s: %s; it alone is left out", self.stage.name, error)
                self.metrics.transactions.labels("too_large").inc()
            except Recoverable as error:
                self.metrics.transactions.labels("retried").inc()
                _log.warning("%s: commit: %s; taking no input until it succeeds", self.stage.name, error)
                self._beat()
                if stop is not None and stop.is_set():
                    raise
                self.clock.sleep_ms(retry_ms)
                retry_ms = min(2 * retry_ms, self.pace.retry_most_ms)
            else:
                self.metrics.transactions.labels("committed").inc()
                return

    def _append_idle(self, stop: threading.Event | None) -> None:
        now_ms = self.clock.now_ms()
        if now_ms < self._idle_due_ms:
            return
        self._idle_due_ms = now_ms + self.pace.idle_every_ms
        outputs = self.stage.idle(now_ms)
        if outputs:
            self._commit(Step(outputs=outputs), {}, stop)
        self._measure_lag(now_ms)

    def _measure_lag(self, now_ms: int) -> None:
        """How much is waiting, of the whole group; asked of the bus no more often than anybody looks."""
        if now_ms < self._lag_due_ms:
            return
        self._lag_due_ms = now_ms + LAG_EVERY_MS
        places = self.member.assignment()
        topics = [topic_named(name) for name in sorted({place.topic for place in places})]
        records = sum(unread(self.bus, self.stage.name, topic) for topic in topics)
        self.metrics.reader_lag_records.labels(self.stage.name).set(records)
        if records and not self._took:  # what was polled has told its own age
            self._tell_age([record for place in sorted(places) for record in self._next_of(place)])

    def _next_of(self, place: Place) -> list[Stored]:
        """The first record of a partition that is not committed."""
        topic = topic_named(place.topic)
        first, end = self.bus.ends(topic)[place.partition]
        begin = max(first, self.bus.positions(self.stage.name, topic).get(place.partition, first))
        return self.bus.fetch(place, begin, max_records=1, max_bytes=1) if begin < end else []

    def _tell_age(self, waiting: Sequence[Stored]) -> int:
        """How long the oldest of these records has waited, in milliseconds."""
        now_ms = self.clock.now_ms()
        age_ms = max(0, now_ms - min((record.appended_at_ms for record in waiting), default=now_ms))
        self.metrics.oldest_unprocessed_seconds.labels(self.stage.name).set(age_ms / 1000)
        return age_ms

    def _dead_letter(self, record: Stored, error: InvalidRecord) -> Outgoing:
        self.metrics.deadletters.labels(error.reason).inc()
        _log.error(
            "%s: dead letter %s/%d@%d: %s", self.stage.name, record.topic, record.partition, record.offset, error
        )
        now_ms = self.clock.now_ms()
        pictures = record.topic in TOPICS and TOPICS[record.topic].pictures
        letter = DeadLetter(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            reason=error.reason,
            detail=error.detail,
            at_ms=now_ms,
            stage=self.stage.name,
            payload=None if pictures else record.value,
        )
        return encode(letter, topic=DEAD_LETTERS, at_ms=now_ms)


def _read(record: Stored) -> Record | InvalidRecord:
    try:
        return decode_in_time(record)
    except InvalidRecord as error:
        return error


def decode_in_time(record: Stored) -> Record:
    """Decode, and refuse what says it was captured after it was appended (plus ALLOWED_SKEW_MS): both times are logged."""
    noun = decode(record)
    said_ms = next((getattr(noun, f) for f in ("captured_at_ms", "last_ms", "at_ms") if hasattr(noun, f)), None)
    if said_ms is not None and said_ms > record.appended_at_ms + ALLOWED_SKEW_MS:
        raise InvalidRecord(
            "from_the_future",
            f"captured at {said_ms} ms, appended at {record.appended_at_ms} ms; expected no more than {ALLOWED_SKEW_MS} ms apart",
        )
    return noun
