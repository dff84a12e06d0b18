"""Aggregate tells what timetables have turned, wherever it was meanwhile."""

from datetime import UTC, datetime

import msgspec
import pytest

from classpulse.aggregate.plans import Plans
from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock
from classpulse.records import (
    CameraConfig,
    Idle,
    Lesson,
    RoomConfig,
    RoomPlan,
    TimelineBucket,
)
from classpulse.roster import Roster
from classpulse.topics import DETECTIONS, TIMELINES, TOPICS
from tests.services.aggregate.rig import Rig
from tests.services.aggregate.stories import ROOM, A, beat, frames

MINUTE_MS = 60_000


def with_lessons(clock: ManualClock, *minutes: tuple[int, int]) -> RoomConfig:
    """A room with lessons today, from and to so many minutes from now."""
    now = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
    minute = now.hour * 60 + now.minute
    lessons = tuple(
        Lesson(weekday=now.weekday(), start_minute=minute + begin, end_minute=minute + end) for begin, end in minutes
    )
    return RoomConfig(room=ROOM, time_zone="UTC", timetable=lessons)


@pytest.mark.parametrize("back_ms", [24 * 60 * MINUTE_MS - 30_000, 24 * 60 * MINUTE_MS + 2 * MINUTE_MS])
def test_lessons_that_began_and_ended_while_aggregate_was_away_are_told_when_it_is_back(back_ms: int) -> None:
    rig = Rig()
    begin = datetime.fromtimestamp(rig.clock.now_ms() / 1000, UTC)
    minute = begin.hour * 60 + begin.minute
    lessons = tuple(
        Lesson(weekday=(begin.weekday() + day) % 7, start_minute=minute, end_minute=minute + 10) for day in range(2)
    )
    rig.room(RoomConfig(room=ROOM, time_zone="UTC", timetable=lessons))
    rig.camera(A, "live")
    rig.turn()
    start_ms = rig.clock.now_ms()
    rig.tell(frames(start_ms, start_ms + MINUTE_MS, camera=A))
    rig.turn()
    rig.clock.advance(back_ms)
    rig.start()
    for _ in range(15 * 60):
        rig.turn()
    ((_, ended), (_, begun), (_, over)) = [turn for plan in rig.all_of(DETECTIONS, RoomPlan) for turn in plan.turns]
    assert (ended, begun, over) == (False, True, False)
    finals = [bucket for bucket in rig.all_of(TIMELINES, TimelineBucket) if bucket.final]
    assert abs(sum(bucket.due_ms for bucket in finals) - 20 * MINUTE_MS) <= MINUTE_MS


def always(rig: Rig, *, begins: bool) -> RoomConfig:
    """A room that is due every day, or only in two days."""
    today = datetime.fromtimestamp(rig.clock.now_ms() / 1000, UTC).weekday()
    days = range(7) if begins else [(today + 2) % 7]
    lessons = tuple(Lesson(weekday=day, start_minute=0, end_minute=24 * 60) for day in days)
    return RoomConfig(room=ROOM, time_zone="UTC", timetable=lessons)


def test_another_timetable_is_a_turn_when_it_comes() -> None:
    rig = Rig()
    rig.room(always(rig, begins=False))
    rig.camera(A, "live")
    rig.tell([beat(-1, rig.clock.now_ms(), "connecting", camera=A), beat(-1, rig.clock.now_ms(), "off", camera=A)])
    rig.turn()
    rig.room(always(rig, begins=True))
    for _ in range(60):
        rig.turn()
    first, second = rig.all_of(DETECTIONS, RoomPlan)
    assert (first.turns, second.turns) == ((), ((second.at_ms, True),))
    assert rig.all_of(TIMELINES, TimelineBucket)[-1].due_ms > 0


def test_a_configuration_that_changes_while_aggregate_is_away_hides_no_lesson_of_before() -> None:
    rig = Rig()
    rig.room(with_lessons(rig.clock, (2, 12)))
    rig.camera(A, "live")
    rig.tell([beat(-1, rig.clock.now_ms(), "connecting", camera=A), beat(-1, rig.clock.now_ms(), "off", camera=A)])
    rig.turn()
    rig.clock.advance(30 * MINUTE_MS)
    rig.room(with_lessons(rig.clock, (60, 90)))
    rig.start()
    for _ in range(60):
        rig.turn()
    assert [due for p in rig.all_of(DETECTIONS, RoomPlan) for _, due in p.turns] == [True, False]


def test_the_first_configuration_of_a_room_counts_from_when_it_is_valid() -> None:
    rig = Rig()
    config = RoomConfig(room=ROOM, time_zone="UTC", valid_from_ms=rig.clock.now_ms() + 30_000)
    rig.room(config)
    rig.camera(A, "live")
    for _ in range(60):
        rig.turn()
    assert [p.due for p in rig.all_of(DETECTIONS, RoomPlan)] == [False, True]


def test_turns_of_rooms_that_were_nobodys_for_a_while_are_told_when_they_are_somebodys() -> None:
    bus, clock = MemoryBus(clock=ManualClock()), ManualClock()
    bus.create(tuple(TOPICS.values()))
    plans = Plans(bus, clock, 10_000)
    Roster(bus, clock).write(
        [
            with_lessons(clock, (0, 3), (6, 9)),
            CameraConfig(camera=A, source="file:///x", delivery="live"),
        ]
    )
    told: list[RoomPlan] = []
    for second in range(0, 480, 10):
        told += plans.due(clock.now_ms(), lambda _: not 120 <= second < 470, {ROOM: told[-1] if told else None})  # noqa: B023
        clock.advance(10_000)
    assert [[due for _, due in p.turns] for p in told] == [[], [False, True]]


