"""Question: what does each idea of the paper bring, on our data? Its table 1: same data, schedule and seeds for all rows.

Usage: ablation.py --train FOLDER [--train FOLDER] --test FOLDER [--epochs 24] [--seeds 0,1,2] [--device cuda] [--out FOLDER].
A row and seed that is done is not done again, one that was broken off goes on at its step; --minutes ends a piece of work in
time. The last epoch's weights sit the exam: nothing is chosen on it, and no row is tuned. Writes results/ablation.json and
results/ablation.png with the rows that are done.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.figure import Figure
from measured import RESULTS, write_result

from gesturedet.data.sources import Sources
from gesturedet.data.training_set import Example
from gesturedet.detector import GestureDet
from gesturedet.flops import costs_by_part, total
from gesturedet.parallel import ALONE, Crew
from gesturedet.port import fetch_coco_backbone
from gesturedet.recipes import ABLATION, Recipe, ablation, recipe_of
from gesturedet.training_job import FIGURES_FILE, TrainJob

PAPER = {"baseline": 70.7, "+ fusion": 71.6, "+ batch": 74.5, "+ channel": 72.7, "+ spatial": 74.7, "all": 75.2}
"""mAP on the authors' own pictures, in percent (its table 1)."""


class OutOfTime(Exception):
    """The minutes of one piece of work are over; the next goes on."""


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
    return out / f"{row.removeprefix('+ ')}-{seed}"


def train(recipe: Recipe, folder: Path, args: argparse.Namespace, deadline: float) -> None:
    """Train and examine one row with one seed, unless that was done."""
    if (folder / FIGURES_FILE).is_file():
        return
    job = TrainJob(
        sources=Sources(tuple((one, "train") for one in args.train), test=((args.test, "test"),)),
        out=folder,
        recipe=recipe,
        weights=None,
        champion=None,
        continues=True,
        coco=None if args.cache is None else fetch_coco_backbone(args.cache),
        device=args.device,
        threads=args.threads,
        workers=args.workers,
        save_every=25,
        track=until(deadline),
    )
    job(ALONE)


def summary(rows: dict[str, Recipe], args: argparse.Namespace) -> dict[str, Any]:
    """The table: every seed's figures by row, as far as they are there."""
    table: dict[str, Any] = {}
    for row, recipe in rows.items():
        files = {seed: folder_of(args.out, row, seed) / FIGURES_FILE for seed in args.seeds}
        found = {seed: json.loads(file.read_text()) for seed, file in files.items() if file.is_file()}
        if not found:
            continue
        values = [told["map50"] for told in found.values()]
        table[row] = {
            "mflops": round(total(costs_by_part(GestureDet(recipe.net), recipe.net.input_hw)).mflops, 1),
            "paper_map": PAPER[row],
            "map50": round(mean(values), 4),
            "map50_least": min(values),
            "map50_most": max(values),
            "seeds": {str(seed): told for seed, told in found.items()},
        }
    return table


def figures_of(base: Recipe, rows: dict[str, Recipe], args: argparse.Namespace) -> dict[str, Any]:
    """What is written: the table, whether it is complete, and then whether its order is the paper's."""
    table = summary(rows, args)
    order = sorted(table, key=lambda row: table[row]["map50"])
    complete = len(table) == len(rows) and all(len(row["seeds"]) == len(args.seeds) for row in table.values())
    return {
        "recipe": base.name,
        "epochs": base.epochs,
        "batch": base.batch,
        "backbone": "random" if args.cache is None else "COCO",
        "train": [folder.name for folder in args.train],
        "test": args.test.name,
        "complete": complete,
        "order": order,
        "order_is_the_papers": order == sorted(table, key=PAPER.__getitem__) if complete else None,
        "rows": table,
    }


def draw(table: dict[str, Any], path: Path) -> None:
    """Our rows as bars with the seeds' spread, the paper's as marks, each in points above its own baseline."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    base = table["baseline"]["map50"]
    ours = [100 * (row["map50"] - base) for row in table.values()]
    spread = [
        [100 * (row["map50"] - row["map50_least"]) for row in table.values()],
        [100 * (row["map50_most"] - row["map50"]) for row in table.values()],
    ]
    axes.bar(
        range(len(table)), ours, yerr=spread, capsize=4, color="#4878a8", label="ours, least and most of the seeds"
    )
    theirs = [row["paper_map"] - PAPER["baseline"] for row in table.values()]
    axes.plot(range(len(table)), theirs, "D", color="#c05030", label="the paper's own pictures")
    axes.set_xticks(range(len(table)), [f"{name}\n{row['mflops']:.0f} MFLOPs" for name, row in table.items()])
    axes.set_ylabel(f"mAP50 above the baseline's ({100 * base:.1f}), points")
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.legend()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, action="append", required=True, help="VOC folder; may be repeated")
    parser.add_argument("--test", type=Path, required=True, help="VOC folder of the exam")
    parser.add_argument("--recipe", default="product")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch", type=int, help="instead of the recipe's")
    parser.add_argument("--seeds", type=lambda text: [int(one) for one in text.split(",")], default=[0])
    parser.add_argument("--row", action="append", choices=tuple(ABLATION), help="only this; may be repeated")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="folder of the COCO weights; without it backbones start at random")
    parser.add_argument("--out", type=Path, default=Path("build/ablation"))
    parser.add_argument("--minutes", type=float, default=float("inf"))
    return parser.parse_args()


def main() -> None:
    """Train what is not done yet, row by row within a seed, and write what there is."""
    args = arguments()
    base = recipe_of(args.recipe)
    base = replace(base, epochs=args.epochs or base.epochs, batch=args.batch or base.batch)
    rows = ablation(base)
    deadline = time.monotonic() + 60 * args.minutes
    try:
        for seed in args.seeds:
            for row in args.row or rows:
                print(f"== {row}, seed {seed}", flush=True)
                train(replace(rows[row], seed=seed), folder_of(args.out, row, seed), args, deadline)
    except OutOfTime:
        print("out of time: the same command goes on")
    figures = figures_of(base, rows, args)
    write_result("ablation", figures)
    if "baseline" in figures["rows"]:
        draw(figures["rows"], RESULTS / "ablation.png")


if __name__ == "__main__":
    main()
