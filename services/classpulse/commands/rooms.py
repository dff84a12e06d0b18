"""`rooms`: which rooms are observed and when, changed at run time."""

import json
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from classpulse.clock import SystemClock, rfc3339
from classpulse.commands.options import DataOption, aligned, opened_bus, settings_of
from classpulse.records import RoomConfig, hidden
from classpulse.roster import Roster
from classpulse.site import parse_room
from classpulse.timetable import lines_of

RoomArgument = Annotated[str, typer.Argument(help="TENANT/SCHOOL/ROOM", metavar="ROOM")]
KnownRoom = Annotated[
    str, typer.Argument(help="TENANT/SCHOOL/ROOM, or the end of it that no other has.", metavar="ROOM")
]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _rooms() -> None:
    """List, add, remove, enable and disable rooms, at run time."""


@app.command("list")
def list_(
    form: Annotated[Literal["table", "json"], typer.Option("--format", help="How to print.")] = "table",
    data: DataOption = None,
) -> None:
    """Every room that is declared."""
    with opened_bus(settings_of(data), to_read=True) as bus:
        roster = Roster(bus, SystemClock())
        rooms = [room for key, room in sorted(roster.rooms().items()) if not hidden(key)]
        announced = [room for key, room in sorted(roster.announced().items()) if not hidden(key)]
    if form == "json":
        known = {room.room: room for room in (*rooms, *announced)}
        typer.echo(json.dumps(msgspec.to_builtins([*known.values()]), indent=1))
        return
    for line in aligned(("room", "switch", "views", "time zone", "timetable"), [*map(_cells, rooms)]):
        typer.echo(line)
    for room in announced:
        _, *cells = _cells(room)
        typer.echo(f"{room.room} from {rfc3339(room.valid_from_ms)}: {', '.join(cells)}")


def _cells(room: RoomConfig) -> tuple[str, ...]:
    timetable = ", ".join(lines_of(room.timetable)) or "always"
    return room.room, "on" if room.enabled else "off", room.views, room.time_zone, timetable


@app.command()
def add(
    room: RoomArgument,
    time_zone: Annotated[str, typer.Option(help="IANA name such as Europe/Berlin.")] = "UTC",
    timetable: Annotated[list[str] | None, typer.Option(help="'Mon-Fri 08:00-12:30'; repeat for more.")] = None,
    holiday: Annotated[list[str] | None, typer.Option(help="YYYY-MM-DD; repeat for more.")] = None,
    views: Annotated[str, typer.Option(help="overlapping or disjoint")] = "overlapping",
    disabled: Annotated[bool, typer.Option("--disabled", help="Declare it switched off.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a room of this key; its rules stay, and it stays off if it was.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Declare a room. Without a timetable it is always observed."""
    values = {
        "room": room,
        "time_zone": time_zone,
        "timetable": timetable or [],
        "holidays": holiday or [],
        "views": views,
        "enabled": not disabled,
    }
    config = parse_room(values, base=Path.cwd())
    with opened_bus(settings_of(data)) as bus:
        Roster(bus, SystemClock()).add_room(config, replace=replace)
    typer.echo(f"added {config.room}")


@app.command()
def remove(room: KnownRoom, data: DataOption = None) -> None:
    """Forget a room that has no cameras; its timeline stays."""
    with opened_bus(settings_of(data)) as bus:
        key = Roster(bus, SystemClock()).remove_room(room)
    typer.echo(f"removed {key}")


@app.command()
def enable(room: KnownRoom, data: DataOption = None) -> None:
    """Switch a room on: it is observed as its timetable says."""
    with opened_bus(settings_of(data)) as bus:
        roster = Roster(bus, SystemClock())
        key = roster.enable_room(room, enabled=True)
        announced = roster.announced().get(key)
    off = announced is not None and announced.until_then is not None and not announced.enabled
    told = f"; from {rfc3339(announced.valid_from_ms)} on it is off, as announced" if announced and off else ""
    typer.echo(f"enabled {key}{told}")


@app.command()
def disable(room: KnownRoom, data: DataOption = None) -> None:
    """Switch a room off: nobody is to be observed in it, also when the route is started again."""
    with opened_bus(settings_of(data)) as bus:
        key = Roster(bus, SystemClock()).enable_room(room, enabled=False)
    typer.echo(f"disabled {key}")
