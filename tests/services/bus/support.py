"""Starting the worker as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT

WORKER_S = 60


def start(verb: str, path: Path, *arguments: object) -> subprocess.Popen[bytes]:
    """Start the worker."""
    paths = os.pathsep.join((str(ROOT), str(ROOT / "services"), str(ROOT / "model")))
    command = [sys.executable, "-m", "tests.services.bus.sqlite_worker", verb, str(path), *map(str, arguments)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}, cwd=ROOT)


def finish(*processes: subprocess.Popen[bytes]) -> list[int]:
    """Wait for the workers; gives their exit codes."""
    return [process.wait(timeout=WORKER_S) for process in processes]
