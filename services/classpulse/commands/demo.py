"""`demo`: the first look. Everything it needs is imported when it runs, so that --help is quick."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the results; emptied if it is a demo's.")] = Path(
        "demo-out"
    ),
    seconds: Annotated[float | None, typer.Option("--seconds", min=1, help="Stop after so many seconds.")] = None,
    bus: Annotated[str, typer.Option("--bus", help="Empty bus to play on, kafka://…; else a file in the folder.")] = "",
    swap: Annotated[str, typer.Option("--swap", help="Release to promote in the middle: a name or a folder.")] = "",
    *,
    headless: Annotated[bool, typer.Option("--headless", help="Lines instead of a live table.")] = False,
) -> None:
    """Play the bundled lessons through the whole route and measure the result against the truth."""
    from classpulse.demo.run import run_demo  # noqa: PLC0415 - keeps --help quick

    raise typer.Exit(run_demo(out, headless=headless, seconds=seconds, bus_url=bus, swap=swap))
