import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gesturedet.boxes import area, cxcywh_to_xyxy, decode, encode, iou_matrix, xyxy_to_cxcywh

NONE = np.zeros((0, 4), dtype=np.float32)


def test_no_boxes_give_no_boxes() -> None:
    assert cxcywh_to_xyxy(NONE).shape == (0, 4)
    assert xyxy_to_cxcywh(NONE).shape == (0, 4)
    assert encode(NONE, NONE).shape == (0, 4)
    assert decode(NONE, NONE).shape == (0, 4)
    assert area(NONE).shape == (0,)


def test_overlaps_with_nothing_are_an_empty_matrix() -> None:
    some = np.array([[0, 0, 1, 1]], dtype=np.float32)
    assert iou_matrix(NONE, some).shape == (0, 1)
    assert iou_matrix(some, NONE).shape == (1, 0)


def test_a_box_by_centre_and_by_corners_is_the_same_box() -> None:
    corners = np.array([[0.1, 0.2, 0.5, 0.4]], dtype=np.float32)
    centre = np.array([[0.3, 0.3, 0.4, 0.2]], dtype=np.float32)
    np.testing.assert_allclose(xyxy_to_cxcywh(corners), centre, atol=1e-7)
    np.testing.assert_allclose(cxcywh_to_xyxy(centre), corners, atol=1e-7)


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1.0),
        ((0, 0, 2, 2), (2, 0, 4, 2), 0.0),  # they touch
        ((0, 0, 2, 2), (3, 3, 4, 4), 0.0),
        ((0, 0, 2, 2), (1, 0, 3, 2), 2 / 6),
        ((0, 0, 2, 2), (1, 1, 2, 2), 1 / 4),  # one inside the other
        ((1, 1, 1, 1), (1, 1, 1, 1), 0.0),  # no area, no division by zero
        ((2, 2, 0, 0), (0, 0, 2, 2), 0.0),  # inside out
    ],
)
def test_overlap_of_two_boxes_is_as_worked_by_hand(
    one: tuple[int, ...], other: tuple[int, ...], overlap: float
) -> None:
    matrix = iou_matrix(np.array([one], dtype=np.float32), np.array([other], dtype=np.float32))
    assert matrix.dtype == np.float32
    assert matrix.item() == pytest.approx(overlap)


def test_rows_of_the_matrix_are_the_first_boxes_and_columns_the_second() -> None:
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 2], [5, 5, 6, 6]], dtype=np.float32)
    np.testing.assert_allclose(iou_matrix(boxes, boxes[:2]), [[1.0, 0.5], [0.5, 1.0], [0.0, 0.0]])


def test_offsets_are_as_worked_by_hand() -> None:
    anchor = np.array([[0.5, 0.5, 0.2, 0.4]], dtype=np.float32)
    box = cxcywh_to_xyxy(np.array([[0.52, 0.46, 0.2 * np.e, 0.4]]))
    # centre: 0.02 / 0.2 / 0.1 = 1 and -0.04 / 0.4 / 0.1 = -1; size: log(e) / 0.2 = 5 and log(1) = 0
    np.testing.assert_allclose(encode(box, anchor), [[1.0, -1.0, 5.0, 0.0]], atol=1e-5)


def test_offsets_of_zero_leave_the_anchor_where_it_is() -> None:
    anchor = np.array([[0.5, 0.5, 0.2, 0.4]], dtype=np.float32)
    np.testing.assert_allclose(decode(np.zeros((1, 4), dtype=np.float32), anchor), [[0.4, 0.3, 0.6, 0.7]], atol=1e-7)


fraction = st.floats(0.0, 0.9)
side = st.floats(0.02, 0.9)


@given(box=st.tuples(fraction, fraction, side, side), anchor=st.tuples(fraction, fraction, side, side))
def test_decoding_undoes_encoding(
    box: tuple[float, float, float, float], anchor: tuple[float, float, float, float]
) -> None:
    anchors = np.array([anchor], dtype=np.float32)
    boxes = cxcywh_to_xyxy(np.array([box]))
    np.testing.assert_allclose(decode(encode(boxes, anchors), anchors), boxes, atol=1e-5)


def test_absurd_offsets_stay_finite() -> None:
    anchor = np.array([[0.5, 0.5, 0.1, 0.1]], dtype=np.float32)
    assert np.isfinite(decode(np.full((1, 4), 1e6, dtype=np.float32), anchor)).all()


def test_a_box_without_area_cannot_be_encoded() -> None:
    anchors = np.array([[0.5, 0.5, 0.1, 0.1]] * 2, dtype=np.float32)
    boxes = np.array([[0.0, 0.0, 0.5, 0.5], [0.25, 0.5, 0.25, 0.75]], dtype=np.float32)
    with pytest.raises(ValueError, match=r"box 1 \[0\.25, 0\.5, 0\.25, 0\.75\] has no area, expected x0 < x1"):
        encode(boxes, anchors)
