import io

from rich.console import Console, RenderableType

from classpulse.accounts import Account
from classpulse.clock import ManualClock
from classpulse.demo.bars import most_at_once, room_bars, state_of
from classpulse.demo.following import Follower
from classpulse.demo.live import latency_text, live_view, progress_line
from classpulse.demo.measuring import Result
from classpulse.demo.screens import LiveScreen, LogScreen, account_table, show_result
from classpulse.drawing.lanes import TrueSpan
from classpulse.page import Panel
from classpulse.reading import Cell, RoomTimeline, Span, State
from classpulse.topics import DETECTIONS, EVENTS, TIMELINES
from tests.services.demo.log import (
    CAMERA,
    ROOM,
    START_MS,
    Log,
    a_played_lesson,
    bucket,
    detected,
    event,
    heartbeat,
)


def shown(*things: RenderableType) -> str:
    console = Console(width=160, record=True, file=io.StringIO(), color_system=None)
    for thing in things:
        console.print(thing)
    return console.export_text()


def following(log: Log) -> Follower:
    follower = Follower(log.bus, [ROOM])
    follower.look()
    return follower


def test_before_anything_is_committed_a_room_has_nothing_and_is_not_done() -> None:
    follower = following(Log())
    assert not follower.done
    view = shown(live_view(follower, now_ms=START_MS, elapsed_s=0.0, expected_s=100.0))
    assert "room-1" in view
    assert "none" in view


def test_a_behaviour_goes_on_until_its_end_is_told() -> None:
    log = Log()
    log.put(EVENTS, event(0), event(500), event(700, behaviour="sleeping"), at_ms=-40)
    follower = following(log)
    assert follower.rooms[ROOM].now == {"hand-raising": 2, "sleeping": 1}
    log.put(EVENTS, event(500, 900))
    assert follower.look() == 1
    assert follower.rooms[ROOM].now == {"hand-raising": 1, "sleeping": 1}
    assert follower.rooms[ROOM].events == {"hand-raising": 2, "sleeping": 1}
    assert follower.latencies_ms == [40, 40, 40]


def test_frames_per_second_forget_what_is_old() -> None:
    log = Log()
    log.put(DETECTIONS, *(detected(i) for i in range(50)))
    follower = following(log)
    room = follower.rooms[ROOM]
    assert room.frames_per_s(START_MS + 4_000) == 10.0
    assert (room.frames_per_s(START_MS + 5_000), room.frames) == (0.0, 50)


def test_a_room_is_done_when_its_cameras_are_off_and_no_bucket_can_change() -> None:
    log = Log()
    log.put(DETECTIONS, detected(0), heartbeat(0, "off"))
    log.put(TIMELINES, bucket(0, final=False))
    done = [following(log).done]
    log.put(TIMELINES, bucket(0, revision=1))
    done.append(following(log).done)
    log.put(DETECTIONS, detected(0, epoch=1))
    done.append(following(log).done)
    assert done == [False, True, False]


def test_other_rooms_of_the_same_partition_are_not_mixed_in() -> None:
    log = Log()
    other = ROOM + "5"  # which shares its partition
    log.put(EVENTS, event(0, room=other))
    log.put(TIMELINES, bucket(0, room=other))
    log.put(DETECTIONS, detected(0, camera=f"{other}/front"))
    follower = following(log)
    assert (follower.rooms[ROOM].events, follower.rooms[ROOM].frames, follower.rooms[ROOM].buckets) == ({}, 0, {})


def test_the_live_view_shows_what_was_promised() -> None:
    log = a_played_lesson()
    log.put(EVENTS, event(19_000, behaviour="stand-up"), at_ms=9_000)
    log.put(TIMELINES, bucket(1, frames=80, missing={"stale": 20}, revision=1))
    view = shown(live_view(following(log), now_ms=START_MS + 10_000, elapsed_s=20.0, expected_s=25.0))
    rows = [line.split() for line in view.splitlines() if line.strip()]
    assert ["room-1", "hand-raising", "·", "2", "90.0", "%", "200", "300", "/", "1000", "ms", "20", "stale"] in rows
    assert ["stand-up", "1", "1", "20.0", "/s"] in rows
    assert ["sleeping", "·", "0"] in rows


def test_a_progress_line_names_every_room_and_what_is_missing() -> None:
    log = a_played_lesson()
    log.put(TIMELINES, bucket(1, frames=80, missing={"stale": 20}, revision=1))
    line = progress_line(following(log), now_ms=START_MS + 10_000, elapsed_s=20.0)
    assert line == "   20 s   20.0 frames/s  room-1 200 frames, 2 events, seen 90.0 %, missing 20 stale"


