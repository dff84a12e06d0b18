import numpy as np
import pytest
from numpy.typing import NDArray

from gesturedet.anchors import (
    CLASSROOM_ANCHORS,
    PAPER_ANCHORS,
    AnchorSpec,
    alike,
    anchors_cxcywh,
    as_many_pixels,
    feature_sizes_hw,
)
from gesturedet.boxes import cxcywh_to_xyxy, iou_matrix


def test_the_paper_has_11658_default_boxes() -> None:
    anchors = anchors_cxcywh((300, 300), PAPER_ANCHORS)
    assert anchors.shape == (11658, 4)
    assert anchors.dtype == np.float32


def test_maps_halve_and_round_up() -> None:
    assert feature_sizes_hw((300, 300)) == ((38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (2, 2))
    assert feature_sizes_hw((288, 512)) == ((36, 64), (18, 32), (9, 16), (5, 8), (3, 4), (2, 2))
    assert feature_sizes_hw((1, 1)) == ((1, 1),) * 6


def test_rounding_up_once_is_rounding_up_at_every_halving() -> None:
    for size in range(1, 700):
        halved = [size]
        for _ in range(8):
            halved.append((halved[-1] + 1) // 2)
        assert [height for height, _ in feature_sizes_hw((size, 1))] == halved[3:]


def test_the_first_boxes_are_as_worked_by_hand() -> None:
    first = anchors_cxcywh((300, 300), PAPER_ANCHORS)[:6]
    np.testing.assert_allclose(first[:, :2], 0.5 / 38, rtol=1e-6)
    root2, root3 = 2**0.5, 3**0.5
    sizes = [
        (0.1, 0.1),
        (0.1 * root2, 0.1 / root2),
        (0.1 / root2, 0.1 * root2),
        (0.1 * root3, 0.1 / root3),
        (0.1 / root3, 0.1 * root3),
        (0.02**0.5, 0.02**0.5),  # between 0.1 and 0.2
    ]
    np.testing.assert_allclose(first[:, 2:], sizes, rtol=1e-6)


def test_specs_are_alike_in_fractions_or_in_pixels() -> None:
    shrunk = as_many_pixels(CLASSROOM_ANCHORS, at_hw=(288, 512), for_hw=(576, 1024))

    assert shrunk.scales[0] == CLASSROOM_ANCHORS.scales[0] / 2
    assert alike((CLASSROOM_ANCHORS, (288, 512)), (shrunk, (576, 1024)))
    assert alike((CLASSROOM_ANCHORS, (288, 512)), (CLASSROOM_ANCHORS, (576, 1024)))
    assert not alike((CLASSROOM_ANCHORS, (288, 512)), (shrunk, (288, 512)))
    assert not alike((CLASSROOM_ANCHORS, (300, 300)), (PAPER_ANCHORS, (300, 300)))


def test_boxes_run_along_the_row_first() -> None:
    anchors = anchors_cxcywh((192, 320), PAPER_ANCHORS)
    np.testing.assert_allclose(anchors[6, :2], [1.5 / 40, 0.5 / 24], rtol=1e-6)
    np.testing.assert_allclose(anchors[40 * 6, :2], [0.5 / 40, 1.5 / 24], rtol=1e-6)


def test_a_square_shape_is_square_in_pixels_of_a_wide_input() -> None:
    width, height = anchors_cxcywh((192, 320), PAPER_ANCHORS)[0, 2:]
    assert width * 320 == pytest.approx(height * 192)
    assert height == pytest.approx(0.1)  # of the shorter side


def best_overlaps(spec: AnchorSpec) -> NDArray[np.float32]:
    """Best overlap of 2,000 pupils with the default boxes: 0.05 to 0.35 high, narrow to wide, in a 16:9 picture."""
    random = np.random.default_rng(0)
    height = np.exp(random.uniform(np.log(0.05), np.log(0.35), 2000))
    width = height * np.exp(random.uniform(np.log(0.4), np.log(1.6), 2000)) * 9 / 16
    pupils = np.stack((random.uniform(0.1, 0.9, 2000), random.uniform(0.2, 0.8, 2000), width, height), axis=1)
    overlaps = iou_matrix(cxcywh_to_xyxy(pupils), cxcywh_to_xyxy(anchors_cxcywh((288, 512), spec)))
    best: NDArray[np.float32] = overlaps.max(axis=1)
    return best


def test_classroom_boxes_fit_pupils_whom_the_papers_boxes_miss() -> None:
    ours, papers = best_overlaps(CLASSROOM_ANCHORS), best_overlaps(PAPER_ANCHORS)
    assert (ours >= 0.4).mean() > 0.97
    assert (papers >= 0.4).mean() < 0.83
    assert (ours >= 0.5).mean() > 0.88
    assert (papers >= 0.5).mean() < 0.76


def test_both_specs_cost_the_same() -> None:
    assert PAPER_ANCHORS.per_cell == CLASSROOM_ANCHORS.per_cell == 6


def test_an_input_without_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"input_hw: \(0, 300\) is not a height and a width of at least 1 pixel"):
        anchors_cxcywh((0, 300), PAPER_ANCHORS)


@pytest.mark.parametrize(
    ("scales", "ratios", "message"),
    [
        ((0.1, 0.2), (1.0,), r"scales: \(0\.1, 0\.2\) are not 7 rising numbers"),
        ((0.1, 0.2, 0.2, 0.3, 0.4, 0.5, 0.6), (1.0,), "are not 7 rising numbers"),
        ((0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6), (1.0,), "scales: .* are not all above 0"),
        (PAPER_ANCHORS.scales, (1.0, -2.0), r"ratios: \(1\.0, -2\.0\) are not all above 0"),
        (PAPER_ANCHORS.scales, (), "neither ratios nor between_ratios names a shape"),
    ],
)
def test_impossible_shapes_are_refused(scales: tuple[float, ...], ratios: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AnchorSpec(name="wrong", scales=scales, ratios=ratios, between_ratios=())
