"""A release and the lessons of an exam → its events against the truth, and its false events where nothing happens.

Rules are the rooms' defaults; see `benchmarks/events.py`. L lessons.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from benchmarks.events import compared, seen
from benchmarks.exams.intervals import Integers, poisson_interval, rounded_interval, share_interval

from classpulse.aggregate.rules import DEFAULT_RULES
from classpulse.demo.bundled import Lesson
from classpulse.demo.matching import Counts, Matching
from classpulse.demo.truth import TrueBehaviour
from gesturedet.card import Release
from gesturedet.evaluation import room_draws
from synthroom.datacard import SIZES, size_name

MS_PER_HOUR = 3_600_000


@dataclass(frozen=True)
class Watched:
    """The events of one behaviour in a lesson: all, and the true ones by size where it is known."""

    counts: Counts
    sizes: Mapping[str, Counts]


ByBehaviour = Mapping[str, Watched]


def watch(release: Release, lessons: Sequence[Lesson]) -> list[ByBehaviour]:
    """Return each lesson's events, counted."""
    looks = zip(lessons, seen(lessons, release), strict=True)
    return [{name: watched(*one) for name, one in compared(lesson, frames).items()} for lesson, frames in looks]


def watched(truths: Sequence[TrueBehaviour], matching: Matching) -> Watched:
    """Count the true events of a behaviour in a lesson by the share of the picture that showed them halfway."""
    sizes: dict[str, Counts] = {}
    for place, truth in enumerate(truths):
        if truth.box_xyxy is None:
            continue
        left, top, right, bottom = truth.box_xyxy
        size, found = size_name((right - left) * (bottom - top)), place in matching.found_of_true
        sizes[size] = sizes.get(size, Counts()) + Counts(1, int(found), int(not found))
    return Watched(matching.counts, sizes)


def event_figures(by_lesson: Sequence[ByBehaviour]) -> dict[str, Any]:
    """Precision, recall and F1 of the events of each behaviour, with 95 % intervals by lesson."""
    draws = room_draws(len(by_lesson))
    rows = [_events(name, [one[name].counts for one in by_lesson], draws) for name in DEFAULT_RULES]
    sizes = [row for name in DEFAULT_RULES for row in _sizes(name, [one[name].sizes for one in by_lesson], draws)]
    return {"lessons": len(by_lesson), "behaviours": rows, "sizes": sizes}


def _events(behaviour: str, by_lesson: Sequence[Counts], draws: Integers) -> dict[str, Any]:
    total = sum(by_lesson, Counts())
    table = np.array([(c.true, c.found, c.missed, c.false) for c in by_lesson], dtype=np.int64).reshape(-1, 4)
    true_L, found_L, missed_L, false_L = table.T
    wholes = {"precision": found_L + false_L, "recall": true_L}
    row: dict[str, Any] = {"behaviour": behaviour, "true": total.true, "found": total.found, "false": total.false}
    for key in ("precision", "recall", "f1"):
        value = getattr(total, key)
        row[key] = None if value is None else round(value, 4)
    for key, whole_L in wholes.items():
        row[f"{key}_interval"] = rounded_interval(share_interval(found_L, whole_L, draws))
    row["f1_interval"] = rounded_interval(share_interval(2 * found_L, 2 * found_L + missed_L + false_L, draws))
    return row


def _sizes(behaviour: str, by_lesson: Sequence[Mapping[str, Counts]], draws: Integers) -> Iterator[dict[str, Any]]:
    """What was found of true events, by the share of the picture that showed them halfway."""
    for _, size in SIZES:
        counts = [one.get(size, Counts()) for one in by_lesson]
        total = sum(counts, Counts())
        if total.recall is None:
            continue
        found_L, true_L = (np.array([getattr(c, key) for c in counts], dtype=np.int64) for key in ("found", "true"))
        within = rounded_interval(share_interval(found_L, true_L, draws))
        row = {"true": total.true, "found": total.found, "recall": round(total.recall, 4), "recall_interval": within}
        yield {"behaviour": behaviour, "size": size, **row}


def quiet_figures(by_lesson: Sequence[ByBehaviour], lessons: Sequence[Lesson]) -> dict[str, Any]:
    """False events per room and hour where nobody does anything, with the exact 95 % interval of a Poisson count.

    Raises ValueError for a lesson in which something truly happens, and for no lessons.
    """
    for lesson in lessons:
        if lesson.truth.spans:
            raise ValueError(f"{lesson.clip}: holds {len(lesson.truth.spans)} gestures, expected none")
    hours = sum(lesson.truth.duration_ms for lesson in lessons) / MS_PER_HOUR
    if not hours:
        raise ValueError("lessons: there is none, expected lessons without gestures")
    by_behaviour = {name: sum(one[name].counts.false for one in by_lesson) for name in DEFAULT_RULES}
    rates = {name: _rate(count, hours) for name, count in by_behaviour.items()}
    return {
        "lessons": len(lessons),
        "hours": round(hours, 4),
        **_rate(sum(by_behaviour.values()), hours),
        "behaviours": rates,
    }


def _rate(count: int, hours: float) -> dict[str, Any]:
    low, high = poisson_interval(count)
    return {
        "false": count,
        "per_room_hour": round(count / hours, 4),
        "per_room_hour_interval": rounded_interval((low / hours, high / hours)),
    }
