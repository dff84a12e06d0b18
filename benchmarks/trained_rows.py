"""What tables of trained nets share: each row a recipe, trained with each seed on the same pictures, its last weights examined.

A row and seed that is done is not done again, one that was broken off goes on at its step; `--minutes` ends a piece of work in
time, and other processes may train other rows into the same folder. Nothing is chosen on the exam, and no row is tuned.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any, get_args

from gesturedet.data.sources import Listed, Sources
from gesturedet.data.training_set import Example
from gesturedet.parallel import ALONE, Crew
from gesturedet.port import fetch_coco_backbone
from gesturedet.recipes import Precision, Recipe
from gesturedet.training_job import FIGURES_FILE, TrainJob, described


class OutOfTime(Exception):
    """The minutes of one piece of work are over; the next goes on."""


@dataclass(frozen=True)
class Row:
    """One line of a table. `coco`: whether its backbone begins with the weights from photographs."""

    recipe: Recipe
    coco: bool = True


def until(deadline: float) -> Callable[[Crew], Callable[[Iterable[Example], int], Iterable[Example]]]:
    """Let batches through until the deadline."""

    def batches(loader: Iterable[Example], _epoch: int) -> Iterable[Example]:
        for batch in loader:
            if time.monotonic() > deadline:
                raise OutOfTime
            yield batch

    return lambda _crew: batches


def folder_of(out: Path, row: str, seed: int) -> Path:
    """Where a row's run lives."""
    return out / f"{row.removeprefix('+ ').replace(' ', '-')}-{seed}"


def train(row: Row, folder: Path, args: argparse.Namespace, deadline: float) -> None:
    """Train and examine one row with one seed, unless that was done."""
    if (folder / FIGURES_FILE).is_file():
        return
    job = TrainJob(
        sources=Sources(tuple(args.train), test=(args.test,)),
        out=folder,
        recipe=row.recipe,
        weights=None,
        champion=None,
        continues=True,
        coco=fetch_coco_backbone(args.cache) if row.coco else None,
        device=args.device,
        threads=args.threads,
        workers=args.workers,
        save_every=25,
        track=until(deadline),
    )
    job(ALONE)


def train_all(rows: Mapping[str, Row], base: Recipe, args: argparse.Namespace) -> None:
    """Train what is asked for and not done yet, row by row within a seed, as long as there is time.

    Raises ValueError where the folder holds rows of other settings: theirs would be told as these.
    """
    hold(args.out / "settings.json", settings_of(base, args))
    deadline = time.monotonic() + 60 * args.minutes
    try:
        for seed in args.seeds:
            for name in args.row or rows:
                print(f"== {name}, seed {seed}", flush=True)
                row = rows[name]
                seeded = replace(row, recipe=replace(row.recipe, seed=seed))
                train(seeded, folder_of(args.out, name, seed), args, deadline)
    except OutOfTime:
        print("out of time: the same command goes on")


def hold(path: Path, settings: dict[str, Any]) -> None:
    """Note what a folder's rows have in common; raises ValueError if it was something else."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings, indent=2) + "\n")
    if (held := json.loads(path.read_text())) != settings:
        raise ValueError(f"{path}: rows of {held}, expected {settings}; give another --out")


def figures_of(rows: Iterable[str], args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return each row's mean, least and most of the seeds, and what every seed said, of the rows that are there."""
    table: dict[str, dict[str, Any]] = {}
    for row in rows:
        files = {seed: folder_of(args.out, row, seed) / FIGURES_FILE for seed in args.seeds}
        found = {seed: json.loads(file.read_text()) for seed, file in files.items() if file.is_file()}
        if not found:
            continue
        values = [told["map50"] for told in found.values()]
        table[row] = {
            "map50": round(mean(values), 4),
            "map50_least": min(values),
            "map50_most": max(values),
            "seeds": {str(seed): told for seed, told in found.items()},
        }
    return table


def settings_of(base: Recipe, args: argparse.Namespace) -> dict[str, Any]:
    """Return what all rows had in common."""
    return {
        "recipe": base.name,
        "epochs": base.epochs,
        "batch": base.batch,
        "precision": base.precision,
        "train": [f"{folder.name} {listed}" for folder, listed in args.train],
        "test": f"{args.test[0].name} {args.test[1]}",
    }


def base_of(args: argparse.Namespace) -> Recipe:
    """Return the recipe of the command line."""
    base = described(args.recipe, None, args.epochs, args.precision)
    return base if args.batch is None else replace(base, batch=args.batch)


def parser_of(question: str, rows: Iterable[str], out: str) -> argparse.ArgumentParser:
    """Return what these tables' command lines understand."""
    parser = argparse.ArgumentParser(description=question, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=_listed, action="append", required=True, help="VOC folder[:list]; repeatable")
    parser.add_argument("--test", type=_listed, required=True, help="VOC folder[:list] of the exam")
    parser.add_argument("--recipe", default="product_300")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch", type=int, help="instead of the recipe's")
    parser.add_argument("--precision", choices=get_args(Precision), help="instead of the recipe's")
    parser.add_argument("--seeds", type=lambda text: [int(one) for one in text.split(",")], default=[0])
    parser.add_argument("--row", action="append", choices=tuple(rows), help="only this; may be repeated")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path("build"), help="where the COCO weights are kept")
    parser.add_argument("--out", type=Path, default=Path(out))
    parser.add_argument("--minutes", type=float, default=float("inf"))
    return parser


def _listed(text: str) -> Listed:
    folder, _, listed = text.partition(":")
    return Path(folder), listed or "train"
