"""Ray clusters of several nodes on one machine for tests: each node has a host name of its own, as machines have."""

import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from deploy.local.kafka.cluster import free_ports

from tests.brokers import MORTAL
from tests.support import require

NAMED = ("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"')
"""Words before a command: it and all that it starts are on a host of the name that follows."""

READY_WITHIN_S = 90.0
STORE_BYTES = "80000000"
WAYS = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
    "RAY_worker_niceness": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""What the nodes are started with, and whoever speaks to them. Ray's workers are nice (15), and starve where tests share a machine."""


def require_nodes() -> None:
    """Skip where Ray is absent, or where a process may not give itself a host name."""
    require("ray", importlib.util.find_spec("ray"), "pip install '.[ray]'")
    may = shutil.which("unshare") and subprocess.run([*NAMED, "another", "true"], check=False).returncode == 0
    require("ray", may, "unshare --uts needs root")


@dataclass
class Raylets:
    """The nodes that were added, by name; the first is the head. `folder` is short: sockets lie in it."""

    folder: Path
    port: int
    nodes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Of the head."""
        return f"127.0.0.1:{self.port}"

    def add(self, name: str, *resources: str) -> None:
        """Start a node with these words of `ray start`, and wait until it is there."""
        here = ("--head", "--port", str(self.port), "--include-dashboard", "false", "--temp-dir", str(self.folder))
        words = ("--address", self.address) if self.nodes else here
        command = ("-m", "ray.scripts.scripts", "start", *words, *resources)
        small = (
            "--object-store-memory",
            STORE_BYTES,
            "--include-log-monitor",
            "false",
            "--disable-usage-stats",
            "--block",
        )
        with (self.folder / f"{name}.log").open("wb") as log:
            self.nodes[name] = subprocess.Popen(
                [*MORTAL, *NAMED, name, sys.executable, *command, *small],
                env={**os.environ, **WAYS},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Linux shares its cores among sessions: a node has its own part, as a machine has
            )
        give_up = time.monotonic() + READY_WITHIN_S
        while "Ray runtime started" not in (told := (self.folder / f"{name}.log").read_text()):
            assert self.nodes[name].poll() is None, told
            assert time.monotonic() < give_up, told
            time.sleep(0.1)

    def said(self) -> str:
        """What the processes of all nodes have said."""
        logs = sorted(self.folder.glob("session_2*/logs/*.err"))
        return "\n".join(log.read_text("utf-8", "replace") for log in logs)

    def end(self) -> None:
        """End all that runs."""
        for node in self.nodes.values():
            started = psutil.Process(node.pid).children(recursive=True) if node.poll() is None else []
            node.kill()
            for process in started:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            node.wait()


@contextmanager
def raylets() -> Iterator[Raylets]:
    """A cluster without a node yet, that ends with this."""
    require_nodes()
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        cluster = Raylets(Path(folder), *free_ports(1))
        try:
            yield cluster
        finally:
            cluster.end()
