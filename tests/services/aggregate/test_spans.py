"""Linking goes by overlap and time, best first, and numbers newcomers from left to right."""

import msgspec
import pytest

from classpulse.aggregate.rules import DEFAULT_RULES, rules_of
from classpulse.aggregate.spans import MOST_PER_BEHAVIOUR, Span, follow, grow, iou, match, over, silence
from classpulse.records import Detection, RoomConfig, Rule
from tests.services.aggregate.stories import HAND, MODEL, ROOM, at

RULE = DEFAULT_RULES[HAND]
WEAK = RULE.least_score - 0.01


def span(box_xyxy: tuple[float, float, float, float], *, start_ms: int = 0, end_ms: int = 0) -> Span:
    return Span(
        HAND,
        start_ms,
        0,
        RULE.least_duration_ms,
        RULE.longest_gap_ms,
        box_xyxy,
        end_ms,
        MODEL,
        least_score=RULE.least_score,
        strong=True,
        strong_from_ms=start_ms,
        strong_to_ms=end_ms,
    )


def box(left: float, right: float) -> tuple[float, float, float, float]:
    return (left, 0.0, right, 1.0)


def seen(left: float, right: float) -> Detection:
    return Detection(behaviour=HAND, score=1.0, box_xyxy=box(left, right))


def test_nothing_seen_and_nothing_open_gives_nothing() -> None:
    assert match([], []) == []
    assert over([], 10**9) == []
    assert follow([], [], 0, rule=RULE, model=MODEL, ordinal=0) == []


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (box(0, 0.5), box(0, 0.5), 1.0),
        (box(0, 0.5), box(0.5, 1), 0.0),
        (box(0, 0.2), box(0.1, 0.3), 1 / 3),  # 0.1 shared of 0.3
        (box(0.5, 0.1), box(0, 1), 0.0),  # inverted: no area
        ((0.0, 0.0, 0.4, 0.5), (0.2, 0.25, 0.6, 0.75), 1 / 7),  # 0.05 of 0.2 + 0.2 - 0.05
    ],
)
def test_overlap_by_hand(a: tuple[float, ...], b: tuple[float, ...], expected: float) -> None:
    assert iou(a, b) == pytest.approx(expected)  # type: ignore[arg-type]
    assert iou(b, a) == pytest.approx(expected)  # type: ignore[arg-type]


def test_the_best_overlap_is_taken_first() -> None:
    left, right = span(box(0.0, 0.3)), span(box(0.1, 0.4))
    nearer_right = seen(0.12, 0.42)
    nearer_left = seen(0.05, 0.35)  # overlaps both about as well, but the right one is taken better by the other
    assert match([left, right], [nearer_left, nearer_right]) == [left, right]


def test_of_equal_overlaps_the_first_span_and_the_first_detection_win() -> None:
    twin_a, twin_b = span(box(0, 1)), span(box(0, 1))
    assert [s is twin_a for s in match([twin_a, twin_b], [seen(0, 1)])] == [True]
    assert match([twin_a], [seen(0, 1), seen(0, 1)]) == [twin_a, None]


def test_below_a_fifth_of_overlap_it_is_somebody_else() -> None:
    old = span(box(0.0, 0.5))
    assert match([old], [seen(1 / 3 + 0.001, 5 / 6 + 0.001)]) == [None]
    assert match([old], [seen(1 / 3 - 0.001, 5 / 6 - 0.001)]) == [old]


def test_newcomers_are_numbered_from_left_to_right() -> None:
    begun = follow([], [at(7), at(2), at(5)], 100, rule=RULE, model=MODEL, ordinal=0)
    assert [(s.ordinal, s.box_xyxy) for s in begun] == [(i, at(p).box_xyxy) for i, p in enumerate((2, 5, 7))]
    assert [s.start_ms for s in begun] == [100, 100, 100]


def test_a_span_grows_only_while_it_is_live() -> None:
    one, other = span(at(1).box_xyxy), span(at(5).box_xyxy)
    other.live = False
    grow([one, other], 300)
    assert (one.end_ms, other.end_ms) == (300, 0)
    silence([one])
    grow([one], 400)
    assert one.end_ms == 300


def test_a_gap_as_long_as_allowed_still_continues_and_one_more_millisecond_ends() -> None:
    one = span(at(1).box_xyxy, end_ms=500)
    assert over([one], 1_500) == []
    assert over([one], 1_501) == [one]


def test_a_continued_span_covers_the_gap() -> None:
    one = span(at(1).box_xyxy, end_ms=200)
    one.live = False
    assert follow([one], [at(1)], 900, rule=RULE, model="digest-2", ordinal=0) == []
    assert (one.live, one.end_ms, one.model, one.satisfied) == (True, 900, "digest-2", True)


