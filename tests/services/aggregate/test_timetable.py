"""What the timetable says where a camera has no word of its own: its ingest was dead when a lesson began, or when it ended."""

from collections.abc import Sequence

import msgspec
import pytest

from classpulse.aggregate.camera_story import STATE_HOLDS_MS, TURN_MS, Story
from classpulse.aggregate.facts import Fact, Happened, Passed, Watched
from classpulse.records import (
    Dropped,
    FrameDetections,
    Heartbeat,
    Idle,
    Record,
    RoomPlan,
    Rule,
)
from tests.services.aggregate.stories import CAM, HAND, ROOM, A, B, at, beat, dropped, frame, frames, plan, play

MINUTE_MS = 60_000


Told = FrameDetections | Heartbeat | Dropped


def read(nouns: Sequence[Told], story: Story) -> list[Fact]:
    return [
        fact
        for noun in nouns
        for fact in story.read(noun, {HAND: Rule(least_score=0.5, least_duration_ms=500, longest_gap_ms=20_000)})
    ]


def due_in(facts: list[Fact]) -> list[tuple[int, int]]:
    return [(f.start_ms, f.end_ms) for f in facts if isinstance(f, Passed) and f.due]


def idle(camera: str, at_ms: int) -> Idle:
    return Idle(room=ROOM, camera=camera, at_ms=at_ms)


def turned(due: bool, *cameras: str, at_ms: int) -> RoomPlan:
    return msgspec.structs.replace(plan(*cameras, delivery="live", at_ms=at_ms), due=due, turns=((at_ms, due),))


def off_at(at_ms: int) -> Story:
    story = Story(CAM)
    read([beat(-1, at_ms, "connecting"), beat(-1, at_ms, "off")], story)
    return story


def test_a_camera_that_was_off_and_says_nothing_is_due_from_the_lessons_beginning() -> None:
    story = off_at(1_000)
    story.turn(20_000, True)
    assert story.holds, "what a lesson shows is waited for"
    assert due_in(story.idle(15_000)) == []
    assert story.idle(31_000) == [Passed(15_000, 20_000, due=False), Passed(20_000, 31_000, due=True)]
    assert due_in(story.idle(41_000)) == [(31_000, 41_000)]


def test_a_first_word_after_the_lessons_beginning_makes_the_time_before_it_due() -> None:
    story = off_at(1_000)
    story.turn(20_000, True)
    assert due_in(read([frame(0, 21_500, epoch=2)], story)) == [(20_000, 21_500)]
    assert story.turns == []


def test_a_camera_whose_ingest_died_in_a_lesson_is_due_until_the_lessons_end() -> None:
    story = Story(CAM)
    facts = read(frames(0, 5_000, at(1)), story)
    story.turn(30_000, False)
    facts += [*story.idle(25_000), *story.idle(36_000), *story.idle(50_000)]
    assert sum(end - start for start, end in due_in(facts)) == 30_000
    assert not story.holds
    assert story.spans == [], "what was going on has ended"


def test_what_the_newest_frame_speaks_for_is_seen_only_as_far_as_somebody_is_due() -> None:
    story = Story(CAM)
    read([frame(0, 0, interval_ms=10_000)], story)
    story.turn(4_000, False)
    assert [f for f in story.idle(12_000) if isinstance(f, Watched)] == [Watched(0, 4_000, {})]
    assert [f for f in read([frame(1, 13_000)], story) if isinstance(f, Watched)] == []


@pytest.mark.parametrize("says", [frame(25, 31_000), beat(24, 31_000, "off"), dropped(25, 30, 31_000, 32_000)])
def test_a_camera_that_closes_a_little_after_the_lessons_end_says_itself_until_when_it_was_due(says: Told) -> None:
    story = Story(CAM)
    read(frames(0, 4_800), story)
    story.turn(30_000, False)
    assert due_in(read([says], story))[0] == (4_800, 31_000)


