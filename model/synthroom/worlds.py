"""Worlds: what each set of pictures is drawn from; one for training, one for each exam."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from synthroom.sitting import HAND_RAISING, SLEEPING, STAND_UP
from synthroom.views import LIGHTS, VIEWS

LEAST_PIXELS = 16
"""Longer side of the least box that is labelled, in a picture of 960 x 540; a net of 512 x 288 sees 8.5 of its pixels."""


@dataclass(frozen=True)
class World:
    """How many pupils there are, how the camera looks, in what light, and what the pupils do.

    `shares`: mean share of the pupils in each behaviour; how it varies from room to room is `classroom.draw_activities`'.
    `hard`: share of the other pupils who do something that resembles a behaviour; None as in life.
    `least_px`, `most_px`: longer sides of the boxes that count; smaller ones are not labelled, larger ones `difficult`.
    `recipe`: to be raised whenever the same seed would draw another picture.
    """

    pupils: tuple[int, int] = (8, 42)
    views: Mapping[str, float] = field(default_factory=lambda: VIEWS)
    lights: Mapping[str, float] = field(default_factory=lambda: LIGHTS)
    shares: Mapping[str, float] = field(default_factory=lambda: {HAND_RAISING: 0.22, STAND_UP: 0.07, SLEEPING: 0.09})
    hard: float | None = None
    least_px: int = LEAST_PIXELS
    most_px: int | None = None
    recipe: int = 4


GENERAL = World()
WORLDS = {
    "train": World(hard=0.75, recipe=5),
    "hard": World(hard=0.92, shares={HAND_RAISING: 0.05, STAND_UP: 0.03, SLEEPING: 0.03}),
    "tiny": World(pupils=(26, 44), views={"wide": 1.0}, least_px=10, most_px=64),
    "dark": World(lights={"dim": 0.7, "window": 0.3}),
}
"""Split -> its world; a split without one shows `GENERAL`."""


def world_of(split: str) -> World:
    """The world of a split."""
    return WORLDS.get(split, GENERAL)
