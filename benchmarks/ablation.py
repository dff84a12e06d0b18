"""Question: what does each idea of the paper bring, on our data? Its table 1: same data, schedule and seeds for all rows.

Usage: ablation.py --train FOLDER[:LIST] [--train …] --test FOLDER:LIST [--epochs 24] [--seeds 0,1,2] [--device cuda].
`trained_rows.py` says how rows are trained. Writes results/ablation.json and results/ablation.png with the rows that are done.
"""

import argparse
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from measured import RESULTS, write_result
from trained_rows import Row, base_of, figures_of, parser_of, settings_of, train_all

from gesturedet.detector import GestureDet
from gesturedet.flops import costs_by_part, total
from gesturedet.recipes import ABLATION, Recipe, ablation

PAPER = {"baseline": 70.7, "+ fusion": 71.6, "+ batch": 74.5, "+ channel": 72.7, "+ spatial": 74.7, "all": 75.2}
"""mAP on the authors' own pictures, in percent (its table 1)."""


def table_of(base: Recipe, args: argparse.Namespace) -> dict[str, Any]:
    """What is written: the table, whether it is complete, and then whether its order is the paper's."""
    recipes = ablation(base)
    rows = figures_of(recipes, args)
    for name, row in rows.items():
        net = recipes[name].net
        row |= {
            "mflops": round(total(costs_by_part(GestureDet(net), net.input_hw)).mflops, 1),
            "paper_map": PAPER[name],
        }
    order = sorted(rows, key=lambda name: rows[name]["map50"])
    complete = len(rows) == len(recipes) and all(len(row["seeds"]) == len(args.seeds) for row in rows.values())
    return {
        **settings_of(base, args),
        "complete": complete,
        "order": order,
        "order_is_the_papers": order == sorted(rows, key=PAPER.__getitem__) if complete else None,
        "rows": rows,
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


def main() -> None:
    """Train what is not done yet and write what there is."""
    args = parser_of(__doc__ or "", ABLATION, "build/ablation").parse_args()
    base = base_of(args)
    train_all({name: Row(recipe) for name, recipe in ablation(base).items()}, base, args)
    figures = table_of(base, args)
    write_result("ablation", figures)
    if "baseline" in figures["rows"]:
        draw(figures["rows"], RESULTS / "ablation.png")


if __name__ == "__main__":
    main()
