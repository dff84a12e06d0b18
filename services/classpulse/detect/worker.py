"""Frame → FrameDetections: the second leg. One camera's story stays one story: what is not a frame is passed on in order.

On processors one picture at a time goes through the net, so results do not depend on company; accelerators take several cameras'
pictures at once. What is looked at next is decoded meanwhile.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, Self

from classpulse.bus.base import Place
from classpulse.clock import Clock
from classpulse.codec import Outgoing, Stored, encode
from classpulse.detect.pictures import Picture, decode_picture
from classpulse.errors import InvalidRecord
from classpulse.records import (
    CameraReport,
    CameraState,
    Delivery,
    Detection,
    Dropped,
    Frame,
    FrameDetections,
    Heartbeat,
    Hole,
    Told,
    room_of,
)
from classpulse.stage import Step, Taken
from classpulse.telemetry import Metrics
from classpulse.topics import DETECTIONS, FRAMES, REPORTS, partition_of

REPORT_EVERY_MS = 5_000
COMPLAIN_EVERY_MS = 60_000
RUN_PIXELS = 16 * 1920 * 1080
REASONS = ("stale", "corrupt_jpeg", "bad_size")
"""Why this stage drops a frame."""

_log = logging.getLogger("classpulse.detect")

Begun = Future[Picture] | str | None
"""A picture being decoded, the reason why a frame is dropped undecoded, or neither: not a frame."""

Seen = tuple[str, list[Detection]] | InvalidRecord | None
"""What was seen in a picture, and the digest of what saw it; why there was none to look at; or neither: nothing to look at."""


class Sight(Protocol):
    """Looks at pictures. A digest names the net: it travels with every detection."""

    @property
    def refused(self) -> str:
        """Which release does not look although it should, and why; empty for none."""
        ...

    def digest(self, camera: str) -> str:
        """What looks at a camera now."""
        ...

    @property
    def at_once(self) -> int:
        """So many pictures are best looked at together."""
        ...

    def see(self, pictures: Sequence[tuple[str, Picture]]) -> list[tuple[str, list[Detection]]]:
        """Of each camera's picture (BGR, height × width × 3) the digest of what looked, and the behaviours in it.

        Raises Recoverable when it may see later.
        """
        ...

    def follow(self) -> None:
        """Between two steps: the moment to change what looks."""
        ...


@dataclass
class _Account:
    """What people are told of one camera; counters since this process started."""

    state: CameraState = "up"
    detected: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    last_error: str = ""
    capture_to_detection_ms: int | None = None


class Detect:
    """The stage. `delivery_of` says which cameras are live; older live frames than `freshness_ms` are dropped.

    `node`: where it runs, as reports tell people. `decoders`: threads that decode what is looked at next. `detected`: frames the
    net has seen and that are on the bus, since the start.
    """

    name = "detect"

    def __init__(
        self,
        sight: Sight,
        delivery_of: Callable[[str], Delivery],
        clock: Clock,
        *,
        metrics: Metrics,
        freshness_ms: int,
        node: str = "",
        decoders: int = 1,
    ) -> None:
        self._sight, self._delivery_of, self._clock, self._freshness_ms = sight, delivery_of, clock, freshness_ms
        self._metrics, self._node = metrics, node
        self._frames_detected, self._batch_frames = metrics.frames_detected, metrics.batch_frames
        self._capture_to_detection = metrics.capture_to_detection_seconds
        for reason in REASONS:
            metrics.frames_dropped.labels(self.name, reason)  # at 0, as all that can be named beforehand
        self._pool = ThreadPoolExecutor(decoders, thread_name_prefix="decode")
        self._first_left: dict[Place, int] = {}
        self._told: dict[str, int] = {}
        self._done: list[tuple[FrameDetections | Dropped | Heartbeat, bool]] = []
        self._accounts: dict[str, _Account] = {}
        self._changed: set[str] = set()
        self._report_due_ms = 0
        self._stale = self._complaint_due_ms = 0
        self.detected = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the decoding threads."""
        self._pool.shutdown(cancel_futures=True)

    def step(self, taken: Sequence[Taken], expired: Mapping[Place, int]) -> Step:
        """Detections, drops and heartbeats of these records, in their order."""
        step = Step()
        self._first_left.update(expired)
        told: dict[str, int] = {}
        done: list[tuple[FrameDetections | Dropped | Heartbeat, bool]] = []
        for run in self._runs(taken):
            for (item, begun), seen in zip(run, self._look(run), strict=True):
                if isinstance(item.noun, InvalidRecord):
                    step.outputs += _unread_hole(item.stored, item.noun)
                    continue
                try:
                    noun = self._handle(item, begun, seen, step)
                except InvalidRecord as error:
                    step.dead.append((item.stored, error))
                    continue
                step.outputs += self._expired_hole(item.stored, noun, told)
                step.outputs.append(encode(noun, topic=DETECTIONS, at_ms=_time_of(noun)))
                done.append((noun, isinstance(item.noun, Frame)))
        self._told.update(told)
        self._done = done
        return step

    def forget(self, places: Collection[Place]) -> None:
        """What retention took of these partitions is told anew by who reads on there."""
        for place in places:
            self._first_left.pop(place, None)
        gone = {place.partition for place in places}
        self._told = {c: first for c, first in self._told.items() if partition_of(c, FRAMES.partitions) not in gone}

    def committed(self, step: Step, now_ms: int) -> None:  # noqa: ARG002 - what was done is known by noun
        """Count what is on the bus now."""
        frames = [noun for noun, _ in self._done if isinstance(noun, FrameDetections)]
        self.detected += len(frames)
        self._frames_detected.inc(len(frames))
        if frames:
            self._batch_frames.observe(len(frames))
        for noun, was_frame in self._done:
            self._account(noun, now_ms, was_frame=was_frame)
        self._done = []

    def idle(self, now_ms: int) -> list[Outgoing]:
        """Reports for people, about the cameras of which something came; and what looks may change now."""
        self._sight.follow()
        self._complain(now_ms)
        if now_ms < self._report_due_ms or not self._changed:
            return []
        self._report_due_ms = now_ms + REPORT_EVERY_MS
        reports = [self._report(camera, now_ms) for camera in sorted(self._changed)]
        self._changed.clear()
        return [encode(report, topic=REPORTS, at_ms=now_ms) for report in reports]

    def _complain(self, now_ms: int) -> None:
        """Say, once a minute at most, that this machine looks too slowly for what its cameras send."""
        if self._stale and now_ms >= self._complaint_due_ms:
            self._complaint_due_ms = now_ms + COMPLAIN_EVERY_MS
            _log.warning(
                "falling behind: %d live frames were older than freshness_ms = %d when their turn came, and dropped;"
                " expected more detect_workers, fewer frames a second, or a lighter model",
                self._stale,
                self._freshness_ms,
            )
            self._stale = 0

    def _runs(self, taken: Sequence[Taken]) -> Iterator[list[tuple[Taken, Begun]]]:
        """Records with their pictures, as many as are looked at at once; the next ones are begun before some are given, and no more."""
        waiting: list[tuple[Taken, Begun]] = []
        for run in _cut(taken, self._sight.at_once):
            begun = [(item, self._begin(item)) for item in run]
            if waiting:
                yield waiting
            waiting = begun
        if waiting:
            yield waiting

    def _begin(self, item: Taken) -> Begun:
        if not isinstance(item.noun, Frame) or not _is_camera(item.noun.camera):
            return None
        age_ms = self._clock.now_ms() - item.noun.captured_at_ms
        if age_ms > self._freshness_ms and self._delivery_of(item.noun.camera) == "live":
            return "stale"
        return self._pool.submit(decode_picture, item.noun)

    def _look(self, run: Sequence[tuple[Taken, Begun]]) -> list[Seen]:
        """What is in each record's picture."""
        seen: dict[int, Seen] = {}
        pictures: dict[int, tuple[str, Picture]] = {}
        for place, (item, begun) in enumerate(run):
            if isinstance(item.noun, Frame) and isinstance(begun, Future):
                try:
                    pictures[place] = item.noun.camera, begun.result()
                except InvalidRecord as error:
                    seen[place] = error
        if pictures:
            seen |= dict(zip(pictures, self._sight.see([*pictures.values()]), strict=True))
        return [seen.get(place) for place in range(len(run))]

    def _handle(self, item: Taken, begun: Begun, seen: Seen, step: Step) -> FrameDetections | Dropped | Heartbeat:
        """What a record becomes. Raises InvalidRecord for one that cannot even be told of."""
        noun = item.noun
        if isinstance(noun, Told) and not _is_camera(noun.camera):
            raise InvalidRecord("bad_headers", f"camera {noun.camera!r}; expected tenant/school/room/camera")
        if isinstance(noun, Frame) and isinstance(begun, str):
            return _dropped(noun, begun)
        if isinstance(noun, Frame) and isinstance(seen, InvalidRecord):
            step.dead.append((item.stored, seen))
            return _dropped(noun, seen.reason)
        if isinstance(noun, Frame) and isinstance(seen, tuple):
            return _detections(noun, *seen)
        if isinstance(noun, Dropped | Heartbeat):
            return noun
        raise InvalidRecord("wrong_type", f"{type(noun).__name__}; expected Frame, Dropped or Heartbeat")

    def _expired_hole(self, stored: Stored, noun: Told, told: dict[str, int]) -> list[Outgoing]:
        """Before the first record of a camera after retention took some of its partition: why there may be a hole."""
        first_left = self._first_left.get(Place(stored.topic, stored.partition))
        before = told.get(noun.camera, self._told.get(noun.camera, -1))
        if first_left is None or stored.offset < first_left or before >= first_left:
            return []
        told[noun.camera] = first_left
        hole = Hole(camera=noun.camera, epoch=noun.epoch, reason="expired")
        return [encode(hole, topic=DETECTIONS, at_ms=stored.appended_at_ms)]

    def _account(self, noun: FrameDetections | Dropped | Heartbeat, now_ms: int, *, was_frame: bool) -> None:
        """`was_frame`: what it is was decided here; what ingest dropped is counted there."""
        account = self._accounts.setdefault(noun.camera, _Account())
        self._changed.add(noun.camera)
        match noun:
            case FrameDetections():
                account.detected += 1
                if self._delivery_of(noun.camera) == "live":
                    account.capture_to_detection_ms = now_ms - noun.captured_at_ms
                    self._capture_to_detection.observe(account.capture_to_detection_ms / 1000)
            case Dropped():
                account.dropped[noun.reason] += noun.last_sequence - noun.first_sequence + 1
                if was_frame:
                    account.last_error = noun.reason
                    self._metrics.frames_dropped.labels(self.name, noun.reason).inc()
                self._stale += noun.reason == "stale"
            case Heartbeat():
                account.state = noun.state

    def _report(self, camera: str, now_ms: int) -> CameraReport:
        account = self._accounts[camera]
        return CameraReport(
            camera=camera,
            at_ms=now_ms,
            stage=self.name,
            state=account.state,
            detected=account.detected,
            dropped=dict(account.dropped),
            last_error=account.last_error,
            model=self._sight.digest(camera),
            refused_swap=self._sight.refused,
            capture_to_detection_ms=account.capture_to_detection_ms,
            node=self._node,
        )


