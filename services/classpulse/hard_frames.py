"""detections → stretches of hard frames: where what looks is unsure, or another release sees otherwise. No bus and no picture.

A frame is hard for one behaviour, for a reason:

- `unsure`: a score is at its release's threshold or less than BAND above it. Scores say how often such a detection is right:
  there it is about every other time.
- `flickers`: somebody is seen again whom the frames just before did not show, though they were looked at, after no longer than
  the gap that the room's rule bridges. Who is the same is said by place, as aggregate says it (`aggregate/spans.py`).
- `only champion`, `only candidate`: of both, one has a box of the behaviour that pairs with none of the other (`swap.pairs`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from typing import Literal, NamedTuple

from classpulse.aggregate.spans import Span, follow, grow, over, silence
from classpulse.detect.swap import pairs
from classpulse.records import Detection, FrameDetections, Rule, room_of

Reason = Literal["unsure", "flickers", "only champion", "only candidate"]
Thresholds = Mapping[str, float]
"""The least score that a release reports, by behaviour: all the behaviours that it publishes."""

BAND = 0.1
ADJACENT_MS = 5_000
"""Frames of one camera, behaviour and reason that are no further apart are one stretch."""


class Doubt(NamedTuple):
    """One frame that is hard for one behaviour. `scores`: the least and the most that were unsure."""

    camera: str
    at_ms: int
    behaviour: str
    reason: Reason
    scores: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Adjacent hard frames of one camera, behaviour and reason, captured from `from_ms` to `to_ms`, both included."""

    camera: str
    behaviour: str
    reason: Reason
    from_ms: int
    to_ms: int
    frames: int
    scores: tuple[float, float] | None

    @property
    def why(self) -> str:
        """The reason for people: `unsure 0.41–0.47`, `flickers`."""
        return self.reason if self.scores is None else f"{self.reason} {self.scores[0]:.2f}–{self.scores[1]:.2f}"


def unsure(frame: FrameDetections, thresholds: Thresholds) -> Iterator[Doubt]:
    """What a frame's release was unsure of in it."""
    found: dict[str, list[float]] = {}
    for one in frame.detections:
        least = thresholds.get(one.behaviour)
        if least is not None and least <= one.score < least + BAND:
            found.setdefault(one.behaviour, []).append(one.score)
    for behaviour, scores in sorted(found.items()):
        yield Doubt(frame.camera, frame.captured_at_ms, behaviour, "unsure", (min(scores), max(scores)))


def disagreements(told: FrameDetections, found: Sequence[Detection], common: Iterable[str]) -> Iterator[Doubt]:
    """Where a candidate found other than what was told of a frame; `common`: the behaviours that both know."""
    for behaviour in sorted(common):
        old = [one for one in told.detections if one.behaviour == behaviour]
        new = [one for one in found if one.behaviour == behaviour]
        matched = pairs(old, new)
        if len(old) > matched:
            yield Doubt(told.camera, told.captured_at_ms, behaviour, "only champion")
        if len(new) > matched:
            yield Doubt(told.camera, told.captured_at_ms, behaviour, "only candidate")


class Story:
    """One camera's frames in the order of the log, by the rules of its room."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self._rules = rules
        self._newest = (-1, -1)
        self._speaks_until_ms = 0
        self._spans: list[Span] = []

    def goes_on(self, frame: FrameDetections) -> bool:
        """Whether a frame is newer than all before; one that is told again, or of an epoch that is over, says nothing."""
        place = (frame.epoch, frame.sequence)
        if place <= self._newest:
            return False
        if frame.epoch > self._newest[0]:
            self._spans = []
        self._newest = place
        return True

    def flickers(self, frame: FrameDetections) -> Iterator[Doubt]:
        """The behaviours that a newer frame shows of somebody again whom the one before it did not show."""
        at_ms = frame.captured_at_ms
        unseen = [span for span in self._spans if not span.live]
        grow(self._spans, min(at_ms, self._speaks_until_ms))
        silence(self._spans)
        gone = over(self._spans, at_ms)
        self._spans = [span for span in self._spans if span not in gone]
        self._speaks_until_ms = at_ms + 3 * frame.interval_ms // 2
        for behaviour, rule in self._rules.items():
            seen = [one for one in frame.detections if one.behaviour == behaviour]
            mine = [span for span in self._spans if span.behaviour == behaviour]
            self._spans += follow(mine, seen, at_ms, rule=rule, model=frame.model, ordinal=0)
            if any(span.live for span in mine if span in unseen):
                yield Doubt(frame.camera, at_ms, behaviour, "flickers")


class Stories:
    """All cameras' frames in the order of the log. `frames`: so many told something new; `unjudged`: of these, by whom nobody knows.

    `thresholds_of` gives those of a release by its digest, None where nobody knows them; `rules_of` those of a room.
    """

    def __init__(
        self, thresholds_of: Callable[[str], Thresholds | None], rules_of: Callable[[str], Mapping[str, Rule]]
    ) -> None:
        self._thresholds_of, self._rules_of = thresholds_of, rules_of
        self._stories: dict[str, Story] = {}
        self.frames = self.unjudged = 0

    def go_on(self, frame: FrameDetections) -> bool:
        """Take a frame; says whether it tells anything new. If so, its `doubts` are to be asked for before the next one."""
        if frame.camera not in self._stories:
            self._stories[frame.camera] = Story(self._rules_of(room_of(frame.camera)))
        new = self._stories[frame.camera].goes_on(frame)
        self.frames += new
        return new

    def doubts(self, frame: FrameDetections) -> Iterator[Doubt]:
        """What makes a new frame hard by itself."""
        thresholds = self._thresholds_of(frame.model)
        if thresholds is None:
            self.unjudged += 1
        else:
            yield from unsure(frame, thresholds)
        yield from self._stories[frame.camera].flickers(frame)


def stretches(doubts: Iterable[Doubt]) -> Iterator[Stretch]:
    """Doubts, of each camera, behaviour and reason in the order of their frames, joined where they are adjacent."""
    still_open: dict[tuple[str, str, Reason], Stretch] = {}
    for one in doubts:
        key = (one.camera, one.behaviour, one.reason)
        before = still_open.get(key)
        if before is not None and 0 <= one.at_ms - before.to_ms <= ADJACENT_MS:
            scores = _both(before.scores, one.scores)
            still_open[key] = replace(before, to_ms=one.at_ms, frames=before.frames + 1, scores=scores)
            continue
        if before is not None:
            yield before
        still_open[key] = Stretch(*key, from_ms=one.at_ms, to_ms=one.at_ms, frames=1, scores=one.scores)
    yield from still_open.values()


def hardest(found: Iterable[Stretch], most: int) -> list[Stretch]:
    """So many at most: those of most frames first, of equal ones the latest."""
    return nlargest(most, found, key=lambda one: (one.frames, one.to_ms))


def _both(one: tuple[float, float] | None, other: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if one is None or other is None else (min(one[0], other[0]), max(one[1], other[1]))
