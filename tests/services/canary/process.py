"""The canary as a process, and its figures."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

CAME, DELAY, MISSED = (
    f"classpulse_canary_{name}" for name in ("delay_seconds_count", "delay_seconds_sum", "missed_total")
)


@contextmanager
def canary(data: Path, port: int, *, late_s: int = 10, **environ: str) -> Iterator[None]:
    """`classpulse canary` as a process, in a hurry; what it says goes into `canary.log` beside the data."""
    command = [sys.executable, "-m", "classpulse.cli", "canary", "--every", "5", "--late", str(late_s)]
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "CLASSPULSE_METRICS_PORT": str(port)}
    with (data.parent / "canary.log").open("a") as log:
        process = subprocess.Popen([*command, "--data", str(data)], stderr=log, env={**os.environ, **paths, **environ})
    try:
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def figure(port: int, name: str, node: str = "") -> float:
    """A metric of a node, by default of this host's; 0 where there is none yet."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
            text = page.read().decode()
    except OSError:
        return 0.0
    where = re.escape(node or socket.gethostname())
    found = re.search(rf'^{name}{{node="{where}"}} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0