def test_a_machine_far_behind_is_said_to_be_and_that_it_drops_nothing_only_while_it_does_not() -> None:
    log = Log()

    def line() -> str:
        return progress_line(following(log), now_ms=START_MS, elapsed_s=20.0)

    log.clock.advance(9_000)
    log.put(DETECTIONS, detected(0))
    assert "behind" not in line()
    log.clock.advance(14_000)
    log.put(DETECTIONS, detected(0))
    assert line().endswith("|  this machine is 23 s behind; nothing is dropped")
    view = shown(live_view(following(log), now_ms=START_MS, elapsed_s=20.0, expected_s=25.0))
    assert "this machine is 23 s behind; nothing is dropped" in view
    log.put(TIMELINES, bucket(0, missing={"expired": 2}))
    assert line().endswith("|  this machine is 23 s behind")


def test_latency_without_events_is_a_dash() -> None:
    assert (latency_text([]), latency_text([5, 9])) == ("–", "5 / 9 ms")


def test_bars_of_a_room_without_a_record_are_empty_and_do_not_fail() -> None:
    text = room_bars(Panel(RoomTimeline(ROOM, "UTC", 0, 0, (), ())), 60).plain
    assert "no record of this time" in text
    assert "█" not in text


def test_bars_show_people_at_once_truth_below_and_four_kinds_of_nothing() -> None:
    full = {"recorded_ms": 10_000, "due_ms": 10_000, "observed_ms": 10_000}
    cells = (
        Cell(0, 10_000, **full),  # type: ignore[arg-type]
        Cell(10_000, 20_000, recorded_ms=10_000, due_ms=10_000),
        Cell(20_000, 30_000, recorded_ms=10_000),
        Cell(30_000, 40_000),
        Cell(40_000, 50_000, **full),  # type: ignore[arg-type]
    )
    spans = tuple(Span(f"{CAMERA}/0/hand-raising/0/{i}", "hand-raising", 40_000, 50_000, "m") for i in range(2))
    truths = (TrueSpan("hand-raising", 40_000, 45_000, found=True),)
    panel = Panel(RoomTimeline(ROOM, "UTC", 0, 50_000, cells, spans), truths)
    found, true = room_bars(panel, 20 + 1 + 10).plain.splitlines()[1:3]
    assert found == "hand-raising  found " + "··╱╱░░  ▄▄"
    assert true == "               true " + "        ▂ "


def test_an_account_says_what_had_not_come_so_far_and_only_what_is_lost_does_not_add_up() -> None:
    def said(account: Account) -> str:
        return " ".join(shown(account_table(Result((), {}, (account,), (), None, ()))).split())

    cut = Account(CAMERA, captured=116, in_timelines=1, dropped={}, not_yet={"not looked at": 115})
    assert "none │ 115 not yet │" in said(cut)
    assert "115 not looked at yet when it was stopped" in said(cut)
    assert "NO" not in said(cut)
    assert "NO" in said(Account(CAMERA, captured=116, in_timelines=1, dropped={}))


def test_most_at_once_counts_what_shares_a_moment_and_half_open_ends_do_not() -> None:
    assert most_at_once([], 0, 10) == 0
    assert most_at_once([(0, 5), (5, 10)], 0, 10) == 1
    assert most_at_once([(0, 6), (5, 10), (5, 6)], 0, 10) == 3
    assert most_at_once([(0, 6), (5, 10)], 6, 10) == 1


def test_a_slice_is_unseen_when_most_of_its_due_time_was() -> None:
    cells = [Cell(0, 10, recorded_ms=10, due_ms=10, observed_ms=4)]
    assert state_of(cells, 0, 5) is State.UNSEEN
    assert state_of([Cell(0, 10, recorded_ms=10, due_ms=10, observed_ms=5)], 0, 5) is State.QUIET
    assert state_of([], 0, 5) is State.UNRECORDED


def test_a_log_screen_prints_now_and_then_and_a_live_one_draws() -> None:
    log = a_played_lesson()
    console = Console(width=200, record=True, file=io.StringIO(), color_system=None)
    with LogScreen(console, ManualClock(START_MS), 20.0) as screen:
        for elapsed_s in (0.0, 1.0, 4.9, 5.0):
            screen.show(following(log), elapsed_s)
    assert console.export_text().count("200 frames") == 2
    with LiveScreen(Console(file=io.StringIO(), force_terminal=True, width=160), ManualClock(START_MS), 20.0) as live:
        live.show(following(log), 3.0)


def test_the_end_of_an_empty_demo_is_shown_without_figures(tmp_path: object) -> None:
    from pathlib import Path

    console = Console(width=120, record=True, file=io.StringIO(), color_system=None)
    show_result(console, Result((), {}, (), (), None, ()), [], Path("demo-out/data"))
    text = console.export_text()
    assert "none was used" in text
    assert "–" in text
