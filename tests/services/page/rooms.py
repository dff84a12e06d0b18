"""Made-up rooms for the page's tests: a two-minute lesson with a known truth, and a school day of many buckets."""

import random

from classpulse.drawing.lanes import TrueSpan
from classpulse.page import Panel
from classpulse.reading import RoomTimeline, Span, cells_of
from classpulse.records import BehaviourTotals, TimelineBucket

MONDAY_MS = 1_772_434_800_000  # 2026-03-02T07:00:00Z
BUCKET_MS = 10_000


def bucket(
    room: str,
    start_ms: int,
    *,
    seen: float = 1.0,
    due: float = 1.0,
    people: dict[str, tuple[int, int, int]] | None = None,
) -> TimelineBucket:
    totals = {name: BehaviourTotals(events=e, person_ms=p, peak=k) for name, (e, p, k) in (people or {}).items()}
    due_ms = int(BUCKET_MS * due)
    return TimelineBucket(
        room=room,
        start_ms=start_ms,
        end_ms=start_ms + BUCKET_MS,
        behaviours=totals,
        due_ms=due_ms,
        observed_ms=int(due_ms * seen),
        frames=int(120 * due * seen),
        missing={} if seen == 1 or due == 0 else {"stale": int(120 * due * (1 - seen))},
        models=("sha256:9f2c",),
        revision=1,
        final=True,
    )


def lesson(seed: int, *, truth: bool = True, seconds: int = 120) -> Panel:
    """Two minutes at 12 fps: a hole in the middle, nobody to be observed at the end, some missed, some false."""
    choose = random.Random(seed)
    room = f"demo/school/room-{seed}"
    spans, truths, false_ids = [], [], set()
    for name, count, least, most in (
        ("hand-raising", 12, 2000, 7000),
        ("stand-up", 6, 4000, 15000),
        ("sleeping", 3, 20000, 40000),
    ):
        for index in range(count):
            start_ms = MONDAY_MS + choose.randrange(0, (seconds - 25) * 1000)
            end_ms = min(start_ms + choose.randrange(least, most), MONDAY_MS + seconds * 1000)
            kind = choose.random()
            if kind < 0.9:
                truths.append(TrueSpan(name, start_ms, end_ms, found=kind > 0.1))
            if kind > 0.1:
                key = f"{room}/cam-1/0/{name}/{start_ms}/{index}"
                spans.append(
                    Span(
                        key, name, start_ms + choose.randrange(0, 400), end_ms - choose.randrange(0, 400), "sha256:9f2c"
                    )
                )
                false_ids |= {key} if kind >= 0.9 else set()
    buckets = [
        bucket(room, start, seen=_seen(index), due=_due(index, seconds), people=_people(spans, start))
        for index, start in enumerate(range(MONDAY_MS, MONDAY_MS + seconds * 1000, BUCKET_MS))
    ]
    end_ms = MONDAY_MS + seconds * 1000
    spans.sort(key=lambda span: span.started_at_ms)
    timeline = RoomTimeline(
        room, "Europe/Berlin", MONDAY_MS, end_ms, cells_of(buckets, MONDAY_MS, end_ms), tuple(spans)
    )
    return Panel(timeline, tuple(truths) if truth else None, frozenset(false_ids))


def school_day(seed: int, *, hours: int = 8) -> Panel:
    """A day of buckets: lessons with breaks in which nobody is to be observed, and half an hour in which nothing was seen."""
    choose = random.Random(seed)
    room = f"district/school-{seed // 10}/room-{seed}"
    buckets, spans = [], []
    for index in range(hours * 360):
        start_ms = MONDAY_MS + index * BUCKET_MS
        minute = index // 6
        due = 0.0 if minute % 60 >= 45 else 1.0
        seen = 0.0 if seed % 3 == 0 and 95 <= minute < 125 else 1.0
        hands = choose.choice((0, 0, 1, 2, 5)) if due and seen else 0
        people = (
            {"hand-raising": (hands, hands * 4000, hands), "stand-up": (hands // 2, 3000 * (hands // 2), hands // 2)}
            if hands
            else {}
        )
        keys = (f"{room}/cam-1/0/hand-raising/{start_ms}/{ordinal}" for ordinal in range(hands))
        spans += [Span(key, "hand-raising", start_ms, start_ms + 4000, "sha256:9f2c") for key in keys]
        if not (seed % 5 == 0 and 300 <= minute < 340):
            buckets.append(bucket(room, start_ms, seen=seen, due=due, people=people))
    end_ms = MONDAY_MS + hours * 3_600_000
    return Panel(
        RoomTimeline(room, "Europe/Berlin", MONDAY_MS, end_ms, cells_of(buckets, MONDAY_MS, end_ms), tuple(spans))
    )


def _seen(index: int) -> float:
    return {6: 0.4, 7: 0.0}.get(index, 1.0)


def _due(index: int, seconds: int) -> float:
    return 0.0 if index == seconds // 10 - 1 else 1.0


def _people(spans: list[Span], start_ms: int) -> dict[str, tuple[int, int, int]]:
    people: dict[str, tuple[int, int, int]] = {}
    for span in spans:
        together = min(span.end_or(0), start_ms + BUCKET_MS) - max(span.started_at_ms, start_ms)
        if together > 0:
            events, person_ms, peak = people.get(span.behaviour, (0, 0, 0))
            people[span.behaviour] = (events + (start_ms <= span.started_at_ms), person_ms + together, peak + 1)
    return people
