"""Question: how should a picture that is not as wide as the net's be brought to its size: stretched, padded, or in between.

Pictures of 16:9 are cut to other aspects around their middle, the same cut shown in every way; objects of which less than half is
left are neither right nor wrong. Usage: `python -m benchmarks.aspect FOLDER SPLIT [RESULT]`, with drawn rooms in VOC layout that
nobody trained on. Choose by validation pictures; look at an exam's once.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from benchmarks.exams.intervals import rounded, rounded_interval
from benchmarks.measured import write_result
from numpy.typing import NDArray
from rich.progress import track

from gesturedet.api import load
from gesturedet.boxes import area
from gesturedet.data.voc import LabelledPicture, Truth, read_pixels, read_split
from gesturedet.evaluation import JudgedPicture, average_precisions, interval, rank, room_draws
from gesturedet.judging import LEAST_SCORE
from gesturedet.labels import BEHAVIOURS, class_of
from gesturedet.postprocess import Detection
from gesturedet.predictor import Predictor
from gesturedet.preprocess import resize

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

ASPECTS = {"16:9": 16 / 9, "4:3": 4 / 3, "1:1": 1.0, "3:4": 3 / 4, "21:9": 21 / 9, "32:9": 32 / 9}
LEAST_VISIBLE = 0.5
"""An object of which the cut leaves less is not counted."""


@dataclass(frozen=True)
class Way:
    """Stretch by `most_stretch` at most and fill what is left with `colour` (BGR; None: the picture's mean)."""

    most_stretch: float
    colour: tuple[int, int, int] | None = None


BASE = "stretched"
WAYS = {
    BASE: Way(np.inf),
    "padded": Way(1.0),
    "stretched by 4/3 at most": Way(4 / 3),
    "stretched by 16/9 at most": Way(16 / 9),
    "stretched by 16/9 at most, grey": Way(16 / 9, (127, 127, 127)),
    "stretched by 16/9 at most, black": Way(16 / 9, (0, 0, 0)),
}
Rows = dict[str, dict[str, list[JudgedPicture]]]
"""By aspect and way."""


def middle(size_hw: tuple[int, int], aspect: float) -> tuple[int, int, int, int]:
    """The largest window of an aspect around the middle of a picture, x0, y0, x1, y1 in pixels."""
    height, width = size_hw
    rows, columns = min(height, round(width / aspect)), min(width, round(height * aspect))
    top, left = (height - rows) // 2, (width - columns) // 2
    return left, top, left + columns, top + rows


def seen_in(truth: Truth, window_xyxy: Floats) -> Truth:
    """The truth in fractions of a window, given in fractions of the picture; what lies outside is gone."""
    low, high = np.tile(window_xyxy[:2], 2), np.tile(window_xyxy[2:], 2)
    moved = (truth.boxes_xyxy - low) / (high - low)
    clipped = moved.clip(0.0, 1.0)
    left = area(clipped) / area(moved)
    ignored: NDArray[np.bool_] = np.logical_or(truth.ignored, left < LEAST_VISIBLE)
    return Truth(clipped[left > 0], truth.class_ids[left > 0], ignored[left > 0])


def placed(picture: Bytes, way: Way, input_hw: tuple[int, int]) -> tuple[Bytes, Floats]:
    """The picture as the net is shown it, and where in it the picture lies: x0, y0, x1, y1 in fractions."""
    sides, whole = np.array(picture.shape[:2]), np.array(input_hw)
    scale = (whole / sides).min()
    rows, columns = np.minimum(whole, np.maximum(np.round(sides * scale * way.most_stretch), 1)).astype(int).tolist()
    top, left = (input_hw[0] - rows) // 2, (input_hw[1] - columns) // 2
    inner = resize(picture, (rows, columns))
    colour = cv2.mean(inner)[:3] if way.colour is None else way.colour
    canvas = np.empty((*input_hw, 3), np.uint8)
    canvas[:] = np.round(colour).astype(np.uint8)
    canvas[top : top + rows, left : left + columns] = inner
    height, width = input_hw
    return canvas, np.array([left / width, top / height, (left + columns) / width, (top + rows) / height], np.float32)


def back(found: Sequence[Detection], place_xyxy: Floats) -> Floats:
    """Boxes in fractions of what the net was shown → of the picture in it, cut off at its edges."""
    low, high = np.tile(place_xyxy[:2], 2), np.tile(place_xyxy[2:], 2)
    boxes = np.array([one.box_xyxy for one in found], np.float32).reshape(-1, 4)
    return ((boxes - low) / (high - low)).clip(0.0, 1.0)


def judged(picture: LabelledPicture, truth: Truth, found: Sequence[Detection], boxes_xyxy: Floats) -> JudgedPicture:
    """What was found beside the truth, boxes wholly in the padding left out."""
    real = (boxes_xyxy[:, 2:] > boxes_xyxy[:, :2]).all(axis=1)
    return JudgedPicture(
        group=picture.group,
        truth_boxes_xyxy=truth.boxes_xyxy,
        truth_class_ids=truth.class_ids,
        truth_ignored=truth.ignored,
        boxes_xyxy=boxes_xyxy[real],
        class_ids=np.array([class_of(one.behaviour) for one in found], np.int64)[real],
        scores=np.array([one.score for one in found], np.float32)[real],
    )


def look(predictor: Predictor, picture: LabelledPicture, bgr: Bytes, aspect: float) -> dict[str, JudgedPicture]:
    """One picture cut to an aspect, judged in each way; what looks the same to the net is looked at once."""
    x0, y0, x1, y1 = middle(picture.size_hw, aspect)
    cut = np.ascontiguousarray(bgr[y0:y1, x0:x1])
    window = np.array([x0, y0, x1, y1], np.float32) / np.tile(np.array(picture.size_hw[::-1], np.float32), 2)
    truth, seen, rows = seen_in(picture.truth, window), dict[bytes, list[Detection]](), {}
    for name, way in WAYS.items():
        shown, place = placed(cut, way, predictor.card.input_hw)
        key = shown.tobytes()
        if key not in seen:
            seen[key] = predictor.predict(shown, min_score=LEAST_SCORE)
        rows[name] = judged(picture, truth, seen[key], back(seen[key], place))
    return rows


def look_at_all(predictor: Predictor, pictures: Sequence[LabelledPicture]) -> Rows:
    """Every picture in every aspect and way."""
    rows: Rows = {aspect: {way: [] for way in WAYS} for aspect in ASPECTS}
    for picture in track(pictures, description="pictures"):
        bgr = np.asarray(cv2.cvtColor(read_pixels(picture), cv2.COLOR_RGB2BGR), np.uint8)
        for name, aspect in ASPECTS.items():
            for way, one in look(predictor, picture, bgr, aspect).items():
                rows[name][way].append(one)
    return rows


def precisions(pictures: Sequence[JudgedPicture]) -> tuple[list[int], NDArray[np.float64]]:
    """How many objects of each behaviour there are, and AP50 of each and their mean: of all rooms, then of each draw of rooms."""
    rankings = [rank(pictures, class_of(name), least_iou=0.5) for name in BEHAVIOURS]
    rooms = len(rankings[0].truths_by_group)
    draws = np.concatenate((np.ones((1, rooms), np.int64), room_draws(rooms)))
    each = np.array([average_precisions(ranking, draws) for ranking in rankings])
    return [ranking.truths for ranking in rankings], np.vstack((each, each.mean(axis=0)))


def figures(rows: Mapping[str, Sequence[JudgedPicture]]) -> dict[str, Any]:
    """AP50 of each behaviour and its mean in each way, and what a way gains over stretching, with 95 % by room."""
    truths, before = precisions(rows[BASE])
    told: dict[str, Any] = {"truths": dict(zip(BEHAVIOURS, truths, strict=True))}
    for way, pictures in rows.items():
        _, after = precisions(pictures)
        pairs = zip((*BEHAVIOURS, "mean"), after, after - before, strict=True)
        told[way] = {name: {**_told("ap50", found), **_told("gain", gain)} for name, found, gain in pairs}
    return told


def _told(name: str, values: NDArray[np.float64]) -> dict[str, Any]:
    return {name: rounded(float(values[0])), f"{name}_interval": rounded_interval(interval(values[1:]))}


def main(folder: Path, split: str, result: str) -> None:
    """Look at all aspects in all ways, compare, write."""
    predictor = load("classroom").predictor
    pictures = read_split(folder, split)
    told = {
        name: figures(rows) for name, rows in track(look_at_all(predictor, pictures).items(), description="intervals")
    }
    rooms = len({picture.group for picture in pictures})
    what = {"model": predictor.card.digest, "split": split, "pictures": len(pictures), "rooms": rooms}
    write_result(result, {**what, "aspects": told})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "aspect")
