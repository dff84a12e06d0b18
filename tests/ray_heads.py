"""Real Ray clusters for tests, as `ray start` makes them: a head with a client server, and nodes that join it; every port is free."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.brokers import MORTAL
from tests.support import ROOT, require

STARTED_S = 240.0
PORTS = (
    "node-manager",
    "object-manager",
    "dashboard-agent-listen",
    "dashboard-agent-grpc",
    "runtime-env-agent",
    "metrics-export",
)
ENVIRON = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": uuid.uuid4().hex,
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "120",
    "RAY_raylet_start_wait_time_s": "120",
}
"""A cluster asks whoever speaks to it for its token. On a busy machine its processes take more than Ray's 30 s to start."""


def require_ray() -> None:
    """Skip where Ray or its client is absent."""
    require("ray", importlib.util.find_spec("ray"), "pip install '.[ray]'")
    require("ray", importlib.util.find_spec("grpc"), "pip install '.[ray]'")


class Head:
    """A head that is a node too, and may be killed and started again at its address."""

    def __init__(self, folder: Path, cpus: int) -> None:
        self.port, self.client_port = free_port(), free_port()
        self.log = folder.with_name("log")
        self._folder, self._cpus = folder, cpus
        self._started: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> str:
        """For who has a node of the cluster on this machine."""
        return f"127.0.0.1:{self.port}"

    @property
    def client(self) -> str:
        """For everybody."""
        return f"ray://127.0.0.1:{self.client_port}"

    def start(self) -> None:
        """Returns when it is there. Ray gives up a start that takes long, as on a busy machine: it is tried again."""
        ports = (f"--port={self.port}", f"--ray-client-server-port={self.client_port}")
        give_up = time.monotonic() + STARTED_S
        self.log.write_text("")
        while "Ray runtime started" not in self.log.read_text():
            if not self._started or self._started[0].poll() is not None:
                self.kill()
                self._start(
                    "--head", "--include-dashboard=false", *ports, f"--temp-dir={self._folder}", cpus=self._cpus
                )
            assert time.monotonic() < give_up, self.log.read_text()
            time.sleep(0.1)

    def join(self, cpus: int) -> None:
        """A node more; returns at once."""
        self._start(f"--address={self.address}", cpus=cpus)

    def said(self) -> str:
        """What its raylets have logged."""
        return "\n".join(path.read_text() for path in self._folder.glob("session_*/logs/raylet*.out"))

    def kill(self) -> None:
        """The head, its nodes and all that they run."""
        found = self.processes("")
        for process in found:
            process.kill()
        psutil.wait_procs(found, timeout=STARTED_S)
        for started in self._started:
            started.wait()
        self._started.clear()

    def processes(self, name: str) -> list[psutil.Process]:
        """Of the cluster, those whose command line begins so."""
        found = []
        for started in self._started:
            if started.poll() is not None:
                continue
            for process in [psutil.Process(started.pid), *psutil.Process(started.pid).children(recursive=True)]:
                try:
                    line = " ".join(process.cmdline())
                except psutil.Error:
                    continue
                if line.startswith(name):
                    found.append(process)
        return found

    def _start(self, *options: str, cpus: int) -> "subprocess.Popen[bytes]":
        ports = [f"--{name}-port={free_port()}" for name in PORTS]
        small = ["--object-store-memory=100000000", "--disable-usage-stats"]
        command = [str(Path(sys.executable).with_name("ray")), "start", "--block", f"--num-cpus={cpus}"]
        with self.log.open("ab") as said:
            started = subprocess.Popen(
                [*MORTAL, *command, *options, *ports, *small], env=environ(), stdout=said, stderr=said
            )
        self._started.append(started)
        return started


@contextmanager
def head(*, cpus: int) -> Iterator[Head]:
    """One that has started, and is gone at the end with all its nodes."""
    require_ray()
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # not pytest's: Ray's sockets lie in it, their paths must be short
    one = Head(folder / "t", cpus)
    try:
        one.start()
        yield one
    finally:
        one.kill()
        shutil.rmtree(folder, ignore_errors=True)


def environ(**more: str) -> dict[str, str]:
    """Of a process that finds the code under test, and has the cluster's token."""
    paths = [str(ROOT / "services"), str(ROOT / "model"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **ENVIRON, "PYTHONPATH": os.pathsep.join(paths), **more}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
