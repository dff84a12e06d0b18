from typing import Any

import numpy as np
import pytest

from gesturedet.preprocess import fit, normalise, place_xywh, preprocess, preprocess_bytes, resize


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (np.zeros((0, 0, 3), dtype=np.uint8), r"shape \(0, 0, 3\) of uint8"),
        (np.zeros((0, 5, 3), dtype=np.uint8), r"shape \(0, 5, 3\) of uint8"),
        (np.zeros((4, 5), dtype=np.uint8), r"shape \(4, 5\) of uint8"),
        (np.zeros((4, 5, 4), dtype=np.uint8), r"shape \(4, 5, 4\) of uint8"),
        (np.zeros((4, 5, 3), dtype=np.float32), r"shape \(4, 5, 3\) of float32"),
    ],
)
def test_what_is_no_picture_is_refused(picture: Any, told: str) -> None:
    with pytest.raises(ValueError, match=rf"image_HWC: {told} is no picture, expected \(height, width, 3\) of uint8"):
        preprocess(picture, (192, 320))
    with pytest.raises(ValueError, match=rf"image_HWC: {told} is no picture"):
        preprocess_bytes(picture, (192, 320))


def test_bytes_are_resized_and_nothing_else_happens_to_them() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (360, 640, 3)).astype(np.uint8)
    images = preprocess_bytes(picture, (192, 320))
    assert (images.shape, images.dtype) == ((1, 192, 320, 3), np.uint8)
    np.testing.assert_array_equal(normalise(images[0]), preprocess(picture, (192, 320)))


def test_blue_green_red_bytes_become_red_green_blue_from_minus_one_to_one() -> None:
    picture = np.array([[[0, 51, 255]]], dtype=np.uint8)
    images = preprocess(picture, (1, 1))
    assert images.shape == (1, 3, 1, 1)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images.ravel(), [1.0, 51 / 127.5 - 1, -1.0], atol=1e-6)


@pytest.mark.parametrize("size_hw", [(360, 640), (1080, 1920), (100, 160), (192, 320)])
def test_a_picture_is_stretched_so_that_fractions_stay_in_place(size_hw: tuple[int, int]) -> None:
    height, width = size_hw
    picture = np.zeros((*size_hw, 3), dtype=np.uint8)
    picture[: height // 2, : width // 4] = 255
    images = preprocess(picture, (192, 320))
    assert images.shape == (1, 3, 192, 320)
    bright = images[0, 0] > 0
    assert abs(int(bright.any(axis=1).sum()) - 96) <= 1
    assert abs(int(bright.any(axis=0).sum()) - 80) <= 1


def test_strong_shrinking_averages_so_that_no_fine_pattern_is_skipped() -> None:
    stripes = np.zeros((960, 1600, 3), dtype=np.uint8)
    stripes[::5] = 255
    np.testing.assert_array_equal(resize(stripes, (192, 320)), 51)


def test_a_picture_of_the_right_size_is_left_alone() -> None:
    picture = np.zeros((192, 320, 3), dtype=np.uint8)
    assert resize(picture, (192, 320)) is picture


@pytest.mark.parametrize("input_hw", [(288, 512), (300, 300), (256, 448)])
@pytest.mark.parametrize("size_hw", [(270, 480), (1080, 1920), (480, 640), (400, 600), (360, 840), (288, 512)])
def test_between_4_to_3_and_64_to_27_a_picture_is_stretched_to_the_last_byte_as_in_training(
    size_hw: tuple[int, int], input_hw: tuple[int, int]
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size_hw, 3)).astype(np.uint8)
    np.testing.assert_array_equal(preprocess_bytes(picture, input_hw)[0], resize(picture, input_hw))
    np.testing.assert_array_equal(preprocess(picture, input_hw), normalise(resize(picture, input_hw)))
    assert place_xywh(size_hw, input_hw) == (0.0, 0.0, 1.0, 1.0)


def test_an_upright_picture_is_padded_to_4_to_3_with_its_mean_colour() -> None:
    picture = np.zeros((400, 200, 3), dtype=np.uint8)
    picture[:200] = (200, 100, 50)
    shown = fit(picture, (288, 512))
    assert shown.shape == (288, 512, 3)
    np.testing.assert_array_equal(shown[:, 160:352], resize(picture, (288, 192)))
    assert np.unique(shown[:, :160].reshape(-1, 3), axis=0).tolist() == [[100, 50, 25]]
    assert np.unique(shown[:, 352:].reshape(-1, 3), axis=0).tolist() == [[100, 50, 25]]
    assert place_xywh((400, 200), (288, 512)) == (0.3125, 0.0, 0.375, 1.0)


def test_a_panorama_is_padded_above_and_below() -> None:
    shown = fit(np.full((81, 512, 3), 9, dtype=np.uint8), (288, 512))
    assert shown.shape == (288, 512, 3)
    assert place_xywh((81, 512), (288, 512)) == (0.0, 90 / 288, 1.0, 108 / 288)


@pytest.mark.parametrize("size_hw", [(1, 1000), (1000, 1), (1, 1), (1, 100_000)])
def test_of_the_thinnest_picture_a_line_is_left(size_hw: tuple[int, int]) -> None:
    assert preprocess(np.zeros((*size_hw, 3), dtype=np.uint8), (288, 512)).shape == (1, 3, 288, 512)
    assert min(place_xywh(size_hw, (288, 512))[2:]) > 0
