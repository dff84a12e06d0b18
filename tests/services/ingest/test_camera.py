"""One camera's story: epochs, sequences, times, and what a restart goes on from."""

import itertools

import pytest

from classpulse.ingest.camera import Beat, CameraStory, Item, Picked
from classpulse.ingest.sources.base import Opened
from classpulse.records import CameraConfig, IngestState
from tests.services.ingest.making import CAMERA, StillPicture, config_of

NOW_MS = 1_700_000_000_000
FILE = "file:///lesson.mp4"
RTSP = "rtsp://10.0.0.7/stream"


def live(stored: IngestState | None = None, *, fps: float = 5.0, source: str = RTSP) -> CameraStory:
    return CameraStory(config_of(source, fps=fps), stored, recorded=False)


def recording(stored: IngestState | None = None, *, fps: float = 5.0, **more: object) -> CameraStory:
    config: CameraConfig = config_of(FILE, fps=fps, **{"delivery": "complete", **more})
    return CameraStory(config, stored, recorded=True)


def opened(story: CameraStory, now_ms: int = NOW_MS, **more: object) -> CameraStory:
    paced = bool(more.pop("paced", False))
    story.resume_after(now_ms, paced=paced)
    story.begin(now_ms, Opened(**more), paced=paced)  # type: ignore[arg-type]
    return story


def see(story: CameraStory, *moments: tuple[int, int]) -> list[Item]:
    """Show pictures: (stream time, wall time after NOW_MS)."""
    return [item for pts_ms, now_ms in moments for item in story.see(StillPicture(pts_ms), NOW_MS + now_ms)]


def facts(items: list[Item]) -> list[tuple[object, ...]]:
    """(epoch, sequence, time) of frames; (epoch, last sequence, time, state) of heartbeats. Times after NOW_MS."""
    found: list[tuple[object, ...]] = []
    for item in items:
        if isinstance(item, Picked):
            found.append((item.state.epoch, item.sequence, item.at_ms - NOW_MS))
        elif isinstance(item, Beat):
            found.append((item.state.epoch, item.state.next_sequence - 1, item.at_ms - NOW_MS, item.said))
    return found


def test_a_story_without_pictures_tells_where_the_camera_stands_once_a_second() -> None:
    story = live()
    told = story.connect(NOW_MS)
    for after_ms in (100, 999, 1_000, 1_500, 2_000):
        told += story.tick(NOW_MS + after_ms)
    assert facts(told) == [(0, -1, 0, "connecting"), (0, -1, 1_000, "connecting"), (0, -1, 2_000, "connecting")]


def test_sequences_have_no_holes_and_times_follow_the_streams_clock() -> None:
    story = opened(live())
    told = see(story, (0, 0), (100, 130), (200, 210), (300, 390), (400, 405))
    assert facts(told) == [(0, 0, 0), (0, 1, 200), (0, 2, 400)]


def test_a_connection_is_an_epoch_of_its_own() -> None:
    story = opened(live())
    told = see(story, (0, 0), (200, 200))
    told += story.fail("ended", NOW_MS + 250, progressed=True)
    told += story.connect(NOW_MS + 700)
    opened(story, NOW_MS + 800)
    told += see(story, (0, 900))
    assert facts(told) == [(0, 0, 0), (0, 1, 200), (0, 1, 250, "silent"), (0, 1, 700, "connecting"), (1, 0, 900)]


def test_connections_without_a_picture_do_not_waste_epochs() -> None:
    story = live()
    for attempt in range(5):
        story.connect(NOW_MS + 1_000 * attempt)
        opened(story, NOW_MS + 1_000 * attempt)
        story.fail("ended", NOW_MS + 1_000 * attempt + 10, progressed=False)
    assert story.epoch == 0


@pytest.mark.parametrize("leap_ms", [3_600_000, -3_600_000])
def test_a_leap_of_the_cameras_clock_starts_a_new_epoch_that_begins_now(leap_ms: int) -> None:
    story = opened(live())
    told = see(story, (7_200_000, 0), (7_200_200, 200), (7_200_400 + leap_ms, 400), (7_200_600 + leap_ms, 600))
    assert facts(told) == [(0, 0, 0), (0, 1, 200), (1, 0, 400), (1, 1, 600)]


