"""`fleet`: detect workers on a Ray cluster. What needs Ray is imported when it runs, and says so where it is not installed."""

import importlib.util
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from classpulse.bus.base import check_bus
from classpulse.child import BAD_INPUT, FLEET, LEAVE, VIEW_FILE, Child, Copy
from classpulse.clock import SystemClock
from classpulse.commands.options import DataOption, ParentOption, aligned, settings_of
from classpulse.commands.stages import CountOption, IndexOption
from classpulse.detect.fleet import View
from classpulse.errors import BadInput
from classpulse.process import follow, stop_on_signals
from classpulse.settings import Settings
from classpulse.supervisor import STAGE_COMMAND, processes_of
from classpulse.telemetry import start_logging

if TYPE_CHECKING:
    from classpulse.detect.cluster import Remote

AddressOption = Annotated[
    str,
    typer.Option(
        "--address",
        help="Ray cluster: HOST:PORT of its head, from one of its nodes; ray://HOST:PORT of its client server, from anywhere; or auto.",
    ),
]
LeastOption = Annotated[int | None, typer.Option(min=0, help="Fewest workers; default: as many as --most.")]
MostOption = Annotated[int | None, typer.Option(min=1, help="Most workers; default: as many as the nodes carry.")]

TURN_S = 0.25
STOP_WITHIN_MS = 8_000
END_WITHIN_S = 30.0

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def fleet() -> None:
    """Keep detect workers on the nodes of a Ray cluster."""


@app.command()
def up(
    address: AddressOption = "",
    least: LeastOption = None,
    most: MostOption = None,
    data: DataOption = None,
    *,
    headless: Annotated[bool, typer.Option("--headless", help="Lines instead of a live table.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Raise it and go; `fleet down` ends it.")] = False,
) -> None:
    """Raise the fleet, show it, and raise it again when its cluster was gone; Ctrl-C drains it and ends it.

    Without --address on a cluster of its own, on this machine. With it, SIGTERM leaves the fleet at work for the next `fleet up`.
    """
    settings = _settings(data, address, least, most)
    start_logging("fleet", settings.log_level)
    if detach:
        _detach(settings)
        return
    stop = stop_on_signals()
    path = settings.data / VIEW_FILE
    settings.data.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    child = Child(
        Copy(FLEET, 0, 1),
        STAGE_COMMAND,
        {**os.environ, **settings.to_env()},
        SystemClock(),
        lambda _: _turns(path),
        refusals=1,
    )
    child.start()
    try:
        _show(child, path, stop, headless=headless)
    except BadInput:
        raise typer.Exit(BAD_INPUT) from None  # its own words were passed on
    finally:
        leaves = stop.number == signal.SIGTERM and settings.ray_address
        child.ask_to_stop(LEAVE if leaves else signal.SIGTERM)
        child.wait(STOP_WITHIN_MS)
        child.bury()


@app.command(hidden=True)
def keep(index: IndexOption = 0, count: CountOption = 1, parent: ParentOption = None, data: DataOption = None) -> None:  # noqa: ARG001 - called as a stage is
    """Keep the fleet, as a supervisor starts it."""
    if parent is not None:
        follow(parent)
    settings = _settings(data, "", None, None)
    start_logging("fleet", settings.log_level)
    from classpulse.detect.keeper import keep as kept  # noqa: PLC0415 - imports Ray

    kept(settings, parent or os.getpid())


@app.command()
def status(address: AddressOption = "auto") -> None:
    """Show the fleet once: where each worker is, what it runs and how it fares."""
    with _fleet(address) as fleet:
        for line in lines(fleet.view()):
            typer.echo(line)


@app.command()
def scale(
    least: Annotated[int, typer.Argument(min=0, help="So many workers.")],
    most: Annotated[int | None, typer.Argument(min=1, help="Or up to so many, following what waits.")] = None,
    address: AddressOption = "auto",
) -> None:
    """Say how many workers there are to be, as far as the nodes carry them."""
    _check_range(least, most or 0)
    with _fleet(address) as fleet:
        fleet.scale(least, least if most is None else most)
        typer.echo(f"wanted: {fleet.view().wanted} of the {fleet.view().capacity} that the nodes carry")


@app.command()
def drain(
    node: Annotated[str, typer.Argument(help="Name or id of a node, as `fleet status` shows it.")],
    address: AddressOption = "auto",
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Use the node again.")] = False,
) -> None:
    """Take every worker off a node after its step; its partitions go to the others."""
    with _fleet(address) as fleet:
        view = fleet.view()
        known = {one.id for one in view.nodes if node in (one.name, one.id)}
        if not known:
            names = ", ".join(sorted(one.name for one in view.nodes)) or "none"
            raise BadInput([f"node {node!r}: not in this cluster; expected one of {names}"])
        if len(known) > 1:
            raise BadInput(
                [f"node {node!r}: {len(known)} nodes have this name; expected an id: {', '.join(sorted(known))}"]
            )
        fleet.drain(known.pop(), on=not undo)


@app.command()
def down(address: AddressOption = "auto") -> None:
    """Drain every worker and end the fleet; the cluster stays."""
    with _fleet(address) as fleet:
        left = fleet.ended(END_WITHIN_S)
        typer.echo("the fleet has ended" + (f"; {left} workers did not end in time and were killed" if left else ""))


