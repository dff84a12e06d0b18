"""Garments: what each person wears; colours, textures and the layers that are drawn."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synthroom.bodies import ARM_LEFT, ARM_RIGHT, F32, I32, BodyModel, Shape
from synthroom.mesh import CHECKS, CLOTH, HAIR, PRINT, SKIN, STRIPES, Colour, fixed_vertices
from synthroom.rotations import Array

SKINS = ((0.82, 0.60, 0.48), (0.74, 0.51, 0.38), (0.62, 0.42, 0.30), (0.46, 0.30, 0.21), (0.30, 0.19, 0.13))
SKINS_PALE = ((0.80, 0.62, 0.47),)
HAIRS = ((0.025, 0.02, 0.018), (0.05, 0.033, 0.025), (0.11, 0.065, 0.035), (0.28, 0.17, 0.08), (0.45, 0.33, 0.17))

UNIFORMS = (
    *((0.8, 0.8, 0.8), (0.42, 0.58, 0.82), (0.03, 0.05, 0.16), (0.45, 0.04, 0.06), (0.05, 0.25, 0.1)),
    *((0.28, 0.28, 0.3), (0.8, 0.62, 0.12), (0.2, 0.03, 0.06), (0.1, 0.3, 0.6)),
)


@dataclass(frozen=True)
class Outfit:
    """What one person wears; colours are linear."""

    skin: Colour
    hair: Colour
    shirt: Colour
    pants: Colour
    shoe: Colour
    texture: int
    long_sleeve: bool
    shorts: bool
    long_hair: bool
    looseness_m: float
    second: Colour
    cut: str
    hood: bool
    glasses: bool


CUTS = {"plain": 0.5, "jacket": 0.2, "scarf": 0.08, "sleeves": 0.12, "yoke": 0.1}
"""How a second colour is worn: not at all, as an open jacket's inside, a neckerchief, other sleeves, or shoulders."""


def colour(rng: np.random.Generator, low: float = 0.03, high: float = 0.85, *, saturation: float = 0.6) -> Colour:
    """Draw a linear colour; saturation 1 leaves three free channels, 0 a grey."""
    free = rng.uniform(low, high, 3) * rng.uniform(0.5, 1)
    mixed = free.mean() + (free - free.mean()) * saturation
    if mixed[0] > mixed[1] > mixed[2] and mixed[0] < 2.2 * mixed[2]:
        mixed = mixed[::-1]  # cloth of the colour of skin would undress people
    return float(mixed[0]), float(mixed[1]), float(mixed[2])


@dataclass(frozen=True)
class DressCode:
    """What a school prescribes: the shirt's colour, how a second colour is worn, that colour, and how loose it is."""

    shirt: Colour
    cut: str
    second: Colour
    looseness_m: float


def draw_dress_code(rng: np.random.Generator) -> DressCode | None:
    """A school's uniform, or None where everybody wears what they like."""
    if rng.random() < 0.55:
        return None
    red, white = (0.6, 0.03, 0.03), (0.8, 0.8, 0.8)
    shirt = UNIFORMS[rng.integers(len(UNIFORMS))] if rng.random() < 0.6 else colour(rng, saturation=0.7)
    cut = str(rng.choice(list(CUTS), p=[0.25, 0.2, 0.2, 0.2, 0.15]))
    second = red if cut == "scarf" else (white if rng.random() < 0.6 else colour(rng))
    return DressCode(shirt, cut, second, float(rng.uniform(0.012, 0.035)))


def draw_outfit(rng: np.random.Generator, *, girl: bool, uniform: DressCode | None) -> Outfit:
    """Dress one person; a school uniform fixes the shirt and how it is cut."""
    tones = np.array(SKINS + SKINS_PALE)
    skin = tones[rng.integers(len(tones))] * rng.uniform(0.9, 1.08)
    saturation = rng.uniform(0.15, 0.95)
    texture = int(rng.choice([CLOTH, STRIPES, CHECKS, PRINT], p=[0.62, 0.15, 0.1, 0.13]))
    return Outfit(
        skin=(float(skin[0]), float(skin[1]), float(skin[2])),
        hair=HAIRS[min(int(rng.exponential(1.2)), 4)],
        shirt=uniform.shirt if uniform else colour(rng, saturation=saturation),
        pants=colour(rng, 0.02, 0.35, saturation=0.5),
        shoe=colour(rng, 0.02, 0.6, saturation=0.5),
        texture=CLOTH if uniform else texture,
        long_sleeve=bool(rng.random() < 0.55),
        shorts=bool(rng.random() < 0.2),
        long_hair=girl and bool(rng.random() < 0.7),
        looseness_m=uniform.looseness_m
        if uniform
        else float(rng.choice([rng.uniform(0.006, 0.02), rng.uniform(0.02, 0.05)])),
        second=uniform.second if uniform else colour(rng),
        cut=uniform.cut if uniform else str(rng.choice(list(CUTS), p=list(CUTS.values()))),
        hood=uniform is None and bool(rng.random() < 0.05),
        glasses=bool(rng.random() < 0.2),
    )


