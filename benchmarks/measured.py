"""What every benchmark shares: the machine, the commit, the spread, and the result file."""

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, least and most of the runs, and the runs themselves."""
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
        "runs": [round(value, 3) for value in values],
    }


def machine() -> dict[str, Any]:
    """The machine the figures were taken on, as far as the kernel tells."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), "unknown")
    flags = next((line for line in info if line.startswith("flags")), "")
    memory_kib = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(memory_kib / 2**20, 1),
        "vnni": "avx512_vnni" in flags or "avx_vnni" in flags,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def commit() -> str:
    """The commit measured, marked `+` where the tree differs from it in more than results and what quotes them."""
    sha = subprocess.check_output(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, text=True).strip()
    but = (":!benchmarks/results", ":!README.md", ":!docs")
    status = ["git", "status", "--porcelain", "-uno", "--", ".", *but]
    dirty = subprocess.check_output(status, cwd=ROOT, text=True).strip()
    return sha + ("+" if dirty else "")


def write_result(name: str, figures: Mapping[str, Any]) -> Path:
    """Write `results/NAME.json`: figures with machine, commit and time."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    taken = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    path.write_text(
        json.dumps({"name": name, "taken": taken, "commit": commit(), "machine": machine(), **figures}, indent=2) + "\n"
    )
    print(path.read_text())
    return path


def pss_mib(pids: Sequence[int]) -> float:
    """Proportional set size of these processes together, MiB (shared pages counted once in all)."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found = [pid]
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in path.read_text().split():
                found += tree(int(child))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