@contextmanager
def _fleet(address: str) -> Iterator["Remote"]:
    """The fleet of a cluster, for as long as this is connected to it."""
    _check_ray()
    from classpulse.detect.cluster import found  # noqa: PLC0415 - imports Ray
    from classpulse.ray_cluster import connected  # noqa: PLC0415 - imports Ray

    with connected(address):
        yield found()


def _detach(settings: Settings) -> None:
    """Raise it and go. Raises BadInput where the cluster would go, too."""
    if not settings.ray_address:
        raise BadInput(["--detach: without --address the cluster ends with this command; expected --address HOST:PORT"])
    from classpulse.detect.keeper import raise_fleet  # noqa: PLC0415
    from classpulse.ray_cluster import connected  # noqa: PLC0415 - imports Ray

    with connected(settings.ray_address):
        raise_fleet(settings, None)


def _settings(data: Path | None, address: str, least: int | None, most: int | None) -> Settings:
    """The settings of a fleet, options before variables. Raises BadInput for what no fleet can go by."""
    _check_ray()
    settings = replace(settings_of(data), runner="ray")
    given = {"ray_address": address or None, "fleet_least": least, "fleet_most": most}
    settings = replace(settings, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    processes_of(settings)
    check_bus(settings.bus_as("detect"))
    _check_range(settings.fleet_least, settings.fleet_most)
    return settings


def _check_ray() -> None:
    """Raises BadInput where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise BadInput(
            ["fleet: Ray is not installed; expected `pip install '.[ray]'`, or workers without it: `classpulse detect`"]
        )


def _check_range(least: int, most: int) -> None:
    if most and least > most:
        raise BadInput([f"least = {least}: more than most = {most}; expected least <= most"])


def _show(child: Child, path: Path, stop: threading.Event, *, headless: bool) -> None:
    """The table once a second, or, headless, a line where something changed, until `stop` is set."""
    from rich.console import Console  # noqa: PLC0415 - heavy
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console, said = Console(), ""
    live = None if headless or not console.is_terminal else Live(console=console, auto_refresh=False)
    with live or console:
        while not stop.wait(TURN_S):
            child.watch()
            view = _view(path)
            now = "no fleet yet" if view is None else "\n".join(lines(view)) if live else _in_a_line(view)
            if live:
                live.update(Text(now), refresh=True)
            elif now != said:
                typer.echo(f"{time.strftime('%H:%M:%S')} {now}")
            said = now


def _view(path: Path) -> View | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=View)
    except FileNotFoundError:
        return None


def _turns(path: Path) -> int:
    """A number that rises while the fleet lives: the measure of its keeper's progress."""
    view = _view(path)
    return 0 if view is None else view.turns


def _in_a_line(view: View) -> str:
    """What changes when something happens."""
    gone = {slot.number: f" ({slot.why})" for slot in view.slots if slot.why and slot.node is None}
    states = ", ".join(f"{slot.number} {slot.state}{gone.get(slot.number, '')}" for slot in view.slots)
    return (
        f"workers: {states or 'none'}; {view.wanted} wanted of the {view.capacity} that {len(view.nodes)} nodes carry"
    )


def lines(view: View) -> Iterator[str]:
    """A fleet as text: its nodes, and its workers below them."""
    probes, drained = view.orders.probes, view.orders.drained
    names = {node.id: node.name for node in view.nodes}
    keeper = view.orders.keeper or "nobody: `classpulse fleet up` keeps it, `fleet down` ends it"
    yield f"{len(view.slots)} workers, {view.wanted} wanted, {view.capacity} carried by {len(view.nodes)} nodes; kept by {keeper}"
    rows = []
    for node in view.nodes:
        probe = probes.get(node.id)
        rate = "…" if probe is None else "/".join(f"{rate:.0f}" for rate in probe.pictures_per_s) or "-"
        state = "drained" if node.id in drained else "probing" if probe is None else probe.error or "in use"
        rows.append((node.name, node.device, str(0 if probe is None else probe.workers), rate, state, node.id[:12]))
    yield ""
    yield from aligned(("node", "device", "carries", "pictures/s", "state", "id"), rows)
    yield ""
    yield from aligned(
        ("worker", "node", "state", "runtime", "model", "frames/s", "batch", "oldest s", "restarts", "note"),
        [
            (
                str(slot.number),
                names.get(slot.node or "", "-"),
                slot.state,
                slot.health.runtime if slot.health else "",
                slot.health.model[:12] if slot.health else "",
                f"{slot.frames_per_s:.1f}",
                f"{slot.batch:.1f}",
                f"{slot.health.oldest_ms / 1000:.1f}" if slot.health else "",
                str(slot.restarts),
                _note(slot.why, slot.health.refused if slot.health else ()),
            )
            for slot in view.slots
        ],
    )


def _note(why: str, refused: tuple[str, ...]) -> str:
    """Why it was replaced last, and which runtimes it could not have."""
    return "; ".join([*([f"replaced: {why}"] if why else []), *(one.split(":")[0] + " refused" for one in refused)])
