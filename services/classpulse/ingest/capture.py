"""camera → frames.v1: one camera at work. One thread reads, decodes and samples; another encodes and publishes.

The reader never waits for the bus with a live camera; the publisher tells where the camera stands while the reader waits
for a connection. Both are daemons: a read that hangs inside FFmpeg ends by its own time limit, and holds nobody up.
"""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from classpulse.bus.base import Bus, Member
from classpulse.clock import Clock
from classpulse.codec import decode
from classpulse.errors import BadInput, Fatal, Recoverable
from classpulse.faults import fault
from classpulse.ingest.backoff import Backoff
from classpulse.ingest.camera import CameraStory, Item, Picked
from classpulse.ingest.handover import Handover
from classpulse.ingest.pictures import Printer
from classpulse.ingest.pressure import Pressure
from classpulse.ingest.publishing import Publisher, Tally
from classpulse.ingest.sources.base import Picture, Source, SourceEnded, SourceError, source_of
from classpulse.records import CameraConfig, CameraReport, IngestState
from classpulse.settings import masked
from classpulse.telemetry import Metrics
from classpulse.topics import INGEST_STATE, partition_of
from classpulse.tracing import Tracer

_log = logging.getLogger("classpulse.ingest")


@dataclass(frozen=True)
class Limits:
    """How long things may take."""

    open_ms: int = 5_000
    silence_ms: int = 5_000
    behind_ms: int = 5_000
    grain_ms: int = 250
    retry_ms: int = 500
    farewell_ms: int = 2_000


