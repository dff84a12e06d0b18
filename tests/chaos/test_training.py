"""A training run whose processes are killed, and whose disk is full, on a real Ray, in a folder and on S3: it comes to the same curve."""

import importlib.util
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

pytest.importorskip("torch", reason="training needs torch (the train extra)")

from classpulse.clock import SystemClock
from classpulse.train.kept import Kept
from gesturedet.checkpoint import read_checkpoint
from gesturedet.journal import read_log
from gesturedet.parallel import run_together
from tests.model.gesturedet.voc_folder import write_voc
from tests.s3_server import SECRET, serving_s3
from tests.services.train.trainer_process import job_of
from tests.support import ROOT, require

pytestmark = [pytest.mark.chaos, pytest.mark.ray, pytest.mark.xdist_group("kafka-fleet")]

WORKER = "ray::RayTrainWorker"
LIMIT_S = 300.0
LINES = 18 + 3
"""Of six steps an epoch, and of three epochs."""


@pytest.fixture(autouse=True)
def needed() -> None:
    require("ray", importlib.util.find_spec("ray"), "pip install '.[trainer]'")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    things = {f"p{i:02}": [("hand-raising", (10 + 2 * i, 20, 50 + 2 * i, 80))] for i in range(24)}
    return write_voc(tmp_path_factory.mktemp("pictures") / "voc", things)


@pytest.fixture(scope="module")
def undisturbed(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same run by `gesturedet train`'s own processes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run_together(2, replace(job_of(pictures), out=folder))
    return folder


def test_a_run_whose_processes_are_killed_twice_and_whose_disk_is_full_comes_to_the_same_curve(
    pictures: Path, undisturbed: Path, tmp_path: Path
) -> None:
    with training(pictures, tmp_path, f"{tmp_path}/out") as trainer:
        for kill, steps in enumerate((2, 6)):
            wait_until(lambda steps=steps: steps_kept(f"{tmp_path}/out") >= steps, trainer)
            workers_of(trainer)[kill].kill()
        wait_until(lambda: steps_kept(f"{tmp_path}/out") >= 12, trainer)
        for worker in workers_of(trainer):
            resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        assert trainer.wait(LIMIT_S) == 0, said(tmp_path)
    assert said(tmp_path).count("going on from") >= 3
    assert said(tmp_path).count("lost: ") >= 3
    assert "File too large" in said(tmp_path)
    check(tmp_path / "out", undisturbed)


@pytest.mark.s3
def test_a_run_that_is_kept_on_s3_goes_on_there_after_its_trainer_was_killed(
    pictures: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = "s3://runs/first/out"
    with serving_s3(tmp_path, monkeypatch, "runs") as server:
        with training(pictures, tmp_path, out) as trainer:
            wait_until(lambda: steps_kept(out) >= 2, trainer)
        with training(pictures, tmp_path, out) as trainer:
            assert trainer.wait(LIMIT_S) == 0, said(tmp_path)
        assert "going on from 0000" in said(tmp_path)
        assert SECRET not in said(tmp_path)
        check(server.buckets / "runs" / "first" / "out", undisturbed)


@contextmanager
def training(pictures: Path, folder: Path, out: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A trainer in a process of its own, whose output goes to `said`, and everything that it started ended with it."""
    path = os.pathsep.join((str(ROOT / "services"), str(ROOT / "model"), str(ROOT)))
    command = [sys.executable, "-m", "tests.services.train.trainer_process"]
    with (folder / "said").open("wb") as log:
        trainer = subprocess.Popen(
            [*command, str(pictures), out, "2"],
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
    return [child for child in children if child.cmdline() and child.cmdline()[0].startswith(WORKER)]


def steps_kept(out: str) -> int:
    """So many steps are behind the newest state that is kept."""
    states = Kept(out).states()
    if not states:
        return 0
    epoch, step = map(int, states[-1].split("-"))
    return 6 * epoch + step


def wait_until(there: Callable[[], bool], trainer: "subprocess.Popen[bytes]") -> None:
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
    return (folder / "said").read_text("utf-8", "replace")
