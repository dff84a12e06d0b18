"""The gate: a candidate that may do worse than the champion, on any exam or where nothing happens, is not let through."""

import numpy as np

from classpulse.refresh.gate import Change, Quiet, changes_of, verdict
from gesturedet.evaluation import JudgedPicture

ROOMS, PICTURES = 12, 6
HANDS = {"hand-raising": (1, 1)}


def judged(found: int) -> list[JudgedPicture]:
    """Of every ten raised hands, in pictures of several rooms, so many are found; the rest is called wrongly."""
    pictures = []
    for number in range(ROOMS * PICTURES):
        right = number % 10 < found
        box = np.array([[0.1, 0.1, 0.3, 0.4]], np.float32)
        pictures.append(
            JudgedPicture(
                group=f"room-{number // PICTURES}",
                truth_boxes_xyxy=box,
                truth_class_ids=np.array([1]),
                truth_ignored=np.array([False]),
                boxes_xyxy=box if right else box + 0.5,
                class_ids=np.array([1]),
                scores=np.array([0.9 if right else 0.8], np.float32),
            )
        )
    return pictures


def change(**fields: object) -> Change:
    known = {
        "exam": "rooms",
        "precision": "fp32",
        "behaviour": "hand-raising",
        "truths": 72,
        "rooms": 12,
        "before": 0.8,
        "after": 0.8,
    }
    return Change(**{**known, "least": 0.0, **fields})  # type: ignore[arg-type]


def test_the_same_answers_are_no_change() -> None:
    (one,) = changes_of("rooms", "fp32", judged(8), judged(8), HANDS)
    assert (one.truths, one.rooms, one.before, one.least) == (72, ROOMS, one.after, 0.0)


def test_what_is_lost_is_told_with_the_worst_that_may_be() -> None:
    (one,) = changes_of("rooms", "int8", judged(9), judged(6), HANDS)
    assert one.after < one.before
    assert one.least <= one.after - one.before
    assert (
        verdict([one], [], ["hand-raising"], margin=0.03)
        .refused[0]
        .startswith(
            f"int8: hand-raising on rooms: AP50 {one.before:.3f} → {one.after:.3f}, by {one.least:+.3f} at the worst"
        )
    )


def test_what_is_won_is_let_through() -> None:
    (one,) = changes_of("rooms", "fp32", judged(6), judged(9), HANDS)
    assert one.least > 0
    assert verdict([one], [], ["hand-raising"], margin=0.0).refused == ()


def test_an_exam_without_a_behaviour_says_nothing_of_it_and_no_exam_at_all_refuses() -> None:
    assert list(changes_of("rooms", "fp32", judged(8), judged(8), {"sleeping": (3, 3)})) == []
    refused = verdict([change()], [], ["hand-raising", "sleeping"], margin=0.03).refused
    assert refused == ("sleeping: on no exam; expected objects of it on one at least",)


def test_a_loss_within_the_margin_is_let_through_and_one_beyond_it_is_not() -> None:
    assert verdict([change(least=-0.03)], [], ["hand-raising"], margin=0.03).refused == ()
    assert len(verdict([change(least=-0.031)], [], ["hand-raising"], margin=0.03).refused) == 1


def test_few_rooms_cannot_show_that_nothing_is_lost() -> None:
    assert verdict([change(rooms=10)], [], ["hand-raising"], margin=0.03).refused == ()
    (said,) = verdict([change(rooms=9)], [], ["hand-raising"], margin=0.03).refused
    assert said == "fp32: hand-raising on rooms: in 9 rooms; expected 10 at least: fewer cannot show it"


def test_one_more_event_where_nothing_happens_refuses_also_in_int8() -> None:
    quiet = [
        Quiet(precision="fp32", hours=1.0, before=3, after=3),
        Quiet(precision="int8", hours=1.0, before=3, after=4),
    ]
    refused = verdict([change()], quiet, ["hand-raising"], margin=0.03).refused
    assert refused == ("int8: 4 events in 1.0 h of empty lessons; expected no more than the champion's 3",)