class Capture:
    """A camera from its source to the bus, until it is stopped or its recording is over."""

    def __init__(
        self,
        config: CameraConfig,
        bus: Bus,
        clock: Clock,
        *,
        pressure: Pressure,
        metrics: Metrics,
        tracer: Tracer | None = None,
        rng: random.Random | None = None,
        limits: Limits | None = None,
        source_of: Callable[[CameraConfig], Source] = source_of,
    ) -> None:
        self.config = config
        self._bus, self._clock, self._pressure, self._metrics, self._tracer = bus, clock, pressure, metrics, tracer
        self._limits = limits or Limits()
        self._backoff = Backoff(rng or random.Random())
        self._source_of = source_of
        self._live = config.delivery == "live"
        self._handover = Handover(newest_wins=self._live)
        self._story: CameraStory | None = None
        self._tally = Tally()
        self._captured = 0
        self._last_error = ""
        self._stopping = threading.Event()
        self._off = self._forget = False
        self._publishing = threading.Thread(target=self._run, name=f"publish {config.camera}", daemon=True)
        self._reading = threading.Thread(target=self._read, name=f"read {config.camera}", daemon=True)
        self.error: Exception | None = None
        self.told_off = False

    # for whoever watches

    def start(self) -> None:
        """Begin; returns at once."""
        self._publishing.start()

    def stop(self, *, off: bool = False, forget: bool = False) -> None:
        """Ask it to stop; returns at once. `off`: tell that nobody is to be observed; `forget`: the camera is removed."""
        self._off, self._forget = off, forget
        self._stopping.set()
        self._handover.close()

    def join(self, timeout_s: float) -> bool:
        """Wait until both threads have ended; whether they have. A reader may hang in a read until its own time limit."""
        until_ms = self._clock.monotonic_ms() + int(1000 * timeout_s)
        self._publishing.join(timeout_s)
        if self._reading.ident is not None:
            self._reading.join(max(0, until_ms - self._clock.monotonic_ms()) / 1000)
        return not self._publishing.is_alive() and not self._reading.is_alive()

    @property
    def alive(self) -> bool:
        """Whether there is more to come."""
        return self._publishing.is_alive()

    @property
    def ended(self) -> bool:
        """Whether its recording is over and told."""
        return not self.alive and self._story is not None and self._story.ended

    @property
    def last_frame_ms(self) -> int | None:
        """When the last frame on the bus was captured."""
        return self._tally.last_frame_ms

    def report(self, now_ms: int) -> CameraReport:
        """Where it stands, for people."""
        with self._handover.lock:
            story, tally = self._story, self._tally
            return CameraReport(
                camera=self.config.camera,
                at_ms=now_ms,
                stage="ingest",
                state="connecting" if story is None else story.said,
                captured=self._captured,
                published=tally.published,
                dropped=dict(tally.dropped),
                last_error=tally.trouble or (story.detail if story is not None else "") or self._last_error,
            )

    # the publishing thread

    def _run(self) -> None:
        try:
            member = self._bus.member("ingest", (), slot=self.config.camera)
            try:
                self._publish_all(member)
            finally:
                member.close()
        except Exception as error:  # noqa: BLE001 - one camera's failure is told to the watch, which decides
            self.error = error
            self._last_error = type(error).__name__.lower()
            if not isinstance(error, Fatal):
                _log.error("%s: %s: %s", self.config.camera, type(error).__name__, masked(str(error)))
        finally:
            self._stopping.set()
            self._handover.close()

    def _publish_all(self, member: Member) -> None:
        printer = Printer(self.config.masks, self.config.frame_width)
        publisher = Publisher(
            member,
            self.config.camera,
            printer.print,
            self._clock,
            metrics=self._metrics,
            live=self._live,
            tracer=self._tracer,
        )
        self._tally = publisher.tally
        story, source = self._begin_story()
        if story.ended:
            return
        if source is None:
            self._tell(lambda: story.fail("bad_source", self._clock.now_ms(), progressed=False))
        else:
            self._source = source
            self._reading.start()
        while not self._handover.closed:
            self._publish_some(publisher, story)
        self._say_farewell(publisher, story)

    def _begin_story(self) -> tuple[CameraStory, Source | None]:
        source = self._made_source()
        recorded = source is not None and source.recorded
        stored, now_ms = stored_state(self._bus, self.config.camera), self._clock.now_ms()
        self._story = CameraStory(self.config, stored, recorded=recorded, now_ms=now_ms)
        return self._story, source

    def _made_source(self) -> Source | None:
        try:
            return self._source_of(self.config)
        except BadInput as error:
            _log.error("%s: %s", self.config.camera, error)
            return None

    def _publish_some(self, publisher: Publisher, story: CameraStory) -> None:
        """Take what there is, or say where the camera stands; then try to commit it."""
        if self._live or not publisher.waits:
            publisher.add(self._handover.take(self._limits.grain_ms / 1000))
        with self._handover.lock:
            if not publisher.waits:
                publisher.add(story.tick(self._clock.now_ms()))
            self._handover.reason = publisher.tally.trouble or "queue_full"
        if not self._live and publisher.holds_picture and not self._has_room():
            return
        if not publisher.publish():
            self._clock.sleep_ms(self._limits.retry_ms)
        elif story.ended and not self._reading.is_alive() and self._handover.empty:
            self._handover.close()  # nothing follows the end of a recording, and all before it is told

    def _has_room(self) -> bool:
        """Whether detect has caught up; waits a little where it has not."""
        try:
            if not self._pressure.high(self.config.camera, self._tally.largest_bytes):
                return True
        except Recoverable as error:
            _log.warning("%s: %s", self.config.camera, error)
        self._clock.sleep_ms(self._limits.grain_ms)
        return False

    def _say_farewell(self, publisher: Publisher, story: CameraStory) -> None:
        """Commit what may be committed: with `off` everything taken and the state, else what a live camera still holds."""
        if not self._off and not self._live:
            return
        publisher.add(self._handover.take(0))
        if self._off:
            with self._handover.lock:
                publisher.add(story.close(self._clock.now_ms(), forget=self._forget))
        give_up_ms = self._clock.monotonic_ms() + self._limits.farewell_ms
        while not (told := publisher.publish()) and self._off and self._clock.monotonic_ms() < give_up_ms:
            self._clock.sleep_ms(self._limits.grain_ms)
        self.told_off = told and self._off

    # the reading thread

    def _read(self) -> None:
        story, source = self._story, self._source
        while story is not None and not self._stopping.is_set() and not story.ended:
            taken_before = self._captured
            try:
                self._watch(story, source)
            except SourceEnded as end:
                self._finish(story, source, end)
            except SourceError as error:
                self._fail(story, error.reason, str(error), progressed=self._captured > taken_before)
            except Exception as error:  # noqa: BLE001 - a camera never takes the others with it
                self._fail(story, "failed", masked(f"{type(error).__name__}: {error}"), progressed=False)
            finally:
                source.close()

    def _watch(self, story: CameraStory, source: Source) -> None:
        """From connecting to the end of the stream or the order to stop."""
        self._tell(lambda: story.connect(self._clock.now_ms()))
        with self._handover.lock:
            after_ms = story.resume_after(self._clock.now_ms(), paced=source.paced)
        opened = source.open(after_ms=after_ms, timeout_ms=self._limits.open_ms)
        with self._handover.lock:
            story.begin(self._clock.now_ms(), opened, paced=source.paced)
        heard_ms = self._clock.monotonic_ms()
        size = (0, 0)
        while not self._stopping.is_set():
            picture = source.read()
            if picture is None:
                self._check_silence(heard_ms)
                continue
            heard_ms = self._clock.monotonic_ms()
            size = self._note_size(size, picture)
            self._see(story, source, picture)
            source.skip_to(story.wanted_from())

    def _see(self, story: CameraStory, source: Source, picture: Picture) -> None:
        if source.recorded and not self._await(story, picture):
            return
        self._tell(lambda: self._counted(story.see(picture, self._clock.now_ms())))
        if self._live and not source.recorded and story.late_ms > self._limits.behind_ms:
            raise SourceError(
                "behind", f"a picture came {story.late_ms} ms late; expected {self._limits.behind_ms} at most"
            )

    def _await(self, story: CameraStory, picture: Picture) -> bool:
        """Whether a recording's picture is of interest; waits until its time has come, for nothing is told before."""
        with self._handover.lock:
            if not story.concerns(picture.pts_ms):
                return False
            at_ms = story.time_of(picture.pts_ms)
        return self._wait_until(at_ms)

    def _counted(self, items: list[Item]) -> list[Item]:
        if any(isinstance(item, Picked) for item in items):
            self._captured += 1
            self._metrics.frames_captured.inc()
            if self._last_error:
                _log.info("%s: seen again (was %s)", self.config.camera, self._last_error)
            self._last_error = ""
            self._backoff.reset()
            fault("ingest.decoded")
        return items

    def _finish(self, story: CameraStory, source: Source, end: SourceEnded) -> None:
        if self._wait_until(story.end_at(end.end_ms)):
            self._tell(lambda: story.end(end.end_ms, loops=source.loops, now_ms=self._clock.now_ms()))

    def _fail(self, story: CameraStory, reason: str, detail: str, *, progressed: bool) -> None:
        wait_ms = self._backoff.next_ms()
        if reason != self._last_error:
            _log.warning("%s: %s; trying again in %d ms", self.config.camera, detail, wait_ms)
        self._last_error = reason
        self._tell(lambda: story.fail(reason, self._clock.now_ms(), progressed=progressed))
        self._wait_until(self._clock.now_ms() + wait_ms)

    def _tell(self, make: Callable[[], list[Item]]) -> None:
        self._handover.give(make)

    def _wait_until(self, at_ms: int) -> bool:
        """Whether that time came before the order to stop."""
        while (left_ms := at_ms - self._clock.now_ms()) > 0:
            if self._stopping.is_set():
                return False
            self._clock.sleep_ms(min(left_ms, self._limits.grain_ms))
        return not self._stopping.is_set()

    def _check_silence(self, heard_ms: int) -> None:
        silent_ms = self._clock.monotonic_ms() - heard_ms
        if silent_ms >= self._limits.silence_ms:
            raise SourceError("timeout", f"no picture for {silent_ms} ms; expected one in {self._limits.silence_ms}")

    def _note_size(self, before: tuple[int, int], picture: Picture) -> tuple[int, int]:
        size = (picture.width, picture.height)
        if before not in ((0, 0), size):
            _log.warning("%s: picture size changed from %dx%d to %dx%d", self.config.camera, *before, *size)
        return size


def stored_state(bus: Bus, camera: str) -> IngestState | None:
    """Where a camera's story stands on the bus, None where it has none. Raises InvalidRecord."""
    partition = partition_of(camera, INGEST_STATE.partitions)
    record = next(bus.latest(INGEST_STATE, partition=partition, key=camera), None)
    noun = None if record is None else decode(record)
    return noun if isinstance(noun, IngestState) else None


def tell_off(config: CameraConfig, bus: Bus, clock: Clock, metrics: Metrics, *, forget: bool = False) -> bool:
    """Tell that nobody is to be observed by a camera that is not open; whether it could be told. Raises Fatal."""
    try:
        recorded = source_of(config).recorded
    except BadInput:
        recorded = False
    member = bus.member("ingest", (), slot=config.camera)
    try:
        now_ms = clock.now_ms()
        story = CameraStory(config, stored_state(bus, config.camera), recorded=recorded, now_ms=now_ms)
        publisher = Publisher(member, config.camera, Printer().print, clock, metrics=metrics, live=True)
        publisher.add(story.close(now_ms, forget=forget))
        return publisher.publish()
    finally:
        member.close()
