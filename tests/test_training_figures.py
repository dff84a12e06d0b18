"""Every figure of what training and a refresh take here, in docs/refresh.md, is in its result file."""

import json

import pytest

from tests.support import ROOT
from tests.test_fleet_figures import spread

PAGE = (ROOT / "docs" / "refresh.md").read_text()


def rows() -> dict[str, str]:
    found = json.loads((ROOT / "benchmarks" / "results" / "training.json").read_text())
    one, two = found["workers"]["1"], found["workers"]["2"]
    refresh, noise = found["refresh"], found["loss_of_seeds"]
    return {
        "rate": f"| images/s of 1 process; of 2 | {spread(one['images_per_s'], 1)}; {spread(two['images_per_s'], 1)}:"
        f" {100 * found['efficiency']:.0f} % of twice as many |",
        "start": f"| from the command to the first kept state (two steps), s, 1 process; 2 |"
        f" {spread(one['first_state_s'])}; {spread(two['first_state_s'])} |",
        "loss": "| loss of the last epoch with 2 processes, of that with 1, for each seed |"
        f" {', '.join(f'{ratio:.3f}' for ratio in found['loss_of_2_to_1'])}"
        f" (with 1 process, of the seeds: {', '.join(f'{loss:.3f}' for loss in noise)}) |",
        "refresh": f"| a refresh of `classroom-640` with {found['pictures']['new']} new pictures, one epoch, as far as the gate, minutes"
        f" | {refresh['minutes']:.1f} ({', '.join(f'{step} {seconds:.0f} s' for step, seconds in refresh['seconds'].items())}) |",
    }


@pytest.mark.parametrize("name", sorted(rows()))
def test_a_figure_of_training_is_the_measured_one(name: str) -> None:
    assert rows()[name] in PAGE
