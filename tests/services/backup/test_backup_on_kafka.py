"""A backup of one real cluster, with the commands people run, and another cluster that goes on from it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deploy.local.kafka.cluster import Cluster

from classpulse.bus.base import Bus, open_bus
from classpulse.bus.limits import unread
from classpulse.codec import Outgoing
from classpulse.topics import DETECTIONS, TOPICS
from tests.brokers import MORTAL, require_kafka
from tests.services.backup.lessons import declared, halves, said, undisturbed

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]

PATIENCE_S = 60


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """A node in plaintext with nothing on it, by its URL."""
    require_kafka()
    node = Cluster(folder, 1, secure=False, wrapper=MORTAL)
    with node.lasting():
        yield node.url()


def environ(url: str, data: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CLASSPULSE_")}
    path = os.pathsep.join(filter(None, sys.path))
    return {**kept, "CLASSPULSE_BUS": url, "CLASSPULSE_DATA": str(data), "PYTHONPATH": path}


def classpulse(url: str, data: Path, *words: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "classpulse.cli", *map(str, words)]
    return subprocess.run(command, env=environ(url, data), capture_output=True, text=True, timeout=120, check=False)


def write(bus: Bus, outputs: list[Outgoing]) -> None:
    member = bus.member("detect", ())
    member.commit(outputs, {})
    member.close()


@contextmanager
def aggregating(url: str, data: Path) -> Iterator[None]:
    """An aggregate at work, which is ended as a pod is."""
    command = [sys.executable, "-m", "classpulse.cli", "aggregate"]
    process = subprocess.Popen(command, env=environ(url, data), stderr=subprocess.PIPE, text=True)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        _, words = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, words


def wait_until(so: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not so():
        assert time.monotonic() < until
        time.sleep(0.2)


def wait_until_read(bus: Bus) -> None:
    wait_until(lambda: not unread(bus, "aggregate", DETECTIONS))


def test_a_cluster_goes_on_from_the_backup_of_another(tmp_path: Path) -> None:
    first, rest = halves()
    copy = tmp_path / "copy"
    with cluster(tmp_path / "old") as url:
        bus = open_bus(url)
        bus.create(tuple(TOPICS.values()))
        write(bus, declared())
        write(bus, first)
        with aggregating(url, tmp_path / "data"):
            wait_until_read(bus)
            early = classpulse(url, tmp_path / "data", "backup", copy)
            assert (early.returncode, "expected that no aggregate runs" in early.stderr) == (2, True)
        wait_until(lambda: not bus.holders("aggregate"))
        write(bus, rest)
        before = said(bus)
        bus.close()
        done = classpulse(url, tmp_path / "data", "backup", copy)
        assert done.returncode == 0, done.stderr
        assert "detections: " in done.stdout
        refused = classpulse(url, tmp_path / "data", "restore", copy)
        assert (refused.returncode, "holds records already; expected an empty one" in refused.stderr) == (2, True)
    with cluster(tmp_path / "new") as url:
        done = classpulse(url, tmp_path / "data", "restore", copy)
        assert done.returncode == 0, done.stderr
        bus = open_bus(url)
        assert said(bus) == before
        waiting = unread(bus, "aggregate", DETECTIONS)
        assert waiting < len(first), "what was read before is not read again"
        with aggregating(url, tmp_path / "data"):
            wait_until_read(bus)
        assert said(bus) == undisturbed()
        bus.close()
