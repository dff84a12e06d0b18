"""Cameras meet in buckets: watermark, finality, silence, plans, and what happens to what comes late."""

from itertools import pairwise

import msgspec
import pytest

from classpulse.aggregate.room import FINALITY_LIMIT_MS, LONGEST_LAID_MS, Room
from classpulse.records import Idle, Record, RoomConfig, Rule, TimelineBucket
from tests.services.aggregate.stories import (
    CAM,
    HAND,
    MODEL,
    ROOM,
    A,
    B,
    Told,
    at,
    beat,
    dropped,
    frame,
    frames,
    plan,
    play,
)

HOUR_MS = 3_600_000


def starts(buckets: list[TimelineBucket]) -> list[int]:
    return [bucket.start_ms for bucket in buckets]


def idle(camera: str, at_ms: int) -> Idle:
    return Idle(room=ROOM, camera=camera, at_ms=at_ms)


def missing(told: Told) -> dict[str, int]:
    total: dict[str, int] = {}
    for bucket in told.latest:
        for reason, frames_ in bucket.missing.items():
            total[reason] = total.get(reason, 0) + frames_
    return total


def test_a_room_of_which_nothing_is_told_publishes_nothing() -> None:
    assert play([]).buckets == []
    nothing = play([plan(A, B), plan()])
    assert (nothing.events, nothing.buckets) == ([], [])


def test_nothing_happened_nothing_was_seen_and_nobody_was_due_look_different() -> None:
    told = play(
        [
            plan(CAM),
            *frames(0, 9_800),  # somebody was to be observed, was, and did nothing
            beat(49, 10_000, "silent"),
            beat(49, 20_000, "off"),  # all the time between: nothing was seen
            beat(49, 25_000, "off"),
            beat(49, 32_000, "off"),  # nobody was to be observed
        ]
    )
    quiet, blind, nobody = told.finals
    assert starts(told.finals) == [0, 10_000, 20_000]
    assert (quiet.due_ms, quiet.observed_ms, quiet.frames, quiet.behaviours) == (10_000, 10_000, 50, {})
    assert (blind.due_ms, blind.observed_ms, blind.frames) == (10_000, 0, 0)
    assert (nobody.due_ms, nobody.observed_ms, nobody.frames) == (0, 0, 0)


def test_a_bucket_is_final_two_seconds_after_its_end_and_not_before() -> None:
    until = [plan(CAM), *frames(0, 11_800)]
    assert play(until).finals == []
    told = play([*until, frame(60, 12_000)])
    (final,) = told.finals
    assert (final.start_ms, final.end_ms, final.frames, final.observed_ms, final.due_ms) == (
        0,
        10_000,
        50,
        10_000,
        10_000,
    )
    assert final.models == (MODEL,)


def test_provisional_revisions_come_at_most_once_a_second_of_event_time() -> None:
    told = play([plan(CAM), *frames(0, 12_000, at(1), step_ms=40)])
    provisional = [b for b in told.buckets if not b.final and b.start_ms == 0]
    assert [b.revision for b in provisional] == list(range(len(provisional)))
    assert len(provisional) == 11, "at 0, 1 .. 9 s, and at 10 s when its last frame stopped speaking"
    (final,) = told.finals
    assert final.revision == len(provisional)
    assert [b.observed_ms for b in provisional[:3]] == [0, 1_000, 2_000]


def test_every_expected_camera_holds_the_room() -> None:
    a = [plan(A, B), *frames(0, 60_000, camera=A)]
    assert play(a).finals == [], "nothing was heard of B yet"
    assert starts(play([*a, frame(0, 35_000, camera=B)]).finals) == [0, 10_000, 20_000]
    assert starts(play([*a, beat(-1, 0, "off", camera=B)]).finals) == [0, 10_000, 20_000, 30_000, 40_000]


@pytest.mark.parametrize(("due", "due_ms"), [(True, 2_000), (False, 0)])
def test_a_camera_that_joins_outside_its_rooms_timetable_is_due_only_from_its_first_word(
    due: bool, due_ms: int
) -> None:
    joins = msgspec.structs.replace(plan(CAM, delivery="live", at_ms=1_000), due=due)
    told = play([joins, beat(-1, 3_000, "off"), beat(-1, 12_000, "off"), beat(-1, 30_000, "off")])
    assert sum(bucket.due_ms for bucket in told.latest) == due_ms


