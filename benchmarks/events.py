"""A lesson and a release → the events that the route would publish, counted against the truth: what benchmarks share."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context

from rich.progress import track

from classpulse.aggregate.rules import DEFAULT_RULES
from classpulse.demo.bundled import Lesson
from classpulse.demo.matching import Counts, Matching, measure
from classpulse.demo.truth import TrueBehaviour, judged
from classpulse.records import FrameDetections, Rule
from classpulse.refresh.lessons import events
from classpulse.refresh.lessons import seen as seen_in
from gesturedet.card import Release


def seen(lessons: Sequence[Lesson], release: Release) -> list[list[FrameDetections]]:
    """What the net says of every picture of the lessons as ingest would send it; each core looks at a lesson of its own."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        looks = pool.map(_seen, lessons, repeat(release))
        return list(track(looks, description=f"{release.card.name} {release.card.precision}", total=len(lessons)))


def _seen(lesson: Lesson, release: Release) -> list[FrameDetections]:
    return seen_in(lesson.clip, release, lesson.camera, lesson.truth.fps)


def compared(
    lesson: Lesson, frames: list[FrameDetections], rules: Mapping[str, Rule] = DEFAULT_RULES
) -> dict[str, tuple[tuple[TrueBehaviour, ...], Matching]]:
    """The true events of each behaviour in a lesson, and which of them were found."""
    found, out = events(frames, lesson.room, rules), {}
    for name, truth in judged(lesson.truth.spans, rules).items():
        counted, others = ([(s.started_ms, s.ended_ms) for s in part] for part in (truth.counted, truth.others))
        out[name] = truth.counted, measure(counted, found[name], others)
    return out


def counts(
    lessons: Sequence[Lesson], frames: Sequence[list[FrameDetections]], rules: Mapping[str, Rule]
) -> dict[str, Counts]:
    """How many events of each behaviour were true, found, missed and false over all lessons."""
    out = {name: Counts() for name in rules}
    for lesson, shown in zip(lessons, frames, strict=True):
        for name, (_, matching) in compared(lesson, shown, rules).items():
            out[name] += matching.counts
    return out
