"""One camera's story read in order: duplicates, holes, epochs, coverage, spans."""

from collections.abc import Sequence

import pytest

from classpulse.aggregate.camera_story import PAST_EPOCHS, STATE_HOLDS_MS, Story
from classpulse.aggregate.facts import Counted, Fact, Happened, Missed, Passed, Watched
from classpulse.aggregate.rules import rules_of
from classpulse.codec import frame_trace
from classpulse.records import Hole, Record, RoomConfig, Rule, Told
from tests.services.aggregate.stories import CAM, HAND, MODEL, ROOM, SLEEP, STAND, at, beat, dropped, frame, frames

RULES = rules_of(RoomConfig(room=ROOM))


def read(nouns: Sequence[Told], story: Story | None = None, rules: dict[str, Rule] = RULES) -> list[Fact]:
    story = story or Story(CAM)
    return [fact for noun in nouns for fact in story.read(noun, rules)]


def events(facts: list[Fact]) -> list[tuple[str, str, int, int | None]]:
    return [
        (f.event.phase, f.event.behaviour, f.event.started_at_ms, f.event.ended_at_ms)
        for f in facts
        if isinstance(f, Happened)
    ]


def missed(facts: list[Fact]) -> dict[str, int]:
    total: dict[str, int] = {}
    for fact in facts:
        if isinstance(fact, Missed):
            total[fact.reason] = total.get(fact.reason, 0) + fact.frames
    return total


def watched(facts: list[Fact]) -> list[tuple[int, int]]:
    return [(f.start_ms, f.end_ms) for f in facts if isinstance(f, Watched)]


def counted(facts: list[Fact]) -> int:
    return sum(isinstance(fact, Counted) for fact in facts)


def test_a_story_of_nothing_says_nothing() -> None:
    story = Story(CAM)
    assert story.idle(10**9) == []
    assert story.leave() == []
    assert read([beat(-1, 1_000)]) == []


def test_frames_without_detections_are_counted_and_covered_and_nothing_happened() -> None:
    facts = read(frames(0, 1_000))
    assert counted(facts) == 6
    assert watched(facts) == [(i * 200, i * 200 + 200) for i in range(5)]
    assert [f.people for f in facts if isinstance(f, Watched)] == [{}] * 5
    assert events(facts) == []


def test_a_frame_speaks_until_the_next_or_for_one_and_a_half_intervals() -> None:
    assert watched(read([frame(0, 0), frame(1, 1_000)])) == [(0, 300)]
    assert watched(read([frame(0, 0), frame(1, 250)])) == [(0, 250)]
    assert watched(read([frame(0, 0), beat(0, 150), beat(0, 5_000)])) == [(0, 150), (150, 300)]
    assert watched(read([frame(0, 0, interval_ms=333), frame(1, 5_000)])) == [(0, 499)], (
        "whole milliseconds, rounded down"
    )


def test_a_frame_speaks_no_longer_once_the_camera_is_not_up_or_frames_are_known_to_be_lost() -> None:
    assert watched(read([frame(0, 0), beat(0, 100, "silent"), beat(0, 300, "up")])) == [(0, 100)]
    assert watched(read([frame(0, 0), dropped(1, 1, 100, 100), beat(1, 300)])) == [(0, 100)]
    assert watched(read([frame(0, 0), beat(1, 100), beat(1, 300)])) == [(0, 100)]


def test_an_absurd_interval_does_not_make_a_frame_speak_for_ever() -> None:
    assert watched(read([frame(0, 0, interval_ms=10**9), frame(1, 10**9)])) == [(0, 450_000)]


def test_a_hand_is_confirmed_when_its_frames_have_spoken_long_enough() -> None:
    facts = read([frame(i, 200 * i, at(1)) for i in range(3)])
    assert events(facts) == [], "0, 200, 400: it has lasted 400 ms"
    facts = read([frame(i, 200 * i, at(1)) for i in range(4)])
    assert events(facts) == [("started", HAND, 0, None)]
    assert next(f for f in facts if isinstance(f, Happened)).at_ms == 600


def test_a_hand_ends_where_its_last_frame_stopped_speaking_once_the_gap_is_too_long() -> None:
    story = Story(CAM)
    read([frame(i, 200 * i, at(1)) for i in range(4)], story)
    assert events(read(frames(800, 1_800, first=4), story)) == [], "1800 is a gap of exactly 1000"
    (ended,) = [f for f in read([frame(10, 1_801)], story) if isinstance(f, Happened)]
    assert (ended.event.phase, ended.event.ended_at_ms, ended.at_ms) == ("ended", 800, 1_801)
    assert ended.trace == frame_trace(CAM, 1, 10)
    assert ended.event.id == f"{CAM}/1/{HAND}/0/0"


