"""`backup` and `restore`: what a cluster remembers as files, and a cluster that goes on from them."""

from pathlib import Path
from typing import Annotated

import typer

from classpulse.clock import SystemClock, rfc3339
from classpulse.commands.options import DataOption, opened_bus, settings_of
from classpulse.commands.progress import progress

ADMIN = "admin"

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    data: DataOption = None,
) -> None:
    """Copy everything but pictures and reports into files, while no aggregate runs.

    Ingest and detect may go on: what they write meanwhile waits for aggregate, in the cluster as in the backup.
    """
    from classpulse.backup import KEPT, back_up  # noqa: PLC0415 - keeps --help quick

    with opened_bus(settings_of(data), to_read=True) as bus:
        total = sum(end - first for topic in KEPT for first, end in bus.ends(topic).values())
        with progress("copying", total) as advance:
            manifest = back_up(bus, folder, SystemClock(), advance)
    for name, kept in manifest.topics.items():
        typer.echo(f"{name}: {kept.records} records")


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="What `backup` wrote.")],
    data: DataOption = None,
) -> None:
    """Write a backup into a cluster whose topics are empty.

    Before any stage runs there, and by the rights of `admin`. Exit code 1 where a topic does not hold as many records afterwards
    as the backup has.
    """
    from classpulse.backup import checked  # noqa: PLC0415 - keeps --help quick
    from classpulse.backup import restore as restored  # noqa: PLC0415 - as above

    settings = settings_of(data)
    manifest = checked(folder)
    typer.echo(f"taken at {rfc3339(manifest.taken_at_ms)}")
    with opened_bus(settings, user=ADMIN) as bus:
        total = sum(kept.records for kept in manifest.topics.values())
        with progress("writing", total) as advance:
            found = restored(bus, folder, manifest, SystemClock(), advance)
    wrong = {name for name, kept in manifest.topics.items() if found[name] != kept.records}
    for name, kept in manifest.topics.items():
        typer.echo(f"{name}: {found[name]} of {kept.records} records")
    if wrong:
        typer.echo(f"NOT restored: {', '.join(sorted(wrong))}; expected as many as the backup has", err=True)
        raise typer.Exit(1)
