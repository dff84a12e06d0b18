"""`cameras`: who is watched, changed at run time; ingest and aggregate follow the topic, so nothing is restarted."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from classpulse.clock import SystemClock
from classpulse.commands.declaring import declare
from classpulse.commands.options import DataOption, aligned, environ_with, opened_bus, settings_of
from classpulse.commands.reports import latest_reports
from classpulse.records import CameraConfig, CameraReport, hidden, room_of
from classpulse.roster import Roster, is_bridged
from classpulse.settings import masked
from classpulse.site import load_site, parse_camera

REPORTED_WITHIN_MS = 10_000
"""Ingest reports every second while it runs: an older report says nothing of now."""

CameraArgument = Annotated[str, typer.Argument(help="TENANT/SCHOOL/ROOM/CAMERA", metavar="CAMERA")]
KnownCamera = Annotated[
    str, typer.Argument(help="TENANT/SCHOOL/ROOM/CAMERA, or the end of it that no other has.", metavar="CAMERA")
]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _cameras() -> None:
    """List, add, remove, enable and disable cameras, at run time."""


@app.command("list")
def list_(
    form: Annotated[Literal["table", "json"], typer.Option("--format", help="How to print.")] = "table",
    data: DataOption = None,
) -> None:
    """Every camera that is declared, with its state as far as a route that runs reports it."""
    clock = SystemClock()
    with opened_bus(settings_of(data), to_read=True) as bus:
        roster = Roster(bus, clock)
        cameras = sorted(one for one in roster.cameras().items() if not hidden(one[0]))
        rooms = roster.rooms()
        reports = latest_reports(bus, len(cameras), stage="ingest", since_ms=clock.now_ms() - REPORTED_WITHIN_MS)
    off = {room.room for room in rooms.values() if not room.enabled}
    if form == "json":
        told = [_fields(camera, reports.get(key), room_of(key) in off) for key, camera in cameras]
        typer.echo(json.dumps(told, indent=1))
        return
    rows = [_row(camera, reports.get(key), room_of(key) in off) for key, camera in cameras]
    for line in aligned(("camera", "switch", "state", "delivery", "fps", "source", "last error"), rows):
        typer.echo(line)


def _fields(camera: CameraConfig, report: CameraReport | None, room_off: bool) -> dict[str, object]:
    return {
        "camera": camera.camera,
        "enabled": camera.enabled,
        "room_enabled": not room_off,
        "state": None if report is None else report.state,
        "delivery": camera.delivery,
        "fps": camera.fps,
        "source": masked(camera.source),
        "last_error": "" if report is None else report.last_error,
    }


def _row(camera: CameraConfig, report: CameraReport | None, room_off: bool) -> tuple[str, ...]:
    switch = "off" if not camera.enabled else "room off" if room_off else "on"
    if is_bridged(camera):
        return camera.camera, switch, "bridged", camera.delivery, "-", camera.source, ""
    state, error = ("no report", "") if report is None else (report.state, report.last_error)
    return camera.camera, switch, state, camera.delivery, f"{camera.fps:g}", masked(camera.source), error


@app.command()
def add(
    camera: CameraArgument,
    source: Annotated[
        str, typer.Argument(help="rtsp://HOST/PATH, file://PATH, device://PATH, synth://?seed=1 or bridge://")
    ],
    *,
    fps: Annotated[float | None, typer.Option(help="Pictures a second to look at; without it 5.")] = None,
    delivery: Annotated[
        str | None,
        typer.Option(help="live or complete; without it complete for a recording without a pace, else live."),
    ] = None,
    credentials_ref: Annotated[Path | None, typer.Option(help="File with the camera's credentials.")] = None,
    frame_width: Annotated[int | None, typer.Option(help="Width that pictures are scaled to.")] = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Declare it switched off.")] = False,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Replace a camera of this key; its masks stay, and it stays off if it was."),
    ] = False,
    data: DataOption = None,
) -> None:
    """Declare a camera of a declared room."""
    values: dict[str, object] = {
        "camera": camera,
        "source": source,
        "enabled": not disabled,
    }
    values |= {} if fps is None else {"fps": fps}
    values |= {} if delivery is None else {"delivery": delivery}
    values |= {"credentials_ref": str(credentials_ref)} if credentials_ref else {}
    values |= {} if frame_width is None else {"frame_width": frame_width}
    config = parse_camera(values, base=Path.cwd())
    with opened_bus(settings_of(data)) as bus:
        Roster(bus, SystemClock()).add_camera(config, replace=replace)
    typer.echo(f"added {config.camera}")


@app.command(name="apply")
def apply_(site: Annotated[Path, typer.Argument(help="The site file (TOML).")], data: DataOption = None) -> None:
    """Declare the rooms and cameras of a site file, as `up` does when it starts.

    What the file no longer declares is removed, as far as the data folder remembers that it did; what was added otherwise stays.
    """
    wanted = load_site(site, environ_with(data))
    with opened_bus(wanted.settings) as bus:
        changed = list(declare(wanted, Roster(bus, SystemClock())))
    for line in changed:
        typer.echo(line)
    if not changed:
        typer.echo("nothing to change", err=True)


@app.command()
def remove(camera: KnownCamera, data: DataOption = None) -> None:
    """Forget a camera; what was seen by it stays."""
    with opened_bus(settings_of(data)) as bus:
        key = Roster(bus, SystemClock()).remove_camera(camera)
    typer.echo(f"removed {key}")


@app.command()
def enable(camera: KnownCamera, data: DataOption = None) -> None:
    """Switch a camera on."""
    with opened_bus(settings_of(data)) as bus:
        key = Roster(bus, SystemClock()).enable_camera(camera, enabled=True)
    typer.echo(f"enabled {key}")


@app.command()
def disable(camera: KnownCamera, data: DataOption = None) -> None:
    """Switch a camera off; it stays off when the route is started again."""
    with opened_bus(settings_of(data)) as bus:
        key = Roster(bus, SystemClock()).enable_camera(camera, enabled=False)
    typer.echo(f"disabled {key}")
