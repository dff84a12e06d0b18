"""Question: at which score each behaviour of a release gives the best events, on lessons nobody trained on.

A threshold that is best picture by picture is too low for events: somebody is looked at many times a second, so a low
one finds everybody sooner or later, and what is not there as well. Usage: operating_point.py RELEASE LESSONS, with
lessons of the val split (`python -m synthroom.cli lessons FOLDER --split val --count 4`), never of the demo's.
"""

import sys
from pathlib import Path
from statistics import mean

import av
import cv2
import msgspec
import numpy as np
from measured import write_result
from rich.progress import track

from classpulse.aggregate.rooms import Rooms
from classpulse.aggregate.rules import DEFAULT_RULES
from classpulse.codec import Stored
from classpulse.demo.bundled import Lesson, bundled_lessons
from classpulse.demo.matching import Counts, measure
from classpulse.demo.truth import judged
from classpulse.ingest.pictures import Printer
from classpulse.ingest.sources.container import AvPicture
from classpulse.records import BehaviourEvent, Detection, FrameDetections
from classpulse.topics import DETECTIONS
from gesturedet.card import Release, load_release
from gesturedet.predictor import Predictor
from gesturedet.runtime.onnxruntime import OnnxRuntime

LEAST_SCORE = 0.1
SCORES = [round(LEAST_SCORE + 0.02 * step, 2) for step in range(36)]
START_MS = 1_700_000_000_000


def seen(lesson: Lesson, predictor: Predictor) -> list[FrameDetections]:
    """What the net says of every picture of a lesson as ingest would send it, down to LEAST_SCORE."""
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


def events(frames: list[FrameDetections], room: str, least_score: float) -> dict[str, list[tuple[int, int]]]:
    """The events that aggregate makes of detections with at least that score, per behaviour, in the clip's time."""
    stored, rooms, last_ms = Stored(DETECTIONS.name, 0, 0, room, b"", (), 0), Rooms(), frames[-1].captured_at_ms
    spans: dict[str, tuple[str, int, int]] = {}
    for frame in frames:
        kept = tuple(d for d in frame.detections if d.score >= least_score)
        for publication in rooms.take(stored, msgspec.structs.replace(frame, detections=kept)):
            if isinstance(event := publication.noun, BehaviourEvent):
                end_ms = event.ended_at_ms or last_ms
                spans[event.id] = (event.behaviour, event.started_at_ms - START_MS, end_ms - START_MS)
    found: dict[str, list[tuple[int, int]]] = {name: [] for name in DEFAULT_RULES}
    for behaviour, start_ms, end_ms in spans.values():
        found[behaviour].append((start_ms, end_ms))
    return found


def counts(lessons: list[Lesson], frames: list[list[FrameDetections]], least_score: float) -> dict[str, Counts]:
    """True, found, missed and false events of each behaviour over all lessons."""
    out = {name: Counts() for name in DEFAULT_RULES}
    for lesson, shown in zip(lessons, frames, strict=True):
        found = events(shown, lesson.room, least_score)
        for name, truth in judged(lesson.truth.spans, DEFAULT_RULES).items():
            counted, others = ([(s.started_ms, s.ended_ms) for s in part] for part in (truth.counted, truth.others))
            out[name] += measure(counted, found[name], others).counts
    return out


def best(curve: list[dict[str, float]]) -> float:
    """The score with the highest F1 on average over itself and two scores on either side: a lone peak is luck."""
    f1 = [point["f1"] for point in curve]
    around = [mean(f1[max(place - 2, 0) : place + 3]) for place in range(len(f1))]
    return curve[around.index(max(around))]["score"]


def main(folder: Path, lessons_folder: Path) -> None:
    """Look once, aggregate at each score, write the curves and the best scores."""
    release = load_release(folder)
    low = msgspec.structs.replace(release.card, thresholds=dict.fromkeys(release.card.labels, LEAST_SCORE))
    predictor = Predictor(Release(low, release.onnx_bytes), OnnxRuntime(release.onnx_bytes))
    lessons = bundled_lessons(lessons_folder)
    frames = [seen(lesson, predictor) for lesson in lessons]
    curves: dict[str, list[dict[str, float]]] = {name: [] for name in DEFAULT_RULES}
    for score in track(SCORES, description="scores"):
        for name, count in counts(lessons, frames, score).items():
            point = {"score": score, "true": count.true, "found": count.found, "false": count.false}
            curves[name].append({**point, "f1": round(count.f1 or 0.0, 4)})
    chosen = {name: best(curve) for name, curve in curves.items()}
    seeds = [lesson.truth.seed for lesson in lessons]
    figures = {"model": release.card.digest, "lesson_seeds": seeds, "thresholds": chosen, "curves": curves}
    write_result("operating_point", figures)
    print(" ".join(f"--threshold {name}={score}" for name, score in chosen.items()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
