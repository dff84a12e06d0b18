from pathlib import Path

import numpy as np
import pytest

from gesturedet.data.voc import LabelledPicture, Truth
from gesturedet.faults import CAPTION, TILE, Fault, contact_sheet, faults_of, tile, worst_alarms, worst_misses
from gesturedet.labels import BEHAVIOURS
from gesturedet.postprocess import Detection

Box = tuple[float, float, float, float]
LEFT: Box = (0.1, 0.1, 0.3, 0.5)
RIGHT: Box = (0.6, 0.1, 0.8, 0.5)
NEAR_LEFT: Box = (0.1, 0.1, 0.3, 0.45)
HALF = dict.fromkeys(BEHAVIOURS, 0.5)


def shown(*things: tuple[int, Box, bool]) -> LabelledPicture:
    truth = Truth(
        np.array([box for _, box, _ in things], np.float32).reshape(-1, 4),
        np.array([class_id for class_id, _, _ in things], np.int64),
        np.array([ignored for _, _, ignored in things], np.bool_),
    )
    return LabelledPicture("p", Path("p.jpg"), (100, 200), "p", truth)


def judged(picture: LabelledPicture, *found: Detection) -> tuple[list[Box], list[tuple[Box, float]]]:
    alarms, misses = faults_of(picture, found, labels=BEHAVIOURS, thresholds=HALF)
    return [one.box_xyxy for one in alarms], [(one.box_xyxy, one.score) for one in misses]


def approx(box: Box) -> Box:
    return tuple(np.array(box, np.float32).tolist())


def test_an_empty_picture_without_detections_has_no_faults() -> None:
    assert judged(shown()) == ([], [])


def test_what_is_found_above_its_threshold_is_no_fault() -> None:
    assert judged(shown((1, LEFT, False)), Detection("hand-raising", 0.5, NEAR_LEFT)) == ([], [])


def test_what_is_found_where_nothing_is_or_as_something_else_is_a_false_alarm() -> None:
    alarms, misses = judged(
        shown((1, LEFT, False)), Detection("stand-up", 0.9, LEFT), Detection("hand-raising", 0.8, RIGHT)
    )
    assert sorted(alarms) == [LEFT, RIGHT]
    assert misses == [(approx(LEFT), 0.0)]


def test_a_second_detection_of_one_truth_is_a_false_alarm() -> None:
    alarms, misses = judged(
        shown((1, LEFT, False)), Detection("hand-raising", 0.9, LEFT), Detection("hand-raising", 0.8, NEAR_LEFT)
    )
    assert (alarms, misses) == ([NEAR_LEFT], [])


def test_what_is_seen_below_its_threshold_is_a_miss_with_its_best_score() -> None:
    alarms, misses = judged(
        shown((1, LEFT, False)), Detection("hand-raising", 0.4, LEFT), Detection("hand-raising", 0.2, LEFT)
    )
    assert (alarms, misses) == ([], [(approx(LEFT), 0.4)])


def test_an_ignored_truth_is_neither_missed_nor_falsely_found() -> None:
    twice = Detection("hand-raising", 0.9, LEFT), Detection("hand-raising", 0.8, NEAR_LEFT)
    assert judged(shown((1, LEFT, True)), *twice) == ([], [])
    assert judged(shown((1, LEFT, True))) == ([], [])


def test_a_label_without_a_threshold_is_not_judged_and_keeps_its_class() -> None:
    picture = shown((1, LEFT, False), (2, RIGHT, False))
    _, misses = faults_of(picture, [], labels=BEHAVIOURS, thresholds={"stand-up": 0.5})
    assert [(one.behaviour, one.box_xyxy) for one in misses] == [("stand-up", approx(RIGHT))]


def fault(score: float, box: Box = LEFT) -> Fault:
    return Fault(shown(), "sleeping", box, score)


def test_the_worst_alarms_are_the_surest() -> None:
    assert [one.score for one in worst_alarms([fault(0.6), fault(0.9), fault(0.7)], 2)] == [0.9, 0.7]


def test_the_worst_misses_have_the_least_score_and_then_the_largest_place() -> None:
    small, large = fault(0.0, (0.1, 0.1, 0.2, 0.2)), fault(0.0, (0.1, 0.1, 0.9, 0.9))
    assert worst_misses([fault(0.3), small, large], 2) == [large, small]


def test_no_tiles_make_no_sheet() -> None:
    with pytest.raises(ValueError, match="tiles: there is none"):
        contact_sheet([])


def test_a_sheet_has_its_tiles_row_by_row_and_black_at_its_end() -> None:
    tiles = [np.full((10, 20, 3), shade, np.uint8) for shade in range(1, 9)]
    sheet = contact_sheet(tiles, columns=6)
    assert sheet.shape == (20, 120, 3)
    assert [int(sheet[row, column, 0]) for row in (5, 15) for column in range(10, 120, 20)] == [
        *range(1, 9),
        *[0] * 4,
    ]


@pytest.mark.parametrize("box", [(0.0, 0.0, 0.01, 0.01), (0.97, 0.95, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0), LEFT])
def test_a_tile_shows_the_place_wherever_it_lies(box: Box) -> None:
    image = np.full((100, 200, 3), 60, np.uint8)
    x0, y0, x1, y1 = (round(side * scale) for side, scale in zip(box, (200, 100, 200, 100), strict=True))
    image[y0:y1, x0:x1] = (10, 250, 10)
    drawn = tile(fault(0.5, box), image)
    assert drawn.shape == (TILE + CAPTION, TILE, 3)
    assert (drawn[:TILE, :, 1] > 200).any(), "the place itself"
    assert (drawn[TILE:] > 200).any(), "what was said about it"