def test_a_camera_that_dies_just_after_the_lessons_end_is_due_for_a_moment_and_no_longer() -> None:
    story = Story(CAM)
    facts = read(frames(0, 30_100), story)
    story.turn(30_000, False)
    facts += read([frame(151, 30_200, at(1)), dropped(152, 155, 30_400, 31_000)], story)
    assert due_in([*facts, *story.idle(45_000), *story.idle(99_000_000)])[-1] == (31_000, 30_200 + TURN_MS)


def test_after_a_weekend_the_first_lesson_counts_from_its_beginning() -> None:
    story = off_at(1_000)
    monday_ms = 3 * STATE_HOLDS_MS
    story.turn(monday_ms, True)
    assert due_in(story.idle(monday_ms + 15_000)) == [(monday_ms, monday_ms + 15_000)]


def test_words_of_before_a_turn_do_not_undo_it_however_late_they_come() -> None:
    for late, expected in ((frames(5_200, 28_000, first=26), []), ([beat(-1, 30_500, "off")], [(80_000, 90_000)])):
        story = Story(CAM)
        read(frames(0, 5_000), story)
        story.turn(30_000, False)
        if expected:
            story.turn(60_000, True)
        story.idle(80_000)
        assert due_in([*read(late, story), *story.idle(90_000)]) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ([frame(26, 30_200), beat(26, 31_000, "off")], [(60_000, 100_000), (130_000, 170_000)]),
        (
            [beat(25, 6_000, "off"), beat(25, 7_000, "connecting")],
            [(7_000, 30_000), (60_000, 100_000), (130_000, 170_000)],
        ),
    ],
)
def test_words_leave_the_turns_that_lie_ahead(says: list[Told], expected: list[tuple[int, int]]) -> None:
    story = Story(CAM)
    read(frames(0, 5_000), story)
    for at_ms, due in ((30_000, False), (60_000, True), (100_000, False), (130_000, True), (170_000, False)):
        story.turn(at_ms, due)
    read(says, story)
    assert due_in(story.idle(200_000)) == expected


def test_a_behaviour_lasts_no_longer_than_the_lesson_though_its_last_frame_spoke_for_longer() -> None:
    story = Story(CAM)
    rules = {HAND: Rule(least_score=0.5, least_duration_ms=10_000, longest_gap_ms=20_000)}
    story.read(frame(0, 0, at(1), interval_ms=20_000), rules)
    story.turn(4_000, False)
    story.turn(25_000, True)
    facts = [*story.idle(50_000), *story.read(frame(1, 51_000, epoch=2), rules)]
    assert not [fact for fact in facts if isinstance(fact, Happened)], "it was not seen for ten seconds"
    assert [fact for fact in facts if isinstance(fact, Watched)] == [Watched(0, 4_000, {HAND: 1})]


def test_a_camera_that_becomes_a_recording_waits_for_no_lesson() -> None:
    nouns = [
        turned(False, CAM, at_ms=0),
        beat(-1, 1_000, "connecting"),
        beat(-1, 1_100, "off"),
        turned(True, CAM, at_ms=2_000),
    ]
    told = play(
        [*nouns, plan(CAM, A, at_ms=3_000), *frames(3_000, 60_000, camera=A), beat(285, 61_000, "off", camera=A)]
    )
    assert len(told.finals) > 5


def test_a_camera_heard_before_there_was_a_plan_is_due_by_it() -> None:
    heard: list[Record] = [beat(-1, 500, "connecting"), beat(-1, 600, "off")]
    told = play([*heard, plan(CAM, delivery="live", at_ms=1_000), idle(CAM, 31_000)])
    assert sum(bucket.due_ms for bucket in told.latest) == 100 + 21_000, "the first bucket was final already"


def test_a_camera_never_heard_of_outside_its_lessons_holds_nobody() -> None:
    story = Story(CAM)
    story.turn(1_000, False)
    assert not story.holds
    told = play([turned(False, A, B, at_ms=0), *frames(0, 60_000, camera=A)])
    assert len(told.finals) > 4