def test_only_strong_detections_satisfy_a_rule_and_weak_ones_keep_a_span_going() -> None:
    (one,) = follow([], [at(1, score=WEAK)], 0, rule=RULE, model=MODEL, ordinal=0)
    grow([one], 1_000)
    assert (one.end_ms, one.satisfied) == (1_000, False)  # long enough, but weak
    follow([one], [at(1, score=RULE.least_score)], 1_000, rule=RULE, model=MODEL, ordinal=0)
    grow([one], 1_499)
    assert not one.satisfied
    grow([one], 1_500)
    assert (one.start_ms, one.satisfied) == (0, True)
    follow([one], [at(1, score=WEAK)], 1_500, rule=RULE, model=MODEL, ordinal=0)
    grow([one], 9_000)
    assert (one.end_ms, one.strong_to_ms) == (9_000, 1_500)


def test_strong_detections_too_far_apart_are_not_taken_together_though_weak_ones_lie_between() -> None:
    (one,) = follow([], [at(1)], 0, rule=RULE, model=MODEL, ordinal=0)
    for at_ms in range(200, 1_401, 200):
        follow([one], [at(1, score=WEAK if at_ms < 1_400 else 1.0)], at_ms, rule=RULE, model=MODEL, ordinal=0)
    assert (one.start_ms, one.strong_from_ms, one.satisfied) == (0, 1_400, False)
    near = follow([], [at(1)], 0, rule=RULE, model=MODEL, ordinal=0)
    follow(near, [at(1, score=WEAK)], 500, rule=RULE, model=MODEL, ordinal=0)
    follow(near, [at(1)], 1_000, rule=RULE, model=MODEL, ordinal=0)
    assert near[0].satisfied  # a gap as long as the rule allows


def test_a_strong_run_ends_one_millisecond_beyond_the_longest_gap() -> None:
    for gap_ms, satisfied in ((RULE.longest_gap_ms, True), (RULE.longest_gap_ms + 1, False)):
        (one,) = follow([], [at(1)], 0, rule=RULE, model=MODEL, ordinal=0)
        follow([one], [at(1, score=WEAK)], 500, rule=RULE, model=MODEL, ordinal=0)
        follow([one], [at(1)], gap_ms, rule=RULE, model=MODEL, ordinal=0)
        assert one.satisfied is satisfied


def test_a_span_without_a_strong_detection_satisfies_not_even_a_rule_of_no_duration() -> None:
    at_once = Rule(least_score=0.5, least_duration_ms=0, longest_gap_ms=0)
    (one,) = follow([], [at(1, score=0.49)], 0, rule=at_once, model=MODEL, ordinal=0)
    grow([one], 500)
    assert not one.satisfied
    follow([one], [at(1, score=0.5)], 500, rule=at_once, model=MODEL, ordinal=0)
    assert one.satisfied


def test_strong_time_never_goes_back_and_grows_also_where_the_span_is_ahead() -> None:
    (one,) = follow([], [at(1)], 0, rule=RULE, model=MODEL, ordinal=0)
    grow([one], 300)  # the wall clock went ahead of the next picture
    follow([one], [at(1)], 200, rule=RULE, model=MODEL, ordinal=0)
    assert (one.end_ms, one.strong_to_ms) == (300, 300)
    one.end_ms = 400
    grow([one], 350)
    assert (one.end_ms, one.strong_to_ms) == (400, 350)


def test_a_span_stored_by_an_older_version_is_confirmed_by_a_run_that_begins_now() -> None:
    old = [HAND, 0, 0, 500, 1_000, list(at(1).box_xyxy), 400, MODEL, True, False]
    one = msgspec.convert(old, Span)
    assert not one.satisfied
    follow([one], [at(1, score=WEAK)], 600, rule=RULE, model=MODEL, ordinal=0)  # its rule asked for no score
    grow([one], 1_100)
    assert (one.start_ms, one.satisfied) == (0, True)


def test_a_crowd_is_linked_up_to_the_stated_bound() -> None:
    crowd = [at(1) for _ in range(MOST_PER_BEHAVIOUR + 50)]
    assert len(follow([], crowd, 0, rule=RULE, model=MODEL, ordinal=0)) == MOST_PER_BEHAVIOUR


def test_a_room_overrides_single_rules_and_adds_its_own() -> None:
    mine = Rule(least_score=0.7, least_duration_ms=1, longest_gap_ms=2)
    rules = rules_of(RoomConfig(room=ROOM, rules={HAND: mine, "reading": mine}))
    assert rules[HAND] == rules["reading"] == mine
    assert rules["sleeping"] == DEFAULT_RULES["sleeping"]


def test_the_defaults_are_those_of_the_design() -> None:
    assert {name: (r.least_duration_ms, r.longest_gap_ms) for name, r in DEFAULT_RULES.items()} == {
        "hand-raising": (500, 1_000),
        "stand-up": (1_000, 2_000),
        "sleeping": (20_000, 10_000),
    }
