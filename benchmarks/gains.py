"""Question: what did each choice of the product's recipe gain? The control, and the control with one choice taken back.

"wide input" and "mosaics" make a choice of `product`; every other row takes one of `product_300` back to
the paper's. A backbone that begins at random cannot be frozen: that row is compared with "no block frozen". All begin with fresh
heads. Usage: gains.py --train FOLDER[:LIST] [--train …] --test FOLDER:LIST --epochs 1; `trained_rows.py` says how rows are
trained. Writes results/gains.json with the rows that are done.
"""

from dataclasses import replace
from typing import Any

from measured import write_result
from trained_rows import Row, base_of, figures_of, parser_of, settings_of, train_all

from gesturedet.data.augment import SSD_AUGMENTATION
from gesturedet.loss import LossConfig
from gesturedet.recipes import Recipe, paper, product, recipe_of

BESIDE = {"backbone at random": "no block frozen"}
"""What a row is compared with, if not with the control."""


def rows_of(base: Recipe) -> dict[str, Row]:
    """Return the recipe of each row; each differs from `base` in what its name says."""
    then, wide = paper(), product()
    sgd = {key: getattr(then, key) for key in ("optimiser", "learning_rate", "decay", "last_rate", "weight_decay")}
    changes: dict[str, dict[str, object]] = {
        "control": {},
        "SSD's augmentation": {"augmentation": SSD_AUGMENTATION},
        "SGD as in the paper": sgd,
        "no average of weights": {"average": 0.0},
        "SSD's negatives": {"background_iou": then.background_iou, "loss": LossConfig()},
        "no block frozen": {"frozen_blocks": 0},
        "wide input": {"net": wide.net},
        "mosaics": {"augmentation": wide.augmentation},
    }
    rows = {name: Row(replace(base, name=f"{base.name} {name}", **change)) for name, change in changes.items()}
    rows["backbone at random"] = Row(rows["no block frozen"].recipe, coco=False)
    return rows


def compared(table: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Say of each row by how many points of mAP it differs from the row it is to be compared with, where that is there."""
    for name, row in table.items():
        beside = BESIDE.get(name, "control")
        if beside in table:
            row |= {"beside": beside, "points": round(100 * (row["map50"] - table[beside]["map50"]), 2)}
    return table


def main() -> None:
    """Train what is not done yet and write what there is."""
    names = rows_of(recipe_of("product_300"))
    args = parser_of(__doc__ or "", names, "build/gains").parse_args()
    base = base_of(args)
    rows = rows_of(base)
    train_all(rows, base, args)
    write_result("gains", {**settings_of(base, args), "rows": compared(figures_of(rows, args))})


if __name__ == "__main__":
    main()
