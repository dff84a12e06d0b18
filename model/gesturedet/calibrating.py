"""Judged validation pictures → what a net's scores mean (beginning of a card); see decision 0015.

N detections of one label, F features.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gesturedet.calibration import (
    CALIBRATED_FROM,
    Calibration,
    CalibrationError,
    ScoreCurve,
    expected_error,
    log_odds,
    share,
)
from gesturedet.evaluation import JudgedPicture, rank

Floats = NDArray[np.float64]

BENDS = tuple(round(0.1 + 0.05 * step, 2) for step in range(11))
"""Scores at which a curve may bend."""
LEAST_IOU = 0.5
_NEVER, _EVER = 1e-6, 1.0 - 1e-6
"""Scores are taken to lie between these, so that their log odds are finite."""
_MOST_STEPS = 100
_STILL = 1e-9


def fit_calibration(
    pictures: Sequence[JudgedPicture], labels: Sequence[str], published: Sequence[str], *, fitted_on: str
) -> Calibration:
    """Fit a curve for each published label to judged pictures with the net's own scores.

    `labels`: the classes in their order. A label whose better scores are not oftener right gets none.
    """
    curves = {}
    for class_id, label in enumerate(labels, start=1):
        ranking = rank(pictures, class_id, least_iou=LEAST_IOU)
        curve = fit_curve(ranking.scores, ranking.right) if label in published else None
        if curve is not None:
            curves[label] = curve
    error = error_of(pictures, labels, published, curves)
    return Calibration(curves=curves, fitted_on=fitted_on, error=error)


def fit_curve(scores_N: Floats, right_N: NDArray[np.bool_]) -> ScoreCurve | None:
    """Find the curve that makes what is right likeliest; None where no rising one does.

    A logistic regression for each of `BENDS`. Before anything is seen each score is taken to mean itself, give or take one
    in log odds: a few detections do not make a steep curve, and without any scores stay what they are.
    """
    at_N = log_odds(np.clip(scores_N, _NEVER, _EVER))
    fits = ((bend, *_regress(_features(at_N, bend), right_N, _unchanged(bend))) for bend in BENDS)
    rising = [(cost, bend, weights) for bend, weights, cost in fits if weights[:2].min() > 0.0]
    if not rising:
        return None
    _, bend, (below, above, level) = min(rising, key=lambda fit: fit[0])
    there = float(share(level).clip(_NEVER, _EVER))
    return ScoreCurve(bend=bend, there=round(there, 6), below=round(float(below), 6), above=round(float(above), 6))


def in_calibrated_scores(
    pictures: Sequence[JudgedPicture], labels: Sequence[str], curves: Mapping[str, ScoreCurve]
) -> list[JudgedPicture]:
    """Return judged pictures with what their scores mean."""
    return [replace(picture, scores=_calibrated(picture, labels, curves)) for picture in pictures]


def error_of(
    pictures: Sequence[JudgedPicture],
    labels: Sequence[str],
    published: Sequence[str],
    curves: Mapping[str, ScoreCurve],
) -> CalibrationError:
    """Return the calibration error of judged pictures with the net's own scores, without the curves and with them."""
    class_ids = [class_id for class_id, label in enumerate(labels, start=1) if label in published]
    after = in_calibrated_scores(pictures, labels, curves)
    return CalibrationError(before=_error(pictures, class_ids), after=_error(after, class_ids))


def _calibrated(picture: JudgedPicture, labels: Sequence[str], curves: Mapping[str, ScoreCurve]) -> NDArray[np.float32]:
    scores = picture.scores.copy()
    for class_id, label in enumerate(labels, start=1):
        if label in curves:
            of_label = picture.class_ids == class_id
            scores[of_label] = curves[label].calibrated(scores[of_label])
    return scores


def _error(pictures: Sequence[JudgedPicture], class_ids: Sequence[int]) -> float | None:
    rankings = [rank(pictures, class_id, least_iou=LEAST_IOU) for class_id in class_ids]
    scores, right = (np.concatenate([getattr(one, key) for one in rankings]) for key in ("scores", "right"))
    shown = scores >= CALIBRATED_FROM
    error = expected_error(scores[shown], right[shown])
    return None if math.isnan(error) else round(error, 4)


def _features(at_N: Floats, bend: float) -> Floats:
    """Log odds below the bend, above it, and one: what the curve's weights (slopes and level) are for."""
    from_bend_N = at_N - log_odds(bend)
    return np.stack((from_bend_N.clip(max=0.0), from_bend_N.clip(min=0.0), np.ones_like(at_N)), axis=1)


def _unchanged(bend: float) -> Floats:
    return np.array((1.0, 1.0, float(log_odds(bend))))


def _regress(features_NF: Floats, right_N: NDArray[np.bool_], expected_F: Floats) -> tuple[Floats, float]:
    """Logistic regression by Newton's steps, halved until they help; weights lie by 1 around the expected ones.

    Return the weights and their cost, minus the logarithm of their probability.
    """

    def cost(weights_F: Floats) -> float:
        at_N = features_NF @ weights_F
        return float(
            np.logaddexp(0.0, np.where(right_N, -at_N, at_N)).sum() + ((weights_F - expected_F) ** 2).sum() / 2
        )

    weights_F = expected_F
    for _ in range(_MOST_STEPS):
        said_N = share(features_NF @ weights_F)
        slope_F = features_NF.T @ (said_N - right_N) + weights_F - expected_F
        bowl_FF = (features_NF * (said_N * (1.0 - said_N))[:, None]).T @ features_NF + np.eye(len(expected_F))
        step_F = np.linalg.solve(bowl_FF, slope_F)
        while cost(weights_F - step_F) > cost(weights_F) and np.abs(step_F).max() > _STILL:
            step_F = step_F / 2
        weights_F = weights_F - step_F
        if np.abs(step_F).max() <= _STILL:
            break
    return weights_F, cost(weights_F)
