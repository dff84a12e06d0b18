"""Cameras of one bucket joined, by hand: overlapping takes the maximum, disjoint adds up."""

import pytest

from classpulse.aggregate.buckets import Grid, Part, joined
from classpulse.records import BehaviourTotals, TimelineBucket, Views
from tests.services.aggregate.stories import HAND, ROOM, STAND, A, B


def bucket(parts: dict[str, Part], views: Views = "overlapping", **unseen: list[tuple[int, int]]) -> TimelineBucket:
    named = {f"{ROOM}/{camera}": runs for camera, runs in unseen.items()}
    return joined(ROOM, (0, 10_000), parts, unseen=named, views=views, revision=0, final=True)


def part() -> Part:
    return Part(0, 10_000)


@pytest.mark.parametrize("views", ["overlapping", "disjoint"])
def test_a_bucket_in_which_nothing_is_known_is_all_zeros(views: Views) -> None:
    empty = bucket({}, views)
    assert (empty.due_ms, empty.observed_ms, empty.frames, empty.missing, empty.behaviours) == (0, 0, 0, {}, {})
    assert bucket({A: part()}, views) == empty


def two_cameras() -> dict[str, Part]:
    """A: due all 10 s, sees [0, 6 s): one hand in [1, 3 s), two in [3, 5 s). B: due [2, 10 s), sees [4, 9 s): three in [4, 6 s)."""
    a, b = part(), part()
    a.lay_due(0, 10_000)
    a.lay_seen(0, 1_000, {})
    a.lay_seen(1_000, 3_000, {HAND: 1})
    a.lay_seen(3_000, 5_000, {HAND: 2})
    a.lay_seen(5_000, 6_000, {})
    b.lay_due(2_000, 10_000)
    b.lay_seen(4_000, 6_000, {HAND: 3})
    b.lay_seen(6_000, 9_000, {STAND: 1})
    for _ in range(2):
        a.count_event(HAND)
    b.count_event(HAND)
    b.count_event(STAND)
    a.count_frame("m2")
    b.count_frame("m1")
    b.count_frame("m1")
    a.count_missing("stale", 2)
    b.count_missing("stale", 1)
    b.count_missing("queue_full", 4)
    return {A: a, B: b}


def test_overlapping_cameras_by_hand() -> None:
    found = bucket(two_cameras())
    # hands: 1 over [1,3), 2 over [3,4), 3 over [4,6) -> 2 + 2 + 6 person-seconds; B saw 6 of them, A 2 + 4 = 6: a tie,
    # which A's two events win
    assert found.behaviours[HAND] == BehaviourTotals(events=2, person_ms=10_000, peak=3)
    assert found.behaviours[STAND] == BehaviourTotals(events=1, person_ms=3_000, peak=1)
    assert (found.due_ms, found.observed_ms) == (10_000, 9_000)
    assert (found.frames, found.missing, found.models) == (3, {"stale": 3, "queue_full": 4}, ("m1", "m2"))


def test_disjoint_cameras_by_hand() -> None:
    found = bucket(two_cameras(), "disjoint")
    # hands: 1 over [1,3), 2 over [3,4), 2 + 3 over [4,5), 3 over [5,6)
    assert found.behaviours[HAND] == BehaviourTotals(events=3, person_ms=2_000 + 2_000 + 5_000 + 3_000, peak=5)
    assert found.due_ms == 10_000
    # all due cameras see: A alone over [0,2), both over [4,6)
    assert found.observed_ms == 4_000


def test_the_camera_that_saw_most_gives_the_events() -> None:
    a, b = part(), part()
    a.lay_seen(0, 1_000, {HAND: 1})
    b.lay_seen(0, 1_001, {HAND: 1})
    a.events, b.events = {HAND: 5}, {HAND: 1}
    assert bucket({A: a, B: b}).behaviours[HAND].events == 1


def test_an_event_counted_where_nobody_was_seen_is_still_there() -> None:
    late = part()
    late.count_event(HAND)
    assert bucket({A: late}).behaviours == {HAND: BehaviourTotals(events=1, person_ms=0, peak=0)}


def test_what_was_observed_was_due() -> None:
    seen = part()
    seen.lay_seen(1_000, 2_000, {})
    assert (bucket({A: seen}).due_ms, bucket({A: seen}, "disjoint").observed_ms) == (1_000, 1_000)


def test_a_camera_of_which_nothing_was_heard_is_due_and_blinds_a_disjoint_room() -> None:
    seen = part()
    seen.lay_due(0, 4_000)
    seen.lay_seen(0, 4_000, {})
    overlapping, disjoint = bucket({A: seen}, b=[(3_000, 8_000)]), bucket({A: seen}, "disjoint", b=[(3_000, 8_000)])
    assert (overlapping.due_ms, overlapping.observed_ms) == (8_000, 4_000)
    assert (disjoint.due_ms, disjoint.observed_ms) == (8_000, 3_000)


def test_buckets_are_aligned_to_the_epoch() -> None:
    grid = Grid([(0, 10_000)])
    assert grid.around(0) == (0, 10_000)
    assert grid.around(9_999) == (0, 10_000)
    assert grid.around(10_000) == (10_000, 20_000)
    assert grid.around(1_700_000_004_321) == (1_700_000_000_000, 1_700_000_010_000)


def test_another_length_begins_where_it_is_told_and_only_the_joint_is_short() -> None:
    grid = Grid([(0, 10_000)])
    grid.change(20_000, 15_000)
    assert [grid.around(ms) for ms in (19_999, 20_000, 29_999, 30_000)] == [
        (10_000, 20_000),
        (20_000, 30_000),
        (20_000, 30_000),
        (30_000, 45_000),
    ]
    grid.change(20_000, 7_000)  # a second thought at the same place
    assert [grid.around(ms) for ms in (20_000, 21_000)] == [(20_000, 21_000), (21_000, 28_000)]
    grid.change(28_000, 7_000)
    assert grid.steps == [(0, 10_000), (20_000, 7_000)]
    assert grid.forget(20_000)
    assert not grid.forget(20_000)
    assert grid.steps == [(20_000, 7_000)]
    assert grid.around(21_000) == (21_000, 28_000)
    assert grid.around(20_500) == (20_000, 21_000), "the short one"
    assert grid.around(15_000) == (14_000, 20_000), "long final"


def test_every_moment_lies_in_exactly_one_bucket_of_a_changing_grid() -> None:
    grid = Grid([(0, 10_000)])
    grid.change(30_000, 7_000)
    grid.change(42_000, 4_000)
    ms = 0
    while ms < 100_000:
        start, end = grid.around(ms)
        assert start == ms < end
        assert {grid.around(x) for x in (start, (start + end) // 2, end - 1)} == {(start, end)}
        ms = end