def test_a_camera_that_speaks_long_after_the_lessons_end_was_not_due_in_between() -> None:
    story = Story(CAM)
    read(frames(0, 4_800), story)
    story.turn(30_000, False)
    story.turn(90_000, True)
    late = read([frame(0, 30_000 + MINUTE_MS + TURN_MS, epoch=2)], story)
    assert due_in(late) == [(4_800, 30_000), (90_000, 100_000)]


def test_a_camera_that_is_off_long_before_the_timetable_says_it_stays_off() -> None:
    story = off_at(1_000)
    for at_ms, due in ((20_000, True), (50_000, False), (80_000, True)):
        story.turn(at_ms, due)
    read([beat(-1, 2_000, "off"), beat(-1, 3_000, "off")], story)
    assert [due for _, due in story.turns] == [True, False, True], "words of before change nothing"
    assert due_in(story.idle(90_000)) == [(20_000, 50_000), (80_000, 90_000)]


def test_the_same_word_twice_does_not_undo_the_timetable() -> None:
    story = off_at(1_000)
    story.turn(20_000, True)
    story.idle(30_000)
    assert read([beat(-1, 1_000, "off")], story) == []
    assert due_in(story.idle(40_000)) == [(30_000, 40_000)]


def test_a_camera_that_closes_a_little_before_the_lessons_end_is_waited_for_no_longer() -> None:
    story = Story(CAM)
    read(frames(0, 4_800), story)
    story.turn(30_000, False)
    read([beat(24, 29_500, "off")], story)
    assert not story.holds
    story.turn(40_000, False)
    assert not story.holds, "nothing is to end"
    story.turn(90_000, True)
    assert due_in(story.idle(95_000)) == [(90_000, 95_000)]


def test_a_camera_that_says_after_the_lessons_beginning_that_it_is_off_is_off() -> None:
    story = off_at(1_000)
    story.turn(20_000, True)
    story.idle(30_000)
    assert due_in(read([beat(-1, 35_000, "off"), beat(-1, 50_000, "off")], story)) == [(30_000, 35_000)]


def test_no_frame_of_one_lesson_speaks_for_the_next() -> None:
    story = Story(CAM)
    read([frame(0, 0, interval_ms=5 * MINUTE_MS)], story)
    story.turn(60_000, False)
    story.idle(80_000)
    story.turn(90_000, True)
    assert [f for f in story.idle(120_000) if isinstance(f, Watched)] == []


def test_a_raised_hand_is_not_cut_in_two_by_a_break_that_is_shorter_than_a_camera_is_waited_for() -> None:
    story = Story(CAM)
    facts = read(frames(0, 29_800, at(1)), story)
    story.turn(30_000, False)
    story.turn(35_000, True)
    facts += [*read(frames(30_000, 32_000, at(1), first=150), story), *story.idle(45_000)]
    assert [fact.event.phase for fact in facts if isinstance(fact, Happened)] == ["started"]


def test_a_camera_never_heard_of_is_due_from_the_first_lesson_on() -> None:
    told = play([turned(False, CAM, at_ms=1_000), turned(True, CAM, at_ms=20_000), idle(CAM, 32_000)])
    assert [(b.start_ms, b.due_ms, b.observed_ms) for b in told.latest] == [(20_000, 10_000, 0), (30_000, 2_000, 0)]


def test_the_other_camera_does_not_make_final_what_the_silent_one_was_due_in() -> None:
    before: list[Record] = [
        turned(False, A, B, at_ms=0),
        *(beat(-1, 1_000, state, camera=camera) for camera in (A, B) for state in ("connecting", "off")),  # type: ignore[arg-type]
    ]
    lesson = [turned(True, A, B, at_ms=20_000), *frames(20_100, 40_000, camera=A, epoch=2)]
    assert play([*before, *lesson]).finals == []
    told = play([*before, *lesson, idle(B, 26_000), idle(B, 36_000)])
    assert [b.start_ms for b in told.finals if b.start_ms >= 20_000] == [20_000]


