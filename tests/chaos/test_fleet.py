"""Promise 2b with a fleet on Ray: the same bytes as on a file, whatever of it is killed or frozen when, its head included."""

import importlib.util
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
from deploy.local.kafka.cluster import Cluster

from classpulse.child import VIEW_FILE
from classpulse.detect.fleet import View
from tests.brokers import MORTAL, require_kafka
from tests.chaos.route import LIMIT_S, Outcome, check, log_of, outcome, tail, up, wait_until, write_site
from tests.support import require

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.ray, pytest.mark.xdist_group("kafka-fleet")]

WORKER, SUPERVISOR, HEAD = "ray::WorkerActor", "ray::Supervisor", "gcs_server"


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Cluster]:
    """One node in plaintext, without a topic: `up` makes them."""
    require_kafka()
    require("ray", importlib.util.find_spec("ray"), "pip install '.[ray]'")
    with Cluster(tmp_path / "kafka", 1, secure=False, wrapper=MORTAL).lasting() as cluster:
        yield cluster


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
    try:
        assert route.wait(timeout=LIMIT_S) == 0, tail(site)
    except subprocess.TimeoutExpired:
        route.kill()
        pytest.fail(f"not finished within {LIMIT_S} s:\n{tail(site)}")


@pytest.fixture
def route(one: Cluster, tmp_path: Path) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """A route whose fleet is at work."""
    site = write_site(tmp_path, one.url(), runner="ray")
    process = up(site)
    try:
        wait_until(lambda: at_work(site) or process.poll() is not None, site)
        assert process.poll() is None, tail(site)
        yield process, site
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=LIMIT_S)


def kill(route: "subprocess.Popen[bytes]", name: str, draw: random.Random) -> int:
    """Kill one of a kind; gives its pid when it is gone."""
    victim = draw.choice(processes(route, name))
    victim.kill()
    psutil.wait_procs([victim], timeout=LIMIT_S)
    return victim.pid


def test_whoever_of_a_fleet_is_killed_nothing_is_lost_or_counted_twice(
    route: tuple["subprocess.Popen[bytes]", Path], undisturbed: Outcome, one: Cluster
) -> None:
    process, site = route
    seed = int(os.environ.get("CLASSPULSE_TEST_SEED", "20260302"))
    print(f"seed {seed}")  # noqa: T201 - whoever reads of a failure needs it
    draw = random.Random(seed)
    kill(process, WORKER, draw)
    wait_until(lambda: restarts(site) == 1 and at_work(site), site)

    workers, before = {worker.pid for worker in processes(process, WORKER)}, turns(site)
    kill(process, SUPERVISOR, draw)
    time.sleep(draw.uniform(0.0, 0.5))
    left = workers - {kill(process, WORKER, draw)}
    assert left, "the workers outlive their supervisor"
    wait_until(lambda: turns(site) < before and at_work(site), site)
    assert left < {worker.pid for worker in processes(process, WORKER)}, "who lived on was adopted"

    kill(process, HEAD, draw)
    wait_until(lambda: log_of(site).count("raised on") == 2 and at_work(site), site)
    ended(process, site)
    check(outcome(site, bus_url=one.url()), undisturbed)


def turns(site: Path) -> int:
    """Of the supervisor there is: a fresh one begins anew."""
    now = view(site)
    return 0 if now is None else now.turns


def restarts(site: Path) -> int:
    """Of all workers, as their supervisor counts: a fresh one begins anew."""
    now = view(site)
    return -1 if now is None else sum(slot.restarts for slot in now.slots)


def test_a_frozen_worker_is_replaced_and_says_no_more_when_it_wakes(
    route: tuple["subprocess.Popen[bytes]", Path], undisturbed: Outcome, one: Cluster
) -> None:
    process, site = route
    frozen = max(processes(process, WORKER), key=lambda one: sum(one.cpu_times()[:2]))
    frozen.suspend()
    wait_until(lambda: restarts(site) == 1 and at_work(site), site)
    wait_until(lambda: not frozen.is_running() or frozen.status() == psutil.STATUS_ZOMBIE, site)
    ended(process, site)
    check(outcome(site, bus_url=one.url()), undisturbed)
