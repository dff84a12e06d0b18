"""What the commands share: options that mean the same everywhere, the progress bar and how results are printed."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from gesturedet.card import Release

Thing = TypeVar("Thing")

MODEL_HELP = "A released model's name, a release's folder, or its ONNX file."

ModelArgument = Annotated[str, typer.Argument(help=MODEL_HELP)]
ModelOption = Annotated[str, typer.Option(help=MODEL_HELP)]
RuntimeOption = Annotated[str, typer.Option(help="What runs the net; a name of gesturedet.runtime.base.RUNTIMES.")]
ThreadsOption = Annotated[int, typer.Option(help="Threads of the runtime.")]
RecipeOfRun = Annotated[str | None, typer.Option(help="Of a checkpoint; default: the recipe that made it.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def say(text: str) -> None:
    """Print a result: to standard output, at once, so that whoever reads a camera's lines sees them."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def tell(text: str) -> None:
    """Print what is about the work and no result."""
    sys.stderr.write(f"{text}\n")


@dataclass
class LeftOut:
    """How many pictures could not be read."""

    unreadable: int = 0

    def leave_out(self, fault: str) -> None:
        """Name a picture that cannot be read and count it."""
        self.unreadable += 1
        tell(f"left out: {fault}")

    def counted(self, pictures: int) -> str:
        """So many pictures that could be read, and how many could not."""
        left_out = f", {self.unreadable} left out" if self.unreadable else ""
        return f"{pictures} picture{'' if pictures == 1 else 's'}{left_out}"


def about(released: Release, out: Path) -> dict[str, Any]:
    """What a script needs to know of a release that was written into a folder."""
    card = released.card
    size = len(released.onnx_bytes)
    return {"out": str(out), "name": card.name, "precision": card.precision, "bytes": size, "digest": card.digest}


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[], None]]:
    """A bar on a terminal's standard error that is gone afterwards; gives a function to call after each of `total`."""
    from rich.console import Console  # noqa: PLC0415 - keeps --help quick
    from rich.progress import (  # noqa: PLC0415 - as above
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, *times, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def tracked(things: Sequence[Thing], what: str) -> Iterator[Thing]:
    """Give one thing after another under a bar; see `progress`."""
    with progress(what, len(things)) as advance:
        for thing in things:
            yield thing
            advance()
