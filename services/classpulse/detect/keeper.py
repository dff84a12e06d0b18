"""Who keeps a fleet: raises it on its cluster, writes how it is to a file once a second, and ends it when told to stop.

Told to leave, it goes and the fleet stays for whoever keeps it next. A process of its own, under a supervisor: a process that Ray's
head has left ends itself, and a fresh one raises the fleet again, with what it had been ordered. A fleet has one keeper; whoever finds
another at work is refused.
"""

import logging
import signal
from contextlib import ExitStack, suppress
from importlib.metadata import version
from pathlib import Path

import msgspec

from classpulse.child import LEAVE, VIEW_FILE
from classpulse.clock import Clock, SystemClock
from classpulse.detect.cluster import Remote, is_raised, raised, versions_there
from classpulse.detect.fleet import View
from classpulse.detect.ground import Keeper, Orders
from classpulse.errors import BadInput, Recoverable
from classpulse.files import put
from classpulse.health import Health, served
from classpulse.process import node, stop_on_signals
from classpulse.ray_cluster import connected
from classpulse.settings import Settings

LOOK_S = 1.0
CLAIM_AGAIN_MS = 500
END_WITHIN_S = 2.5
"""Below what a supervisor gives its stages."""

OF_WORKERS = (
    *("bus", "model", "line", "runtime", "runtime_threads", "freshness_ms", "commit_ms"),
    *("log_level", "fault", "otlp_endpoint", "trace_one_in"),
)
"""The settings that a fleet's workers go by."""

STUCK_S = 120
"""Longer than Ray takes to say that it cannot connect. A call through its client waits ten minutes for a machine that has vanished."""

LEAVE_S = 10
"""So long may it take to let go of a cluster: one that is gone is waited for by Ray's client, and then by the interpreter's end."""

_log = logging.getLogger("classpulse.fleet")


def keep(settings: Settings, pid: int) -> None:
    """Until a signal says stop; `pid`: who is to be known as the keeper.

    Raises BadInput where there is no cluster, or its fleet has another keeper; Recoverable where the cluster was there before.
    """
    by = Keeper(node(), pid)
    clock = SystemClock()
    health, watch = Health(clock), Watch(clock)
    signal.alarm(STUCK_S)
    with ExitStack() as stack:
        stack.enter_context(served(settings, health))
        known = _known(settings.data / VIEW_FILE)
        try:
            stack.enter_context(connected(settings.ray_address, metrics_port=settings.ray_metrics_port))
        except BadInput as error:
            if known is None:
                raise
            raise Recoverable(f"{error}; its fleet is raised again when it is back") from error
        try:
            _keep(settings, by, known, health, watch)
        finally:
            signal.alarm(LEAVE_S)
    signal.alarm(0)


def _keep(settings: Settings, by: Keeper, known: View | None, health: Health, watch: "Watch") -> None:
    """While connected: raise it, look at it until a signal says stop, and end it."""
    stop = stop_on_signals(LEAVE)  # only now: connecting, Ray takes the signals for itself
    fleet = raise_fleet(settings, by, None if known is None else known.orders)
    health.follow(lambda: watch.turned_ms, lambda: watch.missing)
    _log.info("raised on %s", settings.ray_address or "a cluster of its own")
    while not stop.wait(LOOK_S):
        signal.alarm(STUCK_S)
        try:
            view = _view(fleet, by)
            watch.see(view)
            write(view, settings.data / VIEW_FILE)
        except Recoverable as error:
            watch.see(None)
            _log.warning("%s; looking again", error)
    if stop.number == LEAVE:
        with suppress(Recoverable):  # then whoever comes next waits until this one is certainly gone
            fleet.leave(by)
        _log.info("left to whoever keeps it next")
        return
    with suppress(Recoverable):  # what does not answer now is ended all the same
        _view(fleet, by)  # one that was taken over meanwhile is not
    killed = fleet.ended(END_WITHIN_S)
    _log.info("the fleet has ended%s", f"; {killed} workers had to be killed" if killed else "")


