"""What a net's scores mean: how often detections of such a score are right. NumPy only: cards and post-processing read it.

N detections, K labels.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

CALIBRATED_FROM = 0.1
"""Calibration is judged on detections from this score on: below it lie tens of thousands that nobody is shown."""
BINS = 15


class ScoreCurve(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The net's scores of one label → calibrated scores: a line in log odds with one bend, always rising.

    A net's score of `bend` means `there`, both between 0 and 1; `below` and `above` are the slopes on either side. Because
    the curve rises, detections of one label keep their order.
    """

    bend: float
    there: float
    below: float
    above: float

    def __post_init__(self) -> None:
        for key in ("bend", "there"):
            if not 0.0 < getattr(self, key) < 1.0:
                raise ValueError(f"{key}: {getattr(self, key)} is not a score between 0 and 1")
        for key in ("below", "above"):
            if not 0.0 < getattr(self, key) < math.inf:
                raise ValueError(
                    f"{key}: {getattr(self, key)} is not a finite slope above 0: scores would change places"
                )

    def calibrated(self, scores_N: NDArray[Any]) -> NDArray[np.float64]:
        """Return what the net's scores (0 to 1) mean."""
        return calibrate(scores_N[..., None], (self,))[..., 0]

    def raw_log_odds(self, score: float) -> float:
        """Return the log odds of the net's score that means this: the way back."""
        from_there = _log_odds(score) - _log_odds(self.there)
        return _log_odds(self.bend) + from_there / (self.below if from_there < 0.0 else self.above)


class CalibrationError(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Expected calibration error of all published labels' detections: of the net's scores, and of the calibrated ones.

    Each from a score of `CALIBRATED_FROM` on, with right at an overlap of 0.5; None where there is no such detection.
    """

    before: float | None
    after: float | None


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a release's scores were made to mean something; a label without a curve has the net's own scores.

    `fitted_on` says on which pictures, and `error` is the error on the same ones.
    """

    curves: dict[str, ScoreCurve]
    fitted_on: str
    error: CalibrationError


NET_SCORES: Mapping[str, ScoreCurve] = {}
"""No curves: scores are the net's own."""


def calibrate(scores_NK: NDArray[Any], curves_K: Sequence[ScoreCurve]) -> NDArray[np.float64]:
    """Return what the net's scores (0 to 1) mean, each column by its curve: all at once, for the sake of time."""
    numbers_K4 = [(_log_odds(one.bend), _log_odds(one.there), one.below, one.above) for one in curves_K]
    bend_K, there_K, below_K, above_K = np.array(numbers_K4).T
    from_bend_NK = log_odds(scores_NK) - bend_K
    return share(there_K + from_bend_NK * np.where(from_bend_NK < 0.0, below_K, above_K))


def log_odds(scores_N: NDArray[Any] | float) -> NDArray[np.float64]:
    """Return log(s / (1 - s)), infinite at 0 and 1."""
    exact_N = np.asarray(scores_N, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(exact_N) - np.log1p(-exact_N))


def share(log_odds_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the scores of log odds, 0 to 1: the way back from `log_odds`."""
    with np.errstate(over="ignore"):
        return np.asarray(1.0 / (1.0 + np.exp(-log_odds_N)))


def _log_odds(score: float) -> float:
    """Return the same of one score above 0."""
    return math.log(score / (1.0 - score)) if score < 1.0 else math.inf


def expected_error(scores_N: NDArray[Any], right_N: NDArray[np.bool_], *, bins: int = BINS) -> float:
    """Return the expected calibration error: the mean gap between score and share of right ones, bin by bin.

    Bins hold equally many detections, in the order of their scores, and weigh as much as they hold. NaN without detections.
    """
    if not len(scores_N):
        return math.nan
    order = np.argsort(scores_N, kind="stable")
    parts = (part for part in np.array_split(order, bins) if len(part))
    return float(sum(abs(scores_N[part].sum() - right_N[part].sum()) for part in parts) / len(order))
