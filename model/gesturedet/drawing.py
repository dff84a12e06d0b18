"""Detections → a picture that people look at: a box, a name and a score for each."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from gesturedet.labels import BEHAVIOURS

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Colour = tuple[int, int, int]

COLOURS_BGR: tuple[Colour, ...] = (
    (209, 102, 31),
    (12, 87, 194),
    (191, 63, 122),
    (110, 118, 15),
    (91, 28, 162),
    (15, 112, 85),
)
"""One for each behaviour in the order of `labels.BEHAVIOURS`, then for names that are no behaviour; white reads on all."""

_WHITE = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SIDE_OF_SCALE_1 = 900.0
"""Letters and lines grow with the picture's shorter side; at so many pixels OpenCV's font has its own size."""


def draw_boxes(image_HWC_bgr: Bytes, boxes_xyxy: Floats, scores: Floats, labels: Sequence[str]) -> Bytes:
    """Return a copy of the picture with boxes (pixels) drawn on it, the surest last and so on top.

    Boxes may reach out of the picture; captions are kept inside as far as they fit.
    """
    drawn = image_HWC_bgr.copy()
    scale = max(min(drawn.shape[:2]) / _SIDE_OF_SCALE_1, 0.4)
    for place in np.argsort(scores, kind="stable"):
        colour = colour_of(labels[place])
        x0, y0, x1, y1 = (round(float(side)) for side in boxes_xyxy[place])
        cv2.rectangle(drawn, (x0, y0), (x1, y1), colour, max(round(3 * scale), 1), cv2.LINE_AA)
        _caption(drawn, f"{labels[place]} {scores[place]:.2f}", (x0, y0), colour, scale)
    return drawn


def colour_of(label: str) -> Colour:
    """Return the colour (blue, green, red) of a label; the same name always has the same one."""
    if label in BEHAVIOURS:
        return COLOURS_BGR[BEHAVIOURS.index(label) % len(COLOURS_BGR)]
    others = COLOURS_BGR[len(BEHAVIOURS) :] or COLOURS_BGR
    return others[sum(label.encode()) % len(others)]


def _caption(drawn: Bytes, text: str, corner_xy: tuple[int, int], colour: Colour, scale: float) -> None:
    """Write on a bar of the colour: above the corner, or below it at the picture's upper edge."""
    thick = max(round(scale), 1)
    (width, height), below = cv2.getTextSize(text, _FONT, 0.7 * scale, thick)
    left = max(min(corner_xy[0], drawn.shape[1] - width), 0)
    bottom = max(corner_xy[1], height + 2 * below)
    cv2.rectangle(drawn, (left, bottom - height - 2 * below), (left + width, bottom), colour, cv2.FILLED)
    cv2.putText(drawn, text, (left, bottom - below), _FONT, 0.7 * scale, _WHITE, thick, cv2.LINE_AA)
