"""A live camera on the route: what becomes of its lesson when a clock leaps, a stream goes quiet, or somebody is late."""

from itertools import pairwise

import pytest

from classpulse.codec import decode
from classpulse.ingest.sources.base import SourceError
from classpulse.reading import RoomTimeline, State, stored_records
from classpulse.records import FrameDetections, Idle, Record
from classpulse.topics import DETECTIONS, partition_of
from tests.route.live import LiveRoute
from tests.route.rig import FRONT, LONG_MS, NOW_MS, ROOM, STEP_MS
from tests.services.ingest.making import epochs_of

HOUR_MS = 3_600_000
FRAMES = LONG_MS // STEP_MS


def story(route: LiveRoute) -> list[Record]:
    """The room's story as aggregate reads it."""
    return [
        decode(record) for record in stored_records(route.bus, DETECTIONS, partition_of(ROOM, DETECTIONS.partitions))
    ]


def seen(route: LiveRoute) -> list[FrameDetections]:
    return [noun for noun in story(route) if isinstance(noun, FrameDetections)]


def spans(timeline: RoomTimeline) -> list[tuple[int, int | None]]:
    """When hands were up, from the beginning of the test on."""
    return [(s.started_at_ms - NOW_MS, s.ended_at_ms and s.ended_at_ms - NOW_MS) for s in timeline.spans]


def check_account(route: LiveRoute) -> None:
    """Every captured frame is in the timeline or is missing there with a reason."""
    timeline = route.timeline()
    assert timeline.frames + sum(timeline.missing.values()) == route.captured


def test_a_camera_that_never_comes_leaves_time_in_which_it_was_due_and_nobody_was_seen() -> None:
    with LiveRoute() as route:
        route.let_pass(60_000)
        timeline = route.timeline()
    final = [cell for cell in timeline.cells if cell.final]
    assert len(final) >= 4
    assert [cell.state for cell in final] == [State.UNSEEN] * len(final)
    assert {(cell.due_ms, cell.observed_ms, cell.frames) for cell in final} == {(10_000, 0, 0)}
    assert timeline.start_ms == NOW_MS
    assert timeline.end_ms <= NOW_MS + 60_000


def test_a_live_lesson_is_seen_whole() -> None:
    with LiveRoute() as route:
        route.play(route.sends(0, LONG_MS))
        timeline = route.timeline()
    assert spans(timeline) == [(5_000, 9_000)]
    assert (timeline.start_ms, timeline.end_ms) == (NOW_MS, NOW_MS + LONG_MS)
    assert {(cell.due_ms, cell.observed_ms, cell.final) for cell in timeline.cells} == {(10_000, 10_000, True)}
    assert (timeline.frames, timeline.missing, route.captured) == (FRAMES, {}, FRAMES)


@pytest.mark.parametrize("leap_ms", [HOUR_MS, -HOUR_MS])
def test_a_camera_clock_that_leaps_between_two_pictures_costs_nothing_and_moves_nothing(leap_ms: int) -> None:
    with LiveRoute() as plain, LiveRoute() as leapt:
        plain.play(plain.sends(0, LONG_MS))
        leapt.play(leapt.sends(0, 12_000) + leapt.sends(12_000, LONG_MS, ahead_ms=leap_ms))
        assert set(epochs_of(seen(leapt))) == {0, 1}
        assert spans(leapt.timeline()) == spans(plain.timeline()) == [(5_000, 9_000)]
        assert leapt.figures() == plain.figures()
        assert [bucket.start_ms - NOW_MS for bucket in leapt.buckets()] == [0, 10_000, 20_000]
        check_account(leapt)
        assert leapt.captured == FRAMES


