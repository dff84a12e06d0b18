from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gesturedet.data.augment import (
    NO_AUGMENTATION,
    SSD_AUGMENTATION,
    STRONG_AUGMENTATION,
    WHOLE,
    AugmentConfig,
    augment,
    choose_window,
    cut_window,
    mosaic,
    move_truth,
)
from gesturedet.data.voc import Truth

SIZE_HW = (96, 160)


def truth_of(*boxes: tuple[float, float, float, float], ignored: bool = False) -> Truth:
    return Truth(
        np.array(boxes, dtype=np.float32).reshape(-1, 4),
        np.ones(len(boxes), dtype=np.int64),
        np.full(len(boxes), ignored, dtype=np.bool_),
    )


def scene(*boxes: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    """White rectangles on black at 192 rows, 320 columns."""
    picture = np.zeros((192, 320, 3), dtype=np.uint8)
    for x0, y0, x1, y1 in boxes:
        picture[round(y0 * 192) : round(y1 * 192), round(x0 * 320) : round(x1 * 320)] = 255
    return picture


@pytest.mark.parametrize("config", [NO_AUGMENTATION, SSD_AUGMENTATION, STRONG_AUGMENTATION])
def test_a_picture_without_objects_stays_one(config: AugmentConfig) -> None:
    for seed in range(20):
        picture, truth = augment(scene(), truth_of(), SIZE_HW, config, np.random.default_rng(seed))

        assert picture.shape == (*SIZE_HW, 3)
        assert picture.dtype == np.uint8
        assert len(truth) == 0


def test_no_augmentation_only_scales() -> None:
    box = (0.25, 0.25, 0.5, 0.5)

    picture, truth = augment(scene(box), truth_of(box), SIZE_HW, NO_AUGMENTATION, np.random.default_rng(0))

    np.testing.assert_array_equal(picture, cv2.resize(scene(box), SIZE_HW[::-1]))
    np.testing.assert_allclose(truth.boxes_xyxy, [box])


def test_a_picture_is_seen_through_random_filters_as_often_as_asked_and_its_boxes_stay() -> None:
    box = (0.25, 0.25, 0.5, 0.5)
    shown = scene(box) // 2 + 40
    (plain, _), (mixed, truth), (never, _) = (
        augment(shown, truth_of(box), SIZE_HW, replace(NO_AUGMENTATION, mixing=mixing), np.random.default_rng(3))
        for mixing in (0.0, 1.0, 1e-9)
    )

    assert np.abs(mixed.astype(int) - plain).mean() > 5
    np.testing.assert_array_equal(never, plain)
    np.testing.assert_allclose(truth.boxes_xyxy, [box])


def test_a_mirrored_box_counts_from_the_other_side() -> None:
    truth = move_truth(truth_of((0.1, 0.2, 0.4, 0.5)), WHOLE, flipped=True, size_hw=SIZE_HW, config=NO_AUGMENTATION)

    np.testing.assert_allclose(truth.boxes_xyxy, [[0.6, 0.2, 0.9, 0.5]], atol=1e-6)


def test_a_crop_moves_clips_ignores_and_drops_by_hand() -> None:
    # The right half: x becomes 2x - 1.
    inside, cut_little, cut_much, outside = (
        (0.6, 0.2, 0.7, 0.4),
        (0.45, 0.5, 0.6, 0.7),
        (0.2, 0.0, 0.55, 0.2),
        (0.1, 0.8, 0.2, 0.9),
    )

    truth = move_truth(
        truth_of(inside, cut_little, cut_much, outside),
        (0.5, 0.0, 1.0, 1.0),
        flipped=False,
        size_hw=SIZE_HW,
        config=NO_AUGMENTATION,
    )

    expected = [[0.2, 0.2, 0.4, 0.4], [0.0, 0.5, 0.2, 0.7], [0.0, 0.0, 0.1, 0.2]]
    np.testing.assert_allclose(truth.boxes_xyxy, expected, atol=1e-6)
    assert truth.ignored.tolist() == [False, False, True]


def test_an_object_too_small_for_the_input_is_ignored() -> None:
    # 160 pixels wide: 0.02 is 3.2 pixels.
    config = replace(NO_AUGMENTATION, least_side_px=4.0)

    truth = move_truth(
        truth_of((0.5, 0.5, 0.52, 0.9), (0.5, 0.5, 0.53, 0.9)), WHOLE, flipped=False, size_hw=SIZE_HW, config=config
    )

    assert truth.ignored.tolist() == [True, False]


def test_ignored_objects_stay_ignored() -> None:
    truth = move_truth(
        truth_of((0.2, 0.2, 0.6, 0.6), ignored=True), WHOLE, flipped=True, size_hw=SIZE_HW, config=NO_AUGMENTATION
    )

    assert truth.ignored.tolist() == [True]


@pytest.mark.parametrize("window", [(-1.0, 0.0, -0.5, 1.0), (0.0, 1.5, 1.0, 2.0), (1.0, 0.0, 1.5, 1.0)])
def test_a_window_wholly_beside_the_picture_is_its_mean_colour(window: tuple[float, float, float, float]) -> None:
    picture = np.full((60, 80, 3), 100, dtype=np.uint8)

    assert (cut_window(picture, window, (30, 30), cv2.INTER_LINEAR) == 100).all()


def test_an_expanded_picture_lies_inside_its_mean_colour() -> None:
    picture = np.full((100, 200, 3), 10, dtype=np.uint8)
    picture[:, 100:] = 30

    expanded = cut_window(picture, (-0.5, -1.0, 1.5, 1.0), (100, 200), cv2.INTER_LINEAR)

    assert (expanded[:50] == 20).all()
    assert (expanded[:, :50] == 20).all()
    assert (expanded[50:, 50:95] == 10).all()
    assert (expanded[50:, 105:150] == 30).all()


@pytest.mark.parametrize("config", [SSD_AUGMENTATION, STRONG_AUGMENTATION])
def test_boxes_stay_on_their_objects(config: AugmentConfig) -> None:
    geometry = replace(config, photometric=False, blur=0.0, noise=0.0, jpeg=0.0, coarse=0.0, grey=0.0)
    box = (0.4, 0.3, 0.6, 0.7)
    seen = 0
    for seed in range(60):
        picture, truth = augment(scene(box), truth_of(box), SIZE_HW, geometry, np.random.default_rng(seed))
        for x0, y0, x1, y1 in truth.boxes_xyxy * np.array(SIZE_HW[::-1] * 2):
            rows, columns = np.nonzero(picture[..., 0] > 180)
            found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            np.testing.assert_allclose(found, [x0, y0, x1, y1], atol=1.6)
            seen += 1
    assert seen > 40


def test_a_crop_keeps_the_centre_of_an_object() -> None:
    config = replace(SSD_AUGMENTATION, expand=0.0, crop=1.0)
    truth = truth_of((0.1, 0.1, 0.15, 0.2))
    for seed in range(50):
        x0, y0, x1, y1 = choose_window(truth, config, np.random.default_rng(seed))

        assert x0 <= 0.125 < x1
        assert y0 <= 0.15 < y1
        assert x0 >= 0
        assert x1 <= 1.0 + 1e-9


def test_the_same_seed_gives_the_same_picture() -> None:
    box = (0.4, 0.3, 0.6, 0.7)
    first, again, other = (
        augment(scene(box), truth_of(box), SIZE_HW, STRONG_AUGMENTATION, np.random.default_rng(seed))[0]
        for seed in (5, 5, 6)
    )

    assert (first == again).all()
    assert not (first == other).all()


def test_strong_augmentation_changes_colours_within_range() -> None:
    config = replace(STRONG_AUGMENTATION, blur=1.0, noise=1.0, jpeg=1.0, coarse=1.0, grey=1.0)
    grey = np.full((192, 320, 3), 128, dtype=np.uint8)

    picture, _ = augment(grey, truth_of(), SIZE_HW, config, np.random.default_rng(1))

    assert picture.shape == (*SIZE_HW, 3)
    assert picture.std() > 0


def test_a_mosaic_shows_four_pictures_each_with_its_boxes() -> None:
    boxes = [(0.2, 0.2, 0.5, 0.6), (0.5, 0.3, 0.9, 0.7), (0.1, 0.4, 0.4, 0.9), (0.6, 0.1, 0.8, 0.5)]
    shown = [
        (scene(box), Truth(truth_of(box).boxes_xyxy, np.array([k]), np.zeros(1, bool)))
        for k, box in enumerate(boxes, 1)
    ]
    for seed in range(5):
        picture, truth = mosaic(shown, SIZE_HW, NO_AUGMENTATION, np.random.default_rng(seed))

        assert picture.shape == (*SIZE_HW, 3)
        assert truth.class_ids.tolist() == [1, 2, 3, 4]
        drawn = np.zeros(SIZE_HW)
        for x0, y0, x1, y1 in truth.boxes_xyxy * (160, 96, 160, 96):
            drawn[round(y0) : round(y1), round(x0) : round(x1)] = 255
        assert np.abs(drawn - picture[..., 0]).mean() < 255 * 0.01
        for quarter, (x, y) in zip(truth.boxes_xyxy, ((0, 0), (1, 0), (0, 1), (1, 1)), strict=True):
            assert (quarter[[0, 2]].mean() > 0.5, quarter[[1, 3]].mean() > 0.5) == (bool(x), bool(y))


def test_a_mosaic_of_other_than_four_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        mosaic([(scene(), truth_of())] * 3, SIZE_HW, NO_AUGMENTATION, np.random.default_rng(0))


def test_in_a_mosaic_what_becomes_too_small_is_ignored_by_the_size_it_is_shown_at() -> None:
    config = replace(NO_AUGMENTATION, least_side_px=10.0)
    box = (0.4, 0.4, 0.5, 0.6)  # 16 x 19 pixels alone, about half of it in a mosaic

    alone = augment(scene(box), truth_of(box), SIZE_HW, config, np.random.default_rng(0))[1]
    together = mosaic([(scene(box), truth_of(box))] * 4, SIZE_HW, config, np.random.default_rng(0))[1]

    assert alone.ignored.tolist() == [False]
    assert together.ignored.all()
