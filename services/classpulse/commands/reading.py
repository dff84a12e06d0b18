"""`timeline`, `events` and `replay`: what was recorded, for people and for programs."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classpulse.clock import SystemClock, rfc3339
from classpulse.commands.options import DataOption, opened_bus, settings_of
from classpulse.commands.progress import progress

if TYPE_CHECKING:
    from classpulse.bus.base import Bus
    from classpulse.reading import RoomTimeline

WIDTH_WITHOUT_TERMINAL = 140

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class Format(StrEnum):
    """How it is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    HTML = "html"


RoomArgument = Annotated[str, typer.Argument(help="tenant/school/room, or its last part where that is unique.")]
FromOption = Annotated[str | None, typer.Option("--from", help="RFC 3339, or HH:MM today on the room's clock.")]
ToOption = Annotated[str | None, typer.Option("--to", help="As --from; the end itself is not included.")]
FormatOption = Annotated[Format, typer.Option("--format", help="How to write it.")]


@app.command()
def timeline(
    room: RoomArgument,
    from_: FromOption = None,
    to: ToOption = None,
    format_: FormatOption = Format.TABLE,
    data: DataOption = None,
) -> None:
    """Show a room's timeline."""
    from classpulse import formats  # noqa: PLC0415 - keeps --help quick

    with opened_bus(settings_of(data), to_read=True) as bus:
        read = _read(bus, room, from_, to)
    match format_:
        case Format.TABLE:
            _print(formats.timeline_table(read))
        case Format.JSON:
            typer.echo(formats.timeline_json(read), nl=False)
        case Format.CSV:
            typer.echo(formats.timeline_csv(read), nl=False)
        case Format.HTML:
            _page(read)


@app.command()
def events(
    room: RoomArgument,
    from_: FromOption = None,
    to: ToOption = None,
    format_: FormatOption = Format.TABLE,
    data: DataOption = None,
) -> None:
    """List a room's events."""
    from classpulse import formats  # noqa: PLC0415 - keeps --help quick

    with opened_bus(settings_of(data), to_read=True) as bus:
        read = _read(bus, room, from_, to)
    match format_:
        case Format.TABLE:
            _print(formats.events_table(read))
        case Format.JSON:
            typer.echo(formats.events_json(read), nl=False)
        case Format.CSV:
            typer.echo(formats.events_csv(read), nl=False)
        case Format.HTML:
            _page(read)


@app.command()
def replay(
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the recomputed events.jsonl and timelines.jsonl.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Compute timelines and events again from the stored detections and compare them with what was published.

    Exit code 1 when they are not equal byte for byte, or when there is nothing to compare. The files of --out hold what is
    compared, one record a line: ended events only and final buckets, in canonical JSON without `revision`. A demo's files of
    these names hold what was published: the start of each event too, and buckets with their revision.
    """
    from classpulse.errors import BadInput  # noqa: PLC0415 - keeps --help quick
    from classpulse.replay import records_stored  # noqa: PLC0415 - as above
    from classpulse.replay import replay as replayed  # noqa: PLC0415 - as above

    try:
        with (
            opened_bus(settings_of(data), to_read=True) as bus,
            progress("computing again", records_stored(bus)) as advance,
        ):
            result = replayed(bus, out, advance)
    except OSError as error:
        taken = isinstance(error, FileExistsError) and Path(error.filename) != out
        wrong = f"{error.filename} exists; expected a folder of its own" if taken else error.strerror
        expected = "" if taken else "; expected a folder that can be written"
        raise BadInput([f"--out = {str(out)!r}: {wrong}{expected}"]) from error
    typer.echo(
        f"read {result.records} records; computed {result.events} ended events and {result.buckets} final buckets"
    )
    for room, from_ms in sorted(result.from_ms.items()):
        since = "nowhere yet" if from_ms is None else f"from {rfc3339(from_ms)} on"
        typer.echo(f"{room}: its oldest detections are gone (expired, or erased); compared {since}")
    if result.equal and not (result.events or result.buckets):
        typer.echo("nothing to compare: no ended event and no final bucket yet", err=True)
        raise typer.Exit(1)
    if out is not None:
        typer.echo(f"wrote {out / 'events.jsonl'} and {out / 'timelines.jsonl'}")
    typer.echo("equal: byte for byte what was published" if result.equal else f"NOT equal: {result.difference}")
    if not result.equal:
        raise typer.Exit(1)


def _read(bus: "Bus", room: str, from_: str | None, to: str | None) -> "RoomTimeline":
    """The room's timeline between two limits. Raises BadInput for an unknown room or a limit that is none."""
    from classpulse.errors import BadInput  # noqa: PLC0415 - keeps --help quick
    from classpulse.reading import known_room, moment, read_room, room_configs  # noqa: PLC0415 - as above

    room = known_room(bus, room)
    config = room_configs(bus).get(room)
    zone = config.time_zone if config else "UTC"
    now_ms = SystemClock().now_ms()
    from_ms = None if from_ is None else moment(from_, key="--from", time_zone=zone, now_ms=now_ms)
    to_ms = None if to is None else moment(to, key="--to", time_zone=zone, now_ms=now_ms)
    if from_ms is not None and to_ms is not None and to_ms <= from_ms:
        raise BadInput([f"--to = {to!r}: not after --from = {from_!r}; expected a later moment"])
    return read_room(bus, room, from_ms=from_ms, to_ms=to_ms)


def _print(table: object) -> None:
    from rich.console import Console  # noqa: PLC0415 - keeps --help quick

    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, WIDTH_WITHOUT_TERMINAL))
    console.print(table)


def _page(read: "RoomTimeline") -> None:
    from classpulse.page import Panel, timeline_page  # noqa: PLC0415 - keeps --help quick

    typer.echo(timeline_page([Panel(read)], title=f"Timeline of {read.room}"), nl=False)
