"""How people look: skin, hair, clothes, glasses, by chance. Colours are linear RGB."""

import colorsys
from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]
Rng = np.random.Generator

HAIR_STYLES = ("crop", "short", "fringe", "bob", "long", "ponytail", "pigtails", "bun", "curls", "scarf")
TOPS = ("tee", "long", "hoodie", "jacket", "shirt", "sweater")
PATTERNS = ("plain", "stripes", "checks", "dots", "print", "melange")
BOTTOMS = ("trousers", "trousers", "trousers", "shorts", "skirt")

_SKINS: tuple[Colour, ...] = (
    (0.68, 0.42, 0.31),
    (0.60, 0.36, 0.25),
    (0.52, 0.29, 0.18),
    (0.42, 0.22, 0.13),
    (0.27, 0.13, 0.07),
    (0.13, 0.06, 0.035),
    (0.64, 0.41, 0.27),
)
_HAIRS: tuple[Colour, ...] = (
    (0.008, 0.006, 0.006),
    (0.012, 0.008, 0.006),
    (0.03, 0.015, 0.008),
    (0.08, 0.04, 0.018),
    (0.2, 0.1, 0.04),
    (0.38, 0.25, 0.1),
    (0.25, 0.07, 0.02),
)


@dataclass(frozen=True)
class Look:
    """One person's looks. `loose_m` is how far the clothes stand off the body."""

    skin: Colour
    hair: Colour
    style: str
    top: str
    pattern: str
    cloth: Colour
    second: Colour
    bottom: str
    legs: Colour
    shoes: Colour
    loose_m: float
    glasses: bool
    seed: int


def colour(rng: Rng, saturation: tuple[float, float] = (0.0, 0.7), value: tuple[float, float] = (0.04, 0.8)) -> Colour:
    """Any colour between two saturations and two values, linear."""
    red, green, blue = colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value) ** 0.45)
    return red**2.2, green**2.2, blue**2.2


@dataclass(frozen=True)
class Uniform:
    """What a school with a uniform wears."""

    top: str
    cloth: Colour
    second: Colour
    legs: Colour


def draw_uniform(rng: Rng) -> Uniform | None:
    """A class's uniform, in every fourth room."""
    if rng.random() > 0.25:
        return None
    top = str(rng.choice(["shirt", "sweater", "jacket", "tee"]))
    return Uniform(top, colour(rng, (0.0, 0.7), (0.1, 0.9)), colour(rng), colour(rng, (0, 0.4), (0.02, 0.2)))


def draw_look(rng: Rng, *, uniform: Uniform | None = None, adult: bool = False) -> Look:
    """One person; pupils of a class with a uniform wear it."""
    skin = np.array(_SKINS[int(rng.choice(len(_SKINS), p=[0.22, 0.2, 0.16, 0.13, 0.1, 0.07, 0.12]))])
    skin = skin * rng.normal(1, 0.08)
    dark = float(skin.mean()) < 0.25
    hair = np.array(_HAIRS[int(rng.choice(3) if dark else rng.choice(len(_HAIRS)))]) * rng.uniform(0.8, 1.3)
    greying = adult and rng.random() < 0.3
    style = str(rng.choice(HAIR_STYLES, p=[0.15, 0.17, 0.1, 0.12, 0.14, 0.11, 0.05, 0.05, 0.08, 0.03]))
    own_top = str(rng.choice(TOPS, p=[0.22, 0.22, 0.18, 0.12, 0.12, 0.14]))
    return Look(
        skin=_as_colour(skin),
        hair=(0.35, 0.34, 0.33) if greying else _as_colour(hair),
        style=style,
        top=uniform.top if uniform else own_top,
        pattern="plain" if uniform else str(rng.choice(PATTERNS, p=[0.36, 0.16, 0.11, 0.05, 0.17, 0.15])),
        cloth=uniform.cloth if uniform else colour(rng),
        second=uniform.second if uniform else colour(rng),
        bottom=str(rng.choice(BOTTOMS)) if not adult else "trousers",
        legs=uniform.legs if uniform else colour(rng, (0.0, 0.55), (0.02, 0.35)),
        shoes=colour(rng, (0, 0.4), (0.02, 0.7)),
        loose_m=float(rng.uniform(0.006, 0.03)),
        glasses=bool(rng.random() < (0.4 if adult else 0.18)),
        seed=int(rng.integers(2**31)),
    )


def _as_colour(array: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Colour:
    red, green, blue = (float(np.clip(v, 0.003, 0.9)) for v in array)
    return red, green, blue
