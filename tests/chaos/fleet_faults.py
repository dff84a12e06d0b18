"""Everything that is done to a fleet while its route runs, and how long until it works as before.

A fault gives what tells that the fleet has noticed it; from then on we wait until every worker that is wanted is at work.
"""

import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from classpulse.child import VIEW_FILE
from tests.chaos.faults import Over
from tests.chaos.fleets import HEAD, SUPERVISOR, WORKER, at_work, processes, restarts
from tests.chaos.route import LIMIT_S, log_of, tail, wait_until

Noticed = Callable[[], bool]


@dataclass
class FleetScene:
    """A route with a fleet. `draw` decides what is left to chance; `releases`: digests of what may be promoted."""

    process: "subprocess.Popen[bytes]"
    site: Path
    bus_url: str
    draw: random.Random
    releases: list[str] = field(default_factory=list)
    recovered_s: list[tuple[str, float]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether the route has told its story. Fails if it ended otherwise."""
        code = self.process.poll()
        assert code in (None, 0), f"ended with {code}:\n{tail(self.site)}"
        return code == 0

    def suffer(self, fault: "FleetFault") -> bool:
        """Bring a fault about and wait until the fleet works as before; False where the route ended before it did."""
        try:
            noticed = fault.act(self)
            began = time.monotonic()
            wait_until(lambda: self.ended or (noticed() and at_work(self.site)), self.site)
        except Over:
            return False
        if self.ended:
            return False
        self.recovered_s.append((fault.name, time.monotonic() - began))
        return True

    def victim(self, name: str) -> psutil.Process:
        """One of a kind, drawn."""
        try:
            return self.draw.choice(processes(self.process, name))
        except (IndexError, psutil.NoSuchProcess):
            raise Over(name) from None

    def kill(self, name: str) -> int:
        """Kill one of a kind; gives its pid when it is gone."""
        victim = self.victim(name)
        victim.kill()
        psutil.wait_procs([victim], timeout=LIMIT_S)
        return victim.pid

    def workers(self) -> set[int]:
        """Their pids."""
        return self._pids(WORKER)

    def raised_anew(self) -> Noticed:
        """Tells when another supervisor has said how the fleet is."""
        before, written = self._pids(SUPERVISOR), self.site.parent / "data" / VIEW_FILE
        last_of_before: int | None = None

        def noticed() -> bool:
            nonlocal last_of_before
            if last_of_before is None and self._pids(SUPERVISOR) - before:
                last_of_before = written.stat().st_mtime_ns
            return last_of_before not in (None, written.stat().st_mtime_ns)

        return noticed

    def _pids(self, name: str) -> set[int]:
        return set() if self.ended else {one.pid for one in processes(self.process, name)}


@dataclass(frozen=True)
class FleetFault:
    """Something that is done to a fleet."""

    name: str
    act: Callable[[FleetScene], Noticed]


def kill_worker(scene: FleetScene) -> Noticed:
    """SIGKILL at a random moment, also in the middle of a step."""
    before = restarts(scene.site)
    time.sleep(scene.draw.uniform(0.0, 1.0))
    scene.kill(WORKER)
    return lambda: restarts(scene.site) > before


def freeze_worker(scene: FleetScene) -> Noticed:
    """SIGSTOP of a worker: as one that is stuck in its runtime it neither comes round nor answers. It never wakes."""
    before, frozen = restarts(scene.site), scene.victim(WORKER)
    frozen.suspend()
    return lambda: restarts(scene.site) > before and gone(frozen)


def kill_supervisor(scene: FleetScene) -> Noticed:
    """And a worker while there is none. The others, where the machine carries more than one, live on and are adopted."""
    workers, noticed = scene.workers(), scene.raised_anew()
    scene.kill(SUPERVISOR)
    time.sleep(scene.draw.uniform(0.0, 0.5))
    left = workers - {scene.kill(WORKER)}
    return lambda: noticed() and left < scene.workers()


def kill_head(scene: FleetScene) -> Noticed:
    """The fleet is raised again, on a new cluster."""
    before, noticed = log_of(scene.site).count("raised on"), scene.raised_anew()
    scene.kill(HEAD)
    return lambda: log_of(scene.site).count("raised on") > before and noticed()


def gone(process: psutil.Process) -> bool:
    """Whether a process is no more."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


PROCESS_FAULTS: tuple[FleetFault, ...] = (
    FleetFault("SIGKILL of a worker", kill_worker),
    FleetFault("worker frozen", freeze_worker),
    FleetFault("SIGKILL of the fleet's supervisor and a worker", kill_supervisor),
    FleetFault("SIGKILL of Ray's head", kill_head),
)
"""What changes no byte of a story."""
