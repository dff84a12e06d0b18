"""Which pictures are taken, and when they were captured."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classpulse.ingest.sampling import Grid, LiveClock


def taken(grid: Grid, times_ms: list[int]) -> list[int]:
    """The times at which one picture per slot is taken."""
    slot, found = -1, []
    for pts_ms in times_ms:
        if grid.slot(pts_ms) > slot:
            slot = grid.slot(pts_ms)
            found.append(pts_ms)
    return found


def times_of(fps: float, count: int) -> list[int]:
    return [int(1000 * n / fps) for n in range(count)]


def test_the_first_picture_is_in_slot_0_whenever_it_comes() -> None:
    assert Grid(5).slot(0) == 0
    assert Grid(5).slot(199) == 0
    assert Grid(5).slot(200) == 1


@pytest.mark.parametrize(
    ("stream_fps", "fps", "expected_ms"),
    [
        (10, 5, [0, 200, 400, 600, 800]),
        (15, 5, [0, 200, 400, 600, 800]),
        (25, 2, [0, 520]),
        (30, 1, [0]),
        (2, 5, [0, 500]),
        (10, 2.5, [0, 400, 800]),
    ],
)
def test_a_picture_is_taken_when_it_passes_the_next_due_time(
    stream_fps: float, fps: float, expected_ms: list[int]
) -> None:
    assert taken(Grid(fps), times_of(stream_fps, int(stream_fps))) == expected_ms


@pytest.mark.parametrize("fps", [1, 5, 7, 12, 15, 24, 25, 29.97, 30, 59.94])
def test_sampling_at_the_streams_own_rate_takes_every_picture(fps: float) -> None:
    times_ms = times_of(fps, 900)
    assert taken(Grid(fps), times_ms) == times_ms


@pytest.mark.parametrize("stream_fps", [10, 15, 25, 30])
def test_sampling_faster_than_the_stream_takes_every_picture(stream_fps: float) -> None:
    times_ms = times_of(stream_fps, 200)
    assert taken(Grid(60), times_ms) == times_ms


def test_a_live_camera_with_jitter_at_the_sampling_rate_loses_no_picture() -> None:
    jitter_ms = [0, -9, 12, -20, 3, 19, -20, 0, 7, -11] * 10
    times_ms = [max(0, 200 * n + off_ms) for n, off_ms in enumerate(jitter_ms)]
    assert taken(Grid(5, tolerant=True), times_ms) == times_ms
    assert len(taken(Grid(5), times_ms)) < len(times_ms), "without tolerance the jitter costs pictures"


@given(st.lists(st.integers(1, 400), min_size=1, max_size=60), st.floats(0.2, 30), st.data())
def test_a_restart_takes_the_same_pictures(steps_ms: list[int], fps: float, data: st.DataObject) -> None:
    times_ms = [sum(steps_ms[:n]) for n in range(len(steps_ms))]
    grid = Grid(fps)
    whole = taken(grid, times_ms)
    position_ms = data.draw(st.sampled_from(whole))
    slot, resumed = grid.slot(position_ms), []
    for pts_ms in times_ms:
        if pts_ms > position_ms and grid.slot(pts_ms) > slot:
            slot = grid.slot(pts_ms)
            resumed.append(pts_ms)
    assert [t for t in whole if t <= position_ms] + resumed == whole


@given(st.integers(0, 5_000), st.floats(0.1, 60))
def test_a_slot_starts_at_its_start(slot: int, fps: float) -> None:
    for grid in (Grid(fps), Grid(fps, tolerant=True)):
        start_ms = grid.start_of(slot)
        assert grid.slot(start_ms) >= slot
        assert slot == 0 or grid.slot(start_ms - 1) < slot


def test_a_live_stream_begins_now_and_goes_on_by_its_own_clock() -> None:
    clock = LiveClock()
    assert clock.place(7_000, 1_000_000) == 1_000_000
    assert clock.place(7_200, 1_000_230) == 1_000_200, "it arrived 30 ms late and was captured on time"
    assert clock.place(7_400, 1_000_400) == 1_000_400


def test_nothing_was_captured_after_it_arrived() -> None:
    clock = LiveClock()
    clock.place(0, 1_000_000)
    assert clock.place(700, 1_000_010) == 1_000_010, "a burst: 700 ms of pictures within 10 ms"
    assert clock.place(900, 1_000_210) == 1_000_210, "the count was lowered by the burst"


def test_a_clock_that_runs_fast_is_followed_and_never_leads() -> None:
    clock = LiveClock()
    for second in range(100_000):
        now_ms = 1_000_000 + 1_000 * second
        assert clock.place(second * 1_000 + second // 10, now_ms) == now_ms


@pytest.mark.parametrize("leap_ms", [-3_600_000, -1_500, 3_600_000, 2_500])
def test_a_leap_of_the_cameras_clock_is_noticed(leap_ms: int) -> None:
    clock = LiveClock()
    assert clock.place(5_000_000, 1_000_000) == 1_000_000
    assert clock.place(5_000_100 + leap_ms, 1_000_100) is None
    clock.restart(5_000_100 + leap_ms, 1_000_100)
    assert clock.place(5_000_200 + leap_ms, 1_000_200) == 1_000_200


def test_a_wall_clock_that_is_set_back_is_noticed() -> None:
    clock = LiveClock()
    clock.place(0, 10_000_000)
    assert clock.place(100, 10_000_100 - 3_600_000) is None


def test_a_picture_that_comes_a_little_late_is_no_leap() -> None:
    clock = LiveClock()
    clock.place(1_000, 50_000)
    clock.place(1_500, 50_500)
    assert clock.place(1_400, 50_510) == 50_400
