"""`gesturedet`, the command: a table of what there is, and the one place where errors become exit codes.

0: done. 2: what was given is wrong, or something that a command needs is not installed; 1: what went wrong on the way, such
as a full disk or a loss that is no number. One line says what.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class Row(NamedTuple):
    """A command: the module whose `app` holds it, and its line in --help."""

    module: str
    help: str


COMMANDS: dict[str, Row] = {
    "detect": Row("gesturedet.commands.detect", "Find behaviours in a picture, a folder, a video or a camera."),
    "bench": Row("gesturedet.commands.bench", "Measure how long a release takes, by runtime and threads."),
    "card": Row("gesturedet.commands.card", "Show what a release is, how it was made and how good it is."),
    "explain": Row("gesturedet.commands.explain", "Draw what a net looks at, or what it got most wrong in an exam."),
    "train": Row("gesturedet.commands.training", "Train a net on labelled pictures; after every epoch it is judged."),
    "evaluate": Row("gesturedet.commands.training", "Judge a checkpoint or a release on labelled pictures."),
    "release": Row("gesturedet.commands.training", "Choose thresholds, export, quantise, examine and write a release."),
    "export": Row("gesturedet.commands.export", "Turn a checkpoint into a release in full precision, not examined."),
    "quantize": Row("gesturedet.commands.export", "Turn a release in full precision into one in int8, not examined."),
}


class CommandTable(TyperGroup):
    """COMMANDS as a group that imports a command when it is run, not when it is listed: most need no torch."""

    def __init__(self, **attrs: Any) -> None:
        attrs["commands"] = {name: TyperCommand(name, help=row.help) for name, row in COMMANDS.items()}
        super().__init__(**attrs)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As usual, with the command itself in the place of its line in the table."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name in COMMANDS else command, rest


def load(name: str) -> Any:
    """The command of a row. Raises ValueError where a package that it needs is not installed."""
    try:
        command = typer.main.get_command(import_module(COMMANDS[name].module).app)
    except ModuleNotFoundError as error:
        extra = "pip install '.[train,cpu]'"
        raise ValueError(f"{name}: the package {error.name} is not installed, expected `{extra}`") from error
    return command.commands[name] if isinstance(command, TyperGroup) else command


app = typer.Typer(
    cls=CommandTable,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback()
def _root() -> None:
    """GestureDet: raised hands, standing up and sleeping in pictures of classrooms."""


BAD_INPUT = (ValueError, FileExistsError, FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command (by default the process's own arguments); bad input is one line and 2, the rest a fault of ours."""
    try:
        app(arguments, prog_name="gesturedet")
    except (*BAD_INPUT, OSError, FloatingPointError) as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        raise SystemExit(2 if isinstance(error, BAD_INPUT) else 1) from None


if __name__ == "__main__":
    main()
