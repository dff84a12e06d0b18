"""Question: how good are releases on the frozen exams. `python -m benchmarks.exams.examine RELEASE... --exams FOLDER`.

FOLDER is what `draw.py` filled; every exam in it must be the frozen one, by bytes or by looks. With several releases, the loss of mAP from
the first to each other one is told as well: give fp32, then int8, or the control and then the candidates. Lessons take most of the
time and tell no such loss: the last release alone watches them. Writes `results/exams.json`, or the result of another name, and
prints tables for docs/detector.md.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.exams.frozen import FROZEN, check
from benchmarks.exams.intervals import loss_interval, mean_average_precision, rounded, rounded_interval
from benchmarks.exams.lesson_figures import event_figures, quiet_figures, watch
from benchmarks.exams.markdown import as_markdown
from benchmarks.exams.picture_figures import LABELS, Sitting, picture_figures, sit
from benchmarks.exams.table import EXAMS, Exam, LessonExam, PictureExam
from benchmarks.measured import write_result
from rich.progress import track

from classpulse.demo.bundled import bundled_lessons
from classpulse.errors import BadInput
from gesturedet.card import Release, find_release
from gesturedet.data.voc import read_split
from gesturedet.evaluation import Ranking, room_draws

Sittings = Mapping[str, Sitting]


def examine(
    releases: Sequence[Release], folder: Path, *, exams: Mapping[str, Exam] = EXAMS, frozen: Path = FROZEN
) -> dict[str, Any]:
    """Let releases sit every exam there is in `folder`; those that are not there are named.

    Raises ValueError where none is there, and what `frozen.check` raises, before anything is measured.
    """
    there = {name: exam for name, exam in exams.items() if (folder / name).is_dir()}
    if not there:
        raise ValueError(f"exams: {str(folder)!r} holds none of {', '.join(exams)}; expected what draw.py filled")
    known = {name: asdict(check(exam, folder / name, frozen)) for name, exam in there.items()}
    told, sittings = [], []
    pictures = {name: exam for name, exam in there.items() if isinstance(exam, PictureExam)}
    for place, release in enumerate(releases, start=1):
        figures, sat = _one(release, there if place == len(releases) else pictures, folder)
        told.append(figures)
        sittings.append(sat)
    return {
        "exams": known,
        "not_sat": [name for name in exams if name not in there],
        "releases": told,
        "losses": [_loss(told[0], other, sittings[0], sat) for other, sat in zip(told[1:], sittings[1:], strict=True)],
    }


def _one(release: Release, exams: Mapping[str, Exam], folder: Path) -> tuple[dict[str, Any], Sittings]:
    """One release's figures on all exams, and what it said of the pictures."""
    figures, sittings, card = {}, {}, release.card
    for name, exam in exams.items():
        match exam:
            case PictureExam():
                pictures = read_split(folder / name, name, labels=LABELS)
                sittings[name] = sit(release, track(pictures, description=f"{card.name} {card.precision} {name}"))
                figures[name] = picture_figures(sittings[name])
            case LessonExam(gestures=gestures):
                lessons = bundled_lessons(folder / name)
                events = watch(release, lessons)
                figures[name] = event_figures(events) if gestures else quiet_figures(events, lessons)
    return {"model": card.name, "precision": card.precision, "digest": card.digest, "figures": figures}, sittings


def _loss(first: Mapping[str, Any], other: Mapping[str, Any], before: Sittings, after: Sittings) -> dict[str, Any]:
    rows = {name: loss_of(before[name].rankings(), after[name].rankings()) for name in before}
    return {"from": first["digest"], "to": other["digest"], "map50": rows}


def loss_of(before: Sequence[Ranking], after: Sequence[Ranking]) -> dict[str, Any]:
    """How much mAP is lost from one release to another on the same pictures, in points of 100, and its 95 % interval."""
    low, high = loss_interval(before, after, room_draws(len(before[0].truths_by_group)))
    lost = mean_average_precision(before) - mean_average_precision(after)
    return {"points": rounded(100 * lost, 2), "interval": rounded_interval((100 * low, 100 * high), 2)}


def main(argv: list[str] | None = None) -> int:
    """Examine, write, print; what is wrong with what was given is one line and exit code 2."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("releases", nargs="+", help="names of released models, or folders")
    parser.add_argument("--exams", type=Path, required=True, help="the folder that draw.py filled")
    parser.add_argument("--result", default="exams", help="name of the result file")
    asked = parser.parse_args(argv)
    try:
        figures = examine([find_release(name) for name in asked.releases], asked.exams)
    except (ValueError, OSError, BadInput) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write_result(asked.result, figures)
    print(as_markdown(figures))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
