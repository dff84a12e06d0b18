"""The candidates: each is a release that can be loaded, and differs from the control in the one choice that is stated."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from gesturedet.api import load
from gesturedet.card import ModelCard, load_release
from gesturedet.labels import BEHAVIOURS
from tests.support import ROOT

FOLDER = ROOT / "benchmarks" / "candidates"
CHANGES: dict[str, set[str]] = {
    "control": set(),
    "adult": {"labels"},
    "distilled": {"distillation", "lineage"},
    "large": {"input_hw", "anchors"},
}
"""What of the control's card each changes.

The default boxes of a larger input are as many pixels; the backbone that one is held to is told in its lineage.
"""

WHATEVER = {"name", "digest", "thresholds", "exams", "unpublished", "calibration"}
"""What follows from the change, or is found out after training."""


def choices(name: str) -> dict[str, Any]:
    """All of a card that somebody chose before training, flat."""
    card: ModelCard = load_release(FOLDER / name).card
    told = msgspec.to_builtins(card)
    recipe = told.pop("recipe")
    chosen: dict[str, Any] = {**told, **recipe}
    return {key: value for key, value in chosen.items() if key not in WHATEVER}


def row(name: str) -> str:
    """The line of the table for the reader: what it is, and how the very file did on the frozen exam."""
    card = load_release(FOLDER / name).card
    (exam,) = card.exams
    return f"| `{name}` | `{card.recipe['name']}` | " + " / ".join(f"{one.ap50:.3f}" for one in exam.behaviours) + " |"


def test_every_candidate_is_described_here_and_for_the_reader() -> None:
    found = {path.parent.name for path in FOLDER.glob("*/card.json")}
    assert found == set(CHANGES)
    readme = (FOLDER / "README.md").read_text()
    assert [name for name in CHANGES if row(name) not in readme] == []


@pytest.mark.parametrize("name", CHANGES)
def test_a_candidate_differs_from_the_control_in_its_stated_choice(name: str) -> None:
    control, candidate = choices("control"), choices(name)
    assert control.keys() == candidate.keys()
    assert {key for key in control if control[key] != candidate[key]} == CHANGES[name]


@pytest.mark.parametrize("name", CHANGES)
def test_a_candidate_is_loaded_from_its_folder_and_publishes_the_behaviours_alone(name: str) -> None:
    path: Path = FOLDER / name
    detector = load(str(path))
    card = load_release(path).card
    assert (card.precision, card.published) == ("int8", BEHAVIOURS)
    assert sum(file.stat().st_size for file in path.iterdir()) < 30_000_000
    picture = np.random.default_rng(0).integers(0, 256, (300, 500, 3), dtype=np.uint8)
    found = detector.detect(picture, min_score=0.001)
    assert len(found.labels) > 0
    assert set(found.labels) <= set(BEHAVIOURS)
