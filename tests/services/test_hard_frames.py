"""What makes a frame hard, and how hard frames are joined and ranked: by hand, without a bus."""

import pytest

from classpulse.aggregate.rules import DEFAULT_RULES
from classpulse.hard_frames import (
    ADJACENT_MS,
    BAND,
    Doubt,
    Reason,
    Stories,
    Story,
    Stretch,
    disagreements,
    hardest,
    stretches,
    unsure,
)
from classpulse.records import Detection, FrameDetections
from tests.services.aggregate.stories import CAM, HAND, SLEEP, STAND, at, frame, frames

THRESHOLDS = {HAND: 0.4, STAND: 0.5}


def box(x: float, behaviour: str = HAND) -> Detection:
    return Detection(behaviour=behaviour, score=0.9, box_xyxy=(x, 0.1, x + 0.2, 0.3))


def test_a_frame_that_shows_nothing_is_not_hard() -> None:
    assert list(unsure(frame(0, 0), THRESHOLDS)) == []
    assert list(disagreements(frame(0, 0), [], {HAND})) == []
    assert list(Story(DEFAULT_RULES).flickers(frame(0, 0))) == []
    assert list(stretches([])) == []
    assert hardest([], 5) == []


@pytest.mark.parametrize(
    ("score", "is_unsure"),
    [(0.3999, False), (0.4, True), (0.4999, True), (0.4 + BAND, False), (1.0, False)],
)
def test_a_score_is_unsure_from_its_releases_threshold_on_to_the_end_of_the_band(score: float, is_unsure: bool) -> None:
    found = list(unsure(frame(0, 7, at(1, HAND, score)), THRESHOLDS))
    assert found == ([Doubt(CAM, 7, HAND, "unsure", (score, score))] if is_unsure else [])


def test_a_behaviour_is_unsure_once_a_frame_however_many_people_show_it() -> None:
    seen = [at(1, HAND, 0.45), at(2, HAND, 0.41), at(3, HAND, 0.9), at(4, STAND, 0.52), at(5, SLEEP, 0.42)]
    assert list(unsure(frame(0, 7, *seen), THRESHOLDS)) == [
        Doubt(CAM, 7, HAND, "unsure", (0.41, 0.45)),
        Doubt(CAM, 7, STAND, "unsure", (0.52, 0.52)),
    ]


def flickers(*told: FrameDetections) -> list[tuple[int, str]]:
    """When what was seen again."""
    story = Story(DEFAULT_RULES)
    return [(one.at_ms, one.behaviour) for shown in told for one in story.flickers(shown)]


def test_what_is_seen_throughout_or_never_again_does_not_flicker() -> None:
    assert flickers(*frames(0, 2_000, at(1))) == []
    assert flickers(*frames(0, 400, at(1)), *frames(600, 9_000, first=3)) == []


def test_somebody_seen_again_at_the_same_place_flickers_in_the_frame_that_shows_it() -> None:
    gone = [
        frame(0, 0, at(1)),
        frame(1, 200),
        frame(2, 400, at(1)),
        frame(3, 600, at(1)),
        frame(4, 800),
        frame(5, 1000),
    ]
    assert flickers(*gone, frame(6, 1200, at(1))) == [(400, HAND), (1200, HAND)]


def test_somebody_elsewhere_or_doing_something_else_is_another() -> None:
    assert flickers(frame(0, 0, at(1)), frame(1, 200), frame(2, 400, at(5))) == []
    assert flickers(frame(0, 0, at(1)), frame(1, 200), frame(2, 400, at(1, STAND))) == []


@pytest.mark.parametrize(("behaviour", "bridged_ms"), [(HAND, 1_000), (STAND, 2_000), (SLEEP, 10_000)])
def test_a_gap_longer_than_the_rooms_rule_bridges_is_an_end(behaviour: str, bridged_ms: int) -> None:
    """The gap begins where the next frame did not show it."""
    empty = frames(200, bridged_ms, first=1)
    again = frame(99, 200 + bridged_ms, at(1, behaviour))
    assert flickers(frame(0, 0, at(1, behaviour)), *empty, again) == [(200 + bridged_ms, behaviour)]
    later = frame(99, 201 + bridged_ms, at(1, behaviour))
    assert flickers(frame(0, 0, at(1, behaviour)), *empty, later) == []


def test_frames_that_nobody_looked_at_hide_nobody() -> None:
    assert flickers(frame(0, 0, at(1)), frame(4, 800, at(1))) == []


def test_a_behaviour_without_a_rule_cannot_flicker() -> None:
    assert flickers(frame(0, 0, at(1, "yawning")), frame(1, 200), frame(2, 400, at(1, "yawning"))) == []


