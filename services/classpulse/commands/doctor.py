"""`doctor`: what is installed, what works, and what is wrong, one line each."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classpulse.child import SPOKEN
from classpulse.clock import SystemClock
from classpulse.commands.options import DataOption, environ_with
from classpulse.commands.progress import progress
from classpulse.errors import BadInput
from classpulse.records import hidden
from classpulse.settings import Settings
from classpulse.site import Site, load_site

if TYPE_CHECKING:
    from classpulse.diagnosis import Finding

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def doctor(
    site: Annotated[Path | None, typer.Argument(help="Site file whose cameras to try; else those on the bus.")] = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="Look at a running deployment from outside instead: the address of its Prometheus."),
    ] = None,
    data: DataOption = None,
) -> None:
    """Say what is installed, what works and what is wrong; each camera is tried once. Exit code 1 if anything is wrong.

    With --cluster nothing of this machine is looked at: what the deployment's Prometheus knows (who is absent, behind or
    silent, which alerts fire, with their section of the runbook), and the bus where CLASSPULSE_BUS names a Kafka.
    """
    from classpulse.diagnosis import lines  # noqa: PLC0415 - imports everything there is, and takes its time

    environ = environ_with(data)
    if cluster is not None and site is not None:
        raise BadInput([f"--cluster = {cluster!r} with {site}: expected one of both"])
    declared = None if site is None else load_site(site, environ)
    settings = Settings.from_env(environ) if declared is None else declared.settings
    wrong = 0
    try:
        for line, right in lines(_findings(settings, declared) if cluster is None else _outside(settings, cluster)):
            typer.echo(line)
            wrong += not right
    except KeyboardInterrupt:
        _leave()
    if wrong:
        typer.echo(f"{wrong} wrong", err=True)
        raise typer.Exit(1)


def _outside(settings: Settings, address: str) -> "Iterator[Finding]":
    from classpulse import cluster, diagnosis  # noqa: PLC0415 - as above
    from classpulse.bus.base import Bus, open_bus  # noqa: PLC0415 - as above
    from classpulse.prometheus import Prometheus  # noqa: PLC0415 - as above

    yield from cluster.findings(Prometheus(address), SystemClock())
    if not settings.bus.startswith("kafka:"):
        return
    opened: list[Bus] = []

    def bus() -> Bus:
        opened.append(open_bus(settings.bus_as("operator")))
        return opened[0]

    yield diagnosis.bus(settings, bus)
    for one in opened:
        one.close()


def _leave() -> None:
    """End at once: a camera's thread may be inside FFmpeg, and an interpreter that ends under it has crashed."""
    typer.echo(f"{SPOKEN}interrupted", err=True)
    sys.stdout.flush()
    os._exit(1)


def _findings(settings: Settings, declared: Site | None) -> "Iterator[Finding]":
    from classpulse import diagnosis  # noqa: PLC0415 - as above
    from classpulse.bus.base import Bus, open_bus  # noqa: PLC0415 - as above
    from classpulse.roster import Roster  # noqa: PLC0415 - as above

    opened: list[Bus] = []

    def bus() -> Bus:
        opened.append(open_bus(settings.bus_as("operator")))
        return opened[0]

    yield from diagnosis.installed()
    yield diagnosis.decoder()
    yield diagnosis.weights(settings)
    yield diagnosis.disk(settings.data)
    yield diagnosis.bus(settings, bus)
    yield from diagnosis.district(settings)
    yield diagnosis.route(settings.data)
    clock = SystemClock()
    rooms, cameras = ((), ()) if declared is None else (declared.rooms, declared.cameras)
    if declared is None and opened:
        roster = Roster(opened[0], clock)
        rooms = tuple(roster.rooms().values())
        cameras = tuple(camera for key, camera in roster.cameras().items() if not hidden(key))
    off = {room.room for room in rooms if not room.enabled}
    with progress("trying cameras", len(cameras)) as advance:
        found = []
        for finding in diagnosis.cameras(sorted(cameras, key=lambda c: c.camera), off, clock):
            found.append(finding)
            advance(1)
    yield from found
    for one in opened:
        one.close()
