import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthroom.rotations import Array
from synthroom.script import LEAST_GAP_MS, Gesture, Hold, Track, plan_gestures, true_span
from synthroom.sitting import BEHAVIOURS, HAND_RAISING, SLEEPING, STAND_UP, Pose

STILL = np.array([[1.0, 0, 0, 0]])


def at_height(metres: float) -> Pose:
    return Pose("listen", STILL, np.array([0, 0, metres]))


def height(_turns: Array, shift: Array) -> float:
    return float(shift[2])


def rise_and_fall() -> Track:
    return Track((Hold(at_height(0), 0, 2000), Hold(at_height(0.5), 3000, 5000), Hold(at_height(0), 6000, 9000)))


def test_nobody_cast_means_nothing_planned() -> None:
    assert plan_gestures(np.random.default_rng(0), {}, {HAND_RAISING: 3}, 60_000) == []


def test_what_does_not_fit_into_a_short_lesson_is_left_out() -> None:
    cast = {behaviour: [1, 2, 3] for behaviour in BEHAVIOURS}
    planned = plan_gestures(np.random.default_rng(0), cast, {HAND_RAISING: 2, SLEEPING: 1}, 20_000)

    assert {one.behaviour for one in planned} == {HAND_RAISING}
    assert all(one.ended_ms <= 18_000 for one in planned)


def test_a_body_rests_before_its_first_hold_and_after_its_last() -> None:
    track = rise_and_fall()
    assert (track.at(-50)[1][2], track.at(99_000)[1][2]) == (0, 0)


def test_a_body_is_halfway_in_the_middle_of_a_motion() -> None:
    track = rise_and_fall()
    assert track.at(2500)[1][2] == pytest.approx(0.25)
    assert (track.moves(2500), track.moves(4000)) == (True, False)


def test_a_span_holds_from_seventy_per_cent_of_the_way_up_to_seventy_on_the_way_down() -> None:
    # 3s² - 2s³ = 0.7 at s = 0.6367: 2,637 ms, on the grid 2,640; falling 0.3 is done at s = 0.3633: 5,363, on the grid 5,360
    assert true_span(rise_and_fall(), 1, height) == (2640, 5360)


def test_a_span_may_go_over_several_holds() -> None:
    holds = (
        Hold(at_height(0), 0, 1000),
        Hold(at_height(1.0), 2000, 3000),
        Hold(at_height(1.02), 3500, 4000),
        Hold(at_height(0), 5000, 6000),
    )
    started, ended = true_span(Track(holds), 1, height, last=2)
    assert (started, ended) == (1640, 4360)


def test_sinking_counts_like_rising() -> None:
    track = Track((Hold(at_height(1), 0, 2000), Hold(at_height(0.2), 3000, 5000), Hold(at_height(1), 6000, 9000)))
    assert true_span(track, 1, height) == (2640, 5360)


@pytest.mark.parametrize("index", [0, 2])
def test_the_first_and_the_last_hold_are_no_gesture(index: int) -> None:
    with pytest.raises(ValueError, match=f"holds {index} to {index} of 3: expected holds before and after them"):
        true_span(rise_and_fall(), index, height)


def gaps(planned: list[Gesture], behaviour: str) -> list[int]:
    own = [g for g in planned if g.behaviour == behaviour]
    return [
        max(a.started_ms - b.ended_ms, b.started_ms - a.ended_ms)
        for i, a in enumerate(own)
        for b in own[i + 1 :]
        if a.pupil == b.pupil
    ]


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 8))
def test_planned_gestures_keep_their_distance_and_their_length(seed: int, pupils: int) -> None:
    cast = {behaviour: list(range(1, pupils + 1)) for behaviour in BEHAVIOURS}
    wanted = {HAND_RAISING: 18, STAND_UP: 7, SLEEPING: 6}
    planned = plan_gestures(np.random.default_rng(seed), cast, wanted, 100_000)
    for behaviour in BEHAVIOURS:
        assert all(gap > LEAST_GAP_MS[behaviour] for gap in gaps(planned, behaviour))
    for one in planned:
        low, high = {HAND_RAISING: (2000, 8000), STAND_UP: (4000, 15_000), SLEEPING: (25_000, 45_000)}[one.behaviour]
        assert low <= one.ended_ms - one.started_ms <= high
        assert 2000 <= one.started_ms < one.ended_ms <= 98_000
    for i, a in enumerate(planned):
        assert all(
            a.pupil != b.pupil or a.ended_ms < b.started_ms or b.ended_ms < a.started_ms for b in planned[i + 1 :]
        )


def test_a_large_cast_gets_all_that_is_wanted() -> None:
    cast = {behaviour: list(range(1, 17)) for behaviour in BEHAVIOURS}
    planned = plan_gestures(np.random.default_rng(4), cast, {HAND_RAISING: 18, STAND_UP: 7, SLEEPING: 6}, 100_000)
    assert [sum(g.behaviour == b for g in planned) for b in (HAND_RAISING, STAND_UP, SLEEPING)] == [18, 7, 6]
