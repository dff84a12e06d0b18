"""Every figure of docs/images.md is in the result file, and aggregate's image is as small as promised."""

import json
from typing import Any

import pytest

from tests.support import ROOT
from tests.test_fleet_figures import spread

PAGE = (ROOT / "docs" / "images.md").read_text()
FOUND: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / "images.json").read_text())


def rows() -> dict[str, str]:
    figures = FOUND["figures"]
    sizes = ", ".join(f"`{name}` {size:.0f}" for name, size in figures["above_base_mb"].items())
    each = ", ".join(f"`{name}` {spread(seconds, 0)}" for name, seconds in figures["from_nothing_s"].items())
    return {
        "sizes": f"| MB above the base | {sizes} |",
        "base": f"| MB of the Debian that debootstrap makes | {figures['base_mb']:.0f} |",
        "nothing": f"| seconds from nothing: base; each image after those before it; all | {spread(figures['base_s'], 0)}; {each};"
        f" {spread(figures['all_from_nothing_s'], 0)} |",
        "again": f"| seconds of all again, nothing changed | {spread(figures['all_again_s'], 0)} |",
    }


@pytest.mark.parametrize("name", sorted(rows()))
def test_a_figure_of_the_images_is_the_measured_one(name: str) -> None:
    assert rows()[name] in PAGE


def test_aggregate_is_as_small_as_promised() -> None:
    assert FOUND["figures"]["above_base_mb"]["aggregate"] <= FOUND["aggregate_mb_promised"] == 150
