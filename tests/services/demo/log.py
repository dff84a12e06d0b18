"""A demo's log written by hand: what ingest, detect and aggregate would have committed, on a memory bus."""

import json
from pathlib import Path

import av
import numpy as np

from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock
from classpulse.codec import encode
from classpulse.demo.bundled import Lesson
from classpulse.demo.truth import TrueBehaviour, load_truth
from classpulse.records import (
    BehaviourEvent,
    BehaviourTotals,
    Dropped,
    Frame,
    FrameDetections,
    Heartbeat,
    IngestState,
    Record,
    RoomConfig,
    TimelineBucket,
)
from classpulse.topics import DETECTIONS, EVENTS, FRAMES, INGEST_STATE, ROOMS, TIMELINES, TOPICS, Topic

ROOM = "demo/school/room-1"
CAMERA = f"{ROOM}/front"
START_MS = 1_772_434_800_000
INTERVAL_MS = 100
MODEL = "sha256:9f2c41aa"


class Log:
    """A bus and whoever writes to it; `clock` stands still unless told."""

    def __init__(self) -> None:
        self.clock = ManualClock(START_MS)
        self.bus = MemoryBus(clock=self.clock)
        self.bus.create(list(TOPICS.values()))
        self._writer = self.bus.member("writer", [])

    def put(self, topic: Topic, *nouns: Record, at_ms: int = 0) -> None:
        """`at_ms`: the capture time after the start."""
        self._writer.commit([encode(noun, topic=topic, at_ms=START_MS + at_ms) for noun in nouns], {})


def frame(sequence: int, *, epoch: int = 0, camera: str = CAMERA) -> Frame:
    at_ms = START_MS + sequence * INTERVAL_MS
    return Frame(
        camera=camera,
        epoch=epoch,
        sequence=sequence,
        captured_at_ms=at_ms,
        interval_ms=INTERVAL_MS,
        width=4,
        height=4,
        jpeg=b"jpeg",
    )


def detected(sequence: int, *, epoch: int = 0, camera: str = CAMERA) -> FrameDetections:
    at_ms = START_MS + sequence * INTERVAL_MS
    return FrameDetections(
        camera=camera,
        epoch=epoch,
        sequence=sequence,
        captured_at_ms=at_ms,
        interval_ms=INTERVAL_MS,
        model=MODEL,
        detections=(),
    )


def dropped(first: int, last: int, reason: str, *, epoch: int = 0) -> Dropped:
    times = START_MS + first * INTERVAL_MS, START_MS + last * INTERVAL_MS
    return Dropped(
        camera=CAMERA,
        epoch=epoch,
        first_sequence=first,
        last_sequence=last,
        first_ms=times[0],
        last_ms=times[1],
        reason=reason,
    )


def heartbeat(last_sequence: int, state: str = "up", *, epoch: int = 0, camera: str = CAMERA) -> Heartbeat:
    at_ms = START_MS + (last_sequence + 1) * INTERVAL_MS
    return Heartbeat(camera=camera, epoch=epoch, last_sequence=last_sequence, at_ms=at_ms, state=state)  # type: ignore[arg-type]


def bucket(
    index: int,
    frames: int = 100,
    *,
    missing: dict[str, int] | None = None,
    final: bool = True,
    revision: int = 0,
    room: str = ROOM,
    due_ms: int = 10_000,
) -> TimelineBucket:
    return TimelineBucket(
        room=room,
        start_ms=START_MS + 10_000 * index,
        end_ms=START_MS + 10_000 * (index + 1),
        behaviours={"hand-raising": BehaviourTotals(events=1, person_ms=2000, peak=1)},
        due_ms=due_ms,
        observed_ms=frames * INTERVAL_MS,
        frames=frames,
        missing=missing or {},
        models=(MODEL,),
        revision=revision,
        final=final,
    )


def event(
    start_ms: int, end_ms: int | None = None, *, behaviour: str = "hand-raising", room: str = ROOM
) -> BehaviourEvent:
    return BehaviourEvent(
        id=f"{room}/front/0/{behaviour}/{START_MS + start_ms}/0",
        room=room,
        behaviour=behaviour,
        phase="started" if end_ms is None else "ended",
        started_at_ms=START_MS + start_ms,
        ended_at_ms=None if end_ms is None else START_MS + end_ms,
        model=MODEL,
    )


def remembered(frames: int) -> IngestState:
    """What ingest keeps of a clip that began at the start and was read so far."""
    return IngestState(
        camera=CAMERA,
        source="file:///lesson-1.mp4",
        epoch=0,
        next_sequence=frames,
        last_ms=START_MS + frames * INTERVAL_MS,
        position_ms=frames * INTERVAL_MS,
        started_at_ms=START_MS,
        ended=True,
    )


def a_played_lesson(frames: int = 200) -> Log:
    """Twenty seconds at 10 fps, played to the end; two hands were found."""
    log = Log()
    log.put(ROOMS, RoomConfig(room=ROOM, time_zone="Europe/Berlin"))
    log.put(INGEST_STATE, remembered(frames))
    log.put(FRAMES, *(frame(i) for i in range(frames)), heartbeat(frames - 1, "off"))
    log.put(DETECTIONS, *(detected(i) for i in range(frames // 2)))
    log.clock.advance(10_000)
    log.put(DETECTIONS, *(detected(i) for i in range(frames // 2, frames)), heartbeat(frames - 1, "off"))
    log.put(EVENTS, event(1000), at_ms=9_700)
    log.put(EVENTS, event(12_000), at_ms=9_900)
    log.put(EVENTS, event(1000, 3000), event(12_000, 14_500), at_ms=10_000)
    log.put(TIMELINES, *(bucket(i) for i in range(frames // 100)))
    return log


def a_clip(path: Path, *, frames: int = 200, fps: int = 10) -> Path:
    """A small real video; `path` may end in anything PyAV can write."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            picture = np.full((48, 64, 3), number % 250, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def a_lesson(folder: Path, *spans: TrueBehaviour, frames: int = 200) -> Lesson:
    """A real clip with a truth beside it."""
    folder.mkdir(exist_ok=True)
    clip = a_clip(folder / "lesson-1.mp4", frames=frames)
    held = [
        {
            "pupil": s.pupil,
            "behaviour": s.behaviour,
            "started_ms": s.started_ms,
            "ended_ms": s.ended_ms,
            "visible": s.visible,
        }
        for s in spans
    ]
    figures = {"fps": 10.0, "frames": frames, "width": 64, "height": 48, "seed": 1, "pupils": 12}
    path = folder / "lesson-1.truth.json"
    path.write_text(json.dumps({**figures, "duration_ms": frames * INTERVAL_MS, "spans": held}))
    return Lesson(clip, load_truth(path), ROOM, CAMERA, 10.0)


def hand(started_ms: int, ended_ms: int, *, pupil: int = 1, visible: bool = True) -> TrueBehaviour:
    return TrueBehaviour(
        pupil=pupil, behaviour="hand-raising", started_ms=started_ms, ended_ms=ended_ms, visible=visible
    )
