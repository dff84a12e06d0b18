"""Detections and truth of an exam → what a net got most wrong, and contact sheets of it for people's eyes.

G truths of one picture.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gesturedet.boxes import iou_matrix
from gesturedet.data.voc import LabelledPicture, Truth
from gesturedet.drawing import draw_boxes
from gesturedet.postprocess import Detection

Bytes = NDArray[np.uint8]

LEAST_IOU = 0.5
TILE = 240
"""Sides of a tile in pixels; its caption stands below."""
CAPTION = 36
GAP = 4
"""Black between two tiles."""
_CONTEXT = 2.5
"""A tile shows so many sides of the box: what is around tells why it was taken for something."""
_LEAST_CROP = 48
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True, slots=True)
class Fault:
    """A false alarm with its score, or a miss with the best score that its place got (0: none).

    `box_xyxy` in fractions of the picture.
    """

    picture: LabelledPicture
    behaviour: str
    box_xyxy: tuple[float, float, float, float]
    score: float

    @property
    def area(self) -> float:
        """Share of the picture."""
        x0, y0, x1, y1 = self.box_xyxy
        return (x1 - x0) * (y1 - y0)


def faults_of(
    picture: LabelledPicture, found: Sequence[Detection], *, labels: Sequence[str], thresholds: Mapping[str, float]
) -> tuple[list[Fault], list[Fault]]:
    """Return false alarms and misses of one picture, by VOC's rule at an overlap of 0.5 (see `evaluation.rank`).

    `labels`: the classes from 1 on, of which those with a threshold are judged. `found`: everything down to low scores,
    best first, so that a miss can tell how near it was.
    """
    alarms: list[Fault] = []
    misses: list[Fault] = []
    for class_id, label in ((class_id, label) for class_id, label in enumerate(labels, 1) if label in thresholds):
        rows = np.flatnonzero(picture.truth.class_ids == class_id)
        best_G = np.zeros(len(rows))
        for one in (one for one in found if one.behaviour == label):
            place = _truth_at(picture.truth, rows, one)
            passed = one.score >= thresholds[label]
            ignored = place is not None and bool(picture.truth.ignored[rows[place]])
            if passed and not ignored and (place is None or best_G[place] >= thresholds[label]):
                alarms.append(Fault(picture, label, one.box_xyxy, one.score))
            if place is not None:
                best_G[place] = max(best_G[place], one.score)
        for row, best in zip(rows, best_G, strict=True):
            if best < thresholds[label] and not picture.truth.ignored[row]:
                x0, y0, x1, y1 = picture.truth.boxes_xyxy[row].tolist()
                misses.append(Fault(picture, label, (x0, y0, x1, y1), float(best)))
    return alarms, misses


def worst_alarms(faults: Iterable[Fault], most: int) -> list[Fault]:
    """The surest of the false alarms, surest first."""
    return sorted(faults, key=lambda fault: -fault.score)[:most]


def worst_misses(faults: Iterable[Fault], most: int) -> list[Fault]:
    """The misses with the least score, of those the largest first."""
    return sorted(faults, key=lambda fault: (fault.score, -fault.area))[:most]


def tile(fault: Fault, image_bgr: Bytes) -> Bytes:
    """Return one tile of a contact sheet: the place in its surroundings, and what was said about it."""
    height, width = image_bgr.shape[:2]
    box = np.array(fault.box_xyxy) * (width, height, width, height)
    x0, y0, x1, y1 = _crop(box, (height, width))
    part = np.ascontiguousarray(image_bgr[y0:y1, x0:x1])
    scale = (TILE - GAP) / max(part.shape[:2])
    shown = cv2.resize(part, (max(round((x1 - x0) * scale), 1), max(round((y1 - y0) * scale), 1)))
    moved = ((box - (x0, y0, x0, y0)) * scale).astype(np.float32)[None]
    marked = draw_boxes(np.asarray(shown, np.uint8), moved, np.array([fault.score], np.float32), [fault.behaviour])
    canvas = np.zeros((TILE + CAPTION, TILE, 3), dtype=np.uint8)
    canvas[: marked.shape[0], : marked.shape[1]] = marked
    for line, text in enumerate((f"{fault.behaviour} {fault.score:.2f}", fault.picture.name)):
        cv2.putText(canvas, text, (3, TILE + 14 + 16 * line), _FONT, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return canvas


def contact_sheet(tiles: Sequence[Bytes], columns: int = 6) -> Bytes:
    """Lay tiles of one size side by side, the last row filled with black. Raises ValueError for none."""
    if not tiles:
        raise ValueError("tiles: there is none, expected at least one")
    columns = min(columns, len(tiles))
    filled = [*tiles, *[np.zeros_like(tiles[0])] * (-len(tiles) % columns)]
    return np.vstack([np.hstack(filled[start : start + columns]) for start in range(0, len(filled), columns)])


def _truth_at(truth: Truth, rows: NDArray[np.int64], one: Detection) -> int | None:
    """The place among `rows` of the truth that a detection overlaps most, if by enough."""
    if not len(rows):
        return None
    iou_G = iou_matrix(np.array([one.box_xyxy], np.float32), truth.boxes_xyxy[rows])[0]
    place = int(iou_G.argmax())
    return place if iou_G[place] >= LEAST_IOU else None


def _crop(box: NDArray[np.float64], size_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """A square around the box, moved into the picture and cut at its edges."""
    height, width = size_hw
    side = round(max((box[2] - box[0]) * _CONTEXT, (box[3] - box[1]) * _CONTEXT, _LEAST_CROP))
    x0 = min(max(round((box[0] + box[2] - side) / 2), 0), max(width - side, 0))
    y0 = min(max(round((box[1] + box[3] - side) / 2), 0), max(height - side, 0))
    return x0, y0, min(x0 + side, width), min(y0 + side, height)
