"""A training run in pieces of a few minutes, from what was carried; the run itself is `gesturedet train`'s."""

import json
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from benchmarks.gpu.packing import Carried
from trained_rows import OutOfTime

from gesturedet.checkpoint import read_checkpoint
from gesturedet.curves import CURVES
from gesturedet.data.training_set import Example
from gesturedet.engine import BEST, LAST
from gesturedet.journal import FILE, read_log
from gesturedet.parallel import ALONE, Crew
from gesturedet.recipes import Recipe
from gesturedet.training_job import FIGURES_FILE, TrainJob

Track = Callable[[Crew], Callable[[Iterable[Example], int], Iterable[Example]]]
SAVE_EVERY = 100


@dataclass
class Pace:
    """Lets batches through as `track` does, and counts them."""

    track: Track
    steps: int = 0

    def __call__(self, crew: Crew) -> Callable[[Iterable[Example], int], Iterable[Example]]:
        """See `TrainJob.track`."""

        def batches(loader: Iterable[Example], epoch: int) -> Iterable[Example]:
            for batch in self.track(crew)(loader, epoch):
                yield batch
                self.steps += 1

        return batches


def train_piece(
    carried: Carried,
    recipe: Recipe,
    work: Path,
    *,
    device: str,
    workers: int,
    track: Track,
    save_every: int = SAVE_EVERY,
) -> dict[str, Any]:
    """Train until `track` raises OutOfTime or the recipe ends; the next call goes on. Returns all pieces' figures so far.

    `work` holds the whole run. It begins with the champion if one was packed, else with COCO's backbone and fresh heads.
    """
    began, pace = time.monotonic(), Pace(track)
    job = TrainJob(
        sources=carried.sources,
        out=work,
        recipe=recipe,
        weights=None,
        champion=carried.champion,
        continues=True,
        coco=carried.coco if carried.champion is None or recipe.distillation else None,
        device=device,
        threads=1,
        workers=workers,
        save_every=save_every,
        track=pace,
    )
    done = True
    try:
        job(ALONE)
    except OutOfTime:
        done = False
    piece = {"steps": pace.steps, "took_s": round(time.monotonic() - began, 1)}
    pieces = [*_read(work / "pieces.json", []), piece]
    work.mkdir(parents=True, exist_ok=True)
    (work / "pieces.json").write_text(json.dumps(pieces))
    return {
        "recipe": recipe.name,
        "batch": recipe.batch,
        "epochs_of": recipe.epochs,
        "done": done,
        "pieces": pieces,
        "epochs": [line for line in read_log(work / FILE) if "epochs" in line],
        "exam": _read(work / FIGURES_FILE, None),
    }


def bring_out(work: Path, out: Path) -> None:
    """Copy what is worth carrying away, of what there is: log and curves, and last and best weights without what only a run needs."""
    for name in (FILE, CURVES):
        if (work / name).is_file():
            shutil.copyfile(work / name, out / name)
    for name in (LAST, BEST):
        if (work / name).is_file():
            save_light(work / name, out / name)


def save_light(checkpoint: Path, out: Path) -> None:
    """Write the weights to evaluate and release, in half precision and without the optimiser: a seventh of the bytes.

    It is a checkpoint that `gesturedet evaluate`, `release` and `train --weights` take; `--resume` needs the whole one.
    """
    state = read_checkpoint(checkpoint)
    weights = state.get("average", state["model"])
    light = {name: one.half() if one.is_floating_point() else one for name, one in weights.items()}
    kept = {key: state[key] for key in ("recipe", "epoch", "lineage") if key in state}
    torch.save({**kept, "model": light}, out)


def _read(path: Path, otherwise: Any) -> Any:
    return json.loads(path.read_text()) if path.is_file() else otherwise
