"""`demo` as the process that people start: cut short, interrupted, killed. Without a terminal it writes lines."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from classpulse.clock import SystemClock
from classpulse.settings import Settings
from classpulse.supervisor import prepare_bus
from classpulse.topics import FRAMES

LEFT = ("events.jsonl", "report.json", "timeline.html", "timelines.jsonl")
PATIENCE_MS = 60_000


ONE_CORE = ("taskset", "--cpu-list", str(min(os.sched_getaffinity(0))))


@contextmanager
def demo(out: Path, *options: str, within: tuple[str, ...] = ()) -> Iterator["subprocess.Popen[str]"]:
    """`classpulse demo` without a terminal, killed at the end if it still runs."""
    command = [*within, sys.executable, "-m", "classpulse.cli", "demo", "--out", str(out), *options]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with out.with_suffix(".log").open("w") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True, env=environ)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def said(out: Path) -> str:
    return out.with_suffix(".log").read_text()


def running(out: Path) -> list[psutil.Process]:
    """The route's processes once all of them are there: `up` and its three kinds of stages."""
    clock, found = SystemClock(), list[psutil.Process]()
    give_up_ms = clock.monotonic_ms() + PATIENCE_MS
    while len(found) < 4:
        assert clock.monotonic_ms() < give_up_ms, said(out)
        clock.sleep_ms(100)
        found = [p for p in psutil.process_iter() if str(out) in " ".join(arguments(p)) or serves(p, out)]
    return found


def arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def serves(process: psutil.Process, out: Path) -> bool:
    try:
        return process.environ().get("CLASSPULSE_DATA", "").startswith(str(out))
    except (psutil.Error, OSError):
        return False


def test_cut_short_it_still_leaves_all_four_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with demo(out, "--seconds", "8") as process:
        assert process.wait(PATIENCE_MS / 1000) == 0, said(out)
    for name in LEFT:
        assert (out / name).is_file(), name
    assert "\x1b[" not in said(out), "control sequences although there is no terminal"
    bus = prepare_bus(Settings(data=out / "data"))
    ends = bus.ends(FRAMES).values()
    bus.close()
    assert any(end for _, end in ends), "nothing was captured"
    assert all(first == end for first, end in ends), "pictures are left"


def test_on_one_core_it_plays_with_the_lighter_model_and_says_so(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with demo(out, "--seconds", "2", within=ONE_CORE) as process:
        assert process.wait(PATIENCE_MS / 1000) == 0, said(out)
    assert "playing with classroom-640" in said(out)
    assert 'model = "classroom-640"' in (out / "site.toml").read_text()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_of_it_outlives_it(tmp_path: Path, how: signal.Signals) -> None:
    out = tmp_path / "out"
    with demo(out) as process:
        route = running(out)
        process.send_signal(how)
        code = process.wait(5)
        assert code == (-signal.SIGKILL if how is signal.SIGKILL else 1), said(out)
        _, left = psutil.wait_procs(route, timeout=5)
    assert not left
