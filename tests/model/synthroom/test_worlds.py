"""What each set of pictures is drawn from."""

from synthroom.seeds import SPLITS
from synthroom.sitting import HAND_RAISING
from synthroom.worlds import GENERAL, LEAST_PIXELS, WORLDS, world_of


def test_a_split_without_a_world_of_its_own_shows_the_general_one() -> None:
    assert world_of("rooms") == world_of("val") == GENERAL
    assert set(WORLDS) <= set(SPLITS)
    assert all(world_of(split) == world != GENERAL for split, world in WORLDS.items())


def test_the_dark_exam_knows_no_daylight_and_no_lamps() -> None:
    assert set(world_of("dark").lights) == {"dim", "window"}


def test_the_tiny_exam_looks_at_all_of_the_class_and_counts_only_what_is_small() -> None:
    world = world_of("tiny")
    assert set(world.views) == {"wide"}
    assert world.least_px < LEAST_PIXELS < (world.most_px or 0) == 64


def test_the_hard_exam_has_more_hard_negatives_and_fewer_raised_hands_than_training() -> None:
    hard, train = world_of("hard"), world_of("train")
    assert (hard.hard or 0) > (train.hard or 0) > 0.5
    assert hard.shares[HAND_RAISING] < train.shares[HAND_RAISING] / 2
