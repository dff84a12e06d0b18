"""camera → frames.v1: items become records; each step holds what is told and the story's state after it, or neither."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from classpulse.bus.base import Member
from classpulse.clock import Clock
from classpulse.codec import Outgoing, encode
from classpulse.errors import InvalidRecord, RecordTooLarge, Recoverable, StorageFull
from classpulse.faults import fault
from classpulse.ingest.camera import Beat, Gone, Item, Picked
from classpulse.ingest.handover import queued, told_as_gone
from classpulse.ingest.sources.base import Picture, SourceError
from classpulse.records import Dropped, Frame, Heartbeat
from classpulse.telemetry import Metrics
from classpulse.topics import FRAMES, INGEST_STATE
from classpulse.tracing import Tracer

_log = logging.getLogger("classpulse.ingest")

Print = Callable[[Picture], tuple[int, int, bytes]]


@dataclass
class Tally:
    """What has been published since the process started, for people."""

    published: int = 0
    largest_bytes: int = 0
    last_frame_ms: int | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    trouble: str = ""


class Publisher:
    """Holds what is not committed yet and commits it; used by one thread. `live`: a picture gives way to trouble."""

    def __init__(
        self,
        member: Member,
        camera: str,
        print_: Print,
        clock: Clock,
        *,
        metrics: Metrics,
        live: bool,
        tracer: Tracer | None = None,
    ) -> None:
        self._member, self._camera, self._print, self._clock, self._live = member, camera, print_, clock, live
        self._metrics, self._tracer = metrics, tracer
        self._outbox: list[Item] = []
        self._printed: dict[tuple[int, int], Outgoing] = {}
        self.tally = Tally()

    @property
    def waits(self) -> bool:
        """Whether something could not be committed yet."""
        return bool(self._outbox)

    @property
    def holds_picture(self) -> bool:
        """Whether a picture is among what waits."""
        return any(isinstance(item, Picked) for item in self._outbox)

    def add(self, items: Sequence[Item]) -> None:
        """Put items behind those that wait."""
        self._outbox = queued(self._outbox, items, newest_wins=self._live, reason=self.tally.trouble or "queue_full")

    def publish(self) -> bool:
        """Try once to commit everything that waits; whether it worked. Raises Fatal (Fenced among them)."""
        if not self._outbox:
            return True
        try:
            self._commit()
        except RecordTooLarge as error:
            _log.error("%s: %s; told as dropped", self._camera, error)
            self._give_up_largest()
        except StorageFull as error:
            self._troubled("disk_full", error)
            if self._live:
                self._give_up("disk_full")
        except Recoverable as error:
            self._troubled("bus", error)
        else:
            self._done()
            return True
        return False

    def _commit(self) -> None:
        outputs = [self._encoded(item) for item in list(self._outbox)]
        state = self._outbox[-1].state
        outputs.append(encode(state, topic=INGEST_STATE, at_ms=state.last_ms))
        began_ms = self._clock.monotonic_ms()
        self._member.commit(outputs, {})
        self._took_ms("commit", began_ms)
        self._metrics.transactions.labels("committed").inc()
        if any(isinstance(item, Picked) for item in self._outbox):
            fault("ingest.published")
        if self._tracer is not None:
            for item in self._outbox:
                if isinstance(item, Picked):
                    output = self._printed[item.state.epoch, item.sequence]
                    self._tracer.sent(output, began_ms=item.at_ms, ended_ms=self._clock.now_ms())

    def _took_ms(self, step: str, began_ms: int) -> None:
        took_ms = self._clock.monotonic_ms() - began_ms
        self._metrics.stage_duration_seconds.labels("ingest", step).observe(took_ms / 1000)

    def _encoded(self, item: Item) -> Outgoing:
        match item:
            case Picked():
                return self._encoded_picture(item)
            case Gone():
                return encode(self._dropped(item), topic=FRAMES, at_ms=item.last_ms)
            case Beat():
                return encode(self._heartbeat(item), topic=FRAMES, at_ms=item.at_ms)

    def _encoded_picture(self, item: Picked) -> Outgoing:
        """Its record, made once however often it is tried; a picture that has no JPEG is told as dropped."""
        which = item.state.epoch, item.sequence
        if which not in self._printed:
            began_ms = self._clock.monotonic_ms()
            try:
                width, height, jpeg = self._print(item.picture)
            except (SourceError, InvalidRecord) as error:
                _log.warning("%s: %s", self._camera, error)
                self._replace(item, told_as_gone(item, error.reason))
                return self._encoded(told_as_gone(item, error.reason))
            frame = Frame(
                camera=self._camera,
                epoch=item.state.epoch,
                sequence=item.sequence,
                captured_at_ms=item.at_ms,
                interval_ms=item.interval_ms,
                width=width,
                height=height,
                jpeg=jpeg,
            )
            output = encode(frame, topic=FRAMES, at_ms=item.at_ms)
            self._printed[which] = output if self._tracer is None else self._tracer.begun(output)
            self._took_ms("encode", began_ms)
            self.tally.largest_bytes = max(self.tally.largest_bytes, len(jpeg))
            fault("ingest.encoded")
        return self._printed[which]

    def _dropped(self, item: Gone) -> Dropped:
        return Dropped(
            camera=self._camera,
            epoch=item.state.epoch,
            first_sequence=item.first_sequence,
            last_sequence=item.last_sequence,
            first_ms=item.first_ms,
            last_ms=item.last_ms,
            reason=item.reason,
        )

    def _heartbeat(self, item: Beat) -> Heartbeat:
        return Heartbeat(
            camera=self._camera,
            epoch=item.state.epoch,
            last_sequence=item.state.next_sequence - 1,
            at_ms=item.at_ms,
            state=item.said,
            detail=item.detail,
        )

    def _replace(self, item: Item, other: Item) -> None:
        self._outbox = [other if one is item else one for one in self._outbox]

    def _give_up(self, reason: str) -> None:
        self._outbox = [told_as_gone(item, reason) for item in self._outbox]
        self._outbox = queued([], self._outbox, newest_wins=self._live, reason=reason)
        self._printed.clear()

    def _give_up_largest(self) -> None:
        """A record that is refused for its size fails alone: if one of several is, the largest is."""
        pictures = [item for item in self._outbox if isinstance(item, Picked)]
        largest = max(pictures, key=lambda item: self._printed[item.state.epoch, item.sequence].size_bytes)
        del self._printed[largest.state.epoch, largest.sequence]
        self._replace(largest, told_as_gone(largest, "bad_size"))

    def _troubled(self, trouble: str, error: Recoverable) -> None:
        self._metrics.transactions.labels("retried").inc()
        if self.tally.trouble != trouble:
            _log.warning("%s: %s; taking no more until there is room or the bus answers", self._camera, error)
        self.tally.trouble = trouble

    def _done(self) -> None:
        if self.tally.trouble:
            _log.warning("%s: publishing again after %s", self._camera, self.tally.trouble)
            self.tally.trouble = ""
        for item in self._outbox:
            if isinstance(item, Picked):
                self.tally.published += 1
                self._metrics.frames_published.inc()
                self.tally.last_frame_ms = item.at_ms
            elif isinstance(item, Gone):
                count = item.last_sequence - item.first_sequence + 1
                self.tally.dropped[item.reason] = self.tally.dropped.get(item.reason, 0) + count
                self._metrics.frames_dropped.labels("ingest", item.reason).inc(count)
        self._outbox = []
        self._printed.clear()
