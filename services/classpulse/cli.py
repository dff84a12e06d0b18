"""The commands people run. Thin: a table of what there is, and the one place where errors become exit codes.

0: done. 1: something is wrong, or two things are not equal. 2: what was given is wrong; every fault is named.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from classpulse.child import SPOKEN
from classpulse.errors import BadInput, ClassPulseError

INTERRUPTED = 130
"""What typer makes of Ctrl-C; of ours there are three codes."""


class Row(NamedTuple):
    """A command: the module whose `app` holds it, and its line in --help."""

    module: str
    help: str


COMMANDS: dict[str, Row] = {
    "demo": Row("classpulse.commands.demo", "Play the bundled lessons through the whole route and measure the result."),
    "up": Row("classpulse.commands.up", "Run a site: every stage a process, dead ones started again."),
    "cameras": Row("classpulse.commands.cameras", "List, add, remove, enable and disable cameras, at run time."),
    "rooms": Row("classpulse.commands.rooms", "List, add, remove, enable and disable rooms, at run time."),
    "timeline": Row("classpulse.commands.reading", "Show a room's timeline."),
    "events": Row("classpulse.commands.reading", "List a room's events."),
    "tail": Row("classpulse.commands.tail", "Follow a topic, one line of JSON a record; never pictures."),
    "replay": Row("classpulse.commands.reading", "Compute timelines and events again from the stored detections."),
    "audit": Row("classpulse.commands.audit", "Account for every captured frame: in a timeline, or missing, and why."),
    "export": Row("classpulse.commands.export", "Add what is new of timelines and events to Parquet files."),
    "erase": Row("classpulse.commands.erase", "Erase what was seen in a room in a window, and prove it."),
    "backup": Row(
        "classpulse.commands.backup", "Copy everything but pictures and reports into files, while no aggregate runs."
    ),
    "restore": Row("classpulse.commands.backup", "Write a backup into a cluster whose topics are empty."),
    "dead-letters": Row(
        "classpulse.commands.dead_letters", "List and show what could not be read, and publish it again."
    ),
    "topics": Row(
        "classpulse.commands.topics", "Compare a Kafka cluster's topics and access with what is wanted; bring it about."
    ),
    "doctor": Row("classpulse.commands.doctor", "Say what is installed, what works and what is wrong."),
    "settings": Row("classpulse.commands.settings", "Print the settings as they were resolved, secrets masked."),
    "ingest": Row("classpulse.commands.stages", "Run the stage ingest alone: cameras to frames."),
    "detect": Row("classpulse.commands.stages", "Run the stage detect alone: frames to detections."),
    "aggregate": Row(
        "classpulse.commands.stages", "Run the stage aggregate alone: detections to timelines and events."
    ),
    "canary": Row(
        "classpulse.commands.canary", "Play known lessons through the live route, and count what does not come."
    ),
    "fleet": Row("classpulse.commands.fleet", "Keep detect workers on the nodes of a Ray cluster."),
    "models": Row("classpulse.commands.models", "Register, promote, try and take back what looks at pictures."),
    "train": Row("classpulse.commands.train", "Train a net on labelled pictures, on the nodes of a Ray cluster."),
    "refresh": Row(
        "classpulse.commands.refresh", "New labelled pictures to a new champion: train, judge, try, promote."
    ),
    "hard-frames": Row(
        "classpulse.commands.hard_frames",
        "List where the champion is unsure or a candidate sees otherwise; never pictures.",
    ),
    "bridge": Row("classpulse.commands.stages", "Run the stage bridge alone: a school's detections to its district."),
}


class CommandTable(TyperGroup):
    """COMMANDS as a group that imports a command when it is run, not when it is listed."""

    def __init__(self, **attrs: Any) -> None:
        attrs["commands"] = {name: TyperCommand(name, help=row.help) for name, row in COMMANDS.items()}
        super().__init__(**attrs)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As usual, with the command itself in the place of its line in the table."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name in COMMANDS else command, rest


def load(name: str) -> Any:
    """The command of a row, or the group of that name."""
    command = typer.main.get_command(import_module(COMMANDS[name].module).app)
    return command.commands.get(name, command) if isinstance(command, TyperGroup) else command


app = typer.Typer(cls=CommandTable, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


def _told_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - keeps --help quick

        typer.echo(f"classpulse {version('classpulse')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_told_version, help="Print which release this is.")
    ] = False,
) -> None:
    """ClassPulse: classroom cameras to per-room behaviour timelines."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command (by default the process's own arguments); errors of ours become lines for people and an exit code."""
    try:
        app(arguments, prog_name="classpulse")
    except BadInput as error:
        raise SystemExit(_say(*error.faults, code=2)) from None
    except ClassPulseError as error:
        raise SystemExit(_say(str(error), code=1)) from None
    except SystemExit as end:
        if end.code == INTERRUPTED:
            raise SystemExit(_say("interrupted", code=1)) from None
        raise


def _say(*lines: str, code: int) -> int:
    for line in lines:
        sys.stderr.write(f"{SPOKEN}{line}\n")
    return code


if __name__ == "__main__":
    main()
