"""The stage on a bus: atomic steps, restarts, dead letters, and what it logs to its own input."""

from datetime import UTC, datetime

import pytest

from classpulse.aggregate.aggregate import SILENT_MS
from classpulse.aggregate.plans import REPEAT_EVERY_MS
from classpulse.aggregate.room import FINALITY_LIMIT_MS
from classpulse.bus.base import Place
from classpulse.codec import Outgoing, encode, frame_trace, header, tombstone
from classpulse.errors import Fatal
from classpulse.records import (
    BehaviourEvent,
    DeadLetter,
    Idle,
    Lesson,
    Record,
    RoomConfig,
    RoomPlan,
    StateEntry,
    TimelineBucket,
    room_of,
)
from classpulse.stage import Loop, Pace
from classpulse.topics import AGGREGATE_STATE, CAMERAS, DEAD_LETTERS, DETECTIONS, EVENTS, ROOMS, TIMELINES, partition_of
from tests.services.aggregate.rig import Rig
from tests.services.aggregate.stories import CAM, HAND, ROOM, A, B, at, beat, frame, frames, plan
from tests.support import Shown

NOW = 1_700_000_000_000
OTHER = "t/s/other/cam"


@pytest.fixture
def rig() -> Rig:
    return Rig()


def lesson(camera: str = CAM) -> list[Record]:
    """25 s of a hand that goes up and down, long ago enough to be no news from the future."""
    start = NOW - 60_000
    up, down = (
        frames(start, start + 3_000, at(1), camera=camera),
        frames(start + 3_200, start + 25_000, first=16, camera=camera),
    )
    return [*up, *down, beat(125, start + 25_100, "off", camera=camera)]


def test_nothing_on_the_bus_gives_nothing(rig: Rig) -> None:
    assert rig.turn() == 0
    assert rig.bytes() == []
    assert rig.all_of(DETECTIONS, Record) == []


def test_detections_become_an_event_and_final_buckets(rig: Rig) -> None:
    rig.tell(lesson())
    rig.turn()
    started, ended = rig.all_of(EVENTS, BehaviourEvent)
    assert (started.phase, started.ended_at_ms) == ("started", None)
    assert (ended.id, ended.started_at_ms, ended.ended_at_ms) == (started.id, NOW - 60_000, NOW - 56_800)
    finals = [b for b in rig.all_of(TIMELINES, TimelineBucket) if b.final]
    assert [b.start_ms for b in finals] == [NOW - 60_000, NOW - 50_000, NOW - 40_000]
    assert sum(b.frames for b in finals) == 126


def test_an_event_carries_the_time_and_trace_of_the_frame_that_made_it(rig: Rig) -> None:
    rig.tell(lesson())
    rig.turn()
    partition = partition_of(ROOM, EVENTS.partitions)
    started, ended = rig.bus.fetch(Place(EVENTS.name, partition), 0, max_records=9, max_bytes=10**6)
    assert header(started, "ce_time") == b"2023-11-14T22:12:20.600Z", "600 ms: the frame that satisfied the rule"
    assert frame_trace(CAM, 1, 3).encode() in (header(started, "traceparent") or b"")
    assert header(ended, "ce_time") == b"2023-11-14T22:12:24.400Z", "the first frame beyond the longest gap"
    assert frame_trace(CAM, 1, 22).encode() in (header(ended, "traceparent") or b"")


def test_a_fresh_process_goes_on_where_the_last_commit_ended(rig: Rig) -> None:
    rig.tell(lesson())
    rig.turn()
    undisturbed = rig.bytes()
    for every in (1, 5, 13):
        other = Rig()
        other.tell(lesson())
        other.start(max_records=every)
        while other.loop.turn():
            other.start(max_records=every)
        assert other.bytes() == undisturbed


def test_a_step_that_was_not_committed_never_happened(rig: Rig) -> None:
    rig.tell(lesson())
    polled = rig.loop.member.poll(max_records=20, max_bytes=10**6, timeout_ms=0)
    rig.loop._step(polled)
    rig.start()
    rig.turn()
    other = Rig()
    other.tell(lesson())
    other.turn()
    assert rig.bytes() == other.bytes()


