import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gesturedet.calibrating import error_of, fit_calibration, fit_curve, in_calibrated_scores
from gesturedet.calibration import CalibrationError, ScoreCurve, expected_error, log_odds, share
from gesturedet.evaluation import JudgedPicture, average_precision, rank
from gesturedet.labels import BEHAVIOURS

STAYS = ScoreCurve(bend=0.5, there=0.5, below=1.0, above=1.0)
BENT = ScoreCurve(bend=0.25, there=0.4, below=4.0, above=0.9)
HERE, ELSEWHERE = (0.1, 0.1, 0.3, 0.3), (0.6, 0.6, 0.9, 0.9)
SLOPES = st.floats(0.05, 8.0)
INSIDE = st.floats(0.02, 0.98)
CURVES = st.builds(ScoreCurve, bend=INSIDE, there=INSIDE, below=SLOPES, above=SLOPES)


def picture(class_id: int, scores: list[float], right: list[bool]) -> JudgedPicture:
    """One object; detections lie on it or elsewhere. More than one on it may not be right."""
    boxes = [HERE if one else ELSEWHERE for one in right]
    return JudgedPicture(
        group="a room",
        truth_boxes_xyxy=np.array([HERE], np.float32),
        truth_class_ids=np.array([class_id], np.int64),
        truth_ignored=np.zeros(1, np.bool_),
        boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        class_ids=np.full(len(scores), class_id, np.int64),
        scores=np.array(scores, np.float32),
    )


def miscalibrated(class_id: int, curve: ScoreCurve, *, seed: int, count: int = 1500) -> list[JudgedPicture]:
    """Pictures with one detection each, whose score is right as often as `curve` says and not as the score says."""
    random = np.random.default_rng(seed)
    scores = share(random.normal(-0.5, 1.2, count))
    right = random.random(count) < curve.calibrated(scores)
    return [picture(class_id, [score], [hit]) for score, hit in zip(scores.tolist(), right.tolist(), strict=True)]


def precisions(pictures: list[JudgedPicture]) -> list[float]:
    return [average_precision(rank(pictures, class_id, least_iou=0.5)) for class_id in (1, 2, 3)]


def test_without_pictures_scores_mean_themselves_and_there_is_no_error() -> None:
    made = fit_calibration([], BEHAVIOURS, BEHAVIOURS, fitted_on="nothing")
    assert made.error == CalibrationError(before=None, after=None)
    scores = np.linspace(0.01, 0.99, 50)
    for label in BEHAVIOURS:
        np.testing.assert_allclose(made.curves[label].calibrated(scores), scores, atol=1e-5)


@pytest.mark.parametrize(("score", "means"), [(0.0, 0.0), (0.25, 0.4), (0.5, 1 / (1 + 1.5 / 3**0.9)), (1.0, 1.0)])
def test_a_curve_by_hand(score: float, means: float) -> None:
    assert float(BENT.calibrated(np.array(score))) == pytest.approx(means)


