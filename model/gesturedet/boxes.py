"""Box geometry as pure NumPy functions: used between truth and anchors, and between offsets and detections.

A, B: numbers of boxes. The order of a box's four numbers is in the name and nowhere else. All boxes of one call share
one unit, normally fractions of the picture.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
AnyFloats = NDArray[np.floating[Any]]

CENTRE_VARIANCE = 0.1
SIZE_VARIANCE = 0.2
_LARGEST_LOG_SCALE = 4.0
"""A box grows to at most e^4 = 55 times its anchor; larger offsets are noise and would overflow."""


def cxcywh_to_xyxy(boxes_cxcywh: AnyFloats) -> Floats:
    """Turn centre and size into corners, shape (..., 4)."""
    centre, half = boxes_cxcywh[..., :2], boxes_cxcywh[..., 2:] / 2
    return np.concatenate((centre - half, centre + half), axis=-1).astype(np.float32, copy=False)


def xyxy_to_cxcywh(boxes_xyxy: AnyFloats) -> Floats:
    """Turn corners into centre and size, shape (..., 4)."""
    low, high = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    return np.concatenate(((low + high) / 2, high - low), axis=-1).astype(np.float32, copy=False)


def area(boxes_xyxy: AnyFloats) -> Floats:
    """Return the areas, shape (...); a box turned inside out has none."""
    size = (boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]).clip(min=0.0)
    product: Floats = (size[..., 0] * size[..., 1]).astype(np.float32, copy=False)
    return product


def iou_matrix(boxes_xyxy_A4: AnyFloats, boxes_xyxy_B4: AnyFloats) -> Floats:
    """Return intersection over union of every pair, shape (A, B), 0..1; two boxes without area have 0."""
    low_AB2 = np.maximum(boxes_xyxy_A4[:, None, :2], boxes_xyxy_B4[None, :, :2])
    high_AB2 = np.minimum(boxes_xyxy_A4[:, None, 2:], boxes_xyxy_B4[None, :, 2:])
    size_AB2 = (high_AB2 - low_AB2).clip(min=0.0)
    inter_AB = size_AB2[..., 0] * size_AB2[..., 1]
    union_AB = area(boxes_xyxy_A4)[:, None] + area(boxes_xyxy_B4)[None, :] - inter_AB
    iou_AB = np.divide(inter_AB, union_AB, out=np.zeros_like(inter_AB), where=union_AB > 0)
    result: Floats = iou_AB.astype(np.float32, copy=False)
    return result


def encode(boxes_xyxy_A4: AnyFloats, anchors_cxcywh_A4: AnyFloats) -> Floats:
    """Return the offsets (A, 4) that the net has to say so that each anchor becomes its box (SSD, section 2.2).

    Centre: distance in anchor sizes / 0.1. Size: log of the ratio / 0.2. Raises ValueError for a box without area.
    """
    boxes_cxcywh_A4 = xyxy_to_cxcywh(boxes_xyxy_A4)
    if len(boxes_cxcywh_A4) and float(boxes_cxcywh_A4[:, 2:].min()) <= 0.0:
        worst = int(boxes_cxcywh_A4[:, 2:].min(axis=1).argmin())
        raise ValueError(
            f"boxes_xyxy: box {worst} {boxes_xyxy_A4[worst].tolist()} has no area, expected x0 < x1 and y0 < y1"
        )
    centre_A2 = (boxes_cxcywh_A4[:, :2] - anchors_cxcywh_A4[:, :2]) / anchors_cxcywh_A4[:, 2:] / CENTRE_VARIANCE
    size_A2 = np.log(boxes_cxcywh_A4[:, 2:] / anchors_cxcywh_A4[:, 2:]) / SIZE_VARIANCE
    return np.concatenate((centre_A2, size_A2), axis=1).astype(np.float32, copy=False)


def decode(offsets_A4: AnyFloats, anchors_cxcywh_A4: AnyFloats) -> Floats:
    """Return the boxes_xyxy (A, 4) that the offsets make of their anchors; undoes `encode`. Clips nothing."""
    centre_A2 = offsets_A4[:, :2] * CENTRE_VARIANCE * anchors_cxcywh_A4[:, 2:] + anchors_cxcywh_A4[:, :2]
    log_scale_A2 = (offsets_A4[:, 2:] * SIZE_VARIANCE).clip(max=_LARGEST_LOG_SCALE)
    return cxcywh_to_xyxy(np.concatenate((centre_A2, np.exp(log_scale_A2) * anchors_cxcywh_A4[:, 2:]), axis=1))
