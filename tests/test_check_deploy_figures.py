"""How long check-deploy takes is what was measured, and within its limits."""

import json
from typing import Any

from tests.support import ROOT
from tests.test_fleet_figures import spread

FOUND: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / "check_deploy.json").read_text())


def test_the_page_says_what_was_measured() -> None:
    page = (ROOT / "docs" / "check-deploy.md").read_text()
    assert f"| s with nothing in any cache | {FOUND['cold_s']:,.0f} | 1,500 |" in page
    assert f"| s with its programs there | {spread(FOUND['warm_s'])} | 120 |" in page


def test_it_takes_no_longer_than_promised() -> None:
    assert FOUND["cold_s"] <= 25 * 60
    assert FOUND["warm_s"]["median"] <= 2 * 60
