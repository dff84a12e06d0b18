import numpy as np
import pytest

from gesturedet.data.appearance import random_convolution


def picture() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.repeat(np.repeat(rng.integers(30, 220, (6, 8, 3)), 8, 0), 8, 1).astype(np.uint8)


def test_one_colour_stays_what_it_is_inside() -> None:
    grey = np.full((16, 16, 3), 90, np.uint8)
    changed = random_convolution(grey, np.random.default_rng(1))
    np.testing.assert_allclose(changed[4:-4, 4:-4], 90, atol=1)


def test_the_same_numbers_give_the_same_picture_and_others_another() -> None:
    one, same, other = (random_convolution(picture(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_colours_change_and_edges_stay_where_they_are() -> None:
    given = picture().astype(float)
    moved, kept = [], []
    for seed in range(30):
        changed = random_convolution(picture(), np.random.default_rng(seed)).astype(float)
        moved.append(np.abs(changed - given).mean())
        flat = np.abs(np.diff(changed.sum(2), axis=1))
        edges = np.arange(flat.shape[1]) % 8 == 7
        kept.append(flat[:, edges].mean() / max(flat[:, np.arange(flat.shape[1]) % 8 == 3].mean(), 0.1))
    assert np.median(moved) > 8
    assert np.median(kept) > 5


def test_a_mixed_picture_is_as_bright_as_it_was() -> None:
    for seed in range(10):
        changed = random_convolution(picture(), np.random.default_rng(seed))
        assert changed.mean() == pytest.approx(picture().mean(), abs=15)


def test_contrast_and_colours_are_neither_lost_nor_made_glaring() -> None:
    given = picture().astype(float)
    for seed in range(30):
        changed = random_convolution(picture(), np.random.default_rng(seed)).astype(float)
        assert 0.5 < changed.std() / given.std() < 1.1
        assert 0.4 < changed.std(2).mean() / given.std(2).mean() < 1.2
