import numpy as np
import pytest
from numpy.typing import NDArray

from gesturedet.matching import IGNORED, Matcher

# Four square anchors of side 0.2 in a row: centres 0.1, 0.3, 0.5, 0.7.
ANCHORS = np.array([[x, 0.5, 0.2, 0.2] for x in (0.1, 0.3, 0.5, 0.7)], dtype=np.float32)


def boxes(*rows: tuple[float, float, float, float]) -> NDArray[np.float32]:
    return np.array(rows, dtype=np.float32).reshape(-1, 4)


def ids(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def test_a_picture_without_truths_is_all_background() -> None:
    targets = Matcher(ANCHORS)(boxes(), ids())

    assert targets.labels.tolist() == [0, 0, 0, 0]
    assert targets.offsets.tolist() == [[0.0] * 4] * 4


def test_a_truth_owns_its_best_anchor_even_when_it_fits_poorly() -> None:
    # 0.05 wide, 0.2 high inside the second anchor: IoU 0.25 < 0.5.
    targets = Matcher(ANCHORS)(boxes((0.25, 0.4, 0.3, 0.6)), ids(2))

    assert targets.labels.tolist() == [0, 2, 0, 0]


def test_every_anchor_that_overlaps_by_half_is_positive() -> None:
    # 0.3..0.5 wide 0.2 lies half on anchors 1 (0.2..0.4) and 2 (0.4..0.6): IoU 0.02 / 0.06 = 1/3 each.
    truth = boxes((0.3, 0.4, 0.5, 0.6))

    assert Matcher(ANCHORS, least_iou=0.33)(truth, ids(1)).labels.tolist() == [0, 1, 1, 0]
    assert Matcher(ANCHORS, least_iou=0.34)(truth, ids(1)).labels.tolist() == [0, 1, 0, 0]


def test_an_anchor_that_nearly_fits_is_neither_positive_nor_negative() -> None:
    # Anchor 1 overlaps by 0.16 / 0.24 = 2/3, anchor 2 by 0.04 / 0.36 = 1/9.
    truth = boxes((0.24, 0.4, 0.44, 0.6))

    assert Matcher(ANCHORS, background_iou=0.12)(truth, ids(1)).labels.tolist() == [0, 1, 0, 0]
    assert Matcher(ANCHORS, background_iou=0.11)(truth, ids(1)).labels.tolist() == [0, 1, IGNORED, 0]


def test_a_band_that_is_no_band_is_refused() -> None:
    with pytest.raises(ValueError, match=r"background_iou: 0.6 is not above 0 and at most least_iou, 0.5"):
        Matcher(ANCHORS, background_iou=0.6)


def test_offsets_are_those_of_the_matched_truth() -> None:
    # Shifted by half an anchor width to the right: 0.1 / 0.2 / 0.1 = 5; twice as high: ln 2 / 0.2.
    targets = Matcher(ANCHORS, least_iou=0.9)(boxes((0.1, 0.3, 0.3, 0.7)), ids(1))

    assert targets.labels.tolist() == [1, 0, 0, 0]
    np.testing.assert_allclose(targets.offsets[0], [5.0, 0.0, 0.0, np.log(2) / 0.2], atol=1e-5)


def test_two_truths_that_want_the_same_anchor_both_get_one() -> None:
    exact, near = (0.2, 0.4, 0.4, 0.6), (0.21, 0.4, 0.41, 0.6)

    targets = Matcher(ANCHORS)(boxes(near, exact), ids(1, 2))

    assert targets.labels[1] == 2, "the better pair keeps the anchor"
    assert sorted(targets.labels.tolist()) == [0, 0, 1, 2]


def test_more_truths_than_anchors_are_no_error() -> None:
    many = boxes(*[(0.2, 0.4, 0.4, 0.6)] * 6)

    assert (Matcher(ANCHORS)(many, ids(*[1] * 6)).labels == 1).all()


def test_anchors_of_an_ignored_truth_are_left_out() -> None:
    truths = boxes((0.0, 0.4, 0.2, 0.6), (0.6, 0.4, 0.8, 0.6))

    targets = Matcher(ANCHORS)(truths, ids(1, 3), np.array([True, False]))

    assert targets.labels.tolist() == [IGNORED, 0, 0, 3]


@pytest.mark.parametrize(
    ("truths", "class_ids", "ignored", "says"),
    [
        (np.zeros((2, 3), np.float32), ids(1, 1), None, r"boxes_xyxy: shape \(2, 3\) is not \(truths, 4\)"),
        (boxes((0, 0, 1, 1)), ids(1, 1), None, r"class_ids: shape \(2,\) is not \(1,\), one id for each box"),
        (boxes((0, 0, 1, 1)), ids(0), None, "class_ids: 0 is not a behaviour, expected 1 or above"),
        (boxes((0, 0, 1, 1)), ids(1), np.array([True, False]), r"ignored: shape \(2,\) is not \(1,\)"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(
    truths: NDArray[np.float32], class_ids: NDArray[np.int64], ignored: NDArray[np.bool_] | None, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        Matcher(ANCHORS)(truths, class_ids, ignored)


def test_an_overlap_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"least_iou: 0.0 is not an overlap above 0 and at most 1"):
        Matcher(ANCHORS, least_iou=0.0)
