"""`cameras`: who is watched, changed at run time; ingest and aggregate follow the topic, so nothing is restarted."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from classpulse.clock import SystemClock
from classpulse.commands.options import DataOption, opened_bus, settings_of
from classpulse.roster import Roster
from classpulse.settings import masked
from classpulse.site import parse_camera

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
    """Every camera that is declared."""
    with opened_bus(settings_of(data), to_read=True) as bus:
        cameras = Roster(bus, SystemClock()).cameras()
    rows = [
        {
            "camera": camera.camera,
            "enabled": camera.enabled,
            "delivery": camera.delivery,
            "fps": camera.fps,
            "source": masked(camera.source),
        }
        for _, camera in sorted(cameras.items())
    ]
    if form == "json":
        typer.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        state = "on " if row["enabled"] else "off"
        typer.echo(f"{state}  {row['camera']}  {row['delivery']}  {row['fps']:g} fps  {row['source']}")


@app.command()
def add(
    camera: CameraArgument,
    source: Annotated[str, typer.Argument(help="rtsp://HOST/PATH, file://PATH, device://PATH or synth://SEED")],
    *,
    fps: Annotated[float, typer.Option(help="Pictures a second to look at.")] = 5.0,
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
        "fps": fps,
        "enabled": not disabled,
    }
    values |= {} if delivery is None else {"delivery": delivery}
    values |= {"credentials_ref": str(credentials_ref)} if credentials_ref else {}
    values |= {} if frame_width is None else {"frame_width": frame_width}
    config = parse_camera(values, base=Path.cwd())
    with opened_bus(settings_of(data)) as bus:
        Roster(bus, SystemClock()).add_camera(config, replace=replace)
    typer.echo(f"added {config.camera}")


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
