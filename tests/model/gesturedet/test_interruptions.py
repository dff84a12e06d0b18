"""What a kill and a full disk leave of a training run."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs torch (the train extra)")

from gesturedet.anchors import PAPER_ANCHORS  # noqa: E402
from gesturedet.checkpoint import read_checkpoint  # noqa: E402
from gesturedet.data.voc import read_split  # noqa: E402
from gesturedet.engine import train  # noqa: E402
from gesturedet.journal import Journal, read_log  # noqa: E402
from gesturedet.training_run import resume, start, write_checkpoint  # noqa: E402
from gesturedet.whole_files import partial_of  # noqa: E402
from tests.model.gesturedet.full_disk import full_disk  # noqa: E402
from tests.model.gesturedet.training_process import RECIPE  # noqa: E402
from tests.model.gesturedet.voc_folder import write_voc  # noqa: E402
from tests.support import ROOT  # noqa: E402

STEPS = 12
MIB = 1 << 20


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    things = {f"p{i}": [("hand-raising", (10 + 5 * i, 20, 50 + 5 * i, 80))] for i in range(STEPS)}
    return write_voc(tmp_path / "voc", things)


def begin(root: Path, folder: Path) -> "subprocess.Popen[bytes]":
    path = os.pathsep.join((str(ROOT / "model"), str(ROOT)))
    command = [sys.executable, "-m", "tests.model.gesturedet.training_process", str(root), str(folder)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, cwd=ROOT)


def told(folder: Path) -> list[dict[str, Any]]:
    return list(read_log(folder / "log.jsonl"))


def kill_after(lines: int, root: Path, folder: Path) -> None:
    process = begin(root, folder)
    deadline = time.monotonic() + 120
    while len(told(folder)) < lines and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was killed in the middle"


def test_a_run_killed_at_any_step_tells_the_same_curve(root: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(start(RECIPE, read_split(root, "train")), read_split(root, "train"), whole)

    kill_after(3, root, parts)  # in the first epoch, a step beyond a checkpoint
    assert 0 < read_checkpoint(parts / "last.pt")["step"] < STEPS // 2
    kill_after(11, root, parts)  # in the second
    assert read_checkpoint(parts / "last.pt")["epoch"] == 1
    assert begin(root, parts).wait() == 0

    assert len(told(whole)) == STEPS + 2
    assert told(parts) == told(whole)
    first, second = (read_checkpoint(folder / "last.pt") for folder in (whole, parts))
    assert (first["epoch"], first["step"]) == (second["epoch"], second["step"]) == (2, 0)
    assert [name for name in first["average"] if not torch.equal(first["average"][name], second["average"][name])] == []


def test_a_log_is_rewound_to_the_checkpoint_and_a_torn_line_dropped(tmp_path: Path) -> None:
    assert told(tmp_path) == []
    journal = Journal(tmp_path)
    journal.rewind(epoch=0, step=0)
    lines = [{"epoch": 0, "step": 0}, {"epoch": 0, "step": 1}, {"epochs": 1}, {"epoch": 1, "step": 0}, {"epochs": 2}]
    for line in lines:
        journal.add(line)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"epoch": 2, "st')

    journal.rewind(epoch=1, step=1)

    assert told(tmp_path) == lines[:4]


@pytest.fixture
def old(root: Path, tmp_path: Path) -> Path:
    write_checkpoint(start(RECIPE, read_split(root, "train")), tmp_path / "last.pt")
    return tmp_path / "last.pt"


def test_a_full_disk_keeps_the_old_checkpoint(root: Path, old: Path) -> None:
    before = old.read_bytes()
    run = start(RECIPE, read_split(root, "train"))
    run.epoch = 1

    told = r"last\.pt cannot be written \(File too large\); an older one is kept"
    with full_disk(at_bytes=MIB), pytest.raises(OSError, match=told):
        write_checkpoint(run, old)

    assert old.read_bytes() == before
    assert not partial_of(old).exists()
    assert resume(RECIPE, old).epoch == 0


def test_a_checkpoint_cut_short_or_of_another_architecture_is_named(root: Path, old: Path) -> None:
    other = replace(RECIPE, net=replace(RECIPE.net, anchors=PAPER_ANCHORS))
    with pytest.raises(ValueError, match=r"checkpoint: .*last\.pt: its recipe differs from 'killed' in net "):
        resume(other, old)
    state = read_checkpoint(old)
    state["model"] = {f"old.{name}": value for name, value in state["model"].items()}
    torch.save({key: value for key, value in state.items() if key != "file"}, old.with_name("foreign.pt"))
    with pytest.raises(
        ValueError, match=r"checkpoint: .*foreign\.pt is of another architecture than GestureDet \(Missing"
    ):
        resume(RECIPE, old.with_name("foreign.pt"))
    old.write_bytes(old.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"checkpoint: .*last\.pt cannot be read"):
        resume(RECIPE, old)