def test_a_partition_that_was_another_members_for_a_while_is_read_from_the_bus_again(rig: Rig) -> None:
    rig.tell(lesson())
    rig.turn()
    undisturbed = rig.bytes()
    other = Rig()
    other.tell(lesson())
    other.start(max_records=40)
    assert other.loop.turn() == 40
    first = other.stage
    other.start(max_records=40)
    assert other.loop.turn() == 40
    member = other.bus.member("aggregate", [DETECTIONS])
    first.forget(member.assignment())
    back = Loop(first, other.bus, member, other.clock, Pace(timeout_ms=0), metrics=Shown())
    while back.turn():
        pass
    assert other.bytes() == undisturbed


def test_rooms_do_not_touch_each_other(rig: Rig) -> None:
    rig.tell(lesson())
    rig.tell(lesson(OTHER))
    rig.turn()
    mine = [b.decode().replace(room_of(OTHER), ROOM) for b in rig.bytes() if room_of(OTHER).encode() in b]
    assert mine == [b.decode() for b in rig.bytes() if ROOM.encode() in b]
    assert len(mine) == 4


def test_only_changed_pieces_are_written_again(rig: Rig) -> None:
    rig.tell([*frames(NOW - 60_000, NOW - 59_000, camera=A), *frames(NOW - 60_000, NOW - 59_000, camera=B)])
    rig.turn()
    end = sum(end for _, end in rig.bus.ends(AGGREGATE_STATE).values())
    rig.tell([beat(5, NOW - 58_999, camera=A)])
    rig.turn()
    assert sum(end for _, end in rig.bus.ends(AGGREGATE_STATE).values()) - end == 1, "camera a"


def test_an_unreadable_detection_is_put_aside_and_its_hole_has_the_reason_where_it_lies(rig: Rig) -> None:
    first, second, third = (encode(frame(i, NOW - 60_000 + 200 * i), topic=DETECTIONS, at_ms=0) for i in (0, 1, 4))
    broken = Outgoing(second.topic, second.partition, second.key, b"{", second.headers)
    rig.write(first, broken, third)
    rig.tell([beat(4, NOW - 50_000, "off")])
    rig.turn()
    (letter,) = rig.all_of(DEAD_LETTERS, DeadLetter)
    assert (letter.reason, letter.key, letter.stage) == ("wrong_type", ROOM, "aggregate")
    (bucket,) = [b for b in rig.all_of(TIMELINES, TimelineBucket) if b.final]
    assert (bucket.frames, bucket.missing) == (2, {"wrong_type": 3})


def test_a_record_that_cannot_be_true_is_put_aside_and_the_rest_goes_on(rig: Rig) -> None:
    rig.tell([plan(CAM, bucket_ms=5, at_ms=NOW), *lesson()])
    rig.turn()
    (letter,) = rig.all_of(DEAD_LETTERS, DeadLetter)
    assert (letter.reason, letter.detail) == ("wrong_type", "bucket_ms = 5; expected 1000 to 3600000")
    assert len(rig.bytes()) == 4


def test_what_retention_took_unread_is_missing_as_expired(rig: Rig) -> None:
    rig.tell(frames(NOW - 60_000, NOW - 59_000))
    rig.turn()
    rig.tell(frames(NOW - 58_800, NOW - 58_000, first=6))
    rig.clock.advance(8 * 24 * 3_600_000)
    rig.bus.retain(rig.clock.now_ms())
    rig.tell([frame(11, NOW - 57_800), beat(11, NOW - 57_000, "off")])
    rig.turn()
    (bucket,) = [b for b in rig.all_of(TIMELINES, TimelineBucket) if b.final]
    assert (bucket.frames, bucket.missing) == (7, {"expired": 5})


def test_the_plan_is_logged_before_the_first_step_and_when_it_changes(rig: Rig) -> None:
    rig.camera(A)
    rig.camera(B, "live")
    rig.camera(OTHER, enabled=False)
    rig.tell([frame(0, NOW - 1_000, camera=A)])
    rig.turn()
    (first,) = rig.all_of(DETECTIONS, RoomPlan)
    assert (first.config, first.cameras, first.bucket_ms) == (RoomConfig(room=ROOM), {A: "complete", B: "live"}, 10_000)
    for _ in range(3):
        rig.turn()
    rig.start()
    rig.turn()
    assert rig.all_of(DETECTIONS, RoomPlan) == [first], "neither again and again nor after a restart"
    rig.room(RoomConfig(room=ROOM, views="disjoint"))
    rig.turn()
    rig.write(tombstone(CAMERAS, A, A))
    rig.turn()
    rig.room(RoomConfig(room=ROOM, views="disjoint", enabled=False))
    rig.turn()
    rig.write(tombstone(CAMERAS, B, B), tombstone(ROOMS, ROOM, ROOM))
    rig.turn()
    rig.start(bucket_ms=15_000)
    rig.turn()
    plans = [(p.config.views, sorted(p.cameras), p.bucket_ms) for p in rig.all_of(DETECTIONS, RoomPlan)]
    assert plans == [
        ("overlapping", [A, B], 10_000),
        ("disjoint", [A, B], 10_000),
        ("disjoint", [B], 10_000),
        ("disjoint", [], 10_000),
        ("overlapping", [], 10_000),
        ("overlapping", [], 15_000),
    ]


