"""Runs of time, checked millisecond by millisecond against sets."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from classpulse.aggregate.intervals import extend, extend_level, measure, overlay, union, within, without

RUNS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 8)).map(lambda p: (p[0], p[0] + p[1])), max_size=6)
CUTS = st.lists(st.integers(0, 40), max_size=12, unique=True).map(sorted)


def millis(runs: list[tuple[int, int]]) -> set[int]:
    return {ms for start, end in runs for ms in range(start, end)}


def test_no_time_at_all() -> None:
    assert union([]) == []
    assert without([], [(1, 2)]) == []
    assert measure([]) == 0
    assert overlay([], max) == (0, 0)
    assert overlay([[]], sum) == (0, 0)
    assert overlay([[], []], max) == (0, 0)


@given(RUNS, RUNS, st.integers(0, 40), st.integers(0, 40))
@settings(max_examples=300)
def test_sets_of_milliseconds_agree(a: list[tuple[int, int]], b: list[tuple[int, int]], low: int, high: int) -> None:
    joined_a, joined_b = union(a), union(b)
    assert millis(joined_a) == millis(a)
    assert measure(joined_a) == len(millis(a))
    assert all(x[1] < y[0] for x, y in pairwise(joined_a)), "sorted, apart, none empty"
    assert millis(without(joined_a, joined_b)) == millis(a) - millis(b)
    assert millis(within(joined_a, low, high)) == {ms for ms in millis(a) if low <= ms < high}


LEVELS = st.tuples(CUTS, st.lists(st.integers(0, 4), min_size=12, max_size=12)).map(
    lambda p: [(s, e, n) for s, e, n in zip(p[0], p[0][1:], p[1], strict=False) if n]
)


@given(st.lists(LEVELS, min_size=1, max_size=4))
@settings(max_examples=300)
def test_step_functions_combine_at_every_millisecond(functions: list[list[tuple[int, int, int]]]) -> None:
    def value(levels: list[tuple[int, int, int]], ms: int) -> int:
        return sum(n for s, e, n in levels if s <= ms < e)

    for combine in (max, sum):
        heights = [combine([value(f, ms) for f in functions]) for ms in range(41)]
        assert overlay(functions, combine) == (sum(heights), max(heights))


def test_what_touches_becomes_one() -> None:
    runs: list[tuple[int, int]] = []
    for start, end in ((0, 5), (5, 8), (9, 10)):
        extend(runs, start, end)
    assert runs == [(0, 8), (9, 10)]
    levels: list[tuple[int, int, int]] = []
    for start, end, n in ((0, 5, 2), (5, 8, 2), (8, 9, 1), (10, 11, 1)):
        extend_level(levels, start, end, n)
    assert levels == [(0, 8, 2), (8, 9, 1), (10, 11, 1)]