def test_a_gap_within_the_rule_is_one_event_and_a_longer_one_is_two() -> None:
    hands = [frame(0, 0, at(1)), frame(1, 200, at(1)), frame(2, 400)]
    again = [frame(3, 1_400, at(1)), frame(4, 1_600, at(1)), frame(5, 5_000)]
    assert events(read(hands + again)) == [("started", HAND, 0, None), ("ended", HAND, 0, 1_900)]
    later = [frame(3, 1_401, at(1)), frame(4, 1_600, at(1)), frame(5, 5_000)]
    assert events(read(hands + later)) == [], "two of 400 and 499 ms: neither is long enough"


@pytest.mark.parametrize(
    "passing",
    [frame(4, 3_000), beat(3, 3_000), dropped(4, 4, 3_000, 3_000), dropped(4, 5, 900, 3_000), beat(3, 3_000, "silent")],
)
def test_any_time_passing_closes_a_span(passing: Told) -> None:
    facts = read([*[frame(i, 200 * i, at(1)) for i in range(4)], passing])
    assert events(facts)[0] == ("started", HAND, 0, None)
    assert events(facts)[-1][:3] == ("ended", HAND, 0)


def test_off_a_new_epoch_and_leaving_the_plan_close_at_once() -> None:
    hands: list[Told] = [frame(i, 200 * i, at(1)) for i in range(4)]
    assert events(read([*hands, beat(3, 700, "off")]))[-1] == ("ended", HAND, 0, 700)
    assert events(read([*hands, frame(0, 650, at(1), epoch=2)]))[-1] == ("ended", HAND, 0, 650)
    assert events(read([*hands, frame(0, 100, at(1), epoch=2)]))[-1] == ("ended", HAND, 0, 600), (
        "a clock that went back"
    )
    story = Story(CAM)
    read(hands, story)
    assert events(story.leave()) == [("ended", HAND, 0, 600)]
    assert story.state == "off"


def test_idle_lets_time_pass_and_what_comes_late_after_it_is_still_read() -> None:
    story = Story(CAM)
    read([frame(i, 200 * i, at(1)) for i in range(4)], story)
    facts = story.idle(10_000)
    assert events(facts) == [("ended", HAND, 0, 900)]
    assert watched(facts) == [(600, 900)]
    late = read([frame(4, 800, at(1)), frame(5, 12_000)], story)
    assert counted(late) == 2
    assert watched(late) == [], "no millisecond is covered twice"
    assert [(f.start_ms, f.end_ms) for f in late if isinstance(f, Passed)] == [(10_000, 12_000)]


def test_two_people_side_by_side_are_two_events_numbered_from_the_left() -> None:
    both = [frame(i, 200 * i, at(6), at(2)) for i in range(4)]
    facts = read([*both, beat(3, 5_000)])
    ids = [f.event.id for f in facts if isinstance(f, Happened) and f.event.phase == "ended"]
    assert ids == [f"{CAM}/1/{HAND}/0/0", f"{CAM}/1/{HAND}/0/1"]


def test_frames_of_one_millisecond_never_share_an_id() -> None:
    facts = read(
        [frame(0, 0, at(1)), frame(1, 0, at(1), at(5)), *frames(200, 800, at(1), at(5), first=2), beat(5, 9_000)]
    )
    ids = [f.event.id for f in facts if isinstance(f, Happened) and f.event.phase == "ended"]
    assert sorted(ids) == [f"{CAM}/1/{HAND}/0/0", f"{CAM}/1/{HAND}/0/1"]


def test_behaviours_do_not_link_to_each_other() -> None:
    facts = read([*[frame(i, 200 * i, at(1) if i % 2 else at(1, STAND)) for i in range(12)], beat(11, 20_000)])
    assert sorted({e[1] for e in events(facts)}) == [HAND, STAND]


def test_a_behaviour_without_a_rule_is_counted_and_raises_nothing() -> None:
    facts = read(frames(0, 5_000, at(1, "reading")))
    assert [f.people for f in facts if isinstance(f, Watched)] == [{"reading": 1}] * 25
    assert events(facts) == []


