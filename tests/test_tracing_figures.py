"""Every figure of what tracing costs is in the result file, and off it costs nothing that can be told from the noise."""

import json
from typing import Any

import pytest

from tests.support import ROOT
from tests.test_fleet_figures import spread

PAGE = (ROOT / "docs" / "metrics.md").read_text()
FOUND: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / "tracing.json").read_text())
WAYS = {
    "without": "what a record carries for it taken out",
    "off": "off, as it comes",
    "1 frame in 1,000": "1 frame in 1,000",
    "every frame": "every frame",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_figure_of_tracing_is_the_measured_one(way: str) -> None:
    more = FOUND["more_cpu_percent"].get(way)
    told = "" if more is None else spread(more, 1)
    rate, cpu = spread(FOUND["frames_per_s"][way], 1), spread(FOUND["cpu_ms_per_frame"][way], 1)
    assert f"| {WAYS[way]} | {rate} | {cpu} | {told} |" in PAGE


def test_off_it_costs_nothing_that_can_be_told_from_the_noise() -> None:
    more = FOUND["more_cpu_percent"]["off"]
    assert more["min"] <= 0 <= more["max"]