def test_a_room_without_cameras_has_no_turns_to_tell() -> None:
    rig = Rig()
    rig.room(with_lessons(rig.clock, (1, 2)))
    rig.camera(A, "live")
    rig.turn()
    rig.camera(A, "live", enabled=False)
    for _ in range(200):
        rig.turn()
    assert [(plan.turns, plan.cameras) for plan in rig.all_of(DETECTIONS, RoomPlan)] == [((), {A: "live"}), ((), {})]


def test_a_lesson_in_which_ingest_is_dead_from_the_start_is_due_and_not_seen() -> None:
    rig = Rig()
    rig.room(with_lessons(rig.clock, (5, 15)))
    rig.camera(A, "live")
    now_ms = rig.clock.now_ms()
    rig.tell([beat(-1, now_ms, "connecting", camera=A), beat(-1, now_ms, "off", camera=A)])
    for second in range(20 * 60):
        if second == 8 * 60:
            rig.start()  # a fresh process goes by what lies on the bus
        rig.turn()
    assert [p.due for p in rig.all_of(DETECTIONS, RoomPlan)] == [False, True, False]
    finals = [bucket for bucket in rig.all_of(TIMELINES, TimelineBucket) if bucket.final]
    assert abs(sum(bucket.due_ms for bucket in finals) - 10 * MINUTE_MS) <= 1_000
    assert sum(bucket.observed_ms for bucket in finals) == 0
    assert len(rig.all_of(DETECTIONS, Idle)) < 70, "no more than in the lesson"


@pytest.mark.parametrize(
    ("lessons_before", "lessons_then", "told"),
    [
        (((2, 12),), ((60, 90),), [(2, True), (12, False), (60, True), (90, False)]),
        (((2, 40),), ((60, 90),), [(2, True), (30, False), (60, True), (90, False)]),
        (((2, 40),), ((10, 90),), [(2, True), (90, False)]),
        (((60, 90),), ((10, 40),), [(30, True), (40, False)]),
        (((2, 40),), ((30, 90),), [(2, True), (90, False)]),
        (((2, 40),), (), [(2, True)]),
        (((2, 40),), None, [(2, True), (30, False)]),
    ],
)
def test_an_announced_configuration_turns_a_room_from_its_moment_on_also_while_aggregate_is_away(
    lessons_before: tuple[tuple[int, int], ...],
    lessons_then: tuple[tuple[int, int], ...] | None,
    told: list[tuple[int, bool]],
) -> None:
    rig = Rig()
    start_ms = rig.clock.now_ms() // MINUTE_MS * MINUTE_MS
    rig.clock.advance(MINUTE_MS + start_ms - rig.clock.now_ms())
    start_ms = rig.clock.now_ms()
    before, then = with_lessons(rig.clock, *lessons_before), with_lessons(rig.clock, *(lessons_then or ()))
    rig.room(before)
    moment_ms = start_ms + 30 * MINUTE_MS
    rig.room(msgspec.structs.replace(then, valid_from_ms=moment_ms, enabled=lessons_then is not None))
    rig.camera(A, "live")
    rig.turn()
    rig.clock.advance(120 * MINUTE_MS)
    rig.start()
    rig.turn()
    turns = [turn for plan in rig.all_of(DETECTIONS, RoomPlan) for turn in plan.turns]
    assert [((at_ms - start_ms) / MINUTE_MS, due) for at_ms, due in turns] == told


def test_what_has_held_for_more_than_a_week_when_aggregate_is_back_is_no_end() -> None:
    rig = Rig()
    rig.room(RoomConfig(room=ROOM, time_zone="UTC"))
    rig.room(RoomConfig(room=ROOM, time_zone="Europe/Berlin", valid_from_ms=rig.clock.now_ms() + MINUTE_MS))
    rig.camera(A, "live")
    rig.turn()
    rig.clock.advance(14 * 24 * 60 * MINUTE_MS)
    rig.start()
    rig.turn()
    assert [turn for plan in rig.all_of(DETECTIONS, RoomPlan) for turn in plan.turns] == []


def test_a_configuration_is_chosen_by_the_time_that_is_asked_for() -> None:
    bus, clock = MemoryBus(clock=ManualClock()), ManualClock()
    bus.create(tuple(TOPICS.values()))
    roster, now_ms = Roster(bus, clock), clock.now_ms()
    roster.write([RoomConfig(room=ROOM), CameraConfig(camera=A, source="file:///x", delivery="live")])
    roster.write([RoomConfig(room=ROOM, views="disjoint", valid_from_ms=now_ms + 1_000)])
    clock.advance(2_000)
    (plan,) = Plans(bus, clock, 10_000).due(now_ms, lambda _: True, {})
    assert (plan.config.views, plan.due) == ("overlapping", True)


def test_a_beginning_more_than_a_week_ago_is_not_told_without_its_end() -> None:
    clock = ManualClock()
    moment_ms = clock.now_ms() + MINUTE_MS
    rig = Rig()
    rig.room(with_lessons(clock, (50, 60)))
    rig.room(msgspec.structs.replace(with_lessons(clock, (0, 30)), valid_from_ms=moment_ms))
    rig.camera(A, "live")
    rig.turn()
    rig.clock.advance(14 * 24 * 60 * MINUTE_MS + 60 * MINUTE_MS)
    rig.start()
    rig.turn()
    turns = [turn for plan in rig.all_of(DETECTIONS, RoomPlan) for turn in plan.turns]
    assert [due for _, due in turns] == [True, False], "the last lesson, and not all the time since the moment"