def test_a_wall_clock_that_is_set_back_is_believed_in_a_new_epoch() -> None:
    story = opened(live())
    told = see(story, (0, 0), (200, 200), (400, 400 - 3_600_000), (600, 600 - 3_600_000))
    assert facts(told) == [(0, 0, 0), (0, 1, 200), (1, 0, 400 - 3_600_000), (1, 1, 600 - 3_600_000)]


def test_a_wall_clock_that_is_set_back_while_waiting_is_believed_in_a_new_epoch() -> None:
    story = live()
    told = story.connect(NOW_MS) + story.tick(NOW_MS - 3_600_000)
    assert facts(told) == [(0, -1, 0, "connecting"), (1, -1, -3_600_000, "connecting")]


def test_the_same_picture_twice_is_told_once() -> None:
    story = opened(live())
    assert facts(see(story, (0, 0), (0, 20), (200, 200), (200, 200), (150, 210))) == [(0, 0, 0), (0, 1, 200)]


def test_time_within_an_epoch_never_goes_back() -> None:
    story = opened(live())
    times = [item.at_ms for item in see(story, *((200 * n, 200 * n - 60 * (n % 3)) for n in range(1, 40)))]  # type: ignore[union-attr]
    assert times == sorted(times)
    assert len(set(times)) == len(times)


def test_a_burst_after_connecting_gives_one_picture_not_many_of_one_moment() -> None:
    story = opened(live())
    told = see(story, *((100 * n, 2 * n) for n in range(8)), *((100 * n, 100 * n - 685) for n in range(8, 13)))
    assert [fact[:2] for fact in facts(told)] == [(0, 0), (0, 1), (0, 2), (0, 3)]
    gaps = [b.at_ms - a.at_ms for a, b in itertools.pairwise(told)]  # type: ignore[union-attr]
    assert min(gaps) >= 100, f"two samples are half an interval apart at least: {gaps}"


def test_how_late_a_picture_comes_is_known() -> None:
    story = opened(live())
    see(story, (0, 0), (200, 200))
    assert story.late_ms == 0
    see(story, (400, 6_400))
    assert story.late_ms == 6_000


def test_a_slow_camera_shows_signs_of_life_between_its_frames() -> None:
    story = opened(live(fps=0.25))
    told = see(story, *((500 * n, 500 * n) for n in range(10)))
    assert facts(told) == [(0, 0, 0), (0, 0, 1_000, "up"), (0, 0, 2_000, "up"), (0, 0, 3_000, "up"), (0, 1, 4_000)]


def test_the_interval_of_a_frame_is_never_less_than_the_streams_own_period() -> None:
    story = opened(live(fps=30))
    told = see(story, *((500 * n, 500 * n) for n in range(6)))
    assert [item.interval_ms for item in told if isinstance(item, Picked)][-1] == 500
    clip = opened(recording(fps=30), duration_ms=10_000, frames_per_s=10.0)
    (first,) = see(clip, (0, 0))
    assert isinstance(first, Picked)
    assert first.interval_ms == 100


def test_an_unpaced_recording_ends_when_it_was_opened() -> None:
    story = opened(recording(), duration_ms=60_000)
    assert facts(see(story, (0, 5), (200, 6))) == [(0, 0, -60_000), (0, 1, -59_800)]
    assert facts(story.end(60_000, loops=False, now_ms=NOW_MS)) == [(0, 1, 0, "off")]
    assert story.ended


def test_a_paced_recording_and_one_of_unknown_length_start_now() -> None:
    assert facts(see(opened(recording(), duration_ms=60_000, paced=True), (0, 0))) == [(0, 0, 0)]
    assert facts(see(opened(recording()), (0, 0))) == [(0, 0, 0)]


