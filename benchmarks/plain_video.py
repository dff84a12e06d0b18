"""Question: what a net makes of real pictures in which nobody does any of the three things.

No label of a real room is needed: on plain clips of adults every confident raised hand or sleeper is a false alarm, and what a
net says should not change when a picture is mirrored or a little of its edge is cut off. It says nothing about how many true
gestures are found. A standing or walking adult may well be called `stand-up`: that is told apart. A box at the card's threshold
is seen, shown and counted; only what lasts with a score that a room's rule believes is an event.

Usage: plain_video.py CLIP... --model NAME_OR_FOLDER...
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from measured import write_result
from numpy.typing import NDArray
from rich.progress import track

from classpulse.aggregate.rules import DEFAULT_RULES
from classpulse.records import FrameDetections
from classpulse.refresh.lessons import Box, events, told
from gesturedet.api import Detections, Detector, load
from gesturedet.boxes import iou_matrix

Bytes = NDArray[np.uint8]
ROOM = "plain/video/room"
FPS, DOUBTFUL, EDGE = 5, 0.3, 0.1
"""Pictures looked at a second; the score from which boxes are compared; the share of each side that is cut off."""


def pictures(clip: Path) -> Iterator[tuple[int, Bytes]]:
    """Pictures of a clip, five a second, in BGR, each with its time in ms."""
    with av.open(str(clip)) as container:
        due = 0.0
        for frame in container.decode(video=0):
            if float(frame.time or 0) + 1e-6 >= due:
                due = float(frame.time or 0) + 1 / FPS
                yield round(1000 * float(frame.time or 0)), frame.to_ndarray(format="bgr24")


def confirmed(first: Detections, second: Detections, *, boxes_xyxy: NDArray[np.float32]) -> tuple[int, int]:
    """How many boxes of `first` have one of the same label and an IoU of 0.5 among `boxes_xyxy` of `second`; how many there are."""
    same = np.equal.outer(np.array(first.labels, np.str_), np.array(second.labels, np.str_))
    if 0 in same.shape:
        return 0, len(first)
    near = (iou_matrix(first.boxes_xyxy, boxes_xyxy) >= 0.5) & same
    return int(near.any(1).sum()), len(first)


def mirrored(detector: Detector, picture: Bytes) -> tuple[NDArray[np.float32], Detections]:
    """What is found in the mirrored picture, and its boxes mirrored back."""
    found = detector.detect(np.ascontiguousarray(picture[:, ::-1]), min_score=DOUBTFUL)
    boxes = found.boxes_xyxy.copy()
    boxes[:, [0, 2]] = picture.shape[1] - boxes[:, [2, 0]]
    return boxes, found


def cut(detector: Detector, picture: Bytes) -> tuple[NDArray[np.float32], Detections]:
    """What is found in the middle of the picture, and its boxes moved back."""
    top, left = (round(side * EDGE) for side in picture.shape[:2])
    inner = np.ascontiguousarray(picture[top : picture.shape[0] - top, left : picture.shape[1] - left])
    found = detector.detect(inner, min_score=DOUBTFUL)
    return found.boxes_xyxy + np.array([left, top, left, top], np.float32), found


def inside(found: Detections, picture: Bytes) -> Detections:
    """Of what was found, that which lies wholly in what `cut` leaves."""
    height, width = picture.shape[:2]
    low, high = np.array([width, height]) * EDGE, np.array([width, height]) * (1 - EDGE)
    kept = [i for i, box in enumerate(found.boxes_xyxy) if (box[:2] >= low).all() and (box[2:] <= high).all()]
    labels = tuple(found.labels[i] for i in kept)
    return Detections(found.boxes_xyxy[kept], found.scores[kept], labels, found.names)


def rows(found: Detections, picture: Bytes) -> Iterator[tuple[str, float, Box]]:
    """What was found: behaviour, score, box in fractions of the picture."""
    height, width = picture.shape[:2]
    boxes = map(tuple, (found.boxes_xyxy / np.array([width, height, width, height])).tolist())
    return zip(found.labels, found.scores.tolist(), boxes, strict=True)


def look(detector: Detector, clip: Path) -> dict[str, object]:
    """Alarms at the card's thresholds, events by the usual rules, and the share of boxes that mirrored and cut pictures confirm."""
    alarms, frames, sums = Counter[str](), list[FrameDetections](), np.zeros((2, 2), int)
    highest: dict[str, float] = {}
    for at_ms, picture in track(pictures(clip), description=f"{detector.card.name} {clip.name}"):
        shown = detector.detect(picture)
        alarms.update(shown.labels)
        frames.append(told(rows(shown, picture), f"{ROOM}/camera", len(frames), at_ms, FPS))
        found = detector.detect(picture, min_score=DOUBTFUL)
        for label, score in zip(found.labels, found.scores, strict=True):
            highest[label] = max(highest.get(label, 0.0), float(score))
        for row, (boxes, again) in enumerate((mirrored(detector, picture), cut(detector, picture))):
            sure = found if row == 0 else inside(found, picture)
            sums[row] += confirmed(sure, again, boxes_xyxy=boxes)
    minutes = len(frames) / FPS / 60
    made = events(frames, ROOM, DEFAULT_RULES)
    return {
        "pictures": len(frames),
        "events": {name: len(made[name]) for name in made},
        "alarms_per_minute": {name: round(alarms[name] / minutes, 1) for name in detector.card.published},
        "pictures_times_alarms": dict(alarms),
        "highest_score": {name: round(score, 3) for name, score in highest.items()},
        "confirmed_when_mirrored": None if not sums[0, 1] else round(float(sums[0, 0] / sums[0, 1]), 3),
        "confirmed_when_cut": None if not sums[1, 1] else round(float(sums[1, 0] / sums[1, 1]), 3),
        "boxes_compared": sums[:, 1].tolist(),
    }


def main() -> None:
    """Look at every clip with every model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--model", nargs="+", default=["classroom"])
    parser.add_argument("--result", default="plain_video", help="name of the result file")
    given = parser.parse_args()
    detectors = {name: load(name) for name in given.model}
    looks = [
        {"model": name, "digest": detector.card.digest, "clip": clip.name, **look(detector, clip)}
        for name, detector in detectors.items()
        for clip in given.clips
    ]
    write_result(given.result, {"fps": FPS, "least_score_compared": DOUBTFUL, "rows": looks})


if __name__ == "__main__":
    main()