def test_a_camera_that_is_not_expected_holds_nothing_and_is_counted() -> None:
    nouns: list[Record] = [plan(A), frame(0, 1_000, camera=B), *frames(0, 12_000, camera=A), frame(1, 2_000, camera=B)]
    first, second = play([*nouns, *frames(12_200, 22_000, camera=A, first=61)]).finals
    assert (first.frames, second.frames) == (51, 50 + 1), "the late one is in the oldest open bucket"


def test_a_room_without_a_plan_goes_by_the_cameras_heard_of() -> None:
    told = play([*frames(0, 5_000, camera=A), *frames(0, 60_000, camera=B)])
    assert told.finals == []
    assert starts(
        play([*frames(0, 5_000, camera=A), *frames(0, 60_000, camera=B), frame(26, 40_000, camera=A)]).finals
    ) == [
        0,
        10_000,
        20_000,
    ]


def test_when_the_last_camera_goes_off_everything_told_is_final() -> None:
    both = [plan(A, B), *frames(0, 4_000, camera=A), *frames(0, 13_200, camera=B), beat(20, 4_200, "off", camera=A)]
    assert starts(play(both).finals) == [0], "B holds the second bucket"
    told = play([*both, beat(66, 13_400, "off", camera=B)])
    assert starts(told.finals) == [0, 10_000]
    assert told.finals[-1].due_ms == 3_400
    assert play([*both, beat(66, 13_400, "off", camera=B)]).bytes() == told.bytes()


def test_an_end_on_the_edge_of_a_bucket_opens_no_further_one() -> None:
    told = play([plan(CAM), *frames(0, 9_800), beat(49, 10_000, "off")])
    assert starts(told.finals) == [0]
    assert starts(told.latest) == [0]


def test_short_clips_played_over_and_over_do_not_run_ahead_of_their_time() -> None:
    nouns: list[Record] = [plan(CAM)]
    for epoch in range(20):
        nouns += frames(epoch * 1_000, epoch * 1_000 + 800, epoch=epoch)
        nouns.append(beat(4, epoch * 1_000 + 900, "off", epoch=epoch))
    told = play(nouns)
    assert sum(b.frames for b in told.latest) == 100
    assert max(b.end_ms for b in told.latest) <= 30_000


def test_a_camera_that_is_behind_holds_the_room_for_a_day_at_most() -> None:
    far = FINALITY_LIMIT_MS + 25_000
    nouns: list[Record] = [plan(A, B), frame(0, 0, camera=A), frame(0, 0, camera=B), frame(1, far - 1, camera=A)]
    assert starts(play(nouns).finals) == [0, 10_000]
    assert starts(play([*nouns, frame(2, far + 10_000, camera=A)]).finals) == [0, 10_000, 20_000]


def test_silence_of_a_live_camera_lets_the_room_go_on() -> None:
    nouns: list[Record] = [
        plan(A, B, delivery="live"),
        *frames(0, 30_000, camera=A),
        *frames(0, 5_000, at(1), camera=B),
    ]
    assert play(nouns).finals == []
    told = play([*nouns, idle(B, 27_000)])
    assert starts(told.finals) == [0, 10_000]
    assert [b.due_ms for b in told.finals] == [10_000, 10_000]
    assert told.spans == [(HAND, 0, 5_300)], "nobody saw it go on"


def test_a_live_camera_that_never_spoke_is_due_and_not_seen() -> None:
    told = play([plan(CAM, delivery="live", at_ms=3_000), idle(CAM, 13_000), idle(CAM, 24_000)])
    assert [(b.start_ms, b.due_ms, b.observed_ms) for b in told.finals] == [(0, 7_000, 0), (10_000, 10_000, 0)]


def test_what_comes_late_after_silence_is_counted_in_the_oldest_open_bucket() -> None:
    told = play(
        [
            plan(CAM, delivery="live"),
            *frames(0, 1_000),
            idle(CAM, 30_000),
            *frames(1_200, 3_000, at(1), first=6),
            dropped(16, 17, 3_200, 3_400),
            frame(20, 31_000),
            beat(20, 31_200, "off"),
        ]
    )
    assert told.finals[0].frames == 6
    oldest, newest = told.latest[2:]
    assert (oldest.start_ms, oldest.frames, oldest.missing) == (20_000, 10, {"queue_full": 2, "lost_in_crash": 2})
    assert oldest.behaviours[HAND].events == 1
    assert oldest.behaviours[HAND].person_ms == 0, "time is never moved"
    assert (newest.frames, newest.missing) == (1, {})
    assert oldest.observed_ms == 0


