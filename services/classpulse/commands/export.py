"""`export`: timelines and events as Parquet, incrementally and exactly once."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classpulse.clock import from_rfc3339
from classpulse.commands.options import DataOption, arm_faults, opened_bus, settings_of
from classpulse.commands.progress import progress
from classpulse.errors import BadInput
from classpulse.settings import Settings

if TYPE_CHECKING:
    from classpulse.export.run import Work

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def export(
    parquet: Annotated[Path, typer.Option("--parquet", help="Folder of the files; made when absent.")],
    rooms: Annotated[
        list[str] | None,
        typer.Argument(help="tenant/school/room, or its last part where that is unique.", metavar="[ROOM]..."),
    ] = None,
    from_: Annotated[str | None, typer.Option("--from", help="RFC 3339: only what began then or later.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="RFC 3339: only what began before.")] = None,
    data: DataOption = None,
) -> None:
    """Add what is new of timelines and events to Parquet files.

    That is the final buckets and ended events since the folder's last run, of all rooms or those named. A folder stays an
    export of what it was begun with: the same bus, rooms and limits. Killed, run it again: no row is lost and none comes
    twice. Exit code 1 when the log has moved on, so that records went unread between two runs.
    """
    from classpulse.export.folder import Selection, opened  # noqa: PLC0415 - keeps --help quick
    from classpulse.export.parquet import pyarrow  # noqa: PLC0415 - as above
    from classpulse.export.run import export as exported  # noqa: PLC0415 - as above
    from classpulse.export.run import prepare  # noqa: PLC0415 - as above
    from classpulse.reading import known_room  # noqa: PLC0415 - as above

    pyarrow()
    settings = settings_of(data)
    arm_faults("export", settings)
    from_ms, to_ms = _limit("--from", from_), _limit("--to", to)
    if from_ms is not None and to_ms is not None and to_ms <= from_ms:
        raise BadInput([f"--to = {to!r}: not after --from = {from_!r}; expected a later moment"])
    with opened_bus(settings, to_read=True) as bus:
        known = tuple(sorted({known_room(bus, room) for room in rooms or ()}))
        with opened(parquet, bus=_name(settings), selection=Selection(known, from_ms, to_ms)) as folder:
            work = prepare(bus, folder)
            _tell_gone(work)
            with progress("exporting", work.offsets) as advance:
                done = exported(bus, folder, work, advance)
    typer.echo(f"exported {done.buckets} final buckets and {done.events} ended events into {done.files} new files")
    if done.unreadable:
        typer.echo(f"{done.unreadable} records could not be read; they were passed over", err=True)
    if work.gone:
        raise typer.Exit(1)


def _tell_gone(work: "Work") -> None:
    for place, (start, first) in sorted(work.gone.items()):
        typer.echo(
            f"{place.topic}/{place.partition}: offsets {start} to {first - 1} were removed before they were exported"
            " (retention, or an erasure); expected more frequent exports",
            err=True,
        )


def _limit(key: str, text: str | None) -> int | None:
    try:
        return None if text is None else from_rfc3339(text)
    except ValueError as error:
        raise BadInput([f"{key} = {text!r}: expected RFC 3339 such as 2026-03-02T08:15:00+01:00 ({error})"]) from error


def _name(settings: Settings) -> str:
    """The bus for the manifest: where it is, not who asks."""
    scheme, _, rest = settings.bus.partition("://")
    return f"sqlite://{Path(rest).resolve()}" if scheme == "sqlite" else f"{scheme}://{rest.partition('?')[0]}"
