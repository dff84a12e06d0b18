"""What the net says → detections: NumPy only, shared by every runtime.

Legend: A default boxes, K classes (0 is background), N candidates: one default box taken for one behaviour.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gesturedet.boxes import decode
from gesturedet.calibration import NET_SCORES, ScoreCurve, calibrate, log_odds

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

MOST_CANDIDATES = 1000
"""The best so many go on to suppression, whose time grows with their square: a picture of noise costs no more."""

_SILENT = np.inf

_BLOCK = 128
"""Candidates suppressed at once: overlaps of more are mostly computed in vain, of fewer cost more calls than numbers."""

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
    curves: Mapping[str, ScoreCurve] = NET_SCORES,
) -> list[Detection]:
    """Return the detections of one picture, best first, at most `top_k`.

    `thresholds`: the behaviours in the order of their classes, each with the least score (above 0, at most 1) to report.
    Boxes of one behaviour that overlap a better one by more than `nms_iou` are dropped. Only candidates are decoded: the
    same detections as by softmax and decoding of everything, for less work. What is `unpublished` takes its share of the
    scores and is never a candidate. Scores, and thresholds with them, are calibrated for behaviours that have one of the
    `curves`, and the net's own for others. Raises ValueError for shapes that do not belong together and for thresholds out
    of range.
    """
    _check(logits_AK, offsets_A4, anchors_cxcywh_A4, thresholds)
    least = [_SILENT if name in unpublished else score for name, score in thresholds.items()]
    candidates = find_candidates(
        logits_AK, np.array(least, dtype=np.float32), [curves.get(name) for name in thresholds]
    )
    rows = candidates.rows
    boxes_xyxy_N4 = decode(offsets_A4[rows], anchors_cxcywh_A4[rows]).clip(0.0, 1.0)
    kept = suppress(boxes_xyxy_N4, candidates.classes, nms_iou, top_k)
    behaviours = tuple(thresholds)
    columns = (candidates.classes[kept], candidates.scores[kept], boxes_xyxy_N4[kept])
    return [
        Detection(behaviours[class_id - 1], score, (x0, y0, x1, y1))
        for class_id, score, (x0, y0, x1, y1) in zip(*(column.tolist() for column in columns), strict=True)
    ]


def find_candidates(logits_AK: Floats, thresholds_K: Floats, curves_K: Sequence[ScoreCurve | None] = ()) -> Candidates:
    """Find what reaches its behaviour's threshold after softmax and calibration, best first, at most `MOST_CANDIDATES`.

    An infinite threshold is never reached; without curves scores are the net's own.
    A net's score of t needs a logit above background's by log(t / (1 - t)) or more; that test is cheap and spares the
    softmax, and the calibration, of nearly all default boxes.
    """
    reachable_K = np.minimum(thresholds_K, 1.0)
    least_K = log_odds(reachable_K)  # infinite for a threshold of 1
    curved = {place: curve for place, curve in enumerate(curves_K) if curve is not None}
    for place, curve in curved.items():
        least_K[place] = curve.raw_log_odds(float(reachable_K[place]))
    least_K = (least_K - _ROUNDING).astype(np.float32)
    above_A = [logits_AK[:, k] - logits_AK[:, 0] >= least for k, least in enumerate(least_K, 1)]
    likely_A = np.flatnonzero(np.logical_or.reduce(above_A))  # class by class: ten times faster than along rows of four
    scores_NK = softmax(logits_AK[likely_A])[:, 1:]
    if curved:
        places = list(curved)
        scores_NK[:, places] = calibrate(scores_NK[:, places], tuple(curved.values()))
    row_N, class_N = np.nonzero(scores_NK >= thresholds_K)
    scores_N = scores_NK[row_N, class_N]
    best_N = np.argsort(-scores_N, kind="stable")[:MOST_CANDIDATES]
    return Candidates(likely_A[row_N][best_N], class_N[best_N] + 1, scores_N[best_N])


def softmax(logits_AK: Floats) -> Floats:
    """Turn logits into probabilities, row by row."""
    raised_AK = np.exp(logits_AK - logits_AK.max(axis=1, keepdims=True))
    result: Floats = raised_AK / raised_AK.sum(axis=1, keepdims=True)
    return result


def suppress(boxes_xyxy_N4: Floats, classes_N: Integers, nms_iou: float, top_k: int) -> Integers:
    """Return the places of the first `top_k` boxes that no better box of their class overlaps by more than `nms_iou`.

    Takes candidates best first, and returns them so. Boxes without area (wholly outside the picture) are dropped. A block
    of candidates at a time is held against the boxes kept before it and against itself: few large steps, and no work on
    candidates behind the last that is reported.
    """
    (real_M,) = np.nonzero((boxes_xyxy_N4[:, 2:] > boxes_xyxy_N4[:, :2]).all(axis=1))
    boxes = _Planes(boxes_xyxy_N4, classes_N, nms_iou)
    kept = real_M[:0]
    for start in range(0, len(real_M), _BLOCK):
        block = real_M[start : start + _BLOCK]
        if len(kept):
            block = block[~boxes.cover(kept, block).any(axis=0)]
        kept = np.concatenate((kept, block[_survivors(boxes.cover(block, block))]))
        if len(kept) >= top_k:
            break
    return kept[:top_k]


class _Planes:
    """Boxes as a plane for each of their numbers, and the test whether one overlaps another by too much.

    `share`: boxes overlap by an IoU of more than t if their intersection is more than t / (1 + t) of both areas together.
    """

    def __init__(self, boxes_xyxy_N4: Floats, classes_N: Integers, nms_iou: float) -> None:
        self._corners_4N = np.ascontiguousarray(boxes_xyxy_N4.T)
        x0, y0, x1, y1 = self._corners_4N
        self._share_N = (x1 - x0) * (y1 - y0) * np.float32(nms_iou / (1.0 + nms_iou))
        self._classes_N = classes_N.astype(np.uint8)

    def cover(self, better: Integers, worse: Integers) -> Mask:
        """Tell, for every pair, whether both are of one class and overlap by too much; shape (better, worse)."""
        x0, y0, x1, y1 = self._corners_4N[:, better, None]
        u0, v0, u1, v1 = self._corners_4N[:, None, worse]
        inter = np.minimum(x1, u1)
        inter -= np.maximum(x0, u0)
        np.maximum(inter, 0.0, out=inter)
        height = np.minimum(y1, v1)
        height -= np.maximum(y0, v0)
        inter *= np.maximum(height, 0.0, out=height)
        covers: Mask = inter > np.add.outer(self._share_N[better], self._share_N[worse])
        covers &= self._classes_N[better, None] == self._classes_N[None, worse]
        return covers


def _survivors(covers_MM: Mask) -> Mask:
    """Tell which of a block survive one another, best first: only a survivor drops those behind it that it covers."""
    alive_M = np.ones(len(covers_MM), dtype=np.bool_)
    covering = covers_MM.sum(axis=1) > 1  # every box covers itself
    for place in np.flatnonzero(covering).tolist():
        if alive_M[place]:
            alive_M[place + 1 :] &= ~covers_MM[place, place + 1 :]
    return alive_M


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
