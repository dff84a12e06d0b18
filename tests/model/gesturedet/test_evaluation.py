import math
from collections.abc import Sequence

import numpy as np
import pytest

from gesturedet.evaluation import (
    JudgedPicture,
    Ranking,
    average_precision,
    average_precision_interval,
    best_threshold,
    eleven_point_precision,
    operating_point,
    rank,
)

Box = tuple[float, float, float, float]
LEFT: Box = (0.0, 0.0, 0.2, 0.2)
MIDDLE: Box = (0.4, 0.4, 0.6, 0.6)
RIGHT: Box = (0.8, 0.8, 1.0, 1.0)
HALF_OF_LEFT: Box = (0.0, 0.0, 0.2, 0.1)  # IoU with LEFT is exactly one half


def picture(
    truths: Sequence[Box], found: Sequence[tuple[Box, float]], *, ignored: Sequence[int] = (), group: str = "room"
) -> JudgedPicture:
    return JudgedPicture(
        group=group,
        truth_boxes_xyxy=np.array(truths, dtype=np.float32).reshape(-1, 4),
        truth_class_ids=np.ones(len(truths), dtype=np.int64),
        truth_ignored=np.array([index in ignored for index in range(len(truths))], dtype=np.bool_),
        boxes_xyxy=np.array([box for box, _ in found], dtype=np.float32).reshape(-1, 4),
        class_ids=np.ones(len(found), dtype=np.int64),
        scores=np.array([score for _, score in found], dtype=np.float32),
    )


def precision_of(*pictures: JudgedPicture, least_iou: float = 0.5) -> float:
    return average_precision(rank(pictures, 1, least_iou=least_iou))


def test_no_pictures_have_no_average_precision() -> None:
    assert math.isnan(precision_of())


def test_nothing_to_find_has_no_average_precision_however_much_is_found() -> None:
    assert math.isnan(precision_of(picture([], [(LEFT, 0.9)])))


def test_nothing_found_is_zero() -> None:
    assert precision_of(picture([LEFT], [])) == 0.0


def test_one_match_is_one() -> None:
    assert precision_of(picture([LEFT], [(LEFT, 0.3)])) == 1.0


def test_the_least_overlap_counts_as_found() -> None:
    half = picture([LEFT], [(HALF_OF_LEFT, 0.9)])

    assert precision_of(half, least_iou=0.499) == 1.0
    assert precision_of(half, least_iou=0.501) == 0.0


def test_a_second_detection_of_the_same_truth_is_wrong() -> None:
    # right, wrong, right over 2 truths: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1: 1/2 · 1 + 1/2 · 2/3.
    pictures = picture([LEFT, RIGHT], [(LEFT, 0.9), (LEFT, 0.8), (RIGHT, 0.7)])

    assert precision_of(pictures) == pytest.approx(5 / 6)


def test_two_pictures_by_hand() -> None:
    # All detections by score: 0.9 right, 0.8 wrong, 0.7 right, 0.6 wrong, 0.5 right; 4 truths.
    # precision 1, 1/2, 2/3, 1/2, 3/5 at recall 1/4, 1/4, 1/2, 1/2, 3/4; made falling: 1, 2/3, 2/3, 3/5, 3/5.
    one = picture([LEFT, MIDDLE], [(LEFT, 0.9), (RIGHT, 0.8), (MIDDLE, 0.5)])
    two = picture([LEFT, RIGHT], [(LEFT, 0.7), (MIDDLE, 0.6)])

    assert precision_of(one, two) == pytest.approx(0.25 * (1 + 2 / 3 + 3 / 5))


def test_precision_never_rises_towards_lower_recall() -> None:
    # wrong, right, right over 2 truths: precision 0, 1/2, 2/3, made falling: 2/3 everywhere.
    assert precision_of(picture([LEFT, RIGHT], [(MIDDLE, 0.9), (LEFT, 0.8), (RIGHT, 0.7)])) == pytest.approx(2 / 3)


def test_eleven_points_of_nothing_to_find_and_of_nothing_found() -> None:
    assert math.isnan(eleven_point_precision(rank([], 1, least_iou=0.5)))
    assert eleven_point_precision(rank([picture([LEFT], [])], 1, least_iou=0.5)) == 0.0


def ranked(right: Sequence[bool], truths: int) -> Ranking:
    """Detections in this order, best first."""
    scores = np.linspace(0.9, 0.1, len(right))
    return Ranking(scores, np.array(right), np.zeros(len(right), dtype=np.int64), np.array([truths]))


def test_eleven_points_and_the_area_by_hand() -> None:
    # Recall 1/4, 1/4, 2/4, 3/4, 3/4 at precision 1, 1/2, 2/3, 3/4, 3/5. At recalls of 0, 0.1 and 0.2 the best precision is
    # 1, from 0.3 to 0.7 it is 3/4, beyond nothing is found: (3 + 5 * 3/4) / 11. Area: 1/4 + 1/4 * 3/4 + 1/4 * 3/4.
    ranking = ranked([True, False, True, True, False], 4)

    assert eleven_point_precision(ranking) == pytest.approx(6.75 / 11)
    assert average_precision(ranking) == pytest.approx(0.625)