def test_a_plan_that_turns_for_the_camera_of_a_file_changes_nothing() -> None:
    nouns = [plan(CAM), *frames(0, 5_000, at(1))]
    after = frames(65_200, 80_000, at(1), first=26)
    ended = [msgspec.structs.replace(plan(CAM, at_ms=2_000), due=False, turns=((2_000, False),)), *after]
    kept = [plan(CAM, at_ms=2_000), *after]
    assert play([*nouns, *ended]).bytes() == play([*nouns, *kept]).bytes() != []


@pytest.mark.parametrize("end_comes_again", [False, True])
def test_a_last_word_after_an_end_that_was_passed_puts_it_off_and_does_not_undo_it(end_comes_again: bool) -> None:
    story = Story(CAM)
    read(frames(0, 29_800), story)
    story.turn(30_000, False)
    if end_comes_again:
        story.turn(30_000, False)
    facts = [*story.idle(29_900), *read([frame(150, 30_200)], story)]
    if not end_comes_again:
        story.idle(45_000)
        facts = read([frame(0, 41_000, epoch=2)], story)
    facts += story.idle(99_000_000)
    assert sum(end - start for start, end in due_in(facts)) <= 2 * TURN_MS
    assert not story.holds


def test_an_end_that_was_put_off_beyond_the_next_beginning_is_none() -> None:
    story = Story(CAM)
    read(frames(0, 29_800), story)
    story.turn(30_000, False)
    read([dropped(150, 250, 30_400, 55_000)], story)
    story.turn(60_000, True)
    story.turn(30_000, False)
    assert due_in(story.idle(90_000)) == [(55_000, 60_000), (60_000, 90_000)]


def test_turns_that_are_told_late_do_not_undo_words_of_after_them() -> None:
    story = Story(CAM)
    facts = read(frames(0, 50_000, at(1)), story)
    story.turn(30_000, False)
    story.turn(40_000, True)
    facts += read(frames(50_200, 70_000, at(1), first=251), story)
    assert [fact.event.phase for fact in facts if isinstance(fact, Happened)] == ["started"]
    assert due_in(story.idle(3_600_000))[-1][1] == 3_600_000, "a lesson goes on"
    dead = Story(CAM)
    read(frames(0, 50_000), dead)
    dead.turn(30_000, False)
    assert due_in(dead.idle(3_600_000)) == [(50_000, 50_000 + TURN_MS)]
    off = off_at(25_000)
    off.turn(20_000, True)
    assert due_in(off.idle(3_600_000)) == []


def test_a_frame_that_comes_after_the_end_it_was_taken_before_speaks_only_up_to_that() -> None:
    story = Story(CAM)
    read([frame(0, 20_000, interval_ms=10_000)], story)
    story.turn(30_000, False)
    story.idle(45_000)
    facts = [*read([frame(1, 28_000, interval_ms=20_000)], story), *story.idle(60_000)]
    assert [fact for fact in facts if isinstance(fact, Watched)] == []


@pytest.mark.parametrize("heard", [[], [beat(-1, 500, "connecting"), beat(-1, 600, "off")]])
def test_a_recording_that_becomes_a_live_camera_in_a_lesson_is_due_from_then_on(heard: list[Record]) -> None:
    nouns = [plan(CAM), *heard, plan(CAM, delivery="live", at_ms=20_000), idle(CAM, 61_000)]
    assert sum(bucket.due_ms for bucket in play(nouns).latest) - (100 if heard else 0) == 41_000


def test_what_was_going_on_when_ingest_died_is_told_to_its_end() -> None:
    story = Story(CAM)
    read(frames(0, 5_000, at(1)), story)
    story.turn(5_400, False)
    ends = [f.event for f in story.idle(6_000) if isinstance(f, Happened)]
    assert [(event.phase, event.ended_at_ms) for event in ends] == [("ended", 5_300)]
