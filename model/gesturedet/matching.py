"""Ground truth → anchors: which default box learns what (training leg, between data and loss).

G boxes of one picture, A anchors. All boxes are fractions of the picture.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gesturedet.boxes import cxcywh_to_xyxy, encode, iou_matrix

BACKGROUND = 0
IGNORED = -1

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Targets:
    """What every anchor of one picture shall say.

    `labels` (A,) holds 0 for background, 1.. for a behaviour and -1 for anchors that the loss leaves out;
    `offsets` (A, 4) is meaningful only where a label is above 0.
    """

    labels: Integers
    offsets: Floats


class Matcher:
    """Matches the truths of one picture after another to the same anchors (SSD, section 2.2)."""

    def __init__(self, anchors_cxcywh: Floats, *, least_iou: float = 0.5, background_iou: float | None = None) -> None:
        background_iou = least_iou if background_iou is None else background_iou
        if not 0.0 < least_iou <= 1.0:
            raise ValueError(f"least_iou: {least_iou} is not an overlap above 0 and at most 1")
        if not 0.0 < background_iou <= least_iou:
            raise ValueError(f"background_iou: {background_iou} is not above 0 and at most least_iou, {least_iou}")
        self._anchors_cxcywh = anchors_cxcywh
        self._anchors_xyxy = cxcywh_to_xyxy(anchors_cxcywh)
        self._least_iou = least_iou
        self._background_iou = background_iou

    def __call__(self, boxes_xyxy: Floats, class_ids: Integers, ignored: NDArray[np.bool_] | None = None) -> Targets:
        """Give every anchor its truth: the one it overlaps most by at least `least_iou`.

        Each truth also owns the anchor that fits it best, however poor the fit, so that no truth is lost; two truths
        never share that anchor. An anchor that would fall to an ignored truth is labelled -1, and so is one that overlaps a
        truth by `background_iou` or more and was not taken: it looks so much like it that it would use up the hard negatives.
        Raises ValueError for arrays that do not belong together and for class ids below 1.
        """
        _check(boxes_xyxy, class_ids, ignored)
        count = len(self._anchors_cxcywh)
        labels_A = np.zeros(count, dtype=np.int64)
        offsets_A4 = np.zeros((count, 4), dtype=np.float32)
        if len(boxes_xyxy) == 0:
            return Targets(labels_A, offsets_A4)
        iou_GA = iou_matrix(boxes_xyxy, self._anchors_xyxy)
        truth_A, overlap_A = iou_GA.argmax(axis=0), iou_GA.max(axis=0)
        taken_A = overlap_A >= self._least_iou
        labels_A[overlap_A >= self._background_iou] = IGNORED
        for truth, anchor in _own_anchors(iou_GA):
            truth_A[anchor], taken_A[anchor] = truth, True
        labels_G = class_ids if ignored is None else np.where(ignored, IGNORED, class_ids)
        labels_A[taken_A] = labels_G[truth_A[taken_A]]
        positive_A = labels_A > BACKGROUND
        offsets_A4[positive_A] = encode(boxes_xyxy[truth_A[positive_A]], self._anchors_cxcywh[positive_A])
        return Targets(labels_A, offsets_A4)


def _own_anchors(iou_GA: NDArray[np.floating[Any]]) -> list[tuple[int, int]]:
    """Pair each truth with one anchor of its own, the best fitting pair first (bipartite, greedy as in SSD)."""
    left_GA = iou_GA.copy()
    pairs = []
    for _ in range(min(left_GA.shape)):
        truth, anchor = divmod(int(left_GA.argmax()), left_GA.shape[1])
        pairs.append((truth, anchor))
        left_GA[truth, :] = -1.0
        left_GA[:, anchor] = -1.0
    return pairs


def _check(boxes_xyxy: Floats, class_ids: Integers, ignored: NDArray[np.bool_] | None) -> None:
    if boxes_xyxy.ndim != 2 or boxes_xyxy.shape[1] != 4:
        raise ValueError(f"boxes_xyxy: shape {boxes_xyxy.shape} is not (truths, 4)")
    if class_ids.shape != (len(boxes_xyxy),):
        raise ValueError(f"class_ids: shape {class_ids.shape} is not ({len(boxes_xyxy)},), one id for each box")
    if ignored is not None and ignored.shape != class_ids.shape:
        raise ValueError(f"ignored: shape {ignored.shape} is not {class_ids.shape}, one flag for each box")
    if len(class_ids) and int(class_ids.min()) <= BACKGROUND:
        raise ValueError(f"class_ids: {int(class_ids.min())} is not a behaviour, expected 1 or above")
