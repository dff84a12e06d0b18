"""Draws the `shift` exam: `python -m benchmarks.exams.shift.draw_exam OUT --count 300 --workers 2`, see README.md."""

import argparse
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.exams.shift.voc import HEIGHT, VIEWS, WIDTH, Entry, Exam, room_seed, write_room
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from benchmarks.exams.shift.draw import Stage


@cache
def _stage() -> "Stage":
    """Own this process's Blender, silenced: it reports every picture on the standard output."""
    from benchmarks.exams.shift.draw import Stage  # noqa: PLC0415 - Blender is loaded by those who draw

    sys.stdout.flush()
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    return Stage(WIDTH, HEIGHT)


def draw_room(out: Path, room: int) -> list[Entry]:
    """Draw one room's pictures in this process."""
    from benchmarks.exams.shift.pictures import stills  # noqa: PLC0415

    return write_room(out, room, stills(_stage(), room_seed(room), VIEWS))


def _drawn(out: Path, rooms: list[int], workers: int) -> Iterator[list[Entry]]:
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(draw_room, out, room) for room in rooms]):
            yield done.result()


def main(argv: list[str] | None = None) -> int:
    """Draw what is missing; bad input is one line and exit code 2."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the exam; drawn on where it was stopped")
    parser.add_argument("--count", type=int, default=300, help="pictures it shall hold")
    parser.add_argument("--workers", type=int, default=1, help="processes, one thread each")
    asked = parser.parse_args(argv)
    for key in ("count", "workers"):
        if getattr(asked, key) < 1:
            print(f"error: --{key} {getattr(asked, key)}: expected 1 or more", file=sys.stderr)
            return 2
    try:
        exam = Exam(asked.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    rooms = exam.missing(asked.count)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task("shift pictures", total=len(exam.entries) + len(rooms) * VIEWS, completed=len(exam.entries))
        for entries in _drawn(asked.out, rooms, asked.workers):
            exam.add(entries)
            bar.advance(task, len(entries))
    print(f"{asked.out}: {len(exam.entries)} pictures")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