def test_a_score_below_the_rule_is_counted_and_makes_no_event() -> None:
    picky = {HAND: Rule(least_score=0.5, least_duration_ms=0, longest_gap_ms=0)}
    facts = read([frame(0, 0, at(1, score=0.5), at(3, score=0.49)), frame(1, 200)], rules=picky)
    assert [f.people for f in facts if isinstance(f, Watched)] == [{HAND: 2}]
    assert events(facts) == [("started", HAND, 0, None)]


def test_an_event_begins_and_ends_with_its_weak_detections() -> None:
    rule = {HAND: Rule(least_score=0.5, least_duration_ms=300, longest_gap_ms=0)}
    scores = [0.2, 0.5, 0.9, 0.2, 0.1]
    told = [frame(i, 200 * i, at(1, score=score)) for i, score in enumerate(scores)]
    facts = read([*told, frame(5, 1_000), frame(6, 1_200)], rules=rule)
    assert events(facts) == [("started", HAND, 0, None), ("ended", HAND, 0, 1_000)]


def test_a_span_keeps_the_rule_it_began_with() -> None:
    story = Story(CAM)
    read([frame(0, 0, at(1)), frame(1, 200, at(1))], story)
    stricter = {HAND: Rule(least_score=0, least_duration_ms=60_000, longest_gap_ms=1)}
    assert events(read(frames(400, 800, at(1), first=2), story, stricter)) == [("started", HAND, 0, None)]


def test_old_sequences_say_nothing() -> None:
    told: list[Told] = [frame(0, 0, at(1)), dropped(1, 2, 200, 400), frame(3, 600), beat(3, 700)]
    story = Story(CAM)
    once = read(told, story)
    before = repr(story)
    assert read(told, story) == []
    assert repr(story) == before
    assert counted(once) == 2


def test_a_heartbeat_at_the_same_instant_can_only_move_towards_off() -> None:
    story = Story(CAM)
    states = []
    for noun in (frame(0, 0), beat(0, 500, "up"), beat(0, 500, "off"), beat(0, 500, "up"), beat(0, 501, "up")):
        read([noun], story)
        states.append(story.state)
    assert states == ["up", "up", "off", "off", "up"]


def test_a_hole_is_lost_unless_its_reason_was_told() -> None:
    assert missed(read([frame(0, 0), frame(3, 600)])) == {"lost_in_crash": 2}
    told: list[Told] = [frame(0, 0), Hole(camera=CAM, epoch=0, reason="corrupt_jpeg"), frame(3, 600), frame(5, 1_000)]
    assert missed(read(told)) == {"corrupt_jpeg": 2, "lost_in_crash": 1}


def test_a_reason_is_spent_on_the_next_record_even_if_there_was_no_hole() -> None:
    hole = Hole(camera=CAM, epoch=0, reason="empty")
    assert missed(read([frame(0, 0), hole, frame(1, 200), frame(3, 600)])) == {"lost_in_crash": 1}
    assert missed(read([frame(0, 0), hole, frame(0, 0), frame(2, 600)])) == {"empty": 1}, (
        "a duplicate does not spend it"
    )


def test_a_hole_at_the_end_shows_through_a_heartbeat() -> None:
    assert missed(read([frame(0, 0), beat(4, 1_000), beat(4, 2_000), frame(5, 2_100)])) == {"lost_in_crash": 4}


def test_a_hole_before_the_first_record_of_an_epoch_is_seen() -> None:
    assert missed(read([frame(2, 0), frame(1, 100, epoch=2)])) == {"lost_in_crash": 3}


def test_missing_frames_are_spread_over_the_time_they_were_taken_in() -> None:
    (hole,) = [f for f in read([frame(0, 0), frame(4, 1_000)]) if isinstance(f, Missed)]
    assert hole == Missed(250, 750, 3, "lost_in_crash")
    (drop,) = [f for f in read([frame(0, 0), dropped(1, 3, 200, 600)]) if isinstance(f, Missed)]
    assert drop == Missed(200, 600, 3, "queue_full")


def test_a_drop_that_overlaps_what_is_known_counts_only_the_rest() -> None:
    assert missed(read([*frames(0, 400), dropped(1, 4, 200, 800)])) == {"queue_full": 2}


def test_a_higher_epoch_supersedes_and_what_comes_late_is_counted_once() -> None:
    story = Story(CAM)
    read([frame(0, 0), frame(1, 200), frame(0, 5_000, epoch=3)], story)
    assert missed(read([frame(1, 200)], story)) == {}, "known already"
    late = [frame(3, 600, at(1)), frame(3, 600), dropped(2, 5, 400, 1_000), beat(7, 1_400)]
    assert missed(read(late, story)) == {"lost_in_crash": 1 + 2, "superseded": 1 + 2}
    assert missed(read(late, story)) == {}
    assert counted(read(late, story)) == 0
    assert missed(read([frame(0, 300, epoch=2)], story)) == {"superseded": 1}, "an epoch never heard of before"
    assert (story.epoch, story.next_sequence) == (3, 1)


