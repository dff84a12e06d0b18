"""`ingest`, `detect`, `aggregate`, `bridge`: each stage alone, as a supervisor or a pod starts it."""

from dataclasses import replace
from importlib import import_module
from typing import Annotated

import typer

from classpulse.commands.options import DataOption, ParentOption, settings_of
from classpulse.errors import BadInput
from classpulse.faults import check, faults_of
from classpulse.process import follow, stop_on_signals

IndexOption = Annotated[int, typer.Option(help="Which copy this is, from 0.")]
CountOption = Annotated[
    int | None,
    typer.Option(help="How many copies there are; over a broker it need not be said: they share what there is."),
]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def ingest(
    index: IndexOption = 0, count: CountOption = None, parent: ParentOption = None, data: DataOption = None
) -> None:
    """Run the stage ingest alone: cameras to frames."""
    _run("ingest", index, count, parent, data)


@app.command()
def detect(
    index: IndexOption = 0, count: CountOption = None, parent: ParentOption = None, data: DataOption = None
) -> None:
    """Run the stage detect alone: frames to detections."""
    _run("detect", index, count, parent, data)


@app.command()
def aggregate(
    index: IndexOption = 0, count: CountOption = None, parent: ParentOption = None, data: DataOption = None
) -> None:
    """Run the stage aggregate alone: detections to timelines and events."""
    _run("aggregate", index, count, parent, data)


@app.command()
def bridge(
    index: IndexOption = 0, count: CountOption = None, parent: ParentOption = None, data: DataOption = None
) -> None:
    """Run the stage bridge alone: a school's detections to its district."""
    _run("bridge", index, count, parent, data)


def _run(stage: str, index: int, count: int | None, parent: int | None, data: DataOption) -> None:
    if parent is not None:
        follow(parent)
    stop = stop_on_signals()
    settings = settings_of(data)
    if count is None:
        count = index + 1 if settings.bus.startswith("kafka://") else 1
    if not 0 <= index < count:
        raise BadInput([f"--index = {index}: expected 0 to {count - 1} for --count {count}"])
    try:
        check(settings.fault)
    except ValueError as error:
        raise BadInput([f"CLASSPULSE_FAULT: {error}"]) from error
    settings = replace(settings, fault=faults_of(stage, settings.fault))
    import_module(f"classpulse.{stage}.main").run(settings, index=index, count=count, stop=stop)
