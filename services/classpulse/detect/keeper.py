"""Who keeps a fleet: raises it on its cluster, writes how it is to a file once a second, and ends it when told to stop.

A process of its own, under a supervisor: a process that Ray's head has left ends itself, and a fresh one raises the fleet again, with
what it had been ordered.
"""

import logging
import signal
from contextlib import ExitStack
from pathlib import Path

import msgspec

from classpulse.child import VIEW_FILE
from classpulse.detect.cluster import Remote, raised
from classpulse.detect.fleet import View
from classpulse.detect.ground import Orders
from classpulse.errors import BadInput, Recoverable
from classpulse.files import put
from classpulse.process import stop_on_signals
from classpulse.ray_cluster import connected
from classpulse.settings import Settings

LOOK_S = 1.0
END_WITHIN_S = 2.5
"""Below what a supervisor gives its stages."""

STUCK_S = 120
"""Longer than Ray takes to say that it cannot connect. A call through its client waits ten minutes for a machine that has vanished."""

_log = logging.getLogger("classpulse.fleet")


def keep(settings: Settings) -> None:
    """Until a signal says stop. Raises BadInput where there is no cluster, Recoverable where it was there before."""
    path = settings.data / VIEW_FILE
    signal.alarm(STUCK_S)
    with ExitStack() as stack:
        known = _known(path)
        try:
            stack.enter_context(connected(settings.ray_address))
        except BadInput as error:
            if known is None:
                raise
            raise Recoverable(f"{error}; its fleet is raised again when it is back") from error
        stop = stop_on_signals()  # only now: connecting, Ray takes the signals for itself
        fleet = raise_fleet(settings, None if known is None else known.orders)
        _log.info("raised on %s", settings.ray_address or "a cluster of its own")
        while not stop.wait(LOOK_S):
            signal.alarm(STUCK_S)
            try:
                write(fleet.view(), path)
            except Recoverable as error:
                _log.warning("%s; looking again", error)
        killed = fleet.ended(END_WITHIN_S)
        _log.info("the fleet has ended%s", f"; {killed} workers had to be killed" if killed else "")
    signal.alarm(0)


def raise_fleet(settings: Settings, orders: Orders | None = None) -> Remote:
    """The fleet of the cluster that this process is connected to; made where there is none, with `orders`."""
    return raised(settings, orders or Orders(least=settings.fleet_least or None, most=settings.fleet_most or None))


def _known(path: Path) -> View | None:
    """The fleet as a keeper before this one saw it last."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=View)
    except FileNotFoundError:
        return None


def write(view: View, path: Path) -> None:
    """Replace the file; where that fails the fleet goes on."""
    try:
        put(path, msgspec.json.encode(view).decode())
    except OSError as error:
        _log.warning("%s: %s; the fleet goes on", path, error.strerror)