def test_a_recording_of_known_start_is_dated_by_it_whenever_it_is_read() -> None:
    for now_ms in (NOW_MS, NOW_MS + 500_000):
        story = opened(recording(), now_ms, duration_ms=60_000, started_at_ms=1_772_438_400_000)
        assert facts(see(story, (200, 0)))[0][2] + NOW_MS == 1_772_438_400_200


def test_a_complete_recording_goes_on_after_its_last_published_frame_in_the_same_epoch() -> None:
    whole = see(opened(recording(), duration_ms=60_000), *((100 * n, 0) for n in range(20)))
    for cut in range(len(whole)):
        resumed = recording(whole[cut].state)
        position_ms = resumed.resume_after(NOW_MS + 500_000, paced=False)
        resumed.begin(NOW_MS + 500_000, Opened(duration_ms=60_000), paced=False)
        rest = see(resumed, *((100 * n, 500_000) for n in range(20)))
        assert position_ms == whole[cut].state.position_ms
        assert facts(whole[: cut + 1] + rest) == facts(whole)


def test_signs_of_life_of_a_recording_are_the_same_after_a_restart() -> None:
    whole = see(opened(recording(fps=0.2), duration_ms=60_000), *((100 * n, 0) for n in range(120)))
    assert [item.said for item in whole if isinstance(item, Beat)] == ["up"] * 9
    for cut in range(len(whole)):
        resumed = opened(recording(whole[cut].state, fps=0.2), NOW_MS + 9_000, duration_ms=60_000)
        rest = see(resumed, *((100 * n, 0) for n in range(120)))
        assert facts(whole[: cut + 1] + rest) == facts(whole)


def test_a_live_recording_goes_on_where_it_would_be_had_nobody_been_killed() -> None:
    story = opened(recording(delivery="live"), paced=True)
    (*_, last) = see(story, (0, 0), (200, 200))
    again = recording(last.state, delivery="live")
    assert again.resume_after(NOW_MS + 5_000, paced=True) == 4_999
    again.begin(NOW_MS + 5_000, Opened(), paced=True)
    assert facts(see(again, (4_900, 5_000), (5_200, 5_200))) == [(1, 0, 5_200)]


def test_an_ended_recording_is_not_played_again() -> None:
    story = opened(recording(), duration_ms=1_000)
    (end,) = story.end(1_000, loops=False, now_ms=NOW_MS)
    assert end.state.ended
    assert recording(end.state).ended
    assert not CameraStory(config_of("file:///other.mp4"), end.state, recorded=True).ended


def test_another_source_is_another_epoch_and_never_begins_before_what_was_told() -> None:
    story = opened(recording(), duration_ms=1_000)
    (end,) = story.end(1_000, loops=False, now_ms=NOW_MS)
    other = CameraStory(config_of("file:///other.mp4", delivery="complete"), end.state, recorded=True)
    other.begin(NOW_MS + 10, Opened(duration_ms=60_000), paced=False)
    assert facts(see(other, (0, 10))) == [(1, 0, 0)], "time up to the end of the first clip is told"


def test_a_loop_plays_again_in_a_new_epoch() -> None:
    story = opened(recording(delivery="live"), duration_ms=400, paced=True)
    told = see(story, (0, 0), (200, 200))
    assert story.end(400, loops=True, now_ms=NOW_MS + 400) == []
    assert not story.ended
    opened(story, NOW_MS + 400, duration_ms=400, paced=True)
    told += see(story, (0, 400), (200, 600))
    assert facts(told) == [(0, 0, 0), (0, 1, 200), (1, 0, 400), (1, 1, 600)]


def test_a_recording_that_fails_after_progress_holds_its_time_for_one_more_attempt() -> None:
    story = opened(recording(), duration_ms=60_000)
    told = see(story, (0, 0), (200, 0))
    told += story.fail("damaged", NOW_MS + 50, progressed=True) + story.tick(NOW_MS + 5_000)
    opened(story, NOW_MS + 600, duration_ms=60_000)
    assert facts(told + see(story, (400, 600)))[2:] == [(0, 1, -59_800, "silent"), (0, 2, -59_600)]


