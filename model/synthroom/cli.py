"""Commands of the drawings: `python -m synthroom.cli pictures | lessons | sheet`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from synthroom.crew import own_renderer, work
from synthroom.pictures import HEIGHT, VIEWS, WIDTH, DataSet, Entry, write_scene
from synthroom.seeds import SPLITS

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Draw synthetic classrooms with exact truth.")
Split = Annotated[str, typer.Option(help=f"which seeds: {', '.join(SPLITS)}")]
Workers = Annotated[int, typer.Option(help="processes, one thread each")]


@app.callback()
def _commands() -> None:
    """Draw synthetic classrooms with exact truth; no real child is ever needed."""


@dataclass(frozen=True)
class SceneJob:
    """One scene to draw into a data set."""

    out: Path
    split: str
    scene: int


def draw_scene(job: SceneJob) -> list[Entry]:
    """Draw one scene with this process's renderer."""
    return write_scene(own_renderer(WIDTH, HEIGHT), job.out, job.split, job.scene)


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
    jobs = [SceneJob(out, split, scene) for scene in data.missing_scenes(count)]
    with _bar() as bar:
        task = bar.add_task(f"{split} pictures", total=count, completed=count - min(count, len(jobs) * VIEWS))
        for done, entries in enumerate(work(draw_scene, jobs, workers), 1):
            data.add(entries)
            bar.advance(task, len(entries))
            if done % 10 == 0:
                data.save()
    data.save()
    print(f"{out}: {len(data.entries)} pictures")


def main() -> None:
    """Run the commands; bad input is one line and exit code 2."""
    try:
        app()
    except ValueError as error:
        print(f"error: {error}")
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
