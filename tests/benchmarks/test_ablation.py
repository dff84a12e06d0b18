"""The ablation's table, from figures that are known; nothing is trained."""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="an ablation is trained (the train extra)")
pytest.importorskip("matplotlib", reason="an ablation is drawn (the train extra)")

from benchmarks.ablation import PAPER, OutOfTime, draw, figures_of, folder_of, summary, train, until

from gesturedet.parallel import ALONE
from gesturedet.recipes import ablation, product
from gesturedet.training_job import FIGURES_FILE

BASE = product()
ROWS = ablation(BASE)


def asked(out: Path, *seeds: int) -> argparse.Namespace:
    return argparse.Namespace(out=out, seeds=list(seeds), cache=None, train=[Path("a/train3")], test=Path("b/rooms"))


def write(out: Path, figures: Mapping[str, Mapping[int, float]]) -> None:
    for row, found in figures.items():
        for seed, map50 in found.items():
            folder = folder_of(out, row, seed)
            folder.mkdir(parents=True)
            (folder / FIGURES_FILE).write_text(json.dumps({"map50": map50}))


def test_without_runs_there_is_no_row_and_no_order(tmp_path: Path) -> None:
    told = figures_of(BASE, ROWS, asked(tmp_path, 0))
    assert (told["rows"], told["complete"], told["order_is_the_papers"]) == ({}, False, None)


def test_a_row_is_the_mean_of_its_seeds_with_the_least_and_the_most(tmp_path: Path) -> None:
    write(tmp_path, {"+ batch": {0: 0.5, 1: 0.8, 2: 0.56}})
    (row,) = summary(ROWS, asked(tmp_path, 0, 1, 2)).values()
    assert (row["map50"], row["map50_least"], row["map50_most"], row["paper_map"]) == (0.62, 0.5, 0.8, PAPER["+ batch"])
    assert set(row["seeds"]) == {"0", "1", "2"}


def test_every_row_and_seed_has_a_folder_of_its_own(tmp_path: Path) -> None:
    assert set(ROWS) == set(PAPER)
    assert len({folder_of(tmp_path, row, seed) for row in ROWS for seed in (0, 1)}) == 2 * len(ROWS)


@pytest.mark.parametrize("holds", [True, False])
def test_whether_the_papers_order_holds_is_said_of_a_complete_table_only(tmp_path: Path, *, holds: bool) -> None:
    values = {row: {0: paper if holds else -paper} for row, paper in PAPER.items()}
    write(tmp_path, values)
    assert figures_of(BASE, ROWS, asked(tmp_path, 0))["order_is_the_papers"] is holds
    lacking = figures_of(BASE, ROWS, asked(tmp_path, 0, 1))
    assert (lacking["complete"], lacking["order_is_the_papers"]) == (False, None)
    assert (lacking["train"], lacking["test"], lacking["backbone"]) == (["train3"], "rooms", "random")


def test_the_plot_shows_rows_above_the_baseline(tmp_path: Path) -> None:
    write(tmp_path, {"baseline": {0: 0.5, 1: 0.6}, "all": {0: 0.7, 1: 0.8}})
    draw(summary(ROWS, asked(tmp_path, 0, 1)), tmp_path / "plots" / "ablation.png")
    assert (tmp_path / "plots" / "ablation.png").read_bytes().startswith(b"\x89PNG")


def test_a_row_that_is_done_is_not_trained_again(tmp_path: Path) -> None:
    write(tmp_path, {"all": {0: 0.7}})
    # What it is given names no pictures: anything but a return would fail.
    train(ROWS["all"], folder_of(tmp_path, "all", 0), argparse.Namespace(), deadline=0.0)


def test_batches_come_until_the_deadline_and_not_after_it() -> None:
    ahead, over = (until(time.monotonic() + seconds)(ALONE) for seconds in (60, -1))
    assert list(ahead(["a", "b"], 0)) == ["a", "b"]  # type: ignore[list-item]
    with pytest.raises(OutOfTime):
        list(over(["a"], 0))  # type: ignore[list-item]
