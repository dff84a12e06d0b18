"""Draws the exams and freezes them: `python -m benchmarks.exams.draw FOLDER [--exam NAME]... [--workers 2]`.

Drawing goes on where it was stopped. An exam that is not frozen yet gets its file `benchmarks/exams/NAME.json`, to be committed; else
the folder has to be that exam, by its bytes or by its looks (docs/exams.md).
"""

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.exams.frozen import FROZEN, check, freeze
from benchmarks.exams.table import EXAMS, Exam, LessonExam, PictureExam

from synthroom.cli import LessonJob, film_all, pictures

ROOT = Path(__file__).resolve().parents[2]
BLENDER_PYTHON = ROOT / "build" / "shift-venv" / "bin" / "python"
"""The environment of `shift/README.md`."""


def draw(exam: Exam, folder: Path, workers: int) -> None:
    """Draw what the exam's folder lacks."""
    match exam:
        case PictureExam(drawn_by="shift"):
            draw_shift(exam, folder, workers)
        case PictureExam():
            pictures(folder, split=exam.name, count=exam.count, workers=workers)
        case LessonExam():
            folder.mkdir(parents=True, exist_ok=True)
            film_all(lesson_jobs(exam, folder), workers)


def lesson_jobs(exam: LessonExam, folder: Path) -> list[LessonJob]:
    """Return every lesson of an exam, as it is to be filmed."""
    return [
        LessonJob(folder / f"{name}.mp4", exam.seed(place), exam.plan(place)) for place, name in enumerate(exam.clips)
    ]


def draw_shift(exam: PictureExam, folder: Path, workers: int, python: Path = BLENDER_PYTHON) -> None:
    """Have the other renderer draw. Raises FileNotFoundError without its environment, ValueError if it fails."""
    if not python.exists():
        raise FileNotFoundError(
            f"{python}: not there, expected the environment of benchmarks/exams/shift/README.md, which draws 'shift'"
        )
    options = ("--count", str(exam.count), "--workers", str(workers))
    command = [str(python), "-m", "benchmarks.exams.shift.draw_exam", str(folder.resolve()), *options]
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode != 0:
        raise ValueError(f"shift: its renderer ended with {done.returncode}, expected 0")


def settle(exam: Exam, folder: Path, frozen: Path = FROZEN) -> str:
    """Freeze an exam that is not frozen, check one that is; say which. Raises what `freeze` and `check` raise."""
    if not (frozen / f"{exam.name}.json").exists():
        return f"{exam.name}: frozen in {freeze(exam, folder, frozen)}, to be committed"
    known = check(exam, folder, frozen)
    return f"{exam.name}: {folder} is the frozen exam, {known.byte_equal} of {known.of} byte for byte"


def main(argv: list[str] | None = None) -> int:
    """Draw and settle one exam after another; what goes wrong is one line and exit code 2."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="each exam gets a folder of its name in it")
    parser.add_argument("--exam", action="append", choices=list(EXAMS), help="only this one; may be repeated")
    parser.add_argument("--workers", type=int, default=1, help="processes, one thread each")
    asked = parser.parse_args(argv)
    try:
        for name in asked.exam or EXAMS:
            draw(EXAMS[name], asked.folder / name, asked.workers)
            print(settle(EXAMS[name], asked.folder / name))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
