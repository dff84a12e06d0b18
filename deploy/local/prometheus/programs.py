"""Prometheus and promtool, out of Debian's package: fetched once, unpacked beside the checkout, nothing installed or started."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE.parents[2] / "build" / "prometheus"


def program(name: str) -> Path:
    """Where `prometheus` or `promtool` lies; fetched where it is not there yet. Raises RuntimeError saying why it cannot be had."""
    installed = shutil.which(name)
    if installed is not None:
        return Path(installed)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = FOLDER / "usr" / "bin" / name
        if not found.is_file():
            _fetch()
        return found


def _fetch() -> None:
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise RuntimeError(f"{tool} is not installed: expected Debian, or prometheus and promtool on the path")
    if _call("apt-get", "download", "-qq", "prometheus") is not None:
        _call(*(() if os.geteuid() == 0 else ("sudo",)), "apt-get", "update", "-qq")
        if (said := _call("apt-get", "download", "-qq", "prometheus")) is not None:
            raise RuntimeError(f"apt-get download prometheus: {said}")
    (package,) = FOLDER.glob("prometheus_*.deb")
    if (said := _call("dpkg", "-x", str(package), str(FOLDER))) is not None:
        raise RuntimeError(f"dpkg -x {package}: {said}")


def _call(*words: str) -> str | None:
    """None, or why it failed."""
    done = subprocess.run(words, cwd=FOLDER, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else (done.stderr.strip() or f"ended with {done.returncode}")
