"""What the net says → detections: NumPy and OpenCV only, shared by every runtime.

Legend: A default boxes, K classes (0 is background), N candidates: one default box taken for one behaviour.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from gesturedet.boxes import decode

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

MOST_CANDIDATES = 1000
"""The best so many go on to suppression, whose time grows with their square: a picture of noise costs no more."""

_SILENT = np.inf

_ROUNDING = 1e-3
"""The quick test on logits lets a little more through than the threshold; the exact test follows on the few left."""


class Detection(msgspec.Struct, frozen=True):
    """One behaviour seen at one place: score 0..1, box in fractions of the picture, 0..1."""

    behaviour: str
    score: float
    box_xyxy: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Candidates:
    """What may show a behaviour, best first; three arrays (N,): rows of the head outputs, classes and scores."""

    rows: Integers
    classes: Integers
    scores: Floats


def postprocess(
    logits_AK: Floats,
    offsets_A4: Floats,
    anchors_cxcywh_A4: Floats,
    *,
    thresholds: Mapping[str, float],
    nms_iou: float = 0.45,
    top_k: int = 200,
    unpublished: Collection[str] = (),
) -> list[Detection]:
    """Return the detections of one picture, best first, at most `top_k`.

    `thresholds`: the behaviours in the order of their classes, each with the least score (above 0, at most 1) to report.
    Boxes of one behaviour that overlap a better one by more than `nms_iou` are dropped. Only candidates are decoded: the
    same detections as by softmax and decoding of everything, for less work. What is `unpublished` takes its share of the
    scores and is never a candidate. Raises ValueError for shapes that do not
    belong together and for thresholds out of range.
    """
    _check(logits_AK, offsets_A4, anchors_cxcywh_A4, thresholds)
    least = [_SILENT if name in unpublished else score for name, score in thresholds.items()]
    candidates = find_candidates(logits_AK, np.array(least, dtype=np.float32))
    rows = candidates.rows
    boxes_xyxy_N4 = decode(offsets_A4[rows], anchors_cxcywh_A4[rows]).clip(0.0, 1.0)
    kept = suppress(boxes_xyxy_N4, candidates.scores, candidates.classes, nms_iou)[:top_k]
    behaviours = tuple(thresholds)
    return [
        Detection(behaviours[candidates.classes[i] - 1], float(candidates.scores[i]), _corners(boxes_xyxy_N4[i]))
        for i in kept
    ]


def find_candidates(logits_AK: Floats, thresholds_K: Floats) -> Candidates:
    """Find what reaches its behaviour's threshold after softmax, best first, at most `MOST_CANDIDATES`.

    An infinite threshold is never reached.
    A score of t needs a logit above background's by log(t / (1 - t)) or more; that test is cheap and spares the softmax of
    nearly all default boxes.
    """
    with np.errstate(divide="ignore"):
        reachable_K = np.minimum(thresholds_K, 1.0)
        least_K = np.log(reachable_K / (1.0 - reachable_K)) - _ROUNDING  # infinite for a threshold of 1
    above_A = [logits_AK[:, k] - logits_AK[:, 0] >= least for k, least in enumerate(least_K, 1)]
    likely_A = np.flatnonzero(np.logical_or.reduce(above_A))  # class by class: ten times faster than along rows of four
    scores_NK = softmax(logits_AK[likely_A])[:, 1:]
    row_N, class_N = np.nonzero(scores_NK >= thresholds_K)
    scores_N = scores_NK[row_N, class_N]
    best_N = np.argsort(-scores_N, kind="stable")[:MOST_CANDIDATES]
    return Candidates(likely_A[row_N][best_N], class_N[best_N] + 1, scores_N[best_N])


def softmax(logits_AK: Floats) -> Floats:
    """Turn logits into probabilities, row by row."""
    raised_AK = np.exp(logits_AK - logits_AK.max(axis=1, keepdims=True))
    result: Floats = raised_AK / raised_AK.sum(axis=1, keepdims=True)
    return result


def suppress(boxes_xyxy_N4: Floats, scores_N: Floats, classes_N: Integers, nms_iou: float) -> list[int]:
    """Return the places of the boxes that no better box of their class overlaps by more than `nms_iou`, best first.

    Takes candidates best first. Boxes without area (wholly outside the picture) are dropped.
    """
    sizes_N2 = boxes_xyxy_N4[:, 2:] - boxes_xyxy_N4[:, :2]
    (real_M,) = np.nonzero((sizes_N2 > 0.0).all(axis=1))
    if len(real_M) == 0:
        return []
    boxes_xywh_M4 = np.concatenate((boxes_xyxy_N4[real_M, :2], sizes_N2[real_M]), axis=1)
    # The score threshold is 0 because all candidates have passed theirs. OpenCV returns places in its own order of equal
    # scores, so they are sorted back: candidates are best first.
    kept = cv2.dnn.NMSBoxesBatched(
        boxes_xywh_M4.tolist(), scores_N[real_M].tolist(), classes_N[real_M].tolist(), 0.0, nms_iou
    )
    return [int(real_M[place]) for place in sorted(kept)]


def _corners(box_xyxy_4: Floats) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box_xyxy_4.tolist()
    return x0, y0, x1, y1


def _check(
    logits_AK: NDArray[Any], offsets_A4: NDArray[Any], anchors_A4: NDArray[Any], thresholds: Mapping[str, float]
) -> None:
    if logits_AK.ndim != 2 or logits_AK.shape[1] != len(thresholds) + 1:
        raise ValueError(
            f"logits_AK: shape {logits_AK.shape} is not (default boxes, {len(thresholds) + 1}): "
            f"background and {', '.join(thresholds) or 'no behaviour'}"
        )
    for key, values in (("offsets_A4", offsets_A4), ("anchors_cxcywh_A4", anchors_A4)):
        if values.shape != (len(logits_AK), 4):
            raise ValueError(
                f"{key}: shape {values.shape} is not ({len(logits_AK)}, 4), one row for each row of logits"
            )
    for behaviour, threshold in thresholds.items():
        if not 0.0 < threshold <= 1.0:
            raise ValueError(f"thresholds: {behaviour} = {threshold} is not a score above 0 and at most 1")
