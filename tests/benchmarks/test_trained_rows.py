"""The tables of trained nets, from figures that are known; nothing is trained."""

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="these nets are trained (the train extra)")
pytest.importorskip("matplotlib", reason="an ablation is drawn (the train extra)")

from benchmarks.ablation import PAPER, draw, table_of
from benchmarks.trained_rows import OutOfTime, Row, base_of, figures_of, folder_of, hold, parser_of, train, until

from benchmarks import gains
from gesturedet.parallel import ALONE
from gesturedet.recipes import ABLATION, product_300, recipe_differences
from gesturedet.training_job import FIGURES_FILE

BASE = product_300()
GIVEN = ["--train", "a/train3:short", "--train", "b/moments", "--test", "c/rooms:rooms"]


def asked(out: Path, *seeds: int) -> argparse.Namespace:
    parser = parser_of("a question", ABLATION, "build/rows")
    return parser.parse_args([*GIVEN, "--out", str(out), "--seeds", ",".join(map(str, seeds))])


def write(out: Path, figures: Mapping[str, Mapping[int, float]]) -> None:
    for row, found in figures.items():
        for seed, map50 in found.items():
            folder = folder_of(out, row, seed)
            folder.mkdir(parents=True)
            (folder / FIGURES_FILE).write_text(json.dumps({"map50": map50}))


def test_pictures_may_name_their_list(tmp_path: Path) -> None:
    args = asked(tmp_path, 0)
    assert args.train == [(Path("a/train3"), "short"), (Path("b/moments"), "train")]
    assert args.test == (Path("c/rooms"), "rooms")


def test_the_recipe_is_changed_only_as_asked(tmp_path: Path) -> None:
    args = asked(tmp_path, 0)
    assert base_of(args) == BASE
    args.epochs, args.precision = 1, "bf16"
    assert base_of(args) == replace(BASE, epochs=1, precision="bf16")


def test_without_runs_there_is_no_row_and_no_order(tmp_path: Path) -> None:
    told = table_of(BASE, asked(tmp_path, 0))
    assert (told["rows"], told["complete"], told["order_is_the_papers"]) == ({}, False, None)


def test_a_row_is_the_mean_of_its_seeds_with_the_least_and_the_most(tmp_path: Path) -> None:
    write(tmp_path, {"+ batch": {0: 0.5, 1: 0.8, 2: 0.56}})
    (row,) = table_of(BASE, asked(tmp_path, 0, 1, 2))["rows"].values()
    assert (row["map50"], row["map50_least"], row["map50_most"], row["paper_map"]) == (0.62, 0.5, 0.8, PAPER["+ batch"])
    assert set(row["seeds"]) == {"0", "1", "2"}


@pytest.mark.parametrize("rows", [list(ABLATION), list(gains.rows_of(BASE))])
def test_every_row_and_seed_has_a_folder_of_its_own(tmp_path: Path, rows: list[str]) -> None:
    assert set(ABLATION) == set(PAPER)
    assert len({folder_of(tmp_path, row, seed) for row in rows for seed in (0, 1)}) == 2 * len(rows)


@pytest.mark.parametrize("holds", [True, False])
def test_whether_the_papers_order_holds_is_said_of_a_complete_table_only(tmp_path: Path, *, holds: bool) -> None:
    values = {row: {0: paper if holds else -paper} for row, paper in PAPER.items()}
    write(tmp_path, values)
    assert table_of(BASE, asked(tmp_path, 0))["order_is_the_papers"] is holds
    lacking = table_of(BASE, asked(tmp_path, 0, 1))
    assert (lacking["complete"], lacking["order_is_the_papers"]) == (False, None)
    assert (lacking["train"], lacking["test"]) == (["train3 short", "moments train"], "rooms rooms")


def test_the_plot_shows_rows_above_the_baseline(tmp_path: Path) -> None:
    write(tmp_path, {"baseline": {0: 0.5, 1: 0.6}, "all": {0: 0.7, 1: 0.8}})
    draw(table_of(BASE, asked(tmp_path, 0, 1))["rows"], tmp_path / "plots" / "ablation.png")
    assert (tmp_path / "plots" / "ablation.png").read_bytes().startswith(b"\x89PNG")


def test_every_gain_is_one_stated_choice() -> None:
    rows = gains.rows_of(BASE)
    changed = {
        name: {line.split(":")[0] for line in recipe_differences(row.recipe, rows["control"].recipe)} - {"name"}
        for name, row in rows.items()
    }
    assert changed == {
        "control": set(),
        "SSD's augmentation": {"augmentation"},
        "SGD as in the paper": {"optimiser", "learning_rate", "decay", "last_rate", "weight_decay"},
        "no average of weights": {"average"},
        "SSD's negatives": {"background_iou", "loss"},
        "no block frozen": {"frozen_blocks"},
        "wide input": {"net"},
        "mosaics": {"augmentation"},
        "backbone at random": {"frozen_blocks"},
    }
    assert [name for name, row in rows.items() if not row.coco] == ["backbone at random"]


def test_gains_are_told_in_points_beside_what_they_differ_from_in_one_choice(tmp_path: Path) -> None:
    values = {"control": 0.5, "mosaics": 0.525, "no block frozen": 0.49, "backbone at random": 0.3}
    write(tmp_path, {name: {0: value} for name, value in values.items()})
    rows = gains.compared(figures_of(gains.rows_of(BASE), asked(tmp_path, 0)))
    assert {name: (row["beside"], row["points"]) for name, row in rows.items()} == {
        "control": ("control", 0.0),
        "no block frozen": ("control", -1.0),
        "mosaics": ("control", 2.5),
        "backbone at random": ("no block frozen", -19.0),
    }
    assert gains.compared({"mosaics": {"map50": 0.5}}) == {"mosaics": {"map50": 0.5}}


def test_a_row_that_is_done_is_not_trained_again(tmp_path: Path) -> None:
    write(tmp_path, {"all": {0: 0.7}})
    # What it is given names no pictures: anything but a return would fail.
    train(Row(BASE), folder_of(tmp_path, "all", 0), argparse.Namespace(), deadline=0.0)


def test_a_folder_with_rows_of_other_settings_is_refused(tmp_path: Path) -> None:
    for _ in range(2):
        hold(tmp_path / "rows" / "settings.json", {"epochs": 1})
    with pytest.raises(ValueError, match=r"settings\.json: rows of \{'epochs': 1\}, expected \{'epochs': 2\}"):
        hold(tmp_path / "rows" / "settings.json", {"epochs": 2})


def test_batches_come_until_the_deadline_and_not_after_it() -> None:
    ahead, over = (until(time.monotonic() + seconds)(ALONE) for seconds in (60, -1))
    assert list(ahead(["a", "b"], 0)) == ["a", "b"]  # type: ignore[list-item]
    with pytest.raises(OutOfTime):
        list(over(["a"], 0))  # type: ignore[list-item]
