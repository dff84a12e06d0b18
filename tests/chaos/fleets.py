"""A fleet under a route, as the chaos tests and the long runs look at it and kill it."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
import pytest

from classpulse.child import VIEW_FILE
from classpulse.detect.fleet import View
from tests.chaos.route import FPS, LIMIT_S, tail, up, wait_until, write_site

WORKER, SUPERVISOR, HEAD = "ray::WorkerActor", "ray::Supervisor", "gcs_server"


@contextmanager
def fleet_route(folder: Path, bus: str, fps: int = FPS) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """A route whose fleet is at work."""
    site = write_site(folder, bus, fps, runner="ray")
    process = up(site)
    try:
        wait_until(lambda: at_work(site) or process.poll() is not None, site)
        assert process.poll() is None, tail(site)
        yield process, site
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=LIMIT_S)


def processes(route: "subprocess.Popen[bytes]", name: str) -> list[psutil.Process]:
    """Those of a kind below a route, whose command line begins so."""
    found = []
    for process in psutil.Process(route.pid).children(recursive=True):
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if line.startswith(name) or f"/{name}" in line.partition(" ")[0]:
            found.append(process)
    return found


def view(site: Path) -> View | None:
    """How the fleet is, as its keeper last wrote."""
    path = site.parent / "data" / VIEW_FILE
    return msgspec.json.decode(path.read_bytes(), type=View) if path.exists() else None


def at_work(site: Path, least_frames: int = 1) -> bool:
    """Whether every worker that is wanted runs, and one has seen so many frames."""
    now = view(site)
    if now is None or not now.slots or len(now.slots) != now.wanted:
        return False
    seen = [slot.health.frames for slot in now.slots if slot.health is not None and slot.state == "running"]
    return len(seen) == now.wanted and max(seen) >= least_frames


def ended(route: "subprocess.Popen[bytes]", site: Path) -> None:
    """Wait until the route has told its story."""
    try:
        assert route.wait(timeout=LIMIT_S) == 0, tail(site)
    except subprocess.TimeoutExpired:
        route.kill()
        pytest.fail(f"not finished within {LIMIT_S} s:\n{tail(site)}")


def restarts(site: Path) -> int:
    """Of all workers, as their supervisor counts: a fresh one begins anew."""
    now = view(site)
    return -1 if now is None else sum(slot.restarts for slot in now.slots)
