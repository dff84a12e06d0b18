"""The job of a trainer, whoever runs it: as many pictures a step on two processes as on one, and about the same loss."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("ray.train", reason="training on Ray needs it (the trainer extra)")

from classpulse.errors import Recoverable
from classpulse.train.on_ray import Group, no_bars, train
from gesturedet.data.training_set import EpochSampler
from gesturedet.journal import read_log
from gesturedet.parallel import run_together
from tests.model.gesturedet.voc_folder import write_voc
from tests.s3_server import serving_s3
from tests.services.train.trainer_process import job_of

pytestmark = pytest.mark.ray


def test_each_step_shows_the_same_pictures_on_one_process_and_on_two() -> None:
    alone = [index for _, index in EpochSampler(32, seed=3)]
    shares = [[index for _, index in EpochSampler(32, seed=3, rank=rank, processes=2)] for rank in (0, 1)]
    steps = [{*alone[start : start + 8]} for start in range(0, 32, 8)]
    assert [{*shares[0][start : start + 4], *shares[1][start : start + 4]} for start in range(0, 16, 4)] == steps


def test_equal_batches_come_to_the_same_loss_on_two_processes_up_to_batch_norm(tmp_path: Path) -> None:
    """Batch norm sees half of a batch in each process, and the loss that is told is the first one's."""
    things = {f"p{i:02}": [("hand-raising", (10 + 2 * i, 20, 50 + 2 * i, 80))] for i in range(32)}
    job = job_of(write_voc(tmp_path / "voc", things))
    job = replace(job, track=no_bars, recipe=replace(job.recipe, batch=8, learning_rate=0.003))
    losses = []
    for processes in (1, 2):
        run_together(processes, replace(job, out=tmp_path / str(processes)))
        lines = read_log(tmp_path / str(processes) / "log.jsonl")
        losses.append(sum(line["train"]["loss"] for line in lines if "epochs" in line))
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


@pytest.mark.s3
def test_a_place_that_cannot_be_written_is_named_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        serving_s3(tmp_path, monkeypatch, "runs"),
        pytest.raises(Recoverable, match=r"--out = 's3://mistyped/out': .*bucket does not exist.*that can be written"),
    ):
        train(job_of(tmp_path / "no-pictures"), "s3://mistyped/out", Group(1), print)