def _faces(model: BodyModel, outfit: Outfit) -> Array:
    """Skin with lips, brows and eyes painted on: colours (V, 3)."""
    skin, hair = np.array(outfit.skin), np.array(outfit.hair)
    out = np.tile(skin, (len(model.template), 1))
    out[model.paint["lips"]] = skin * [0.85, 0.5, 0.5]
    out[model.paint["brow"]] = hair * 0.5 + skin * 0.4
    out[model.paint["eye"]] = 0.75
    out[model.paint["iris"]] = [0.06, 0.035, 0.02]
    if outfit.glasses:
        out[_around_the_eyes(model)] = np.array(outfit.second) * 0.3
    return out


def _around_the_eyes(model: BodyModel) -> npt.NDArray[np.bool_]:
    """Skin on which the rims of glasses are painted."""
    v = model.template
    ring = np.zeros(len(v), dtype=np.bool_)
    iris = v[model.paint["iris"]]
    for side in (-1, 1):
        eye = iris[np.sign(iris[:, 0]) == side].mean(0)
        away = np.hypot(v[:, 0] - eye[0], v[:, 2] - eye[2])
        ring |= (np.abs(away - 0.021) < 0.006) & (v[:, 1] < eye[1] + 0.03)
    return ring & ~model.paint["eye"] & ~model.paint["iris"]


def _upper_colours(model: BodyModel, outfit: Outfit) -> Array:
    """Colours (V, 3) of shirt and sleeves, the second colour where the cut puts it; the template is an adult's, metres."""
    x, y, z = model.template.T
    shoulder = float(z[model.layers["shirt"].vertices].max())
    out = np.tile(np.array(outfit.shirt), (len(x), 1))
    front, depth = y < -0.02, shoulder - z
    where = {
        "jacket": front & (np.abs(x) < 0.035 + 0.03 * np.clip(1 - depth / 0.3, 0, 1)),
        "scarf": (depth < 0.055) | (front & (np.abs(x) < 0.04) & (depth < 0.2)),
        "sleeves": np.isin(model.parts, (ARM_LEFT, ARM_RIGHT)) | (np.abs(x) > 0.2),
        "yoke": depth < 0.14,
    }.get(outfit.cut)
    if where is not None:
        out[where] = outfit.second
    return out


def _folds(model: BodyModel) -> Array:
    """How much of its thickness loose cloth has at each vertex (V): 0.4 to 1.6, in folds of some centimetres."""
    x, y, z = model.template.T.astype(np.float64)
    waves = np.sin(23 * x + 31 * z) + np.sin(37 * y - 19 * z + 1.3) + np.sin(29 * x - 41 * y + 2.1)
    folded: Array = 1 + 0.2 * waves
    return folded


@dataclass(frozen=True)
class Dressed:
    """A dressed body: rest vertices with the cloth's thickness, fixed vertex data, triangles fine and coarse."""

    vertices: F32
    fixed: npt.NDArray[np.void]
    triangles: I32
    coarse: I32


def dress(model: BodyModel, shape: Shape, outfit: Outfit, person: int) -> Dressed:
    """Dress a body; `person` is its number in the id buffer."""
    cloth, thick = outfit.texture, outfit.looseness_m
    upper = _upper_colours(model, outfit)
    table: dict[str, tuple[float, Array | Colour, int]] = {
        "head": (0.0, _faces(model, outfit), SKIN),
        "hand": (0.0, outfit.skin, SKIN),
        "shoe": (0.008, outfit.shoe, CLOTH),
        "scalp": (0.022, outfit.shirt, CLOTH) if outfit.hood else (0.012, outfit.hair, HAIR),
        "shirt": (thick, upper, cloth),
        "pants": (0.002 + thick / 3, outfit.pants, CLOTH),
        "shin": (0.0, outfit.skin, SKIN) if outfit.shorts else (0.004 + thick / 3, outfit.pants, CLOTH),
    }
    table["sleeve" if outfit.long_sleeve else "fore"] = (
        (thick * 0.7, upper, cloth) if outfit.long_sleeve else (0.0, outfit.skin, SKIN)
    )
    if outfit.hood:
        table["hair"] = (0.004, outfit.shirt, CLOTH)
    elif outfit.long_hair:
        table["hair"] = (-0.006, outfit.hair, HAIR)
    rest = shape.vertices.copy()
    fixed = fixed_vertices(np.zeros(3), model.template, 0, person, model.parts)
    folds = _folds(model)
    for name, (offset, paint, material) in table.items():
        rows = model.layers[name].vertices
        depth = offset * folds[rows, None] if name in ("shirt", "sleeve", "pants") else offset
        rest[rows] += (depth * shape.normals[rows]).astype(np.float32)
        colours = np.asarray(paint)
        shades = colours[rows] if colours.ndim == 2 else colours
        fixed["colour"][rows, :3] = np.clip(shades * 255 + 0.5, 0, 255)
        fixed["marks"][rows, 2] = material
    return Dressed(
        vertices=rest,
        fixed=fixed,
        triangles=np.concatenate([model.layers[name].triangles for name in table]),
        coarse=np.concatenate([model.layers[name].coarse for name in table]),
    )
