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
from classpulse.bus.limits import first_of, unread
from classpulse.clock import Clock
from classpulse.codec import Outgoing, Stored, decode, encode
from classpulse.errors import UNREADABLE, InvalidRecord, RecordTooLarge, Recoverable
from classpulse.faults import fault
from classpulse.records import DeadLetter, Record
from classpulse.telemetry import Metrics
from classpulse.topics import DEAD_LETTERS, TOPICS, short_name, topic_named
from classpulse.tracing import Times, Tracer

LAG_EVERY_MS = 2_000
ALLOWED_SKEW_MS = 10_000
"""How much later than its append time a record may say it was captured."""

SKEW_FOR_MS = 300_000
"""For so long at most, and half of it at least, the greatest lead of a capture time is shown."""

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
    waits for a broker comes round, too; what waits for a net that never answers does not. `assigned`: how many partitions are
    this member's.
    """

    at_ms: int
    steps: int = 0
    busy_ms: int = 0
    oldest_ms: int = 0
    assigned: int = 0


class Loop:
    """Runs one stage as one member of its group until told to stop. `pulse` may be looked at from any thread."""

    def __init__(
        self,
        stage: Stage,
        bus: Bus,
        member: Member,
        clock: Clock,
        pace: Pace | None = None,
        *,
        metrics: Metrics,
        tracer: Tracer | None = None,
    ) -> None:
        self.stage, self.bus, self.member, self.clock, self.metrics = stage, bus, member, clock, metrics
        self._tracer = tracer
        self.pace = pace or Pace()
        self._idle_due_ms = self._lag_due_ms = 0
        self._took = False
        self._firsts: dict[Place, int] = {}
        self._looks = 0
        self._skew = _Greatest(SKEW_FOR_MS)
        self.pulse = Pulse(clock.monotonic_ms())
        for result in ("committed", "retried", "too_large"):
            metrics.transactions.labels(result)  # at 0: who looks for a rise sees none where it is first shown at 1
        for reason in UNREADABLE:
            metrics.deadletters.labels(reason)

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

    def missing(self) -> str:
        """What is missing before it does its part; empty for nothing."""
        if self.pulse.assigned:
            return ""
        return f"{self.stage.name}: no partition is assigned to this copy; expected one at least, and no more copies than partitions"

    def turn(self, stop: threading.Event | None = None) -> int:
        """One poll and its step; gives the number of records handled. A step once made is committed before it returns."""
        self._append_idle(stop)
        polled = self.member.poll(
            max_records=self.pace.max_records, max_bytes=self.pace.max_bytes, timeout_ms=self.pace.timeout_ms
        )
        began_ms, at_ms = self.clock.monotonic_ms(), self.clock.now_ms()
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
        commit_ms = self.clock.now_ms()
        self._commit(step, positions, stop)
        fault("stage.committed")
        for _, error in step.dead:
            self.metrics.deadletters.labels(error.reason).inc()
        now_ms = self.clock.now_ms()
        if self._tracer is not None:
            self._tracer.stepped(polled, step.outputs, _failed(step), Times(at_ms, commit_ms, now_ms))
        self.stage.committed(step, now_ms)
        ended_ms = self.clock.monotonic_ms()
        steps, busy_ms = self.pulse.steps + 1, self.pulse.busy_ms + ended_ms - began_ms
        self.pulse = Pulse(ended_ms, steps, busy_ms, oldest_ms, len(self.member.assignment()))
        return len(polled)

    def _beat(self) -> None:
        """It came round, and nothing waits here."""
        assigned = len(self.member.assignment())
        self.pulse = replace(self.pulse, at_ms=self.clock.monotonic_ms(), assigned=assigned, oldest_ms=0)

    def _step(self, polled: Sequence[Stored]) -> tuple[Step, dict[Place, int]]:
        started = self.clock.monotonic_ms()
        taken = [Taken(record, self._read(record)) for record in polled]
        step = self.stage.step(taken, self.member.expired())
        step.dead += [(one.stored, one.noun) for one in taken if isinstance(one.noun, InvalidRecord)]
        step.outputs += [self._dead_letter(record, error) for record, error in step.dead]
        if self._tracer is not None:
            step.outputs = self._tracer.followed(step.outputs, polled)
        self._took_ms("step", started)
        return step, {Place(r.topic, r.partition): r.offset + 1 for r in polled}

    def _read(self, record: Stored) -> Record | InvalidRecord:
        """What a record says, or why that cannot be told; and how far its clock was ahead."""
        try:
            noun = decode(record)
            if ahead := ahead_ms(noun, record):
                self._skew.note(ahead, self.clock.monotonic_ms())
            return in_time(noun, record)
        except InvalidRecord as error:
            return error

    def _took_ms(self, step: str, began_ms: int) -> None:
        took_ms = self.clock.monotonic_ms() - began_ms
        self.metrics.stage_duration_seconds.labels(self.stage.name, step).observe(took_ms / 1000)

    def _commit(self, step: Step, positions: Mapping[Place, int], stop: threading.Event | None) -> None:
        """Until it is committed: the step has changed the stage's memory, so it cannot be forgotten, only repeated."""
        retry_ms = self.pace.retry_first_ms
        outputs = step.outputs
        while True:
            began_ms = self.clock.monotonic_ms()
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
                self._took_ms("commit", began_ms)
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
        skew_ms = self._skew.of(self.clock.monotonic_ms())
        self.metrics.clock_skew_seconds.labels(self.stage.name).set(skew_ms / 1000)
        places = self.member.assignment()
        topics = [topic_named(name) for name in sorted({place.topic for place in places})]
        records = sum(unread(self.bus, self.stage.name, topic) for topic in topics)
        self.metrics.reader_lag_records.labels(self.stage.name).set(records)
        self._tell_oldest(sorted(places))
        if records and not self._took:  # what was polled has told its own age
            self._tell_age([record for place in sorted(places) for record in self._next_of(place)])

    def _tell_oldest(self, places: Sequence[Place]) -> None:
        """Since when there are records. One partition at each look: to read the first of all at once would hold up a step."""
        told = {place.topic for place in (*self._firsts, *places)}
        self._firsts = {place: at_ms for place, at_ms in self._firsts.items() if place in places}
        if places:
            self._looks += 1
            place = places[self._looks % len(places)]
            self._firsts[place] = min((record.appended_at_ms for record in first_of(self.bus, place)), default=0)
        for topic in told:
            known = [at_ms for place, at_ms in self._firsts.items() if place.topic == topic and at_ms]
            oldest = self.metrics.oldest_record_timestamp_seconds.labels(short_name(topic_named(topic)))
            oldest.set(min(known, default=0) / 1000)

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


