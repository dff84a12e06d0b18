"""A training run whose processes are killed, and whose disk is full, on a real Ray, in a folder and on S3: it comes to the same curve."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs torch (the train extra)")

from tests.chaos.trainings import (
    LIMIT_S,
    check,
    fill_disk,
    make_pictures,
    said,
    steps_kept,
    train_undisturbed,
    training,
    wait_until,
    workers_of,
)
from tests.s3_server import SECRET, serving_s3
from tests.support import require

pytestmark = [pytest.mark.chaos, pytest.mark.ray, pytest.mark.xdist_group("kafka-fleet")]


@pytest.fixture(autouse=True)
def needed() -> None:
    require("ray", importlib.util.find_spec("ray"), "pip install '.[trainer]'")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("pictures") / "voc")


@pytest.fixture(scope="module")
def undisturbed(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_undisturbed(pictures, tmp_path_factory.mktemp("undisturbed"))


def test_a_run_whose_processes_are_killed_twice_and_whose_disk_is_full_comes_to_the_same_curve(
    pictures: Path, undisturbed: Path, tmp_path: Path
) -> None:
    with training(pictures, tmp_path) as trainer:
        for kill, steps in enumerate((2, 6)):
            wait_until(lambda steps=steps: steps_kept(tmp_path) >= steps, trainer)
            workers_of(trainer)[kill].kill()
        wait_until(lambda: steps_kept(tmp_path) >= 12, trainer)
        fill_disk(trainer)
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
        with training(pictures, tmp_path, out=out) as trainer:
            wait_until(lambda: steps_kept(tmp_path, out) >= 2, trainer)
        with training(pictures, tmp_path, out=out) as trainer:
            assert trainer.wait(LIMIT_S) == 0, said(tmp_path)
        assert "going on from 0000" in said(tmp_path)
        assert SECRET not in said(tmp_path)
        check(server.buckets / "runs" / "first" / "out", undisturbed)