def test_a_plan_says_whether_its_room_is_to_be_observed_then(rig: Rig) -> None:
    weekday = datetime.fromtimestamp(rig.clock.now_ms() // 1000, UTC).weekday()
    for day in (weekday, (weekday + 2) % 7):
        lesson_of_day = Lesson(weekday=day, start_minute=0, end_minute=24 * 60)
        rig.room(RoomConfig(room=ROOM, time_zone="UTC", timetable=(lesson_of_day,)))
        rig.camera(A, "live")
        rig.turn()
    assert [plan.due for plan in rig.all_of(DETECTIONS, RoomPlan)] == [True, False]


def test_an_unchanged_plan_is_logged_once_a_day_and_a_later_one_waits_for_its_time(rig: Rig) -> None:
    rig.room(RoomConfig(room=ROOM))
    rig.camera(A)
    rig.turn()
    rig.room(RoomConfig(room=ROOM, views="disjoint", valid_from_ms=rig.clock.now_ms() + 60_000))
    rig.turn()
    assert [p.config.views for p in rig.all_of(DETECTIONS, RoomPlan)] == ["overlapping"]
    rig.turn(after_ms=60_000)
    assert [p.config.views for p in rig.all_of(DETECTIONS, RoomPlan)] == ["overlapping", "disjoint"]
    rig.turn(after_ms=REPEAT_EVERY_MS)
    rig.turn()
    assert [p.config.views for p in rig.all_of(DETECTIONS, RoomPlan)] == ["overlapping", "disjoint", "disjoint"]


def test_a_live_camera_that_falls_silent_is_idled_and_a_complete_one_never(rig: Rig) -> None:
    rig.camera(A, "live")
    rig.camera(B, "live")
    rig.turn()
    rig.tell([*frames(NOW - 2_000, NOW, camera=A), *frames(NOW - 2_000, NOW, camera=B)])
    rig.turn()
    for second in range(1, 12):
        rig.tell([beat(10, NOW + 1_000 * second, camera=A)])
        rig.turn()
    (idle,) = rig.all_of(DETECTIONS, Idle)
    assert (idle.camera, idle.at_ms) == (B, rig.clock.now_ms() - 1_000 - 5_000)
    rig.turn(after_ms=SILENT_MS)
    assert [i.camera for i in rig.all_of(DETECTIONS, Idle)] == [B, A, B]
    complete = Rig()
    complete.camera(A)
    complete.turn()
    complete.tell(frames(NOW - 2_000, NOW, camera=A))
    for _ in range(30):
        complete.turn()
    assert complete.all_of(DETECTIONS, Idle) == []


def test_a_camera_that_is_off_is_not_idled(rig: Rig) -> None:
    rig.camera(A, "live")
    rig.turn()
    rig.tell([beat(-1, NOW, "off", camera=A)])
    for _ in range(30):
        rig.turn()
    assert rig.all_of(DETECTIONS, Idle) == []


def test_silence_is_not_believed_while_there_is_something_to_read(rig: Rig) -> None:
    rig.camera(A, "live")
    rig.turn()
    rig.tell(frames(NOW, NOW + 1_000, camera=A))
    rig.clock.advance(10 * SILENT_MS)
    assert [o.topic for o in rig.stage.idle(rig.clock.now_ms())] == []
    rig.turn(after_ms=0)
    assert rig.all_of(DETECTIONS, Idle) == []
    rig.turn(after_ms=SILENT_MS)
    assert len(rig.all_of(DETECTIONS, Idle)) == 1


def test_a_room_that_owes_more_buckets_than_a_step_holds_gets_its_turns(rig: Rig) -> None:
    rig.tell([frame(0, NOW - 80_000_000), beat(0, NOW)])
    for _ in range(10):
        rig.turn()
    finals = [b.start_ms for b in rig.all_of(TIMELINES, TimelineBucket) if b.final]
    assert finals == list(range(NOW - 80_000_000, NOW - 10_000, 10_000))
    idles = rig.all_of(DETECTIONS, Idle)
    assert 0 < len(idles) < 6
    assert len({i.at_ms for i in idles}) == len(idles)


def test_latency_is_measured_from_the_frame_that_satisfied_the_rule(rig: Rig) -> None:
    def total() -> tuple[float, float]:
        name = "capture_to_event_seconds"
        return rig.metrics.value(f"{name}_count"), rig.metrics.value(f"{name}_sum")  # type: ignore[return-value]

    before = total()
    rig.tell([frame(i, NOW - 1_000 + 200 * i, at(1, HAND)) for i in range(4)])
    rig.turn(after_ms=500)
    after = total()
    assert (after[0] - before[0], round(after[1] - before[1], 3)) == (1, 0.9)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            StateEntry(room=ROOM, name="frontier", payload=b"?"),
            "state t/s/room/frontier: .*expected what this version wrote",
        ),
        (None, "state t/s/room/x: no_type: .*expected what this version wrote"),
    ],
)
def test_state_that_cannot_be_read_stops_the_stage(rig: Rig, record: StateEntry | None, expected: str) -> None:
    partition = partition_of(ROOM, AGGREGATE_STATE.partitions)
    bad = Outgoing(AGGREGATE_STATE.name, partition, f"{ROOM}/x", b"?", ())
    rig.write(bad if record is None else encode(record, topic=AGGREGATE_STATE, at_ms=0))
    with pytest.raises(Fatal, match=expected):
        rig.turn()


