"""Labels: from ids of visible pixels to boxes, by the rules that all drawn pictures of this project share.

hand-raising: all visible pixels of the upper body with the raised arm (head, trunk, arms), if at least 40 % of the
              raised hand shows. stand-up: all visible pixels of the pupil. sleeping: those of head, arms and trunk.
Dropped: less than 22 % of those parts visible (hidden or outside), or a longer side under 16 pixels. A box leaves out
the outermost 0.1 % of its pixels on each side.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from benchmarks.exams.shift.bodies import HAND_LEFT, HAND_RIGHT, HEAD, LEGS, UPPER
from benchmarks.exams.shift.posture import STAND_UP, Pose

LEAST_VISIBLE, LEAST_HAND, LEAST_PIXELS = 0.22, 0.4, 16
PARTS = 8  # an id is person * PARTS + part; persons count from 1
_CANVAS = 220

Mask = npt.NDArray[np.bool_]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Label:
    """A box in pixels, right and bottom exclusive; `visible` is the share of the labelled parts that shows."""

    behaviour: str
    person: int
    box_xyxy: Box
    visible: float


@dataclass(frozen=True)
class Piece:
    """One mesh of a person as the camera would see it alone: corners (N, 3: x, y, depth), triangles, its part."""

    part: int
    corners: npt.NDArray[np.float64]
    faces: npt.NDArray[np.int32]


def labelled_parts(behaviour: str) -> tuple[int, ...]:
    """Parts of the body that a behaviour's box encloses."""
    upper = (HEAD, UPPER, HAND_LEFT, HAND_RIGHT)
    return (*upper, LEGS) if behaviour == STAND_UP else upper


def visible_box(mask: Mask) -> Box:
    """Box of a mask's true pixels, half-open, trimmed by 0.1 % a side; raises ValueError for an empty mask."""
    if not mask.any():
        raise ValueError("mask: expected at least one visible pixel, found none")
    x0, x1 = _span(mask.sum(0))
    y0, y1 = _span(mask.sum(1))
    return x0, y0, x1, y1


def _span(counts: npt.NDArray[np.int64]) -> tuple[int, int]:
    total, so_far = int(counts.sum()), np.cumsum(counts)
    spare = total // 1000
    return int(np.argmax(so_far > spare)), int(np.argmax(so_far >= total - spare)) + 1


def silhouette(pieces: Sequence[Piece]) -> float:
    """Square pixels that pieces would cover if nothing hid them and the picture had no end.

    Infinite where a piece is partly behind the camera.
    """
    corners = [piece.corners for piece in pieces]
    if not corners:
        return 0.0
    every = np.concatenate(corners)
    if every[:, 2].min() < 0.05:
        return float("inf")
    low, size = every[:, :2].min(0), np.ptp(every[:, :2], axis=0)
    scale = _CANVAS / max(float(size.max()), 1e-6)
    canvas = np.zeros((_CANVAS + 3, _CANVAS + 3), np.uint8)
    for piece in pieces:
        flat = np.rint((piece.corners[:, :2] - low) * scale * 16 + 16).astype(np.int32)
        for triangle in flat[piece.faces]:
            cv2.fillConvexPoly(canvas, triangle, 1, shift=4)
    return float(canvas.sum()) / scale**2


def label(ids: npt.NDArray[np.int32], person: int, pose: Pose, pieces: Sequence[Piece]) -> Label | None:
    """Box one pupil's behaviour, or none: no behaviour, hidden, or too small."""
    if pose.behaviour is None:
        return None
    parts = labelled_parts(pose.behaviour)
    mask = np.isin(ids, [person * PARTS + part for part in parts])
    if not mask.any():
        return None
    share, box = _share(mask, pieces, parts), visible_box(mask)
    if share < LEAST_VISIBLE or max(box[2] - box[0], box[3] - box[1]) < LEAST_PIXELS:
        return None
    if pose.raised is not None:
        hand = HAND_LEFT if pose.raised == "L" else HAND_RIGHT
        if _share(ids == person * PARTS + hand, pieces, (hand,)) < LEAST_HAND:
            return None
    return Label(pose.behaviour, person, box, round(min(share, 1.0), 2))


def _share(mask: Mask, pieces: Sequence[Piece], parts: tuple[int, ...]) -> float:
    area = silhouette([piece for piece in pieces if piece.part in parts])
    return float(mask.sum()) / max(area, 1.0)
