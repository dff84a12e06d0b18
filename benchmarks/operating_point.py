"""Question: from which score on a detection may speak for an event, on lessons nobody trained on.

The score that is best picture by picture, the card's threshold, is too low for that: somebody is looked at many times a
second, so it finds everybody sooner or later, and what is not there as well. Weaker detections make no event, but one that is
made begins and ends with them (decision 0019). Scores below the card's threshold are not asked about: nobody reports them.
Usage: operating_point.py RELEASE LESSONS, with lessons of the val split (`python -m synthroom.cli lessons FOLDER --split val
--count 12`), never of the demo's. What it writes is what `classpulse.aggregate.rules` holds.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import msgspec
from events import counts, seen
from measured import write_result
from rich.progress import track

from classpulse.aggregate.rules import DEFAULT_RULES
from classpulse.demo.bundled import Lesson, bundled_lessons
from classpulse.records import FrameDetections
from gesturedet.card import load_release

AS_GOOD = 0.01
"""Two values of F1 nearer than this are the same: of 188 raised hands they are two."""
SCORES = [round(0.02 * step, 2) for step in range(1, 50)]


def best(curve: list[dict[str, float]]) -> float:
    """The highest score whose F1, on average over itself and two scores on either side, is as good as the best such.

    A lone peak is luck. Of scores that are as good the highest makes the fewest false events where nothing happens, which
    is most of a school day; in these lessons something happens every few seconds.
    """
    f1 = [point["f1"] for point in curve]
    around = [mean(f1[max(place - 2, 0) : place + 3]) for place in range(len(f1))]
    good = [point["score"] for point, near in zip(curve, around, strict=True) if near >= max(around) - AS_GOOD]
    return max(good)


def curves_of(
    lessons: Sequence[Lesson], frames: Sequence[list[FrameDetections]], thresholds: Mapping[str, float]
) -> dict[str, list[dict[str, float]]]:
    """The events of each behaviour at each score from its threshold on."""
    curves: dict[str, list[dict[str, float]]] = {name: [] for name in DEFAULT_RULES}
    for score in track(SCORES, description="scores"):
        rules = {name: msgspec.structs.replace(rule, least_score=score) for name, rule in DEFAULT_RULES.items()}
        for name, count in counts(lessons, frames, rules).items():
            if score < thresholds[name]:
                continue
            point = {"score": score, "true": count.true, "found": count.found, "false": count.false}
            curves[name].append({**point, "f1": round(count.f1 or 0.0, 4)})
    return curves


def main(folder: Path, lessons_folder: Path) -> None:
    """Look once, aggregate at each score, write the curves and the best scores."""
    release = load_release(folder)
    if release.card.calibration is None:
        raise SystemExit(f"{folder}: its scores are the net's own, expected a calibrated release")
    lessons = bundled_lessons(lessons_folder)
    curves = curves_of(lessons, seen(lessons, release), release.card.thresholds)
    chosen = {name: best(curve) for name, curve in curves.items()}
    figures = {
        "model": release.card.digest,
        "thresholds": release.card.thresholds,
        "lesson_seeds": [lesson.truth.seed for lesson in lessons],
        "least_scores": chosen,
        "curves": curves,
    }
    write_result("operating_point", figures)
    print(", ".join(f"{name} least_score={score}" for name, score in chosen.items()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
