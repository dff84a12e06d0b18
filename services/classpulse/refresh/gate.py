"""What a candidate has to show before anybody looks with it: nothing it does worse than the champion, in either precision.

Pure: judged pictures and events go in, a verdict comes out.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np

from gesturedet.evaluation import JudgedPicture, average_precision, average_precisions, rank, room_draws

LEAST_IOU = 0.5
CONFIDENCE = 0.95
DIGITS = 4
LEAST_ROOMS = 10
"""A bootstrap over fewer says too little: over one, nothing at all."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One behaviour on one exam: average precision at IoU 0.5 of the champion and of a candidate on the same pictures.

    `rooms`: so many show the behaviour. `least`: above it lies the true change with 95 % confidence, by a bootstrap over rooms,
    both nets on the same draws.
    """

    exam: str
    precision: str
    behaviour: str
    truths: int
    rooms: int
    before: float
    after: float
    least: float


class Quiet(msgspec.Struct, frozen=True, kw_only=True):
    """Events where nothing happened, in so many hours of empty lessons: the champion's and a candidate's."""

    precision: str
    hours: float
    before: int
    after: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen, and why the candidate is refused; an empty `refused` lets it through."""

    changes: tuple[Change, ...]
    quiet: tuple[Quiet, ...]
    refused: tuple[str, ...]


def changes_of(
    exam: str,
    precision: str,
    before: Sequence[JudgedPicture],
    after: Sequence[JudgedPicture],
    labels: Mapping[str, tuple[int, int]],
) -> Iterator[Change]:
    """What changed on an exam for each behaviour that it shows. `labels`: a behaviour's class in the one and in the other net."""
    for behaviour, (class_before, class_after) in labels.items():
        rankings = rank(before, class_before, least_iou=LEAST_IOU), rank(after, class_after, least_iou=LEAST_IOU)
        if not rankings[0].truths:
            continue
        draws = room_draws(len(rankings[0].truths_by_group))
        moved = average_precisions(rankings[1], draws) - average_precisions(rankings[0], draws)
        yield Change(
            exam=exam,
            precision=precision,
            behaviour=behaviour,
            truths=rankings[0].truths,
            rooms=int((rankings[0].truths_by_group > 0).sum()),
            before=round(average_precision(rankings[0]), DIGITS),
            after=round(average_precision(rankings[1]), DIGITS),
            least=round(float(np.nanquantile(moved, 1.0 - CONFIDENCE)), DIGITS),
        )


def verdict(changes: Sequence[Change], quiet: Sequence[Quiet], behaviours: Sequence[str], *, margin: float) -> Verdict:
    """Judge a candidate: `margin` is what a behaviour may lose on an exam, `behaviours` are those that the champion publishes."""
    refused = [
        f"{one.precision}: {one.behaviour} on {one.exam}: AP50 {one.before:.3f} → {one.after:.3f}, by {one.least:+.3f} at the worst"
        f" (95 %, {one.truths} objects); expected no worse than {-margin:+.3f}"
        for one in changes
        if one.least < -margin
    ]
    refused += [
        f"{one.precision}: {one.behaviour} on {one.exam}: in {one.rooms} rooms; expected {LEAST_ROOMS} at least: fewer cannot show it"
        for one in changes
        if one.rooms < LEAST_ROOMS
    ]
    refused += [
        f"{one.precision}: {one.after} events in {one.hours:.1f} h of empty lessons; expected no more than the champion's {one.before}"
        for one in quiet
        if one.after > one.before
    ]
    unseen = sorted(set(behaviours) - {one.behaviour for one in changes})
    refused += [f"{behaviour}: on no exam; expected objects of it on one at least" for behaviour in unseen]
    return Verdict(changes=tuple(changes), quiet=tuple(quiet), refused=tuple(refused))
