"""A lesson and a release → the events that the route would publish, counted against the truth: what benchmarks share."""

from collections.abc import Mapping, Sequence

import av
import cv2
import numpy as np
from rich.progress import track

from classpulse.aggregate.rooms import Rooms
from classpulse.aggregate.rules import DEFAULT_RULES
from classpulse.codec import Stored
from classpulse.demo.bundled import Lesson
from classpulse.demo.matching import Counts, measure
from classpulse.demo.truth import judged
from classpulse.ingest.pictures import Printer
from classpulse.ingest.sources.container import AvPicture
from classpulse.records import BehaviourEvent, Detection, FrameDetections, RoomConfig, RoomPlan, Rule
from classpulse.topics import DETECTIONS
from gesturedet.predictor import Predictor

START_MS = 1_700_000_000_000


def seen(lesson: Lesson, predictor: Predictor) -> list[FrameDetections]:
    """What the net says of every picture of a lesson as ingest would send it."""
    found, printer = [], Printer(width=predictor.card.frame_width)
    interval_ms = round(1000 / lesson.truth.fps)
    with av.open(str(lesson.clip)) as clip:
        pictures = track(clip.decode(video=0), description=lesson.clip.name, total=lesson.truth.frames)
        for sequence, picture in enumerate(pictures):
            captured_ms = round(1000 * float(picture.time or 0))
            jpeg = printer.print(AvPicture(picture, captured_ms))[2]
            pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            detections = tuple(
                Detection(behaviour=d.behaviour, score=d.score, box_xyxy=d.box_xyxy) for d in predictor.predict(pixels)
            )
            frame = FrameDetections(
                camera=lesson.camera,
                epoch=0,
                sequence=sequence,
                captured_at_ms=START_MS + captured_ms,
                interval_ms=interval_ms,
                model=predictor.card.digest,
                detections=detections,
            )
            found.append(frame)
    return found


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


def counts(
    lessons: Sequence[Lesson], frames: Sequence[list[FrameDetections]], rules: Mapping[str, Rule] = DEFAULT_RULES
) -> dict[str, Counts]:
    """True, found, missed and false events of each behaviour over all lessons."""
    out = {name: Counts() for name in rules}
    for lesson, shown in zip(lessons, frames, strict=True):
        found = events(shown, lesson.room, rules)
        for name, truth in judged(lesson.truth.spans, rules).items():
            counted, others = ([(s.started_ms, s.ended_ms) for s in part] for part in (truth.counted, truth.others))
            out[name] += measure(counted, found[name], others).counts
    return out
