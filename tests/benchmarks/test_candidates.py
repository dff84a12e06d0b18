"""The candidates: each is a release that can be loaded, and differs from the control in the one choice that is stated."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from gesturedet.api import load
from gesturedet.card import WEIGHTS, ModelCard, load_release
from gesturedet.labels import BEHAVIOURS
from tests.support import ROOT

FOLDER = ROOT / "benchmarks" / "candidates"
PLAIN = json.loads((ROOT / "benchmarks" / "results" / "plain_video_candidates.json").read_text("utf-8"))
CHANGES: dict[str, set[str]] = {
    "control": set(),
    "adult": {"labels"},
    "distilled": {"distillation", "lineage"},
    "mixed": {"augmentation"},
    "unfrozen": {"frozen_blocks"},
}
"""What of the control's card each changes. The backbone that one is held to is told in its lineage."""

WHATEVER = {"name", "digest", "thresholds", "exams", "unpublished", "calibration"}
"""What follows from the change, or is found out after training."""


def choices(name: str) -> dict[str, Any]:
    """All of a card that somebody chose before training, flat."""
    card: ModelCard = load_release(FOLDER / name).card
    told = msgspec.to_builtins(card)
    recipe = told.pop("recipe")
    chosen: dict[str, Any] = {**told, **recipe}
    return {key: value for key, value in chosen.items() if key not in WHATEVER}


def row(folder: Path) -> str:
    """The line of the table for the reader: what it is, how the very file did on the frozen exam, and what it said of plain clips."""
    card = load_release(folder).card
    (exam,) = card.exams
    looks = [one for one in PLAIN["rows"] if one["digest"] == card.digest]
    assert len(looks) == 3
    cells = (
        f"`{folder.name}`",
        f"`{card.recipe['name']}`",
        " / ".join(f"{one.ap50:.3f}" for one in exam.behaviours),
        ", ".join(str(sum(one["events"].values())) for one in looks),
        ", ".join(f"{sum(one['alarms_per_minute'].values()):.1f}" for one in looks),
        ", ".join(f"{100 * one['confirmed_when_mirrored']:.0f} %" for one in looks),
    )
    return f"| {' | '.join(cells)} |"


def test_every_candidate_is_described_here_and_for_the_reader() -> None:
    found = {path.parent.name for path in FOLDER.glob("*/card.json")}
    assert found == set(CHANGES)
    readme = (FOLDER / "README.md").read_text()
    folders = (*(FOLDER / name for name in CHANGES), WEIGHTS / "classroom-640")
    assert [folder.name for folder in folders if row(folder) not in readme] == []


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