@settings(deadline=None)
@given(curve=CURVES, scores=st.lists(st.floats(0.001, 0.999), min_size=2, max_size=20))
def test_a_curve_keeps_the_order_and_has_a_way_back(curve: ScoreCurve, scores: list[float]) -> None:
    rising = np.unique(np.round(scores, 4))
    meant = curve.calibrated(rising)
    assert (np.diff(meant) >= 0).all()
    assert (meant >= 0).all()
    assert (meant <= 1).all()
    inner = (meant > 1e-9) & (meant < 1 - 1e-9)
    assert (np.diff(meant[inner]) > 0).all(), "no two change places, and none become equal"
    back = [curve.raw_log_odds(score) for score in meant[inner].tolist()]
    np.testing.assert_allclose(back, log_odds(rising[inner]), atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"below": 0.0}, "below: 0.0 is not a finite slope above 0"),
        ({"above": -1.5}, "above: -1.5 is not a finite slope above 0"),
        ({"above": math.nan}, "above: nan is not a finite slope above 0"),
        ({"below": math.inf}, "below: inf is not a finite slope above 0"),
        ({"bend": 1.0}, "bend: 1.0 is not a score between 0 and 1"),
        ({"there": 0.0}, "there: 0.0 is not a score between 0 and 1"),
    ],
)
def test_a_curve_that_does_not_rise_is_refused(wrong: dict[str, float], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        msgspec.structs.replace(STAYS, **wrong)


def test_a_miscalibrated_detector_becomes_calibrated_on_pictures_it_was_not_fitted_on() -> None:
    taught = [one for class_id in (1, 2, 3) for one in miscalibrated(class_id, BENT, seed=class_id)]
    unseen = [one for class_id in (1, 2, 3) for one in miscalibrated(class_id, BENT, seed=10 + class_id)]
    made = fit_calibration(taught, BEHAVIOURS, BEHAVIOURS, fitted_on="drawn")
    error = error_of(unseen, BEHAVIOURS, BEHAVIOURS, made.curves)
    assert error.before is not None
    assert error.before > 0.1
    assert error.after is not None
    assert error.after < 0.03
    assert made.error.after is not None
    assert made.error.after < 0.03
    assert precisions(in_calibrated_scores(unseen, BEHAVIOURS, made.curves)) == precisions(unseen)


def test_the_curve_that_made_the_hits_is_found_again() -> None:
    ranking = rank(miscalibrated(1, BENT, seed=0, count=5_000), 1, least_iou=0.5)
    found = fit_curve(ranking.scores, ranking.right)
    assert found is not None
    scores = np.array([0.1, 0.2, 0.3, 0.5, 0.8, 0.95])
    np.testing.assert_allclose(found.calibrated(scores), BENT.calibrated(scores), atol=0.03)


@pytest.mark.parametrize("right", [True, False])
def test_a_few_detections_that_are_all_alike_give_a_curve_that_still_rises(*, right: bool) -> None:
    curve = fit_curve(np.array([0.3, 0.6, 0.9]), np.full(3, right))
    assert curve is not None
    low, high = curve.calibrated(np.array([0.3, 0.9])).tolist()
    assert 0.0 < low < high < 1.0
    assert (low > 0.3) is right


def test_a_detector_that_is_oftener_right_the_less_sure_it_is_is_left_as_it_is() -> None:
    scores = np.linspace(0.01, 0.99, 400)
    assert fit_curve(scores, scores < 0.5) is None
    upside_down = [picture(1, [score], [score < 0.5]) for score in scores.tolist()]
    made = fit_calibration(upside_down, BEHAVIOURS, BEHAVIOURS, fitted_on="drawn")
    assert set(made.curves) == {"stand-up", "sleeping"}
    assert made.error.before == made.error.after


def test_what_is_unpublished_has_no_curve_and_no_part_in_the_error() -> None:
    hands, stands = miscalibrated(1, STAYS, seed=1), miscalibrated(2, BENT, seed=2)
    made = fit_calibration([*hands, *stands], BEHAVIOURS, ("hand-raising", "sleeping"), fitted_on="drawn")
    assert set(made.curves) == {"hand-raising", "sleeping"}
    assert made.error == error_of(hands, BEHAVIOURS, BEHAVIOURS, made.curves)
    assert made.error != error_of([*hands, *stands], BEHAVIOURS, BEHAVIOURS, made.curves)


def test_an_error_counts_only_what_somebody_may_be_shown() -> None:
    pictures = [picture(1, [0.5, 0.09], [True, False]) for _ in range(2)]
    (error,) = {error_of(pictures, BEHAVIOURS, BEHAVIOURS, {}).before}
    assert error == pytest.approx(0.5)
    assert expected_error(np.array([0.5, 0.09, 0.5, 0.09]), np.array([True, False] * 2), bins=1) == pytest.approx(0.205)
