"""A fleet on a cluster of somebody else's, reached through Ray's client: who keeps it, and what it remembers, whatever dies."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from deploy.local.kafka.cluster import Cluster

from classpulse.bus.base import open_bus
from classpulse.child import VIEW_FILE
from classpulse.detect.fleet import View
from classpulse.detect.ground import Keeper
from classpulse.process import node
from classpulse.topics import TOPICS
from tests.brokers import MORTAL, require_kafka
from tests.chaos.route import LIMIT_S, wait_until
from tests.ray_heads import ENVIRON, Head, environ, head

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.ray, pytest.mark.xdist_group("kafka-fleet")]

GIB = 2**30
WORKER, SUPERVISOR = "ray::WorkerActor", "ray::Supervisor"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker with all topics."""
    require_kafka()
    with Cluster(tmp_path_factory.mktemp("kafka") / "node", 1, secure=False, wrapper=MORTAL).lasting() as cluster:
        bus = open_bus(cluster.url())
        bus.create(tuple(TOPICS.values()))
        bus.close()
        yield cluster.url()


@pytest.fixture(scope="module")
def ray_head() -> Iterator[Head]:
    """A cluster of one node with one core."""
    with head(cpus=1) as one:
        yield one


class Ups:
    """`fleet up` here and there, each with a folder of its own, and the other commands."""

    def __init__(self, folder: Path, broker: str, head: Head) -> None:
        self.folder, self.bus, self._head = folder, broker, head
        self.started: list[subprocess.Popen[bytes]] = []
        self._environ = environ(CLASSPULSE_BUS=broker, CLASSPULSE_MODEL="classroom-640", OMP_NUM_THREADS="1")

    def up(self, name: str, *options: str, **settings: str) -> "subprocess.Popen[bytes]":
        where = ("--data", str(self.folder / name), "--address", self._head.client)
        with self.log_file(name).open("ab") as log:
            process = subprocess.Popen(
                [*COMMAND, "up", "--headless", *where, *options],
                env=self._environ | settings, stdout=log, stderr=log,
            )  # fmt: skip
        self.started.append(process)
        return process

    def say(self, *words: str, client: bool = False) -> str:
        """What another command prints, which must succeed."""
        told = self.run(*words, client=client)
        assert told.returncode == 0, told.stderr
        return told.stdout

    def run(self, *words: str, client: bool = False) -> "subprocess.CompletedProcess[str]":
        where = self._head.client if client else self._head.address
        return patiently([*COMMAND, *words, "--address", where], self._environ)

    def log_file(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def log(self, name: str) -> str:
        return self.log_file(name).read_text()

    def view(self, name: str) -> View | None:
        path = self.folder / name / VIEW_FILE
        return msgspec.json.decode(path.read_bytes(), type=View) if path.exists() else None

    def until(self, name: str, condition: Callable[[View], bool]) -> View:
        """The first view that is so."""
        found: list[View] = []

        def so() -> bool:
            now = self.view(name)
            found[:] = [now] if now is not None and condition(now) else []
            return bool(found)

        (self.folder / "up.log").unlink(missing_ok=True)
        (self.folder / "up.log").symlink_to(self.log_file(name))
        wait_until(so, self.folder / "site")
        return found[0]


SHOWN: dict[str, Any] = {"capture_output": True, "text": True, "timeout": LIMIT_S}


def patiently(command: Sequence[str], env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """A command that has ended; once more while Ray refuses it (exit code 1) or does not answer (a keeper's alarm), as it may at first."""
    give_up = time.monotonic() + LIMIT_S
    while (told := subprocess.run(command, check=False, **SHOWN, env=env)).returncode in (1, -signal.SIGALRM):
        assert time.monotonic() < give_up, told.stderr
        time.sleep(1)
    return told


COMMAND = (sys.executable, "-m", "classpulse.cli", "fleet")


@pytest.fixture
def ups(broker: str, ray_head: Head, tmp_path: Path) -> Iterator[Ups]:
    """Ends the fleet at the end."""
    ups = Ups(tmp_path, broker, ray_head)
    yield ups
    for process in ups.started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=LIMIT_S)
    ups.run("down")


def works(view: View) -> bool:
    """Whether all that are wanted look."""
    return len(view.slots) == view.wanted > 0 and all(slot.state == "running" for slot in view.slots)


def pids(view: View) -> list[int]:
    return [slot.health.pid for slot in view.slots if slot.health is not None]


def test_it_is_raised_shown_ordered_and_ended_through_rays_client(ups: Ups) -> None:
    assert re.search("there is none on this cluster", ups.run("status", client=True).stderr)
    first = ups.up("first")
    view = ups.until("first", works)
    assert view.orders.keeper == Keeper(node(), first.pid)
    assert f"kept by pid {first.pid} on {node()}" in ups.say("status", client=True)

    ups.say("drain", view.nodes[0].name, client=True)
    ups.until("first", lambda now: now.orders.drained == {view.nodes[0].id} and not now.slots)
    ups.say("drain", view.nodes[0].name, "--undo", client=True)
    assert "wanted: 1 of the 1" in ups.say("scale", "1", "3", client=True)
    view = ups.until("first", works)

    assert ups.say("down", client=True) == "the fleet has ended\n"
    ups.until("first", lambda now: works(now) and pids(now) != pids(view))
    assert ups.log("first").count("raised on") == 2, "its keeper raises it again"

    first.send_signal(signal.SIGINT)
    assert first.wait(timeout=LIMIT_S) == 0
    assert re.search("there is none on this cluster", ups.run("status", client=True).stderr)


def test_a_head_that_was_killed_and_is_back_gets_its_fleet_again_as_it_was_ordered(ups: Ups, ray_head: Head) -> None:
    ups.up("first")
    before = ups.until("first", works)
    ups.say("scale", "0")
    ups.until("first", lambda now: not now.slots)
    ray_head.kill()
    wait_until(lambda: ups.log("first").count("raised again when it is back") >= 2, ups.folder / "site")
    ray_head.start()
    after = ups.until("first", lambda now: now.capacity == 1 and now.nodes[0].id != before.nodes[0].id)
    assert (after.orders.least, after.orders.most, after.slots) == (0, 0, ())
    ups.say("scale", "1")
    ups.until("first", works)


def test_orders_outlive_the_supervisor_and_all_workers(ups: Ups, ray_head: Head) -> None:
    ray_head.join(cpus=1)
    ups.up("first", "--most", "2")
    view = ups.until("first", lambda now: works(now) and now.capacity == 2)
    drained, left = view.nodes[0].id, view.nodes[1].id
    ups.say("drain", drained)
    view = ups.until("first", lambda now: now.capacity == 1 and works(now))

    victims = [*ray_head.processes(SUPERVISOR), *ray_head.processes(WORKER)]
    assert len(victims) == 2, victims
    for victim in victims:
        victim.suspend()  # nobody sees the others die
    for victim in victims:
        victim.kill()
    psutil.wait_procs(victims, timeout=LIMIT_S)
    seen: list[View] = []

    def again(now: View) -> bool:
        seen.append(now)
        return now.turns < view.turns and works(now)

    after = ups.until("first", again)
    assert all(now.orders.drained == {drained} for now in seen)
    assert [slot.node for slot in after.slots] == [left]
    assert after.orders.probes == view.orders.probes, "and nothing is probed again"
    assert ups.log("first").count("raised on") == 1


def test_a_second_keeper_is_refused_until_the_first_is_gone(ups: Ups, ray_head: Head) -> None:
    first = ups.up("first")
    view = ups.until("first", works)
    second = ups.up("second")
    assert second.wait(timeout=LIMIT_S) == 2
    *tries, told = [line for line in ups.log("second").splitlines() if line.startswith("classpulse: ")]
    assert all("--address" in line for line in tries), "Ray may refuse at first"
    assert re.match(
        rf"classpulse: fleet: kept by pid {first.pid} on {node()}; expected `classpulse fleet status` to see it, or its end"
        r" there .*`classpulse fleet down`",
        told,
    )
    assert f"kept by pid {first.pid}" in ups.run("up", "--detach").stderr

    keeper = psutil.Process(first.pid).children()[0]
    keeper.kill()
    ups.until("first", lambda now: ups.log("first").count("raised on") == 2 and pids(now) == pids(view))

    first.kill()
    first.wait()
    third = ups.up("third")
    after = ups.until("third", works)
    assert after.orders.keeper == Keeper(node(), third.pid)
    assert pids(after) == pids(view), "the workers were adopted"


def test_a_keeper_that_moves_leaves_the_workers_at_work_and_one_with_other_settings_replaces_them(ups: Ups) -> None:
    first = ups.up("first")
    view = ups.until("first", works)
    first.terminate()
    assert first.wait(timeout=LIMIT_S) == 0
    assert "left to whoever keeps it next" in ups.log("first")
    assert "kept by nobody" in ups.say("status", client=True)
    second = ups.up("second")
    after = ups.until("second", lambda now: works(now) and now.orders.keeper == Keeper(node(), second.pid))
    assert pids(after) == pids(view), "the workers were adopted"
    assert after.turns > view.turns

    second.terminate()
    assert second.wait(timeout=LIMIT_S) == 0
    third = ups.up("third", CLASSPULSE_FRESHNESS_MS="9000")
    after = ups.until("third", lambda now: works(now) and not set(pids(now)) & set(pids(view)))
    assert after.orders.keeper == Keeper(node(), third.pid)
    assert "its workers go by another freshness_ms; it is ended and raised anew" in ups.log("third")


def test_one_that_was_detached_is_adopted_with_its_orders(ups: Ups) -> None:
    assert ups.run("up", "--detach", "--least", "1").returncode == 0
    ups.say("scale", "1", "5")
    assert "kept by nobody" in ups.say("status")
    first = ups.up("first", "--most", "2")
    view = ups.until("first", works)
    assert (view.orders.most, view.orders.keeper) == (5, Keeper(node(), first.pid))


def test_versions_that_differ_are_one_line(ups: Ups, ray_head: Head) -> None:
    other = "import ray; ray.__version__ = '2.0.0'; from classpulse.cli import main; main()"
    command = [sys.executable, "-c", other, "fleet", "status", "--address", ray_head.client]
    told = patiently(command, environ())
    assert told.returncode == 2, told.stderr
    assert re.fullmatch(
        r"classpulse: --address = 'ray://.*': .*cluster was started with: Ray: 2\.\d+\.\d+ .*Ray: 2\.0\.0 .*; expected .*\n",
        told.stderr,
    )


def test_a_keeper_of_another_version_than_the_nodes_is_refused_and_the_fleet_goes_on(ups: Ups, ray_head: Head) -> None:
    first = ups.up("first")
    view = ups.until("first", works)
    first.terminate()
    assert first.wait(timeout=LIMIT_S) == 0
    other = f"""
from pathlib import Path
from classpulse.detect import keeper
from classpulse.detect.keeper import keep
from classpulse.errors import BadInput
keeper.version = lambda name: "9.9.9"
from classpulse.settings import Settings
settings = Settings(data=Path({str(ups.folder / "other")!r}), bus={ups.bus!r}, ray_address={ray_head.client!r})
try:
    keep(settings, 1)
except BadInput as error:
    raise SystemExit((print(error), 2)[1])
"""
    told = patiently([sys.executable, "-c", other], environ(CLASSPULSE_MODEL="classroom-640", OMP_NUM_THREADS="1"))
    assert re.search(r"its cluster has classpulse \d\S+ on \S+; expected 9.9.9 on every node, as here", told.stdout), (
        told.stderr
    )
    second = ups.up("second")
    after = ups.until("second", lambda now: works(now) and now.orders.keeper == Keeper(node(), second.pid))
    assert pids(after) == pids(view), "nobody ended them"


def test_a_heads_own_address_needs_a_node_of_it_on_this_machine(ups: Ups, ray_head: Head) -> None:
    alone = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("may not leave this machine's processes out of sight (unshare)")
    told = subprocess.run(
        [*alone, *COMMAND, "status", "--address", ray_head.address],
        env=environ(RAY_GCS_SERVER_REQUEST_TIMEOUT_SECONDS="5"),
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert told.returncode == 2
    assert re.search(
        r"with a node of that cluster on this machine \(`ray start --address`\).*ray://HOST:PORT", told.stderr
    )


@pytest.fixture
def short_of_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Head]:
    """A cluster that ends workers as soon as its machine holds 3 GiB more than now."""
    memory = psutil.virtual_memory()
    threshold = (memory.total - memory.available + 3 * GIB) / memory.total
    monkeypatch.setitem(ENVIRON, "RAY_memory_usage_threshold", f"{threshold:.4f}")
    monkeypatch.setitem(ENVIRON, "RAY_memory_monitor_refresh_ms", "100")
    with head(cpus=1) as one:
        yield one


def test_a_fleet_that_ray_ends_for_its_memory_is_there_again(
    broker: str, short_of_memory: Head, tmp_path: Path
) -> None:
    ups = Ups(tmp_path, broker, short_of_memory)
    first = ups.up("first")
    try:
        view = ups.until("first", works)
        (pid,) = pids(view)
        hog = []
        while psutil.pid_exists(pid):
            assert len(hog) < 24, "Ray never minded"
            hog.append(bytearray(os.urandom(GIB // 4)))
            time.sleep(0.2)
        hog.clear()
        ups.until("first", lambda now: works(now) and pids(now) != [pid])
    finally:
        first.send_signal(signal.SIGINT)
        first.wait(timeout=LIMIT_S)
    assert re.search(
        rf"OOM kill reason.*Selected to kill: [^\n]*WorkerActor[^\n]*pid={pid},", short_of_memory.said(), re.DOTALL
    )