class Watch:
    """What a keeper saw of its fleet when it last looked, at `turned_ms`; `missing`: what it needs to look at pictures."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.see(None)

    def see(self, view: View | None) -> None:
        """None: its supervisor does not answer."""
        self.turned_ms = self._clock.monotonic_ms()
        if view is None:
            self.missing = "fleet: its supervisor does not answer; expected it to"
        elif not any(slot.state == "running" for slot in view.slots):
            self.missing = "fleet: no worker is at work; expected one at least on its nodes"
        else:
            self.missing = ""


def raise_fleet(settings: Settings, by: Keeper | None, orders: Orders | None = None) -> Remote:
    """The fleet of the cluster that this process is connected to, kept by `by` from now on; made where there is none, with `orders`.

    One of another version, or whose workers go by other settings, is ended and made anew. Raises BadInput where another keeps it, and
    where the cluster's nodes have another version still. One that is silent is waited for until it speaks or is certainly gone.
    """
    if settings.ray_address and not is_raised() and (refusal := _of_other_code()):
        raise refusal
    fleet = raised(settings, orders or Orders(least=settings.fleet_least or None, most=settings.fleet_most or None))
    clock, before_ms = SystemClock(), 0
    while True:
        try:
            view, silent_ms = fleet.kept(by)
            other = differing(fleet.made_by(), (version("classpulse"), settings)) if silent_ms is None else []
            if "version" in other and (refusal := _of_other_code()):
                if by is not None:
                    fleet.leave(by)
                raise refusal
        except Recoverable as error:  # on a busy machine a supervisor takes long to start
            _log.warning("%s; asking again", error)
            clock.sleep_ms(CLAIM_AGAIN_MS)
            continue
        if silent_ms is not None:
            if silent_ms < before_ms:
                raise _refused(view)
            before_ms = silent_ms
            clock.sleep_ms(CLAIM_AGAIN_MS)
        elif not other:
            return fleet
        else:
            _log.warning("its workers go by another %s; it is ended and raised anew", ", ".join(other))
            # Where this process is ended now, the next one finds the orders there.
            write(view, settings.data / VIEW_FILE)
            fleet.ended(END_WITHIN_S)
            fleet = raised(settings, view.orders)


def differing(there: tuple[str, Settings] | None, here: tuple[str, Settings]) -> list[str]:
    """Why the workers of a fleet are not those that would be made here: the version, or the settings of theirs that differ."""
    if there is None or there[0] != here[0]:
        return ["version"]
    return [name for name in OF_WORKERS if getattr(there[1], name) != getattr(here[1], name)]


def _view(fleet: Remote, by: Keeper) -> View:
    """What there is, said by who keeps it. Raises BadInput where another does by now."""
    view, silent_ms = fleet.kept(by)
    if silent_ms is not None:
        raise _refused(view)
    return view


def _refused(view: View) -> BadInput:
    remedy = "`classpulse fleet status` to see it, or its end there first (`classpulse fleet down` alone: it is raised again)"
    return BadInput([f"fleet: kept by {view.orders.keeper}; expected {remedy}"])


def _of_other_code() -> BadInput | None:
    """What to say where a node has another version than this process."""
    here = version("classpulse")
    other = sorted(f"{told} on {host}" for host, told in versions_there().items() if told != here)
    if not other:
        return None
    return BadInput([f"fleet: its cluster has classpulse {', '.join(other)}; expected {here} on every node, as here"])


def _known(path: Path) -> View | None:
    """The fleet as a keeper before this one saw it last; what another version wrote says nothing."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=View)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write(view: View, path: Path) -> None:
    """Replace the file; where that fails the fleet goes on."""
    try:
        put(path, msgspec.json.encode(view).decode())
    except OSError as error:
        _log.warning("%s: %s; the fleet goes on", path, error.strerror)