@pytest.mark.parametrize("leap_ms", [HOUR_MS, -HOUR_MS])
def test_a_hand_that_is_up_while_the_camera_clock_leaps_is_two_spans_that_meet(leap_ms: int) -> None:
    """An epoch ends what was going on: nobody can tell that it is the same hand."""
    with LiveRoute() as route:
        route.play(route.sends(0, 7_000) + route.sends(7_000, LONG_MS, ahead_ms=leap_ms))
        timeline = route.timeline()
        assert set(epochs_of(seen(route))) == {0, 1}
        assert spans(timeline) == [(5_000, 7_000), (7_000, 9_000)]
        assert (timeline.start_ms, timeline.end_ms) == (NOW_MS, NOW_MS + LONG_MS)
        assert timeline.coverage == 1
        check_account(route)
        assert (timeline.frames, route.captured) == (FRAMES, FRAMES)


def test_a_stream_that_goes_quiet_and_comes_back_is_a_hole_between_two_epochs() -> None:
    """Quiet, then refused four times; connected to again, it gives the same lesson from its beginning."""
    back_ms = 60_000
    with LiveRoute() as route:
        quiet = [*route.sends(0, 8_000), route.until(11_000), None]
        refused = [[SourceError("refused", "no")] for _ in range(4)]
        route.play(quiet, *refused, [route.until(back_ms), *route.sends(0, LONG_MS, begun_ms=back_ms)])
        timeline, frames = route.timeline(), seen(route)
        check_account(route)
    assert set(epochs_of(frames)) == {0, 1}
    hole = max(pairwise(frame.captured_at_ms - NOW_MS for frame in frames), key=lambda pair: pair[1] - pair[0])
    assert hole == (8_000 - STEP_MS, back_ms)
    inside = [c for c in timeline.cells if c.start_ms >= NOW_MS + 10_000 and c.end_ms <= NOW_MS + back_ms]
    assert [(c.due_ms, c.observed_ms, c.frames, c.state) for c in inside] == [(10_000, 0, 0, State.UNSEEN)] * 5
    after = [c for c in timeline.cells if c.start_ms >= NOW_MS + back_ms]
    assert [(c.due_ms, c.observed_ms) for c in after] == [(10_000, 10_000)] * 3
    assert spans(timeline) == [(5_000, 8_100), (back_ms + 5_000, back_ms + 9_000)]
    assert timeline.missing == {}, "nothing was captured in the hole"


def test_frames_that_detect_finds_too_old_are_missing_and_say_why() -> None:
    """It stands still from 4 to 12 s: what is older than 5 s then is left out, with the beginning of the raised hand."""
    with LiveRoute() as route:
        halted = [route.keep_up(keeping_up=False), *route.sends(4_000, 12_000), route.keep_up(keeping_up=True)]
        route.play([*route.sends(0, 4_000), *halted, *route.sends(12_000, LONG_MS)])
        timeline = route.timeline()
        check_account(route)
    assert timeline.missing == {"stale": 3_000 // STEP_MS}
    assert timeline.frames == route.captured - 3_000 // STEP_MS == FRAMES - 3_000 // STEP_MS
    assert [(c.due_ms, c.observed_ms) for c in timeline.cells] == [(10_000, 7_000), (10_000, 10_000), (10_000, 10_000)]
    assert spans(timeline) == [(7_000, 9_000)]
    assert route.dead() == []


def test_a_room_of_which_nothing_comes_any_more_goes_on_unseen_and_its_hands_come_down() -> None:
    """The process of its camera ended without a word, while a hand was up."""
    with LiveRoute() as route:
        route.play(route.sends(0, 7_000), off=False)
        assert spans(route.timeline()) == [(5_000, None)]
        route.let_pass(60_000)
        timeline = route.timeline()
        check_account(route)
        assert {noun.camera for noun in story(route) if isinstance(noun, Idle)} == {FRONT}
    assert spans(timeline) == [(5_000, 7_100)]
    first, *later = [cell for cell in timeline.cells if cell.final]
    assert (first.due_ms, first.observed_ms, first.frames) == (10_000, 7_100, 35)
    assert len(later) >= 3
    assert [(c.due_ms, c.observed_ms, c.state) for c in later] == [(10_000, 0, State.UNSEEN)] * len(later)
