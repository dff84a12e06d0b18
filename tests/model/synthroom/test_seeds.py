import itertools

import pytest

from synthroom.seeds import LESSON_OFFSET, SEED_RANGES, SPLITS, lesson_seed, picture_seed, rng_of


def test_no_two_splits_share_a_seed() -> None:
    for one, other in itertools.combinations(SEED_RANGES.values(), 2):
        assert one.stop <= other.start or other.stop <= one.start


def test_every_split_has_its_range() -> None:
    assert set(SEED_RANGES) == set(SPLITS)


def test_pictures_and_lessons_of_a_split_share_no_seed() -> None:
    last_picture, first_lesson = picture_seed("val", LESSON_OFFSET - 1), lesson_seed("val", 0)
    assert last_picture + 1 == first_lesson
    assert last_picture in SEED_RANGES["val"] and first_lesson in SEED_RANGES["val"]  # noqa: PT018


def test_seeds_are_those_of_old() -> None:
    assert (picture_seed("train", 0), picture_seed("val", 7), lesson_seed("demo", 2)) == (
        10_000_000,
        20_000_007,
        45_000_002,
    )


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(
        ValueError, match="split 'exam': expected one of train, val, test, demo, rooms, hard, tiny, dark"
    ):
        picture_seed("exam", 0)


@pytest.mark.parametrize("number", [-1, 5_000_000])
def test_a_number_beyond_the_range_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match=rf"number {number} of split 'train': expected 0 to 4999999"):
        picture_seed("train", number)


def test_streams_of_one_seed_differ_and_repeat() -> None:
    assert rng_of(5, 1).random() == rng_of(5, 1).random()
    assert rng_of(5, 1).random() != rng_of(5, 2).random()