def test_another_frame_of_an_old_place_says_nothing_and_a_new_epoch_begins_anew() -> None:
    stories = Stories({}.get, lambda room: DEFAULT_RULES)
    told = [frame(0, 0, at(1)), frame(1, 200), frame(1, 200, at(1)), frame(0, 0, at(1))]
    assert [stories.go_on(one) for one in told] == [True, True, False, False]
    story = Story(DEFAULT_RULES)
    later = [frame(0, 0, at(1)), frame(1, 200), frame(0, 400, at(1), epoch=2), frame(2, 400, at(1))]
    assert [story.goes_on(one) and list(story.flickers(one)) for one in later] == [[], [], [], False]


def test_who_is_not_known_is_counted_and_flickers_all_the_same() -> None:
    stories = Stories({"known": THRESHOLDS}.get, lambda room: DEFAULT_RULES)
    told = [frame(0, 0, at(1, HAND, 0.45)), frame(1, 200), frame(2, 400, at(1, HAND, 0.45), model="known")]
    doubts = [(one.at_ms, one.reason) for shown in told if stories.go_on(shown) for one in stories.doubts(shown)]
    assert doubts == [(400, "unsure"), (400, "flickers")]
    assert (stories.frames, stories.unjudged) == (3, 2)


@pytest.mark.parametrize(
    ("old", "new", "reasons"),
    [
        ([box(0.1)], [box(0.11)], []),
        ([box(0.1)], [], ["only champion"]),
        ([], [box(0.1)], ["only candidate"]),
        ([box(0.1)], [box(0.7)], ["only champion", "only candidate"]),
        ([box(0.1), box(0.5)], [box(0.1)], ["only champion"]),
        ([box(0.1)], [box(0.1), box(0.12)], ["only candidate"]),
        ([box(0.1)], [box(0.1, STAND)], ["only champion"]),
        ([box(0.1, SLEEP)], [], []),
    ],
)
def test_boxes_without_a_partner_disagree_of_behaviours_that_both_know(
    old: list[Detection], new: list[Detection], reasons: list[Reason]
) -> None:
    assert list(disagreements(frame(0, 7, *old), new, {HAND})) == [Doubt(CAM, 7, HAND, one) for one in reasons]


def doubts(reason: Reason, *times_ms: int, behaviour: str = HAND, camera: str = CAM) -> list[Doubt]:
    return [Doubt(camera, at_ms, behaviour, reason) for at_ms in times_ms]


def test_adjacent_frames_of_one_camera_behaviour_and_reason_are_one_stretch() -> None:
    apart = ADJACENT_MS + 1
    told = sorted(
        [
            *doubts("flickers", 0, 200, 200 + ADJACENT_MS, 200 + ADJACENT_MS + apart),
            *doubts("only champion", 200),
            *doubts("flickers", 200, behaviour=STAND),
            *doubts("flickers", 200, camera="t/s/room/other"),
        ],
        key=lambda one: one.at_ms,
    )
    found = {(one.camera, one.behaviour, one.reason, one.from_ms, one.to_ms, one.frames) for one in stretches(told)}
    assert found == {
        (CAM, HAND, "flickers", 0, 200 + ADJACENT_MS, 3),
        (CAM, HAND, "flickers", 200 + ADJACENT_MS + apart, 200 + ADJACENT_MS + apart, 1),
        (CAM, HAND, "only champion", 200, 200, 1),
        (CAM, STAND, "flickers", 200, 200, 1),
        ("t/s/room/other", HAND, "flickers", 200, 200, 1),
    }


def test_a_clock_that_jumped_back_begins_another_stretch() -> None:
    assert [one.frames for one in stretches(doubts("flickers", 9_000, 100))] == [1, 1]


def test_a_stretch_says_its_least_and_its_most_score() -> None:
    told = [
        Doubt(CAM, n, HAND, "unsure", scores) for n, scores in enumerate([(0.44, 0.45), (0.41, 0.42), (0.43, 0.469)])
    ]
    (found,) = stretches(told)
    assert (found.scores, found.why) == ((0.41, 0.469), "unsure 0.41–0.47")
    assert next(stretches(doubts("flickers", 0))).why == "flickers"


def test_the_hardest_have_most_frames_and_of_equal_ones_the_latest_comes_first() -> None:
    few, old, new = (
        Stretch(CAM, HAND, "flickers", 0, to_ms, frames, None) for to_ms, frames in ((9, 1), (5, 3), (7, 3))
    )
    assert hardest([few, old, new], 9) == [new, old, few]
    assert hardest([few, old, new], 1) == [new]
