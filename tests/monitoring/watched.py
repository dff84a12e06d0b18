"""A route that runs, every process with its metrics, and a real Prometheus that watches it with the deployment's rules."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.prometheus.server import running

from tests.brokers import MORTAL
from tests.services.cli.site import up, wait_for_log
from tests.support import ROOT

CAMERA = "t/s/101/front"
SITE = f"""
[settings]
data = "data"
metrics_port = PORT
model = "paper"            # the lightest: other tests may run beside it
freshness_ms = 60000
[[rooms]]
room = "t/s/101"
[[cameras]]
camera = "{CAMERA}"
source = "file://{ROOT}/services/classpulse/demo/lessons/lesson-1.mp4?pace=realtime&loop=1"
fps = 1
"""
ROUTE = ("ingest", "detect", "aggregate", "up")
"""Which process of an `up` has which port, from the first on."""

START_MS = 180_000
BESIDE = {"canary": ("--every", "5", "--late", "60"), "audit": ("--every", "5")}


@dataclass
class Watched:
    """Where Prometheus answers, and the processes of the route."""

    address: str
    up: "subprocess.Popen[str]"
    folder: Path

    def logs(self) -> str:
        """What all have said, the end of it."""
        return "\n".join(f"{path.name}: {path.read_text()[-2000:]}" for path in sorted(self.folder.glob("*.log")))


@contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    """Until the end of the block. A free port may be taken by another before its process takes it: then that says so."""
    first = free_ports(len(ROUTE) + len(BESIDE))
    site = folder / "site.toml"
    site.write_text(SITE.replace("PORT", str(first)))
    with ExitStack() as stack:
        process = stack.enter_context(up(site))
        wait_for_log(site, "up running", within_ms=START_MS)  # there is a bus then, which the others read
        for number, (name, options) in enumerate(BESIDE.items(), first + len(ROUTE)):
            stack.enter_context(beside(folder, name, options, number))
        targets = [f"127.0.0.1:{port}" for port in range(first, first + len(ROUTE) + len(BESIDE))]
        address = stack.enter_context(running(folder / "prometheus", targets, every="3s", wrapper=MORTAL))
        yield Watched(address, process, folder)


@contextmanager
def beside(folder: Path, name: str, options: tuple[str, ...], port: int) -> Iterator[None]:
    """A command that goes on beside the route; what it says goes into a file."""
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "CLASSPULSE_METRICS_PORT": str(port)}
    command = [*MORTAL, sys.executable, "-m", "classpulse.cli", name, *options, "--data", str(folder / "data")]
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(command, stderr=log, env={**os.environ, **paths})
    try:
        yield
    finally:
        process.kill()
        process.wait()


def free_ports(count: int) -> int:
    """The first of so many ports in a row at which nobody listens."""
    for first in range(20_000 + os.getpid() % 10_000, 60_000, count):
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return first
    raise RuntimeError("no free ports")
