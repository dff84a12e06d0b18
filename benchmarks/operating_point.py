"""Question: at which score each behaviour of a release gives the best events, on lessons nobody trained on.

A threshold that is best picture by picture is too low for events: somebody is looked at many times a second, so a low
one finds everybody sooner or later, and what is not there as well. Usage: operating_point.py RELEASE LESSONS, with
lessons of the val split (`python -m synthroom.cli lessons FOLDER --split val --count 4`), never of the demo's. RELEASE is one of
`gesturedet release`, calibrated: the scores are those of its card, and `gesturedet release --thresholds` then calibrates alike.
"""

import sys
from pathlib import Path
from statistics import mean

import msgspec
from events import counts, seen
from measured import write_result
from rich.progress import track

from classpulse.aggregate.rules import DEFAULT_RULES
from classpulse.demo.bundled import bundled_lessons
from gesturedet.card import Release, load_release
from gesturedet.predictor import Predictor
from gesturedet.runtime.onnxruntime import OnnxRuntime

LEAST_SCORE = 0.1
ALIKE = 0.005
SCORES = [round(LEAST_SCORE + 0.02 * step, 2) for step in range(45)]


def best(curve: list[dict[str, float]]) -> float:
    """The lowest score whose F1, on average over itself and two scores on either side, is as good as the highest such.

    A lone peak is luck, and what is nearer than `ALIKE` is the same: of such scores the lowest shows timelines the most people.
    """
    f1 = [point["f1"] for point in curve]
    around = [mean(f1[max(place - 2, 0) : place + 3]) for place in range(len(f1))]
    return next(point["score"] for point, near in zip(curve, around, strict=True) if near >= max(around) - ALIKE)


def main(folder: Path, lessons_folder: Path) -> None:
    """Look once, aggregate at each score, write the curves and the best scores."""
    release = load_release(folder)
    low = msgspec.structs.replace(release.card, thresholds=dict.fromkeys(release.card.labels, LEAST_SCORE))
    predictor = Predictor(Release(low, release.onnx_bytes), OnnxRuntime(release.onnx_bytes))
    lessons = bundled_lessons(lessons_folder)
    frames = [seen(lesson, predictor) for lesson in lessons]
    curves: dict[str, list[dict[str, float]]] = {name: [] for name in DEFAULT_RULES}
    for score in track(SCORES, description="scores"):
        for name, count in counts(lessons, frames, score).items():
            point = {"score": score, "true": count.true, "found": count.found, "false": count.false}
            curves[name].append({**point, "f1": round(count.f1 or 0.0, 4)})
    chosen = {name: best(curve) for name, curve in curves.items()}
    seeds = [lesson.truth.seed for lesson in lessons]
    figures = {
        "model": release.card.digest,
        "calibrated": release.card.calibration is not None,
        "lesson_seeds": seeds,
        "thresholds": chosen,
        "curves": curves,
    }
    write_result("operating_point", figures)
    print(" ".join(f"--threshold {name}={score}" for name, score in chosen.items()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
