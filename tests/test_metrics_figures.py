"""Every figure of what metrics cost is in the result file, and within its limit."""

import json
from typing import Any

import pytest

from tests.support import ROOT
from tests.test_fleet_figures import spread

PAGE = (ROOT / "docs" / "metrics.md").read_text()
FOUND: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / "metrics.json").read_text())


def rows() -> dict[str, str]:
    throughput, scrape = FOUND["throughput"], FOUND["scrape"]
    few, many = scrape["without a series of each camera"], scrape["with a series of each camera"]
    return {
        "without": f"| frames/s, nobody scrapes | {spread(throughput['frames_per_s_without'], 1)} | |",
        "scraped": f"| frames/s, every process scraped every 5 s | {spread(throughput['frames_per_s_scraped'], 1)} | |",
        "lost": f"| lost by it in % | {spread(throughput['lost_percent'], 1)} | {throughput['limit_lost_percent']:.0f} |",
        "ms": f"| ms a scrape of {FOUND['cameras']} cameras | {spread(few['ms'], 1)} | {FOUND['limit_scrape_ms']} |",
        "kb": f"| kB of it | {few['kb']:.1f} | {FOUND['limit_scrape_kb']} |",
        "many": f"| with a series of each, which is to be asked for: ms; kB | {spread(many['ms'], 1)}; {many['kb']:.1f} | |",
    }


@pytest.mark.parametrize("name", sorted(rows()))
def test_a_figure_of_the_metrics_is_the_measured_one(name: str) -> None:
    assert rows()[name] in PAGE


def test_metrics_cost_no_more_than_promised() -> None:
    throughput, few = FOUND["throughput"], FOUND["scrape"]["without a series of each camera"]
    assert throughput["lost_percent"]["median"] <= throughput["limit_lost_percent"]
    assert few["ms"]["median"] <= FOUND["limit_scrape_ms"]
    assert few["kb"] <= FOUND["limit_scrape_kb"]
