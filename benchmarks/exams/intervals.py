"""Counts → how sure one can be of them: bootstraps over rooms or lessons, a Poisson bound, calibration.

N detections, R rooms, S draws of rooms (see `gesturedet.evaluation.room_draws`).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

from gesturedet.calibration import BINS, expected_error
from gesturedet.evaluation import Ranking, average_precisions, interval

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Interval = tuple[float, float]


def share_interval(parts_R: ArrayLike, wholes_R: ArrayLike, draws_SR: Integers) -> Interval:
    """Say between which values (95 %) the sum of parts over the sum of wholes lies; draws without a whole do not count."""
    wholes_S = (draws_SR @ np.asarray(wholes_R)).astype(np.float64)
    parts_S = (draws_SR @ np.asarray(parts_R)).astype(np.float64)
    return interval(np.divide(parts_S, wholes_S, out=np.full(len(draws_SR), np.nan), where=wholes_S > 0))


def mean_average_precisions(rankings: Sequence[Ranking], draws_SR: Integers) -> Floats:
    """Return mAP for each draw of rooms, the same draw for all classes; classes with nothing to find do not count."""
    values_CS = np.array([average_precisions(ranking, draws_SR) for ranking in rankings]).reshape(-1, len(draws_SR))
    known_S = (~np.isnan(values_CS)).sum(0)
    means_S = np.full(len(draws_SR), np.nan)
    np.divide(np.nansum(values_CS, 0), known_S, out=means_S, where=known_S > 0)
    return means_S


def mean_average_precision(rankings: Sequence[Ranking]) -> float:
    """Return mAP of all rooms; NaN with nothing to find."""
    rooms = len(rankings[0].truths_by_group) if rankings else 0
    return float(mean_average_precisions(rankings, np.ones((1, rooms), dtype=np.int64))[0])


def loss_interval(before: Sequence[Ranking], after: Sequence[Ranking], draws_SR: Integers) -> Interval:
    """Say between which values (95 %) the loss of mAP lies. Paired: both sat the same pictures, in the same order.

    Raises ValueError where they did not.
    """
    for one, other in zip(before, after, strict=True):
        if not np.array_equal(one.truths_by_group, other.truths_by_group):
            raise ValueError("rankings: their rooms do not hold the same objects, expected those of the same pictures")
    return interval(mean_average_precisions(before, draws_SR) - mean_average_precisions(after, draws_SR))


def calibration(
    rankings: Sequence[Ranking], draws_SR: Integers, *, least_score: float, bins: int = BINS
) -> tuple[int, float, Interval]:
    """Return how many detections from a score on there are, their calibration error, and its 95 % interval by room."""
    kept = [ranking.scores >= least_score for ranking in rankings]
    scores, right, groups = (
        np.concatenate([getattr(ranking, key)[mask] for ranking, mask in zip(rankings, kept, strict=True)] or [[]])
        for key in ("scores", "right", "groups")
    )
    groups = groups.astype(np.int64)
    errors = []
    for weights_R in draws_SR:
        again = np.repeat(np.arange(len(scores)), weights_R[groups])
        errors.append(expected_error(scores[again], right[again], bins=bins))
    return len(scores), expected_error(scores, right, bins=bins), interval(np.array(errors))


def poisson_interval(count: int, *, confidence: float = 0.95) -> Interval:
    """Return the exact (Garwood) interval for the mean of a Poisson count. Raises ValueError for a negative one."""
    if count < 0:
        raise ValueError(f"count: {count} is negative, expected 0 or more")
    tail = (1.0 - confidence) / 2
    low = float(chi2.ppf(tail, 2 * count)) / 2 if count else 0.0
    return low, float(chi2.ppf(1.0 - tail, 2 * (count + 1))) / 2


def rounded(value: float, digits: int = 4) -> float | None:
    """A figure as it is written down: None where there is none."""
    return None if math.isnan(value) else round(value, digits)


def rounded_interval(values: Interval, digits: int = 4) -> tuple[float, float] | None:
    """An interval as it is written down: None where there is none."""
    low, high = values
    return None if math.isnan(low) else (round(low, digits), round(high, digits))
