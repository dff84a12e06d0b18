"""Detections and truth → how good a net is: average precision, precision and recall (last leg of training).

G truths and D detections of one picture, N detections of one class over all pictures. Overlap does not depend on the
unit of the boxes, so all boxes are fractions of the picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gesturedet.boxes import iou_matrix

Floats = NDArray[np.float64]

ALIKE = 0.005
"""Two values of F1 that are nearer than this are the same."""


@dataclass(frozen=True, slots=True)
class JudgedPicture:
    """Truth and detections of one picture. `group` names the room: pictures of one room are resampled together."""

    group: str
    truth_boxes_xyxy: NDArray[np.float32]
    truth_class_ids: NDArray[np.int64]
    truth_ignored: NDArray[np.bool_]
    boxes_xyxy: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    scores: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ranking:
    """All detections of one class, best score first, each right or wrong.

    `groups` and `truths_by_group` are indices and counts by room; detections of ignored truths are not in it.
    """

    scores: Floats
    right: NDArray[np.bool_]
    groups: NDArray[np.int64]
    truths_by_group: NDArray[np.int64]

    @property
    def truths(self) -> int:
        """How many objects there were to find."""
        return int(self.truths_by_group.sum())


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What one threshold gives. `f1` and the others are 0 where they would divide by nothing."""

    threshold: float
    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float:
        """Right among all found."""
        return self.right / max(self.right + self.wrong, 1)

    @property
    def recall(self) -> float:
        """Found among all there were."""
        return self.right / max(self.right + self.missed, 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.right / max(2 * self.right + self.wrong + self.missed, 1)


def rank(pictures: Sequence[JudgedPicture], class_id: int, *, least_iou: float) -> Ranking:
    """Judge every detection of a class by VOC's rule.

    Best score first, a detection belongs to the truth that it overlaps most. It is right if the overlap reaches
    `least_iou` and no better detection has taken that truth; if the truth is ignored, the detection does not count.
    """
    if not 0.0 < least_iou <= 1.0:
        raise ValueError(f"least_iou: {least_iou} is not an overlap above 0 and at most 1")
    names = {name: index for index, name in enumerate(dict.fromkeys(picture.group for picture in pictures))}
    truths = np.zeros(len(names), dtype=np.int64)
    rows: list[tuple[float, bool, int]] = []
    for picture in pictures:
        group = names[picture.group]
        wanted = picture.truth_class_ids == class_id
        truths[group] += int((wanted & ~picture.truth_ignored).sum())
        rows.extend((score, right, group) for score, right in _judge(picture, class_id, least_iou))
    rows.sort(key=lambda row: -row[0])
    return Ranking(
        np.array([row[0] for row in rows], dtype=np.float64),
        np.array([row[1] for row in rows], dtype=np.bool_),
        np.array([row[2] for row in rows], dtype=np.int64),
        truths,
    )


def average_precision(ranking: Ranking) -> float:
    """Area under the precision-recall curve, precision made falling (VOC 2010 on). NaN if there was nothing to find."""
    return _weighted_average_precision(ranking, np.ones(len(ranking.truths_by_group)))


def eleven_point_precision(ranking: Ranking) -> float:
    """Mean, over recalls of 0, 0.1 to 1, of the best precision at that recall or more (VOC 2007). NaN with nothing to find.

    Recall is compared in whole numbers: as floats 3 of 10 would not reach 0.3.
    """
    if ranking.truths == 0:
        return float("nan")
    right_N = ranking.right.cumsum()
    precision_N = right_N / np.arange(1, len(right_N) + 1)
    reached = (precision_N[10 * right_N >= tenths * ranking.truths] for tenths in range(11))
    return float(np.mean([found.max(initial=0.0) for found in reached]))


def average_precision_interval(
    ranking: Ranking, *, resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Say between which values the average precision lies, by a bootstrap over rooms.

    Rooms, not detections, are drawn with replacement, because pictures of one room resemble each other.
    (NaN, NaN) if there was nothing to find.
    """
    draws = room_draws(len(ranking.truths_by_group), resamples=resamples, seed=seed)
    return interval(average_precisions(ranking, draws), confidence=confidence)


def room_draws(rooms: int, *, resamples: int = 1000, seed: int = 0) -> NDArray[np.int64]:
    """Draw as many rooms as there are, with replacement: how often each of them comes, (resamples, rooms)."""
    if rooms == 0:
        return np.zeros((resamples, 0), dtype=np.int64)
    return np.random.default_rng(seed).multinomial(rooms, np.full(rooms, 1.0 / rooms), size=resamples)


def average_precisions(ranking: Ranking, draws: NDArray[np.int64]) -> Floats:
    """Return the average precision of each draw of rooms (see `room_draws`); NaN for one with nothing to find."""
    return np.array([_weighted_average_precision(ranking, weights.astype(np.float64)) for weights in draws])


def interval(values: Floats, *, confidence: float = 0.95) -> tuple[float, float]:
    """Say between which values the middle `confidence` of resampled ones lie, those without a value aside.

    (NaN, NaN) if none has one.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return (float("nan"), float("nan"))
    tail = (1.0 - confidence) / 2
    low, high = np.quantile(known, (tail, 1.0 - tail))
    return float(low), float(high)


def operating_point(ranking: Ranking, threshold: float) -> OperatingPoint:
    """Count what a threshold lets through (scores at or above it)."""
    passed = ranking.scores >= threshold
    right = int((ranking.right & passed).sum())
    return OperatingPoint(threshold, right, int(passed.sum()) - right, ranking.truths - right)


def best_threshold(ranking: Ranking, *, least: float = 0.05) -> OperatingPoint:
    """Find the highest threshold of at least `least` whose F1 is as good as the best, within `ALIKE`; 1 where nothing is right.

    F1 is often flat: a lone low score that is best by a hair lets through many false detections for nothing.
    """
    if not ranking.right.any():
        return operating_point(ranking, 1.0)
    right_N = ranking.right.cumsum()
    f1_N = 2 * right_N / (np.arange(1, len(right_N) + 1) + max(ranking.truths, 1))
    last_of_equals = np.append(ranking.scores[1:] != ranking.scores[:-1], np.array([True]))
    f1_N = np.where(last_of_equals & (ranking.scores >= least), f1_N, -1.0)
    best = int((f1_N >= f1_N.max() - ALIKE).argmax())
    return operating_point(ranking, max(float(ranking.scores[best]), least))


def _judge(picture: JudgedPicture, class_id: int, least_iou: float) -> list[tuple[float, bool]]:
    """Pair each detection's score with whether it is right, leaving out those that do not count."""
    wanted_G = picture.truth_class_ids == class_id
    ignored_G = picture.truth_ignored[wanted_G]
    found_D = picture.class_ids == class_id
    scores_D = picture.scores[found_D]
    iou_DG = iou_matrix(picture.boxes_xyxy[found_D], picture.truth_boxes_xyxy[wanted_G])
    taken_G = np.zeros(len(ignored_G), dtype=np.bool_)
    rows = []
    for detection in np.argsort(-scores_D, kind="stable"):
        truth = int(iou_DG[detection].argmax()) if len(taken_G) else 0
        hit = len(taken_G) > 0 and bool(iou_DG[detection, truth] >= least_iou)
        if hit and ignored_G[truth]:
            continue
        rows.append((float(scores_D[detection]), hit and not taken_G[truth]))
        if hit:
            taken_G[truth] = True
    return rows


def _weighted_average_precision(ranking: Ranking, weights_by_group: Floats) -> float:
    """Average precision with each room counted as often as its weight says."""
    truths = float((ranking.truths_by_group * weights_by_group).sum())
    if truths <= 0.0:
        return float("nan")
    weights_N = weights_by_group[ranking.groups]
    right_N = (weights_N * ranking.right).cumsum()
    found_N = weights_N.cumsum()
    precision_N = np.divide(right_N, found_N, out=np.zeros_like(right_N), where=found_N > 0)
    falling_N = np.maximum.accumulate(precision_N[::-1])[::-1]
    steps_N = np.diff(right_N / truths, prepend=0.0)
    return float((falling_N * steps_N).sum())
