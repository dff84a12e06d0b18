"""Pupils that are drawn for training are as tall as children are."""

import numpy as np
import pytest

pytest.importorskip("anny", reason="extra `synth` is not installed")

from benchmarks.statures import WHO_BOYS_CM, WHO_GIRLS_CM, statures_cm

from synthroom.bodies import Shape
from synthroom.growth import FEMALE_FROM, calibrated_phenotypes
from synthroom.people import build_bodies
from synthroom.rotations import Array
from synthroom.scene import build_scene
from synthroom.seeds import lesson_seed, picture_seed

BODIES = 96


@pytest.mark.parametrize("years", WHO_BOYS_CM)
def test_heights_follow_the_reference(years: int) -> None:
    phenotypes = calibrated_phenotypes(np.random.default_rng(years), np.full(BODIES, float(years)))
    heights = statures_cm(phenotypes)
    female = phenotypes["gender"] >= FEMALE_FROM
    assert np.median(heights[~female]) == pytest.approx(WHO_BOYS_CM[years], abs=5)
    assert np.median(heights[female]) == pytest.approx(WHO_GIRLS_CM[years], abs=5)
    assert 4 < heights[~female].std() < 11
    assert 4 < heights[female].std() < 11


def test_boys_are_the_male_half_of_the_body_model(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = dict[str, Array]()
    monkeypatch.setattr("synthroom.people.shapes", lambda phenotypes: drawn.update(phenotypes) or [])
    _, girls = build_bodies(np.random.default_rng(3), np.full(200, 18.0), calibrated=True)
    heights = statures_cm(drawn)
    assert heights[~np.array(girls)].mean() > heights[girls].mean() + 5


@pytest.mark.parametrize(
    ("seed", "calibrated"),
    [
        (picture_seed("train", 0), True),
        (lesson_seed("train", 0), True),
        (picture_seed("rooms", 0), False),
        (lesson_seed("test", 0), False),
        (lesson_seed("val", 0), False),
        (lesson_seed("demo", 0), False),
    ],
)
def test_only_training_rooms_have_them(monkeypatch: pytest.MonkeyPatch, seed: int, *, calibrated: bool) -> None:
    """The exams are frozen, with the bodies that they had."""
    asked = list[bool]()

    def built(rng: np.random.Generator, years: Array, *, calibrated: bool) -> tuple[list[Shape], list[bool]]:
        asked.append(calibrated)
        return build_bodies(rng, years, calibrated=calibrated)

    monkeypatch.setattr("synthroom.scene.build_bodies", built)
    build_scene(seed, pupils=(2, 2), teachers=0)
    assert asked == [calibrated]
