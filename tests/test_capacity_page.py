"""Every figure in docs/capacity.md is what the formulas give of the measured results, and the results are those that lie here."""

import json
from dataclasses import asdict
from typing import Any

import pytest
from benchmarks.capacity import FORMULAS, ROOMS, Assumed, Measured, measured, walls_of

from tests.support import ROOT

PAGE = (ROOT / "docs" / "capacity.md").read_text()
RESULT: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / "capacity.json").read_text())


def told(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def row(name: str) -> str:
    formula, worked = FORMULAS[name]
    values = " | ".join(told(worked(Assumed(), measured(), rooms)) for rooms in ROOMS)
    return f"| {name} | {formula} | {values} |"


@pytest.mark.parametrize("name", FORMULAS)
def test_a_row_is_what_its_formula_gives(name: str) -> None:
    assert row(name) in PAGE


@pytest.mark.parametrize("wall", RESULT["rooms_at_the_wall"])
def test_a_wall_stands_where_the_page_says(wall: str) -> None:
    rooms = int(walls_of(Assumed(), measured())[wall])
    assert f"| {wall} | {told(rooms)} |" in PAGE


def test_the_result_was_worked_out_from_the_results_that_lie_here() -> None:
    assert asdict(measured()) == RESULT["measured"]
    assert asdict(Assumed()) == RESULT["assumed"]


def test_twice_the_rooms_need_twice_the_cores() -> None:
    one = Measured(
        frame_bytes=30_000, detection_bytes=800, ingest_ms=4, broker_ms=4, net_ms={"classroom": 40, "classroom-640": 20},
        aggregate_per_s=5_000, restore_s_per_room=0.01, school_bytes_per_s=6_000,
    )  # fmt: skip
    _, cores = FORMULAS["cores of detect, `classroom`"]
    assert cores(Assumed(), one, 300) == 100, "300 rooms × 5 frames × 40 ms, at 60 % of a core"
    assert cores(Assumed(), one, 600) == 200
    assert walls_of(Assumed(), one)["every partition of frames has a CPU worker, classroom"] == 24 * 0.6 * 25 / 5
