"""A training run on Ray, as the chaos tests and the long runs start it, kill it, and compare it with one that nobody disturbed."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from classpulse.clock import SystemClock
from classpulse.train.kept import Kept
from gesturedet.checkpoint import read_checkpoint
from gesturedet.journal import read_log
from gesturedet.parallel import run_together
from tests.model.gesturedet.voc_folder import write_voc
from tests.services.train.trainer_process import job_of
from tests.support import ROOT

WORKER = "ray::RayTrainWorker"
LIMIT_S = 300.0
WORKERS = 2
STEPS = 18
LINES = STEPS + 3
"""Of six steps an epoch, and of three epochs."""


def make_pictures(folder: Path) -> Path:
    """A few labelled pictures in VOC layout."""
    things = {f"p{i:02}": [("hand-raising", (10 + 2 * i, 20, 50 + 2 * i, 80))] for i in range(24)}
    return write_voc(folder, things)


def train_undisturbed(pictures: Path, folder: Path) -> Path:
    """The same run by `gesturedet train`'s own processes."""
    run_together(WORKERS, replace(job_of(pictures), out=folder))
    return folder


def fill_disk(trainer: "subprocess.Popen[bytes]") -> None:
    """No file takes another byte from the processes there are now."""
    for worker in workers_of(trainer):
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


@contextmanager
def training(
    pictures: Path, folder: Path, workers: int = WORKERS, out: str = ""
) -> Iterator["subprocess.Popen[bytes]"]:
    """A trainer in a process of its own, whose output goes to `said`, and everything that it started ended with it.

    `out`: the URL of the run; without one it is kept in the folder.
    """
    path = os.pathsep.join((str(ROOT / "services"), str(ROOT / "model"), str(ROOT)))
    command = [sys.executable, "-m", "tests.services.train.trainer_process"]
    with (folder / "said").open("wb") as log:
        trainer = subprocess.Popen(
            [*command, str(pictures), out or str(folder / "out"), str(workers)],
            env={**os.environ, "PYTHONPATH": path},
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield trainer
    finally:
        for child in [*psutil.Process(trainer.pid).children(recursive=True)] if trainer.poll() is None else []:
            child.kill()
        trainer.kill()
        trainer.wait()


def workers_of(trainer: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """Its group's processes, as Ray names them."""
    children = psutil.Process(trainer.pid).children(recursive=True)
    return [child for child in children if _title(child).startswith(WORKER)]


def _title(process: psutil.Process) -> str:
    """Its first word; empty for one that has just ended."""
    try:
        return "".join(process.cmdline()[:1])
    except psutil.NoSuchProcess:
        return ""


def steps_kept(folder: Path, out: str = "") -> int:
    """So many steps are behind the newest state that is kept."""
    states = Kept(out or str(folder / "out")).states()
    if not states:
        return 0
    epoch, step = map(int, states[-1].split("-"))
    return 6 * epoch + step


def wait_until(there: Callable[[], bool], trainer: "subprocess.Popen[bytes]") -> None:
    """Until something is so, while the trainer lives."""
    clock = SystemClock()
    until_ms = clock.monotonic_ms() + int(1000 * LIMIT_S)
    while not there():
        assert trainer.poll() is None, "the trainer has ended"
        assert clock.monotonic_ms() < until_ms, "it takes too long"
        clock.sleep_ms(50)


def check(found: Path, expected: Path) -> None:
    """The same lines in the log, and the same weights."""
    told = list(read_log(found / "log.jsonl"))
    assert len(told) == LINES
    assert told == list(read_log(expected / "log.jsonl"))
    first, second = (read_checkpoint(folder / "last.pt") for folder in (found, expected))
    assert [name for name in first["average"] if not first["average"][name].equal(second["average"][name])] == []


def said(folder: Path) -> str:
    """What the trainer has said."""
    return (folder / "said").read_text("utf-8", "replace")
