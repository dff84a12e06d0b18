"""The canary, what is played: the beginning of a bundled lesson, and what in it is sure to be seen. Nobody in it is real.

The hidden room has rules of its own, laxer than the usual ones: a canary lesson is asked whether the route lives, not how well
it sees.
"""

from pathlib import Path

from classpulse.canary.lesson import Known
from classpulse.demo.bundled import LESSONS
from classpulse.demo.truth import TRUTH_SUFFIX, load_truth
from classpulse.records import Rule

CLIP = LESSONS / "lesson-1.mp4"
FPS = 5.0
RULES = {
    "stand-up": Rule(least_score=0.5, least_duration_ms=1_000, longest_gap_ms=2_000),
    "hand-raising": Rule(least_score=0.5, least_duration_ms=500, longest_gap_ms=1_000),
}
SURE = (("stand-up", 6), ("hand-raising", 2))
"""Behaviours with the pupils that show them first and for seconds, in front of the camera."""


def known_events(clip: Path = CLIP) -> tuple[Known, ...]:
    """The events that are to come of the lesson. Raises BadInput where its truth is absent or wrong."""
    spans = load_truth(clip.with_name(clip.stem + TRUTH_SUFFIX)).spans
    found = [next(s for s in spans if (s.behaviour, s.pupil) == sure) for sure in SURE]
    return tuple(
        Known(s.behaviour, s.started_ms, s.ended_ms, s.started_ms + RULES[s.behaviour].least_duration_ms) for s in found
    )