def _failed(step: Step) -> dict[tuple[str, int, int], InvalidRecord]:
    """Why records were put aside, by where they lie."""
    return {(record.topic, record.partition, record.offset): error for record, error in step.dead}


class _Greatest:
    """The greatest of the numbers noted lately."""

    def __init__(self, for_ms: int) -> None:
        self._half_ms = for_ms // 2
        self._now = self._before = self._since_ms = 0

    def note(self, number: int, now_ms: int) -> None:
        """One more of them, not below 0."""
        self.of(now_ms)
        self._now = max(self._now, number)

    def of(self, now_ms: int) -> int:
        """0 where there was none."""
        if now_ms - self._since_ms >= self._half_ms:
            self._before = self._now if now_ms - self._since_ms < 2 * self._half_ms else 0
            self._now, self._since_ms = 0, now_ms
        return max(self._now, self._before)


def decode_in_time(record: Stored) -> Record:
    """Decode, and refuse what says it was captured after it was appended (plus ALLOWED_SKEW_MS): both times are logged."""
    return in_time(decode(record), record)


def in_time(noun: Record, record: Stored) -> Record:
    """The noun of this record. Raises InvalidRecord for one that is from the future."""
    if (ahead := ahead_ms(noun, record)) > ALLOWED_SKEW_MS:
        raise InvalidRecord(
            "from_the_future",
            f"captured at {record.appended_at_ms + ahead} ms, appended at {record.appended_at_ms} ms;"
            f" expected no more than {ALLOWED_SKEW_MS} ms apart",
        )
    return noun


def ahead_ms(noun: Record, record: Stored) -> int:
    """How much later than its append time a record says it was captured; 0 for one that was not, or says nothing."""
    said_ms = next((getattr(noun, f) for f in ("captured_at_ms", "last_ms", "at_ms") if hasattr(noun, f)), 0)
    return max(0, said_ms - record.appended_at_ms)
