"""The demo, what truly was: the timeline that was rendered into a lesson, and how a room's rules see it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from classpulse.errors import BadInput
from classpulse.records import Rule

TRUTH_SUFFIX = ".truth.json"
_KEYS = ("fps", "frames", "width", "height", "duration_ms", "seed", "pupils", "spans")


class TrueBehaviour(msgspec.Struct, frozen=True, kw_only=True):
    """One pupil's behaviour during `[started_ms, ended_ms)` of the clip; `visible` says that the camera could see it."""

    pupil: int | str
    behaviour: str
    started_ms: int
    ended_ms: int
    visible: bool = True
    box_xyxy: tuple[float, float, float, float] | None = None


class LessonTruth(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside a rendered lesson: its clip's own figures and every behaviour in it."""

    fps: float
    frames: int
    width: int
    height: int
    duration_ms: int
    seed: int
    pupils: Any
    spans: tuple[TrueBehaviour, ...]


@dataclass(frozen=True)
class Judged:
    """The true events of one behaviour in one room, and those that a finding may match but nobody asks for.

    `counted` were visible and lasted as long as the rule asks; `others` did not: one that is missed is no miss, and a
    finding that matches one is no false finding.
    """

    counted: tuple[TrueBehaviour, ...]
    others: tuple[TrueBehaviour, ...]


def load_truth(path: Path) -> LessonTruth:
    """Read `<lesson>.truth.json`. Raises BadInput naming the file, the key and what was expected."""
    try:
        truth = msgspec.json.decode(path.read_bytes(), type=LessonTruth)
    except OSError as error:
        raise BadInput([f"truth = {str(path)!r}: {error.strerror}; expected the truth beside the clip"]) from error
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise BadInput([f"truth = {str(path)!r}: {error}; expected the keys {', '.join(_KEYS)}"]) from error
    for number, span in enumerate(truth.spans):
        if not 0 <= span.started_ms < span.ended_ms:
            found = f"{span.started_ms}..{span.ended_ms}"
            raise BadInput([f"truth = {str(path)!r}: spans[{number}] lasts {found} ms; expected 0 <= start < end"])
    return truth


def judged(spans: Iterable[TrueBehaviour], rules: Mapping[str, Rule]) -> dict[str, Judged]:
    """The truth as the rules see it, per behaviour that has a rule: short gaps of one pupil do not part an event."""
    by_behaviour: dict[str, list[TrueBehaviour]] = {name: [] for name in rules}
    for span in spans:
        if span.behaviour in rules:
            by_behaviour[span.behaviour].append(span)
    return {name: _judged(joined(held, rules[name].longest_gap_ms), rules[name]) for name, held in by_behaviour.items()}


def joined(spans: Sequence[TrueBehaviour], longest_gap_ms: int) -> list[TrueBehaviour]:
    """Spans of one behaviour where those of one pupil with a gap of at most `longest_gap_ms` are one, by start."""
    whole: list[TrueBehaviour] = []
    last: dict[tuple[int | str, bool], int] = {}
    for span in sorted(spans, key=lambda s: (s.started_ms, s.ended_ms, str(s.pupil))):
        at = last.get((span.pupil, span.visible))
        if at is not None and span.started_ms - whole[at].ended_ms <= longest_gap_ms:
            whole[at] = msgspec.structs.replace(whole[at], ended_ms=max(whole[at].ended_ms, span.ended_ms))
            continue
        last[span.pupil, span.visible] = len(whole)
        whole.append(span)
    return whole


def _judged(spans: Sequence[TrueBehaviour], rule: Rule) -> Judged:
    def counts(span: TrueBehaviour) -> bool:
        return span.visible and span.ended_ms - span.started_ms >= rule.least_duration_ms

    return Judged(tuple(filter(counts, spans)), tuple(span for span in spans if not counts(span)))
