"""`up`: one site on this machine, for as long as it is left, or until its recorded clips have been told."""

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from classpulse.bus.base import Bus
from classpulse.clock import Clock, SystemClock
from classpulse.commands.declaring import declare
from classpulse.commands.options import DataOption, ParentOption, arm_faults, environ_with, opened_bus
from classpulse.completion import Completion, Failure
from classpulse.errors import BadInput, ClassPulseError
from classpulse.health import Health, served
from classpulse.places import claim, named
from classpulse.process import follow, stop_on_signals
from classpulse.records import hidden, room_of
from classpulse.roster import Roster
from classpulse.settings import Settings, masked
from classpulse.site import load_site
from classpulse.supervisor import STAGE_COMMAND, Supervisor, hold, own_port, stages_of
from classpulse.telemetry import start_logging
from classpulse.topics import FRAMES

FORGET_WITHIN_MS = 1_000
FORGET_FRAMES = 256
"""How long an interrupted route goes on removing pictures, so many more at most: Ctrl-C takes less than 5 s in all."""

_log = logging.getLogger("classpulse.up")
app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def up(
    site: Annotated[Path, typer.Argument(help="The site file (TOML).")],
    parent: ParentOption = None,
    data: DataOption = None,
    keep_pictures: Annotated[bool, typer.Option(hidden=True, help="Leave pictures that were looked at.")] = False,
) -> None:
    """Run a site: every stage a process, dead ones started again.

    Ends by itself when all cameras are recorded clips and everything of them is aggregated, or with `district` forwarded.
    """
    if parent is not None:
        follow(parent)
    environ = environ_with(data)
    wanted = load_site(site, environ)
    settings = wanted.settings
    arm_faults("supervisor", settings)
    start_logging("up", settings.log_level)
    _log.info("settings: %s", settings.describe())
    stop = stop_on_signals()
    clock = SystemClock()
    health = Health(clock)
    with (
        hold(settings.data, f"classpulse up {site}"),
        opened_bus(settings := named(settings)) as bus,
        served(replace(settings, metrics_port=own_port(settings)), health) as metrics,
    ):
        claim(settings, bus, clock, stop)
        roster = Roster(bus, clock)
        supervisor = Supervisor(
            settings,
            bus,
            clock,
            command=STAGE_COMMAND,
            environ=os.environ,
            metrics=metrics,
            keep_pictures=keep_pictures,
        )
        health.follow(lambda: supervisor.turned_ms, supervisor.missing)
        for line in declare(wanted, roster):
            _log.info("%s", line)
        if all(map(hidden, roster.cameras())):
            _log.warning("no camera is declared; expected [[cameras]] in the site file, or `classpulse cameras add`")
        completion = Completion(bus, clock, stages_of(settings)[-1])
        supervisor.run(stop, completion.ended, partial(_log.info, "%s", _running(roster, settings)))
        if not keep_pictures:
            _forget_pictures(bus, clock, within_ms=FORGET_WITHIN_MS if stop.is_set() else None)
    _conclude(completion)


def _running(roster: Roster, settings: Settings) -> str:
    """What runs, and what a person can do now."""
    rooms = {key for key, room in roster.rooms().items() if room.enabled and not hidden(key)}
    cameras = [key for key, camera in roster.cameras().items() if camera.enabled and room_of(key) in rooms]
    counted = _count(len(cameras), "camera") + " of " + _count(len({room_of(camera) for camera in cameras}), "room")
    if settings.district:
        return f"running: {counted}; what they show is forwarded to {masked(settings.district)}, Ctrl-C ends it"
    return f"running: {counted}; look with `classpulse timeline ROOM --data {settings.data}`, Ctrl-C ends it"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _forget_pictures(bus: Bus, clock: Clock, *, within_ms: int | None) -> None:
    """Nobody applies the frames' ten minutes once this has ended: what was looked at goes now, as far as there is time."""
    until_ms = None if within_ms is None else clock.monotonic_ms() + within_ms
    try:
        for partition, offset in _slices(bus):
            if until_ms is not None and clock.monotonic_ms() >= until_ms:
                break
            bus.forget(FRAMES, {partition: offset})
        left = sum(end - first for first, end in bus.ends(FRAMES).values())
    except ClassPulseError as error:
        _log.warning("pictures stay in the bus until the next up: %s", error)
    else:
        if left:
            _log.warning("%d frames stay in the bus until the next up: not looked at, or no time to remove them", left)


def _slices(bus: Bus) -> Iterator[tuple[int, int]]:
    """(partition, offset before which to remove): all that detect has committed, a little at a time."""
    ends = bus.ends(FRAMES)
    for partition, offset in sorted(bus.positions("detect", FRAMES).items()):
        yield from ((partition, end) for end in range(ends[partition][0] + FORGET_FRAMES, offset, FORGET_FRAMES))
        yield partition, offset


def _conclude(completion: Completion) -> None:
    """Say which clips are told to their ends; exit code 2 when no clip could be played, 1 when some could not."""
    if completion.told:
        _log.info("told to the end, and not again: %s", ", ".join(completion.told))
    lines = [_line(failure) for failure in completion.failures]
    if lines and not completion.told:
        raise BadInput(lines)
    for line in lines:
        typer.echo(line, err=True)
    if lines:
        raise typer.Exit(1)


def _line(failure: Failure) -> str:
    return f"camera {failure.camera}: source = {masked(failure.source)!r}: {failure.reason}; expected a video that can be played"
