from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classpulse.demo.matching import LEAST_IOU, Counts, iou, matched, measure

stretches = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 30)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=5
)


def test_nothing_true_and_nothing_found_is_no_miss_no_fault_and_no_ratio() -> None:
    counts = measure([], []).counts
    assert counts == Counts(true=0, found=0, missed=0, false=0)
    assert (counts.precision, counts.recall, counts.f1) == (None, None, None)


def test_what_is_found_where_nothing_was_true_is_false() -> None:
    counts = measure([], [(0, 10)]).counts
    assert counts == Counts(true=0, found=0, missed=0, false=1)
    assert (counts.precision, counts.recall, counts.f1) == (0.0, None, 0.0)


def test_what_was_true_and_not_found_is_missed() -> None:
    counts = measure([(0, 10)], []).counts
    assert counts == Counts(true=1, found=0, missed=1, false=0)
    assert (counts.precision, counts.recall, counts.f1) == (None, 0.0, 0.0)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((0, 10), (0, 10), 1.0),
        ((0, 10), (10, 20), 0.0),
        ((0, 10), (5, 15), 5 / 15),
        ((0, 10), (2, 5), 3 / 10),
        ((5, 5), (5, 5), 0.0),
        ((0, 10), (30, 40), 0.0),
    ],
)
def test_intersection_over_union_of_hand_worked_stretches(
    one: tuple[int, int], other: tuple[int, int], expected: float
) -> None:
    assert iou(one, other) == iou(other, one) == pytest.approx(expected)


def test_an_overlap_of_exactly_three_tenths_is_enough_and_less_is_not() -> None:
    assert matched([(0, 10)], [(0, 3)]) == {0: 0}
    assert matched([(0, 100)], [(0, 29)]) == {}


def test_one_finding_over_two_true_stretches_counts_once() -> None:
    counts = measure([(0, 10), (10, 20)], [(0, 20)]).counts
    assert counts == Counts(true=2, found=1, missed=1, false=0)
    assert (counts.precision, counts.recall) == (1.0, 0.5)
    assert counts.f1 == pytest.approx(2 / 3)


def test_a_finding_goes_with_whom_it_is_about_and_not_with_a_neighbour_who_began_before() -> None:
    assert matched([(7, 43), (20, 50)], [(20, 50)]) == {1: 0}


def test_a_true_stretch_broken_in_two_is_found_once_and_false_once() -> None:
    assert measure([(0, 20)], [(0, 10), (10, 20)]).counts == Counts(true=1, found=1, missed=0, false=1)


def test_the_matching_is_the_largest_where_a_greedy_one_would_lose_a_pair() -> None:
    # The first true stretch likes found 0 best (0.8), but is found 0's only other partner's only choice.
    true, found = [(0, 100), (50, 130)], [(20, 110), (0, 60)]
    assert iou(true[0], found[0]) > iou(true[0], found[1]) >= LEAST_IOU
    assert iou(true[1], found[1]) < LEAST_IOU <= iou(true[1], found[0])
    assert matched(true, found) == {0: 1, 1: 0}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_order_of_the_input_changes_nothing(order: tuple[int, ...]) -> None:
    true, found = [(0, 100), (50, 130), (300, 400)], [(20, 110), (0, 60), (310, 420)]
    assert measure([true[i] for i in order], found).counts == Counts(true=3, found=3, missed=0, false=0)


def test_a_finding_that_matches_what_nobody_asks_for_is_not_false() -> None:
    result = measure([(0, 10)], [(0, 10), (50, 60), (90, 99)], others=[(50, 58)])
    assert (result.counts, result.false) == (Counts(true=1, found=1, missed=0, false=1), frozenset({2}))


def test_what_nobody_asks_for_takes_no_finding_from_what_is_asked_for() -> None:
    assert measure([(0, 10)], [(1, 10)], others=[(1, 10)]).counts == Counts(true=1, found=1, missed=0, false=0)


def test_counts_of_rooms_add_up() -> None:
    assert Counts(3, 2, 1, 4) + Counts(1, 1, 0, 0) == Counts(true=4, found=3, missed=1, false=4)
    assert Counts(3, 2, 1, 4).f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 4))


@given(true=stretches, found=stretches)
def test_no_matching_is_larger_and_every_pair_overlaps_enough(
    true: list[tuple[int, int]], found: list[tuple[int, int]]
) -> None:
    pairs = matched(true, found)
    assert len(set(pairs.values())) == len(pairs)
    assert all(iou(true[i], found[j]) >= LEAST_IOU for i, j in pairs.items())
    assert len(pairs) == largest(true, found)


def largest(true: list[tuple[int, int]], found: list[tuple[int, int]]) -> int:
    """By trying everything."""
    if not true:
        return 0
    best = largest(true[1:], found)
    for j, stretch in enumerate(found):
        if iou(true[0], stretch) >= LEAST_IOU:
            best = max(best, 1 + largest(true[1:], found[:j] + found[j + 1 :]))
    return best
