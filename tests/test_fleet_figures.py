"""Every figure of what a fleet costs here, in docs/fleet.md, is in its result file."""

import json
from typing import Any

import pytest

from tests.support import ROOT

PAGE = (ROOT / "docs" / "fleet.md").read_text()


def spread(found: dict[str, Any], digits: int = 0) -> str:
    median, least, most = (f"{found[key]:,.{digits}f}" for key in ("median", "min", "max"))
    return f"{median} ({least} to {most})"


def rows() -> dict[str, str]:
    fleet = json.loads((ROOT / "benchmarks" / "results" / "fleet.json").read_text())
    plain, ray, swap = fleet["processes"], fleet["fleet"], fleet["swap"]
    return {
        "rate": f"| frames/s of two workers; of two plain `classpulse detect` in the same run | {spread(ray['frames_per_s'])};"
        f" {spread(plain['frames_per_s'])}: {100 * fleet['share']:.0f} % | 90 % |",
        "start": "| from `fleet up` to the first detection, s (plain processes: "
        f"{spread(plain['first_detection_s'], 1)}) | {spread(ray['first_detection_s'], 1)} | 15 |",
        "killed": f"| a worker is killed: longest time without a detection of a camera, s | {spread(fleet['served_again_s'], 1)} | 15 |",
        "memory": f"| all processes, PSS, MiB (plain: {spread(plain['pss_mib'])}) | {spread(ray['pss_mib'])} |  |",
        "cpu": f"| CPU of Ray's own processes from its start to the last frame, s | {spread(ray['ray_cpu_s'], 1)} |  |",
        "swap": f"| a swap at half load: p99 during it / before, ms | {spread(swap['p99_during_ms'])} / {spread(swap['p99_before_ms'])};"
        f" ratio {spread(swap['p99_during_to_before'], 2)} | 1.5 |",
        "flip": f"| from the promotion until the last worker has flipped, s | {spread(swap['until_the_last_flip_s'], 1)} |  |",
    }


@pytest.mark.parametrize("name", sorted(rows()))
def test_a_figure_of_a_fleet_is_the_measured_one(name: str) -> None:
    assert rows()[name] in PAGE
