"""Trains a tiny net on Ray in a process of its own, for tests that kill what it starts. Usage: trainer_process.py PICTURES OUT WORKERS."""

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from classpulse.train.on_ray import Group, train
from gesturedet.data.sources import Sources
from gesturedet.data.training_set import Example
from gesturedet.parallel import Crew
from gesturedet.training_job import TrainJob
from tests.model.gesturedet.training_process import RECIPE

SLOWLY = replace(RECIPE, batch=4, epochs=3)
STEP_S = 0.2


def slow_steps(crew: Crew) -> Callable[[Iterable[Example], int], Iterable[Example]]:
    """Steps that last long enough to be hit."""

    def slowly(loader: Iterable[Example], epoch: int) -> Iterable[Example]:
        for batch in loader:
            time.sleep(STEP_S)
            yield batch

    return slowly


def job_of(pictures: Path) -> TrainJob:
    """What the tests train: the same whoever runs it."""
    return TrainJob(
        sources=Sources(((pictures, "train"),)),
        out=Path(),
        recipe=SLOWLY,
        weights=None,
        champion=None,
        continues=True,
        coco=None,
        device="cpu",
        threads=1,
        workers=0,
        save_every=2,
        track=slow_steps,
    )


def told(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    train(job_of(Path(sys.argv[1])), sys.argv[2], Group(int(sys.argv[3])), told)