def test_a_hole_across_buckets_is_counted_where_its_frames_were_taken() -> None:
    told = play([plan(CAM), frame(0, 0), frame(30, 30_000), beat(30, 40_000, "off")])
    assert [(b.start_ms, b.missing) for b in told.finals] == [
        (0, {"lost_in_crash": 9}),  # 1000, 2000 .. 9000
        (10_000, {"lost_in_crash": 10}),
        (20_000, {"lost_in_crash": 10}),
        (30_000, {}),
    ]


@pytest.mark.parametrize(("count", "split"), [(1, [1, 0]), (2, [1, 1]), (3, [1, 2]), (10**12, [5 * 10**11] * 2)])
def test_a_drop_across_two_buckets_is_split_exactly(count: int, split: list[int]) -> None:
    told = play([plan(CAM), dropped(0, count - 1, 5_000, 15_000), beat(count - 1, 20_000, "off")])
    # frame i of n was taken at 5000 + 10000 * i // (n - 1)
    assert [b.missing.get("queue_full", 0) for b in told.latest] == split


def test_a_very_long_silence_is_one_run_and_comes_out_bucket_by_bucket() -> None:
    room = Room(ROOM)
    for noun in (plan(CAM), frame(0, 0), frame(1, 2 * HOUR_MS)):
        room.take(noun)
    assert len(room.parts) <= 2, "not one part for each of 720 buckets"
    published = []
    while page := room.finals(100):
        assert len(page) <= 100
        published += page
    assert not room.owing
    buckets = [p.noun for p in published if isinstance(p.noun, TimelineBucket)]
    assert [b.start_ms for b in buckets] == list(range(0, 2 * HOUR_MS - 2_000 - 9_999, 10_000))
    assert {(b.due_ms, b.observed_ms) for b in buckets} == {(10_000, 300), (10_000, 0)}


def test_a_night_of_off_without_a_word_has_no_record() -> None:
    told = play([plan(CAM), *frames(0, 5_000), beat(25, 5_200, "off"), frame(0, 10 * HOUR_MS, epoch=2)])
    assert starts(told.latest) == [0, 10 * HOUR_MS]
    told = play([plan(CAM), *frames(0, 5_000), beat(25, 5_200, "off"), frame(0, LONGEST_LAID_MS, epoch=2)])
    assert len(told.latest) == 61
    assert {b.due_ms for b in told.latest[1:-1]} == {0}


def test_another_bucket_length_begins_behind_everything_told() -> None:
    told = play(
        [
            plan(CAM),
            *frames(0, 14_000),
            plan(CAM, bucket_ms=15_000),
            *frames(14_200, 47_000, first=71),
            beat(235, 47_200, "off"),
        ]
    )
    edges = [0, 10_000, 20_000, 30_000, 45_000, 60_000]
    assert [(b.start_ms, b.end_ms) for b in told.finals] == list(pairwise(edges))
    assert sum(b.frames for b in told.finals) == 236
    assert all(b.due_ms == b.observed_ms == b.end_ms - b.start_ms for b in told.finals[:-1])


def test_a_camera_that_goes_off_before_the_new_length_begins_is_told_to_its_end() -> None:
    told = play(
        [
            plan(CAM),
            *frames(0, 14_000),
            plan(CAM, bucket_ms=15_000),
            beat(70, 14_200, "off"),
            frame(73, 14_300),
            beat(73, 14_400, "off"),
            plan(CAM, A, bucket_ms=15_000),
            frame(74, 29_000),
            beat(74, 31_000, "off"),
            beat(-1, 0, "off", camera=A),
        ]
    )
    edges = [0, 10_000, 20_000, 30_000, 45_000]
    assert [(b.start_ms, b.end_ms) for b in told.finals] == list(pairwise(edges))
    assert sum(b.frames for b in told.finals) == 71 + 2
    assert missing(told) == {"lost_in_crash": 2}