def test_a_recall_of_exactly_three_tenths_reaches_the_fourth_point() -> None:
    assert eleven_point_precision(ranked([True] * 3, 10)) == pytest.approx(4 / 11)
    assert eleven_point_precision(ranked([True] * 10, 10)) == 1.0


def test_the_order_of_pictures_and_detections_does_not_matter() -> None:
    one = picture([LEFT, MIDDLE], [(MIDDLE, 0.5), (RIGHT, 0.8), (LEFT, 0.9)])
    two = picture([LEFT, RIGHT], [(MIDDLE, 0.6), (LEFT, 0.7)])

    assert precision_of(two, one) == pytest.approx(0.25 * (1 + 2 / 3 + 3 / 5))


def test_ignored_truths_are_neither_missed_nor_found() -> None:
    # The detection of the ignored truth is left out; without that rule it would be wrong and halve the precision.
    pictures = picture([LEFT, RIGHT], [(LEFT, 0.9), (RIGHT, 0.8)], ignored=[0])

    ranking = rank([pictures], 1, least_iou=0.5)

    assert ranking.truths == 1
    assert ranking.right.tolist() == [True]
    assert average_precision(ranking) == 1.0


def test_other_classes_do_not_count() -> None:
    ranking = rank([picture([LEFT], [(LEFT, 0.9)])], 2, least_iou=0.5)

    assert (ranking.truths, len(ranking.scores)) == (0, 0)


def test_a_threshold_counts_right_wrong_and_missed() -> None:
    ranking = rank([picture([LEFT, MIDDLE, RIGHT], [(LEFT, 0.9), (LEFT, 0.6), (RIGHT, 0.4)])], 1, least_iou=0.5)

    point = operating_point(ranking, 0.6)

    assert (point.right, point.wrong, point.missed) == (1, 1, 2)
    assert [point.precision, point.recall, point.f1] == pytest.approx([1 / 2, 1 / 3, 2 / 5])


def test_a_threshold_on_nothing_is_all_zero() -> None:
    point = operating_point(rank([], 1, least_iou=0.5), 0.5)

    assert (point.precision, point.recall, point.f1) == (0.0, 0.0, 0.0)


def test_the_best_threshold_has_the_best_f1() -> None:
    # F1 down the list of 2 truths: 2/3, 2/4, 4/5, 4/6.
    found = [(LEFT, 0.9), (MIDDLE, 0.8), (RIGHT, 0.7), (MIDDLE, 0.6)]

    point = best_threshold(rank([picture([LEFT, RIGHT], found)], 1, least_iou=0.5))

    assert point.threshold == pytest.approx(0.7)
    assert point.f1 == pytest.approx(0.8)


@pytest.mark.parametrize(("more", "threshold"), [(1, 0.9), (9, 0.2)])
def test_of_thresholds_that_are_alike_the_highest_is_taken(more: int, threshold: float) -> None:
    # Of 200 truths 100 are found at 0.9: F1 0.6667. One more at 0.2 gives 0.6711, which is alike; nine more 0.7055.
    found = [(LEFT, 0.9)] * 100 + [(LEFT, 0.2)] * more
    missed = [picture([LEFT], [])] * (200 - len(found))

    point = best_threshold(rank([*(picture([LEFT], [one]) for one in found), *missed], 1, least_iou=0.5))

    assert point.threshold == pytest.approx(threshold)


def test_the_best_threshold_never_parts_equal_scores() -> None:
    # At 0.9: 1 right of 2, F1 2/3. At 0.5: 2 right and 4 wrong, F1 1/2, although the first of the equals is right.
    found = [(LEFT, 0.9), (RIGHT, 0.5), *[(MIDDLE, 0.5)] * 4]

    point = best_threshold(rank([picture([LEFT, RIGHT], found)], 1, least_iou=0.5))

    assert (point.right, point.wrong) == (1, 0)
    assert point.threshold == pytest.approx(0.9)


def test_the_best_threshold_of_nothing_found_lets_nothing_through() -> None:
    assert best_threshold(rank([picture([LEFT], [])], 1, least_iou=0.5)).threshold == 1.0


def test_the_interval_of_rooms_that_are_alike_has_no_width() -> None:
    rooms = [picture([LEFT], [(LEFT, 0.9)], group=f"room {index}") for index in range(5)]

    assert average_precision_interval(rank(rooms, 1, least_iou=0.5)) == (1.0, 1.0)


def test_the_interval_of_nothing_is_not_a_number() -> None:
    assert all(math.isnan(end) for end in average_precision_interval(rank([], 1, least_iou=0.5)))


def test_the_interval_holds_the_value_and_is_wider_when_rooms_differ() -> None:
    rooms = [
        picture([LEFT], [(LEFT, 0.9)] if index % 2 else [(RIGHT, 0.95)], group=f"room {index}") for index in range(20)
    ]
    ranking = rank(rooms, 1, least_iou=0.5)

    low, high = average_precision_interval(ranking)

    assert low < average_precision(ranking) < high


def test_rooms_are_resampled_whole() -> None:
    # One room only: whatever is drawn is that room, however its pictures differ.
    rooms = [picture([LEFT], [(LEFT, 0.9)]), picture([LEFT], [])]

    assert average_precision_interval(rank(rooms, 1, least_iou=0.5)) == (0.5, 0.5)


def test_an_overlap_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"least_iou: 0 is not an overlap above 0 and at most 1"):
        rank([], 1, least_iou=0)