def test_a_bridged_camera_holds_its_room_until_its_link_is_back_or_the_limit_has_passed(rig: Rig) -> None:
    rig.camera(A, "live")
    rig.bridged(B)
    rig.turn()
    rig.tell([*frames(NOW - 30_000, NOW, camera=A), *frames(NOW - 30_000, NOW, camera=B)])
    rig.turn()
    for _ in range(7):
        rig.turn(after_ms=3 * 60 * 60 * 1000)
    assert {idle.camera for idle in rig.all_of(DETECTIONS, Idle)} == {A}, "a link may be away for a day"
    assert max(b.start_ms for b in rig.all_of(TIMELINES, TimelineBucket) if b.final) < NOW
    back = [*frames(NOW + 200, NOW + 60_000, camera=B, first=151), beat(450, NOW + 60_200, "off", camera=B)]
    rig.tell(back)
    rig.turn()
    seen = {b.start_ms: b.frames for b in rig.all_of(TIMELINES, TimelineBucket) if b.final and b.start_ms >= NOW}
    assert [seen[start_ms] for start_ms in range(NOW, NOW + 60_000, 10_000)] == [51, 50, 50, 50, 50, 50]


def test_a_bridged_camera_that_stays_away_lets_go_of_what_is_older_than_the_limit(rig: Rig) -> None:
    rig.bridged(A)
    rig.turn()
    rig.tell(frames(NOW, NOW + 1_000, camera=A))
    rig.turn()
    rig.turn(after_ms=FINALITY_LIMIT_MS - 60_000)
    assert rig.all_of(DETECTIONS, Idle) == []
    for _ in range(60):
        rig.turn(after_ms=SILENT_MS)
    told = [idle.at_ms for idle in rig.all_of(DETECTIONS, Idle)]
    assert told == sorted(set(told))
    assert told[-1] <= rig.clock.now_ms() - FINALITY_LIMIT_MS
    finals = [b for b in rig.all_of(TIMELINES, TimelineBucket) if b.final]
    assert finals[-1].end_ms > NOW + 400_000
    assert (finals[-1].due_ms, finals[-1].observed_ms) == (10_000, 0), "somebody was to be observed, nobody was"


def test_a_bridged_camera_of_which_nothing_was_ever_heard_is_let_go_after_the_limit(rig: Rig) -> None:
    rig.bridged(A)
    rig.turn()
    for _ in range(60):
        rig.turn(after_ms=SILENT_MS)
    assert rig.all_of(DETECTIONS, Idle) == [], "as long as nothing is let go, there is nothing to tell"
    for _ in range(3):
        rig.turn(after_ms=FINALITY_LIMIT_MS // 2)
    rig.turn(after_ms=SILENT_MS)
    finals = [b for b in rig.all_of(TIMELINES, TimelineBucket) if b.final]
    assert finals
    assert all(bucket.observed_ms == 0 for bucket in finals)
