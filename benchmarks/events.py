"""A lesson and a release → the events that the route would publish, counted against the truth: what benchmarks share."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context

import av
import cv2
import numpy as np
from rich.progress import track

from classpulse.aggregate.rooms import Rooms
from classpulse.aggregate.rules import DEFAULT_RULES
from classpulse.codec import Stored
from classpulse.demo.bundled import Lesson
from classpulse.demo.matching import Counts, Matching, measure
from classpulse.demo.truth import TrueBehaviour, judged
from classpulse.ingest.pictures import Printer
from classpulse.ingest.sources.container import AvPicture
from classpulse.records import BehaviourEvent, Detection, FrameDetections, RoomConfig, RoomPlan, Rule
from classpulse.topics import DETECTIONS
from gesturedet.card import Release
from gesturedet.predictor import Predictor
from gesturedet.runtime.onnxruntime import OnnxRuntime

Box = tuple[float, float, float, float]

START_MS = 1_700_000_000_000


def seen(lessons: Sequence[Lesson], release: Release) -> list[list[FrameDetections]]:
    """What the net says of every picture of the lessons as ingest would send it; each core looks at a lesson of its own."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        looks = pool.map(_seen, lessons, repeat(release))
        return list(track(looks, description=f"{release.card.name} {release.card.precision}", total=len(lessons)))


def _seen(lesson: Lesson, release: Release) -> list[FrameDetections]:
    predictor = Predictor(release, OnnxRuntime(release.onnx_bytes))
    found, printer = [], Printer(width=release.card.frame_width)
    with av.open(str(lesson.clip)) as clip:
        for sequence, picture in enumerate(clip.decode(video=0)):
            captured_ms = round(1000 * float(picture.time or 0))
            jpeg = printer.print(AvPicture(picture, captured_ms))[2]
            pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            shown = ((d.behaviour, d.score, d.box_xyxy) for d in predictor.predict(pixels))
            found.append(told(shown, lesson.camera, sequence, captured_ms, lesson.truth.fps))
    return found


def told(
    shown: Iterable[tuple[str, float, Box]], camera: str, sequence: int, at_ms: int, fps: float
) -> FrameDetections:
    """What detect would publish of a picture of a clip: behaviours, scores, boxes in fractions of the picture."""
    return FrameDetections(
        camera=camera,
        epoch=0,
        sequence=sequence,
        captured_at_ms=START_MS + at_ms,
        interval_ms=round(1000 / fps),
        model="examined",
        detections=tuple(Detection(behaviour=name, score=score, box_xyxy=box) for name, score, box in shown),
    )


def events(frames: list[FrameDetections], room: str, rules: Mapping[str, Rule]) -> dict[str, list[tuple[int, int]]]:
    """The events that aggregate makes of what a camera shows by these rules, per behaviour, in the clip's time."""
    stored, rooms, last_ms = Stored(DETECTIONS.name, 0, 0, room, b"", (), 0), Rooms(), frames[-1].captured_at_ms
    spans: dict[str, tuple[str, int, int]] = {}
    plan = RoomPlan(config=RoomConfig(room=room, rules=dict(rules)), cameras={}, at_ms=START_MS)
    for noun in (plan, *frames):
        for publication in rooms.take(stored, noun):
            if isinstance(event := publication.noun, BehaviourEvent):
                end_ms = event.ended_at_ms or last_ms
                spans[event.id] = (event.behaviour, event.started_at_ms - START_MS, end_ms - START_MS)
    found: dict[str, list[tuple[int, int]]] = {name: [] for name in rules}
    for behaviour, start_ms, end_ms in spans.values():
        found[behaviour].append((start_ms, end_ms))
    return found


def compared(
    lesson: Lesson, frames: list[FrameDetections], rules: Mapping[str, Rule] = DEFAULT_RULES
) -> dict[str, tuple[tuple[TrueBehaviour, ...], Matching]]:
    """The true events of each behaviour in a lesson, and which of them were found."""
    found, out = events(frames, lesson.room, rules), {}
    for name, truth in judged(lesson.truth.spans, rules).items():
        counted, others = ([(s.started_ms, s.ended_ms) for s in part] for part in (truth.counted, truth.others))
        out[name] = truth.counted, measure(counted, found[name], others)
    return out


def counts(
    lessons: Sequence[Lesson], frames: Sequence[list[FrameDetections]], rules: Mapping[str, Rule]
) -> dict[str, Counts]:
    """How many events of each behaviour were true, found, missed and false over all lessons."""
    out = {name: Counts() for name in rules}
    for lesson, shown in zip(lessons, frames, strict=True):
        for name, (_, matching) in compared(lesson, shown, rules).items():
            out[name] += matching.counts
    return out