def test_only_so_many_superseded_epochs_are_remembered() -> None:
    story = Story(CAM)
    read([frame(0, 1_000 * epoch, epoch=epoch) for epoch in range(1, 100)], story)
    assert len(story.past) == PAST_EPOCHS
    assert missed(read([frame(9, 0, epoch=5)], story)) == {}
    assert missed(read([frame(1, 0, epoch=90)], story)) == {"superseded": 1}
    read([frame(1, 0, epoch=epoch) for epoch in range(50, 99)], story)
    assert len(story.past) == PAST_EPOCHS


def test_a_clock_that_jumps_back_an_hour_covers_nothing_twice() -> None:
    hour = 3_600_000
    story = Story(CAM)
    facts = read([*frames(hour, hour + 2_000), *frames(0, 2_000, at(1), epoch=2)], story)
    assert counted(facts) == 22
    assert story.high_ms == hour + 2_000
    assert max(end for _, end in watched(facts)) == hour + 2_000
    assert events(facts) == [("started", HAND, 0, None)], "events go by the story's own clock"
    onward = read(frames(hour + 1_900, hour + 2_500, epoch=2, first=11), story)
    assert watched(onward)[0] == (hour + 2_000, hour + 2_100)


def test_a_frame_earlier_than_what_was_told_is_taken_as_told() -> None:
    facts = read([frame(0, 1_000), frame(1, 400, at(1)), frame(2, 2_000)])
    assert [f.at_ms for f in facts if isinstance(f, Counted)] == [1_000, 1_000, 2_000]


def test_time_is_due_unless_off_and_for_a_day_at_most_without_a_word() -> None:
    passed = [f for f in read([frame(0, 0), beat(0, 1_000, "off"), beat(0, 5_000, "off")]) if isinstance(f, Passed)]
    assert passed == [Passed(0, 1_000, due=True), Passed(1_000, 5_000, due=False)]
    (long,) = [f for f in read([frame(0, 0), frame(1, 10 * STATE_HOLDS_MS)]) if isinstance(f, Passed)]
    assert long == Passed(0, STATE_HOLDS_MS, due=True)


def test_a_planned_live_camera_is_due_from_its_plan_on() -> None:
    story = Story(CAM)
    assert story.expect(1_000) == []
    assert [f for f in read([frame(0, 4_000)], story) if isinstance(f, Passed)] == [Passed(1_000, 4_000, due=True)]
    silent = Story(CAM)
    silent.expect(1_000)
    assert silent.idle(500) == []
    assert silent.idle(9_000) == [Passed(1_000, 9_000, due=True)]
    early = Story(CAM)
    early.expect(5_000)
    assert watched(read([frame(0, 4_000), frame(1, 4_200)], early)) == [(4_000, 4_200)], (
        "it began before it was planned"
    )


def test_a_camera_of_a_file_is_not_due_before_it_speaks() -> None:
    story = Story(CAM)
    story.expect(None)
    assert story.idle(10**9) == []
    assert [f for f in read([frame(0, 4_000)], story) if isinstance(f, Passed)] == []


def test_an_event_names_the_model_that_saw_it_last_before_it_was_published() -> None:
    switched = [frame(i, 200 * i, at(1), model=MODEL if i < 3 else "digest-2") for i in range(4)]
    facts = [f for f in read([*switched, beat(3, 9_000)]) if isinstance(f, Happened)]
    assert [(f.event.phase, f.event.model) for f in facts] == [("started", MODEL), ("ended", "digest-2")]


def test_sleeping_takes_twenty_seconds() -> None:
    assert events(read(frames(0, 19_800, at(1, SLEEP)))) == []
    assert events(read(frames(0, 20_000, at(1, SLEEP)))) == [("started", SLEEP, 0, None)]


def test_only_records_with_a_time_are_read() -> None:
    class Odd(Told, frozen=True, kw_only=True):
        pass

    noun: Record = Odd(camera=CAM, epoch=1)
    assert isinstance(noun, Told)
    with pytest.raises(TypeError, match="Odd has no time; expected FrameDetections, Dropped or Heartbeat"):
        Story(CAM).read(noun, RULES)
