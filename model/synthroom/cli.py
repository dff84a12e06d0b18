"""Commands of the drawings: `python -m synthroom.cli pictures | moments | lessons | sheet`."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import cv2
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from synthroom.crew import one_thread, own_renderer, work
from synthroom.datacard import as_markdown, data_card
from synthroom.lesson import LessonPlan, is_done, make_lesson
from synthroom.moments import MOMENTS_MS, PLAN, write_moments
from synthroom.moments import RECIPE as MOMENTS
from synthroom.pictures import HEIGHT, WIDTH, DataSet, Entry, write_scene
from synthroom.seeds import SPLITS, lesson_seed
from synthroom.sheet import lesson_sheet, picture_sheet

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Draw synthetic classrooms with exact truth.",
)
Split = Annotated[str, typer.Option(help=f"which seeds: {', '.join(SPLITS)}")]
Workers = Annotated[int, typer.Option(help="processes, one thread each")]


@app.callback()
def _commands() -> None:
    """Draw synthetic classrooms with exact truth; no real child is ever needed."""


@dataclass(frozen=True)
class GroupJob:
    """One scene or lesson to draw into a data set."""

    out: Path
    split: str
    group: int


def draw_scene(job: GroupJob) -> list[Entry]:
    """Draw one scene with this process's renderer."""
    return write_scene(own_renderer(WIDTH, HEIGHT), job.out, job.split, job.group)


def draw_moments(job: GroupJob) -> list[Entry]:
    """Draw one lesson's moments with this process's renderer."""
    return write_moments(own_renderer(PLAN.width, PLAN.height), job.out, job.split, job.group)


def _bar() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


@app.command()
def pictures(
    out: Annotated[Path, typer.Argument(help="folder of the data set")],
    split: Split = "train",
    count: Annotated[int, typer.Option(help="pictures the set shall hold")] = 300,
    workers: Workers = 1,
) -> None:
    """Draw labelled pictures in VOC layout; goes on where it was stopped."""
    data = DataSet(out, split)
    _fill(data, count, draw_scene, workers)


@app.command()
def moments(
    out: Annotated[Path, typer.Argument(help="folder of the data set")],
    split: Split = "train",
    count: Annotated[int, typer.Option(help="pictures the set shall hold")] = 300,
    workers: Workers = 1,
) -> None:
    """Draw labelled pictures out of lessons, one every 4 s, in VOC layout; goes on where it was stopped."""
    data = DataSet(out, split, recipe=MOMENTS, views=len(MOMENTS_MS))
    _fill(data, count, draw_moments, workers)


def _fill(data: DataSet, count: int, draw: Callable[[GroupJob], list[Entry]], workers: int) -> None:
    """Draw the groups that a data set lacks; its manifest is saved as it grows."""
    jobs = [GroupJob(data.out, data.split, group) for group in data.missing(count)]
    with _bar() as bar:
        task = bar.add_task(f"{data.split} pictures", total=count, completed=min(len(data.entries), count))
        for done, entries in enumerate(work(draw, jobs, workers), 1):
            data.add(entries)
            bar.advance(task, len(entries))
            if done % 10 == 0:
                data.save()
    data.save()
    print(f"{data.out}: {len(data.entries)} pictures")


@dataclass(frozen=True)
class LessonJob:
    """One lesson to film."""

    clip: Path
    seed: int
    plan: LessonPlan


def film(job: LessonJob, tick: Callable[[], None] = lambda: None) -> Path:
    """Film one lesson with this process's renderer, unless it lies there already."""
    if not is_done(job.clip, job.seed, job.plan):
        make_lesson(own_renderer(job.plan.width, job.plan.height), job.clip, job.seed, job.plan, tick)
    return job.clip


def film_all(jobs: list[LessonJob], workers: int) -> None:
    """Film what is not filmed yet, with a bar: a frame a step for one worker, else a lesson a step."""
    with _bar() as bar:
        if workers == 1:
            one_thread()
            for job in jobs:
                task = bar.add_task(job.clip.name, total=job.plan.frames)
                film(job, partial(bar.advance, task))
                bar.update(task, completed=job.plan.frames)
        else:
            task = bar.add_task("lessons", total=len(jobs))
            for _ in work(film, jobs, workers):
                bar.advance(task)


def lesson_plan(seconds: int, *, fps: int = LessonPlan.fps, gestures: bool = True) -> LessonPlan:
    """The usual lesson, with gestures in proportion to its length, or none."""
    usual = LessonPlan()
    share = seconds * 1000 / usual.duration_ms
    hands, stands, sleeps = (
        max(round(wanted * share), 1) if gestures else 0 for wanted in (usual.hands, usual.stands, usual.sleeps)
    )
    return replace(usual, hands=hands, stands=stands, sleeps=sleeps, duration_ms=seconds * 1000, fps=fps)


@app.command()
def lessons(
    out: Annotated[Path, typer.Argument(help="folder for lesson-1.mp4, lesson-1.truth.json and so on")],
    split: Split = "demo",
    count: Annotated[int, typer.Option(help="lessons the folder shall hold")] = 3,
    seconds: Annotated[int, typer.Option(help="length of each lesson", min=45)] = 100,
    fps: Annotated[int, typer.Option(help="frames a second", min=1)] = LessonPlan.fps,
    gestures: Annotated[bool, typer.Option(help="whether anybody does one of the behaviours")] = True,
    workers: Workers = 1,
) -> None:
    """Film animated lessons with their true timelines; goes on where it was stopped, lesson by lesson."""
    out.mkdir(parents=True, exist_ok=True)
    plan = lesson_plan(seconds, fps=fps, gestures=gestures)
    film_all([LessonJob(out / f"lesson-{i + 1}.mp4", lesson_seed(split, i), plan) for i in range(count)], workers)
    print(f"{out}: {count} lessons")


@app.command()
def sheet(
    source: Annotated[Path, typer.Argument(help="a data set's folder, or a lesson's clip")],
    out: Annotated[Path, typer.Argument(help="the sheet, .png or .jpg")],
    count: Annotated[int, typer.Option(help="pictures or frames", min=1)] = 12,
    columns: Annotated[int, typer.Option(min=1)] = 3,
    width: Annotated[int, typer.Option(help="width of the sheet in pixels", min=100)] = 1920,
) -> None:
    """Put pictures with their boxes, or frames of a lesson, on one sheet to look at."""
    whole = (lesson_sheet if source.suffix == ".mp4" else picture_sheet)(source, count, columns)
    height = whole.shape[0] * width // whole.shape[1]
    small = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
    if not cv2.imwrite(str(out), cv2.cvtColor(small, cv2.COLOR_RGB2BGR)):
        raise ValueError(f"out {str(out)!r}: expected a path that can be written, ending in .png or .jpg")
    print(out)


@app.command()
def card(
    sources: Annotated[list[Path], typer.Argument(help="folders of data sets")],
    out: Annotated[Path | None, typer.Option(help="also as JSON, in this file")] = None,
) -> None:
    """Say what data sets hold: counts by class, size, view and light, as a table, a set a column."""
    cards = [data_card(folder) for folder in sources]
    if out is not None:
        out.write_text(json.dumps(cards, indent=1) + "\n")
    print(as_markdown(cards), end="")


def main() -> None:
    """Run the commands; bad input is one line and exit code 2."""
    try:
        app()
    except ValueError as error:
        print(f"error: {error}")
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