def _unread_hole(record: Stored, error: InvalidRecord) -> list[Outgoing]:
    """A hole of unknown extent in the place of an unreadable record, if at least the camera is known."""
    if not _is_camera(record.key):
        return []
    hole = Hole(camera=record.key, epoch=0, reason=error.reason)
    return [encode(hole, topic=DETECTIONS, at_ms=record.appended_at_ms)]


def _cut(taken: Sequence[Taken], at_once: int) -> Iterator[list[Taken]]:
    """Runs of so many records at most, whose pictures have RUN_PIXELS at most: what is decoded at once stays bounded."""
    run: list[Taken] = []
    pixels = 0
    for item in taken:
        size = item.noun.width * item.noun.height if isinstance(item.noun, Frame) else 0
        if run and (len(run) == at_once or pixels + size > RUN_PIXELS):
            yield run
            run, pixels = [], 0
        run.append(item)
        pixels += size
    if run:
        yield run


def _detections(frame: Frame, digest: str, seen: Sequence[Detection]) -> FrameDetections:
    return FrameDetections(
        camera=frame.camera,
        epoch=frame.epoch,
        sequence=frame.sequence,
        captured_at_ms=frame.captured_at_ms,
        interval_ms=frame.interval_ms,
        model=digest,
        detections=tuple(seen),
    )


def _dropped(frame: Frame, reason: str) -> Dropped:
    return Dropped(
        camera=frame.camera,
        epoch=frame.epoch,
        first_sequence=frame.sequence,
        last_sequence=frame.sequence,
        first_ms=frame.captured_at_ms,
        last_ms=frame.captured_at_ms,
        reason=reason,
    )


def _time_of(noun: FrameDetections | Dropped | Heartbeat) -> int:
    match noun:
        case FrameDetections():
            return noun.captured_at_ms
        case Dropped():
            return noun.last_ms
        case Heartbeat():
            return noun.at_ms


def _is_camera(key: str) -> bool:
    try:
        room_of(key)
    except ValueError:
        return False
    return True
