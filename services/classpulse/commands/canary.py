"""`canary`: known lessons through the live route, again and again."""

from typing import Annotated

import typer

from classpulse.commands.options import DataOption, ParentOption, settings_of
from classpulse.process import follow, stop_on_signals

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def canary(
    every: Annotated[int, typer.Option(min=1, help="Seconds from one round of lessons to the next.")] = 300,
    late: Annotated[int, typer.Option(min=1, help="Seconds after which an event that is due counts as missed.")] = 15,
    _index: Annotated[int, typer.Option("--index", hidden=True, max=0, help="There is one.")] = 0,
    _count: Annotated[int, typer.Option("--count", hidden=True, max=1, help="There is one.")] = 1,
    parent: ParentOption = None,
    data: DataOption = None,
) -> None:
    """Play known lessons through the live route, and count what does not come.

    Each round is a drawn lesson in a hidden room for every node that detects. It proves that the route lives and how late it
    is, not how well it sees in real rooms. One canary for a deployment.
    """
    from classpulse.canary.main import run  # noqa: PLC0415 - keeps --help quick

    if parent is not None:
        follow(parent)
    stop = stop_on_signals()
    run(settings_of(data), every_s=every, late_s=late, stop=stop)
