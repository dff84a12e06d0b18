"""How sure the figures of an exam are, by hand."""

import math

import numpy as np
import pytest
from benchmarks.exams.intervals import (
    calibration,
    loss_interval,
    mean_average_precision,
    poisson_interval,
    rounded,
    rounded_interval,
    share_interval,
)

from gesturedet.calibration import expected_error
from gesturedet.evaluation import Ranking, room_draws


def ranking(rows: list[tuple[float, bool, int]], truths: list[int]) -> Ranking:
    """Detections as (score, right, room), best first, and how many objects each room holds."""
    scores, right, rooms = zip(*rows, strict=True) if rows else ((), (), ())
    return Ranking(
        np.array(scores, np.float64), np.array(right, np.bool_), np.array(rooms, np.int64), np.array(truths, np.int64)
    )


NOTHING = ranking([], [])
FULL = ranking([(0.9, True, 0), (0.8, True, 1)], [1, 1])
HALF = ranking([(0.9, True, 0)], [1, 1])
EACH_ONCE_OR_ONE_TWICE = np.array([[1, 1], [2, 0], [0, 2]])


def test_nothing_has_no_interval_and_no_calibration() -> None:
    draws = room_draws(0, resamples=3)

    many, error, (low, high) = calibration([NOTHING], draws, least_score=0.1)

    assert many == 0
    assert all(map(math.isnan, (error, low, high, *share_interval([], [], draws), *loss_interval([], [], draws))))
    assert math.isnan(mean_average_precision([NOTHING]))
    assert (rounded(math.nan), rounded_interval((math.nan, math.nan))) == (None, None)


def test_calibration_by_hand_two_bins_of_two() -> None:
    scores, right = np.array([0.9, 0.2, 0.7, 0.4]), np.array([True, False, False, True])

    # (0.2, 0.4): 0.3 said, 0.5 right; (0.7, 0.9): 0.8 said, 0.5 right; the mean of 0.2 and 0.3
    assert expected_error(scores, right, bins=2) == pytest.approx(0.25)
    # one bin: 0.55 said, 0.5 right
    assert expected_error(scores, right, bins=1) == pytest.approx(0.05)


def test_a_bin_weighs_as_much_as_it_holds_and_fewer_detections_than_bins_have_a_bin_each() -> None:
    scores, right = np.array([0.1, 0.2, 0.6]), np.array([False, False, True])

    # (0.1, 0.2): gap 0.15, two of three; (0.6): gap 0.4, one of three
    assert expected_error(scores, right, bins=2) == pytest.approx((0.15 * 2 + 0.4) / 3)
    assert expected_error(scores, right, bins=15) == pytest.approx((0.1 + 0.2 + 0.4) / 3)


def test_calibration_pools_behaviours_from_a_score_on_and_resamples_rooms() -> None:
    first = ranking([(0.8, True, 0), (0.05, False, 0)], [1, 0])
    second = ranking([(0.6, False, 1)], [0, 1])

    many, error, (low, high) = calibration([first, second], EACH_ONCE_OR_ONE_TWICE, least_score=0.1, bins=1)

    assert (many, error) == (2, pytest.approx(0.2))  # 0.7 said, 0.5 right
    # 0.2, of the first room alone 0.2, of the second alone 0.6: between 2.5 and 97.5 % of the way
    assert (low, high) == (pytest.approx(0.2), pytest.approx(0.6 - 0.4 * 0.05))


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 3.6889), (1, 0.0253, 5.5716), (3, 0.6187, 8.7673), (10, 4.7954, 18.3904)]
)
def test_the_poisson_interval_is_garwoods(count: int, low: float, high: float) -> None:
    assert poisson_interval(count) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_a_count_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="count: -1 is negative, expected 0 or more"):
        poisson_interval(-1)


def test_the_loss_is_that_of_the_same_rooms_in_both() -> None:
    # all rooms lose 0.5; drawn apart, the first room loses nothing and the second everything
    assert mean_average_precision([FULL]) - mean_average_precision([HALF]) == 0.5
    assert loss_interval([FULL], [HALF], EACH_ONCE_OR_ONE_TWICE[:1]) == (0.5, 0.5)
    assert loss_interval([FULL], [HALF], EACH_ONCE_OR_ONE_TWICE[1:2]) == (0.0, 0.0)
    assert loss_interval([FULL], [HALF], EACH_ONCE_OR_ONE_TWICE[2:]) == (1.0, 1.0)
    assert loss_interval([HALF], [HALF], EACH_ONCE_OR_ONE_TWICE) == (0.0, 0.0)


def test_a_loss_between_other_pictures_is_refused() -> None:
    with pytest.raises(ValueError, match="expected those of the same pictures"):
        loss_interval([FULL], [ranking([(0.9, True, 0)], [2, 0])], EACH_ONCE_OR_ONE_TWICE)


def test_the_mean_is_over_the_classes_that_occur() -> None:
    assert mean_average_precision([FULL, HALF]) == 0.75
    assert mean_average_precision([FULL, ranking([(0.9, False, 0)], [0, 0])]) == 1.0


def test_a_share_is_of_sums_not_of_rooms() -> None:
    draws = np.array([[1, 1]])

    assert share_interval([1, 0], [1, 9], draws) == (0.1, 0.1)
    assert share_interval([3, 0], [4, 4], draws) == (0.375, 0.375)
    assert share_interval([1, 0], [1, 0], np.array([[1, 1], [0, 2]])) == (1.0, 1.0)  # the second draw holds nothing