def test_a_first_plan_with_another_length_rules_from_the_start() -> None:
    told = play([plan(CAM, bucket_ms=60_000), *frames(0, 5_000), beat(25, 5_100, "off")])
    assert [(b.start_ms, b.end_ms) for b in told.finals] == [(0, 60_000)]


def test_other_rules_apply_from_the_next_span_on() -> None:
    strict = RoomConfig(room=ROOM, rules={HAND: Rule(least_score=0, least_duration_ms=5_000, longest_gap_ms=1_000)})
    told = play(
        [
            plan(CAM),
            *frames(0, 400, at(1)),
            plan(CAM, config=strict),
            *frames(600, 1_000, at(1), first=3),
            *frames(5_000, 8_000, at(1), first=6),
            beat(21, 20_000, "off"),
        ]
    )
    assert told.spans == [(HAND, 0, 1_300)]


def test_cameras_join_and_leave_with_the_plan() -> None:
    nouns: list[Record] = [plan(A, B), *frames(0, 3_000, at(1), camera=A), *frames(0, 30_000, camera=B)]
    told = play([*nouns, plan(B, at_ms=30_000)])
    assert starts(told.finals) == [0, 10_000], "A no longer holds"
    assert told.spans == [(HAND, 0, 3_000)], "its hand went with it"
    again = play(
        [
            *nouns,
            plan(B, at_ms=30_000),
            plan(A, B, at_ms=31_000, delivery="live"),
            *frames(30_200, 60_000, camera=B, first=151),
        ]
    )
    assert starts(again.finals) == [0, 10_000], "A holds again, though nothing is heard of it"
    assert starts(play([plan(A), *frames(0, 5_000, camera=A), plan()]).finals) == [0], "nobody is left"


def test_a_repeated_plan_changes_nothing() -> None:
    nouns: list[Record] = [plan(CAM), *frames(0, 12_000, at(1)), beat(60, 15_000, "off")]
    twice = play([noun for n in nouns for noun in (n, plan(CAM, at_ms=5))])
    assert twice.bytes() == play(nouns).bytes()


def test_what_became_final_under_one_plan_is_not_joined_by_the_next() -> None:
    disjoint = RoomConfig(room=ROOM, views="disjoint")
    nouns: list[Record] = [
        plan(A, B),
        *frames(0, 12_000, at(1), camera=A),
        *frames(0, 12_000, at(1), camera=B),
        plan(A, B, config=disjoint),
        *frames(12_200, 24_000, at(1), camera=A, first=61),
        *frames(12_200, 24_000, at(1), camera=B, first=61),
    ]
    for sizes in ([1], [len(nouns)], [7, 200]):
        assert [b.behaviours[HAND].person_ms for b in play(nouns, batches=sizes).finals] == [10_000, 20_000]


def test_overlapping_and_disjoint_rooms_from_frames_to_buckets() -> None:
    nouns: list[Record] = [
        *frames(0, 9_800, at(1), at(3), camera=A),
        *frames(0, 3_800, at(1), at(3), at(5), camera=B),
        *frames(4_000, 9_800, camera=B, first=20),
        beat(49, 10_000, "off", camera=A),
        beat(49, 10_000, "off", camera=B),
    ]
    (overlapping,) = play([plan(A, B), *nouns]).finals
    assert overlapping.behaviours[HAND].person_ms == 3 * 4_000 + 2 * 6_000
    assert (overlapping.behaviours[HAND].peak, overlapping.behaviours[HAND].events) == (3, 2), (
        "A saw 20 person-seconds, B 12"
    )
    (disjoint,) = play([plan(A, B, config=RoomConfig(room=ROOM, views="disjoint")), *nouns]).finals
    assert disjoint.behaviours[HAND].person_ms == 5 * 4_000 + 2 * 6_000
    assert (disjoint.behaviours[HAND].peak, disjoint.behaviours[HAND].events) == (5, 5)


def test_a_foreign_record_is_no_part_of_the_story() -> None:
    with pytest.raises(TypeError, match="RoomConfig is no part of a room's story; expected a Told, RoomPlan or Idle"):
        Room(ROOM).take(RoomConfig(room=ROOM))


def test_an_idle_of_an_unknown_camera_is_ignored() -> None:
    assert play([idle(A, 99_000)]).buckets == []
