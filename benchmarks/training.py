"""Claims: what training and a refresh take on the cores of one machine, over Ray, and what a second process gives.

The product's recipe, 352 x 640 pixels, batches of 16 drawn pictures, on 1 process and on 2 in turns: images a second from the first state
kept to the last, so that starting is told apart; the loss of the last epoch for both, which an equal global batch makes equal up to
noise: batch norm sees half a batch in each process, and sums come in another order. Beside it that of other seeds, which is that noise.

A refresh of the released `classroom-640` on pictures that are drawn first, from nothing to the gate's verdict, step by step.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from measured import ROOT, spread, write_result

from classpulse.train.job import described_job
from classpulse.train.on_ray import Group, train
from gesturedet.journal import FILE, read_log

WORKERS = (1, 2)
EPOCHS = 2
BATCH = 16
SAVE_EVERY = 2
SETS = {"new": ("train", 192), "val": ("val", 64), "exam": ("rooms", 96)}
QUIET = ("--count", "2", "--seconds", "60", "--fps", "5")
STEP = re.compile(r"\d/7 (\w+)( …|: )")
PYTHON = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("services", "model"))}


def main() -> None:
    """Draw, then train in turns, then refresh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-training-") as name:
        folder = Path(name)
        draw(folder)
        runs: dict[int, list[dict[str, float]]] = {workers: [] for workers in WORKERS}
        for number in range(asked.runs):
            for workers, found in runs.items():
                found.append(trained(folder, workers, seed=number))
                print(workers, found[-1], flush=True)
        told = {
            workers: {key: spread([one[key] for one in found]) for key in found[0]} for workers, found in runs.items()
        }
        rates = [told[workers]["images_per_s"]["median"] for workers in WORKERS]
        pairs = zip(runs[1], runs[2], strict=True)
        write_result(
            "training",
            {
                "claim": __doc__,
                "pictures": {name: count for name, (_, count) in SETS.items()},
                "workers": told,
                "efficiency": round(rates[1] / rates[0] / 2, 3),
                "loss_of_2_to_1": [round(two["loss"] / one["loss"], 4) for one, two in pairs],
                "loss_of_seeds": [one["loss"] for one in runs[1]],
                "refresh": refreshed(folder),
            },
        )


def draw(folder: Path) -> None:
    """Pictures and empty lessons; what synthroom draws is the same everywhere."""
    drawing = [sys.executable, "-m", "synthroom.cli"]
    for name, (split, count) in SETS.items():
        command = [*drawing, "pictures", str(folder / name), "--split", split, "--count", str(count), "--workers", "2"]
        subprocess.run(command, env=PYTHON, check=True, stdout=subprocess.DEVNULL)
    quiet = [*drawing, "lessons", str(folder / "quiet"), "--split", "rooms", "--no-gestures", *QUIET, "--workers", "2"]
    subprocess.run(quiet, env=PYTHON, check=True, stdout=subprocess.DEVNULL)


def trained(folder: Path, workers: int, *, seed: int) -> dict[str, float]:
    """One short run: when it started to give, how fast it went on, and what the last epoch's loss was."""
    told: list[tuple[float, str]] = []
    job = described_job(
        [folder / "new"],
        folder / "val",
        recipe="product",
        workers=workers,
        champion="classroom-640",
        epochs=EPOCHS,
        precision=None,
        device="cpu",
        save_every=SAVE_EVERY,
    )
    job = replace(job, recipe=replace(job.recipe, seed=seed), sources=replace(job.sources, val=()))
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        train(job, out, Group(workers), lambda line: told.append((time.perf_counter(), line)))
        epochs = [line["train"]["loss"] for line in read_log(Path(out) / FILE) if "epochs" in line]
    states = (SETS["new"][1] // BATCH) * EPOCHS // SAVE_EVERY
    if len(told) != states:
        raise RuntimeError(f"{len(told)} states were told, expected {states}: a process was lost")
    seconds = told[-1][0] - told[0][0]
    return {
        "first_state_s": told[0][0] - began,
        "images_per_s": (states - 1) * SAVE_EVERY * BATCH / seconds,
        "loss": epochs[-1],
    }


def refreshed(folder: Path) -> dict[str, Any]:
    """Seconds of every step as far as the gate, and what it said."""
    command = [sys.executable, "-m", "classpulse.cli", "refresh", str(folder / "new"), "--out", str(folder / "out")]
    command += ["--val", str(folder / "val"), "--exam", str(folder / "exam"), "--quiet", str(folder / "quiet")]
    command += ["--epochs", "1", "--workers", "2"]
    environ = {**PYTHON, "CLASSPULSE_DATA": str(folder / "data"), "CLASSPULSE_MODEL": "classroom-640"}
    began = time.perf_counter()
    steps: dict[str, float] = {}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        last = began
        for line in process.stdout or ():
            if (found := STEP.match(line)) and found[2] == ": ":
                now = time.perf_counter()
                steps[found[1]], last = round(now - last, 1), now
            said = line
    return {
        "minutes": round((time.perf_counter() - began) / 60, 2),
        "seconds": steps,
        "ended": process.returncode,
        "said": said.strip(),
    }


if __name__ == "__main__":
    main()