def test_the_time_of_a_recording_dated_by_itself_stands_still_however_long_it_fails() -> None:
    story = recording()
    story.begin(NOW_MS, Opened(60_000, 5.0, NOW_MS - 86_400_000), paced=False)
    told = see(story, (0, 0), (200, 0))
    told += story.fail("damaged", NOW_MS, progressed=True) + story.fail("damaged", NOW_MS + 500, progressed=False)
    told += story.tick(NOW_MS + 5_000)
    start = -86_400_000
    assert facts(told) == [(0, 0, start), (0, 1, start + 200), *[(0, 1, start + 200, "silent")] * 2]


def test_a_recording_that_stays_away_is_silent_as_time_passes_and_comes_back_later() -> None:
    story = recording()
    told = story.fail("missing", NOW_MS, progressed=False) + story.tick(NOW_MS + 1_000)
    opened(story, NOW_MS + 1_500, duration_ms=60_000)
    told += see(story, (0, 1_500), (200, 1_500))
    assert facts(told) == [(0, -1, 0, "silent"), (0, -1, 1_000, "silent"), (0, 0, 1_000), (0, 1, 1_200)]


def test_pictures_of_time_told_already_go_on_later_in_a_new_epoch() -> None:
    story = opened(recording(), duration_ms=60_000)
    see(story, (0, 0), (200, 0))
    story.fail("damaged", NOW_MS, progressed=False)
    opened(story, NOW_MS + 10, duration_ms=60_000)
    told = see(story, (400, 10), (600, 10))
    assert facts(told) == [(1, 0, 0), (1, 1, 200)]
    assert told[-1].state.position_ms == 600


def test_a_closed_camera_tells_that_nobody_is_to_be_observed() -> None:
    story = opened(live())
    see(story, (0, 0))
    assert facts(story.close(NOW_MS + 500)) == [(0, 0, 500, "off")]
    clip = opened(recording(), duration_ms=60_000)
    see(clip, (0, 0))
    assert facts(clip.close(NOW_MS + 500)) == [(0, 0, -60_000, "off")], "a recording's time stands still"


def test_a_removed_recording_is_played_again_when_it_is_added_again() -> None:
    story = opened(recording(), duration_ms=1_000)
    (end,) = story.end(1_000, loops=False, now_ms=NOW_MS)
    (gone,) = recording(end.state).close(NOW_MS + 10, forget=True)
    again = recording(gone.state)
    assert not again.ended
    assert again.epoch == 1
    assert again.resume_after(NOW_MS, paced=False) == -1


def test_a_restart_of_a_live_camera_is_a_new_epoch() -> None:
    story = opened(live())
    (*_, last) = see(story, (0, 0), (200, 200))
    assert last.state.camera == CAMERA
    again = live(last.state)
    assert facts(again.connect(NOW_MS + 300)) == [(1, -1, 300, "connecting")]


def test_only_what_will_be_told_needs_decoding() -> None:
    story = opened(recording(fps=0.2), duration_ms=60_000)
    assert story.wanted_from() == 0
    see(story, (0, 0))
    assert story.wanted_from() == 1_000, "a sign of life comes before the next frame"
    fast = opened(recording(fps=5), duration_ms=60_000)
    see(fast, (0, 0))
    assert fast.wanted_from() == 200


def test_a_live_cameras_epoch_stands_above_all_that_another_machine_told_before() -> None:
    config = config_of(RTSP)
    begun = CameraStory(config, None, recorded=False, now_ms=NOW_MS)
    assert begun.epoch == NOW_MS // 1000
    again = opened(begun).close(NOW_MS)[-1].state
    assert CameraStory(config, again, recorded=False, now_ms=NOW_MS).epoch == begun.epoch + 1, "within a second"
    assert CameraStory(config, again, recorded=False, now_ms=NOW_MS + 60_000).epoch == begun.epoch + 60
    assert CameraStory(config, again, recorded=False, now_ms=0).epoch == begun.epoch + 1, "whatever the clock says"
    assert CameraStory(config_of(FILE), None, recorded=True, now_ms=NOW_MS).epoch == 0, (
        "a recording tells the same again"
    )
