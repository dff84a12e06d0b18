"""Furniture and things out of boxes and tubes, by material; a piece's own axes: its user sits behind it, looks along y."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from benchmarks.exams.shift.fields import F32, Surface
from benchmarks.exams.shift.looks import Colour
from benchmarks.exams.shift.vectors import Vector, turn, vec

_CORNERS = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
_SIDES = np.array(
    [(0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1), (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3)]
)  # fmt: skip


@dataclass(frozen=True)
class Solid:
    """A surface of one material; `tint` colours it where the material leaves the colour open."""

    material: str
    surface: Surface
    tint: Colour | None = None


def box(material: str, centre: Vector, size: Vector, *, yaw: float = 0, tint: Colour | None = None) -> Solid:
    """A box, turned about its own middle."""
    points = (_CORNERS * np.asarray(size)) @ turn(yaw=yaw).T + np.asarray(centre)
    return Solid(material, Surface(points.astype(np.float32), _SIDES.astype(np.int32)), tint)


def rod(
    material: str, start: Vector, end: Vector, radius: float, *, tint: Colour | None = None, top: float = 1.0
) -> Solid:
    """A round rod whose far end is `top` times as thick."""
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    way = (b - a) / np.linalg.norm(b - a)
    side = np.cross(way, vec(1, 0, 0) if abs(way[0]) < 0.8 else vec(0, 1, 0))
    side /= np.linalg.norm(side)
    other, count = np.cross(way, side), 10
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    ring = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * other
    points = np.concatenate([a + ring * radius, b + ring * radius * top, [a], [b]])
    i, j = np.arange(count), (np.arange(count) + 1) % count
    low, high = np.full(count, 2 * count), np.full(count, 2 * count + 1)
    faces = [(i, j, j + count), (i, j + count, i + count), (j, i, low), (i + count, j + count, high)]
    stacked = np.concatenate([np.stack(face, axis=1) for face in faces])
    return Solid(material, Surface(points.astype(np.float32), stacked.astype(np.int32)), tint)


def moved(solids: Iterable[Solid], at: Vector, yaw: float = 0) -> list[Solid]:
    """Solids turned about the origin and carried to a place."""
    rotation, offset = turn(yaw=yaw).T.astype(np.float32), np.asarray(at, np.float32)
    return [Solid(s.material, Surface(s.surface.points @ rotation + offset, s.surface.faces), s.tint) for s in solids]


def merged(solids: Sequence[Solid]) -> dict[str, Surface]:
    """One surface a material; tints become paint."""
    found: dict[str, list[Solid]] = {}
    for solid in solids:
        found.setdefault(solid.material, []).append(solid)
    return {material: _together(group) for material, group in found.items()}


def _together(group: list[Solid]) -> Surface:
    starts = np.cumsum([0, *(len(s.surface.points) for s in group[:-1])])
    faces = np.concatenate([s.surface.faces + start for s, start in zip(group, starts, strict=True)])
    paint: list[F32] = [
        np.tile(np.array(s.tint or (0.5, 0.5, 0.5), np.float32), (len(s.surface.points), 1)) for s in group
    ]
    points = np.concatenate([s.surface.points for s in group])
    return Surface(points, faces.astype(np.int32), np.concatenate(paint))


@dataclass(frozen=True)
class DeskStyle:
    """How a room's desks are built: width a pupil, depth, with a front panel, tray or not, round or square legs."""

    width: float
    depth: float
    panel: bool
    tray: bool
    side_walls: bool
    metal: Colour


def desk(style: DeskStyle, height: float, seats: int) -> list[Solid]:
    """A desk for some pupils side by side; the origin is on the floor under the middle of the edge near them."""
    w, d = style.width * seats, style.depth
    parts = [box("desk", (0, d / 2, height - 0.0125), (w, d, 0.025))]
    for x in (-w / 2 + 0.05, w / 2 - 0.05):
        if style.side_walls:
            parts.append(box("desk", (x, d / 2, (height - 0.03) / 2), (0.02, d - 0.06, height - 0.03)))
        else:
            legs = [rod("metal", (x, y, 0), (x, y, height - 0.02), 0.016, tint=style.metal) for y in (0.06, d - 0.06)]
            parts += [*legs, rod("metal", (x, 0.04, 0.03), (x, d - 0.04, 0.03), 0.016, tint=style.metal)]
    if style.panel:
        parts.append(box("desk", (0, d - 0.05, height - 0.24), (w - 0.1, 0.015, 0.4)))
    if style.tray:
        parts.append(box("metal", (0, d / 2, height - 0.13), (w - 0.14, d - 0.12, 0.008), tint=style.metal))
    return parts


def chair(seat: float, metal: Colour, shell: Colour) -> list[Solid]:
    """A school chair; the origin is on the floor under the seat's middle."""
    parts = [
        box("shell", (0, 0.0, seat - 0.01), (0.38, 0.37, 0.02), tint=shell),
        box("shell", (0, -0.2, seat + 0.3), (0.37, 0.018, 0.19), tint=shell),
    ]
    for x in (-0.16, 0.16):
        parts.append(rod("metal", (x, 0.14, 0), (x, 0.14, seat), 0.011, tint=metal))
        parts.append(rod("metal", (x, -0.2, 0), (x, -0.19, seat + 0.38), 0.011, tint=metal))
    return parts


def shelf(width: float, height: float, rng: np.random.Generator) -> list[Solid]:
    """An open shelf full of books and boxes; its back at y = 0, it opens along -y."""
    parts = [box("wood", (x, -0.15, height / 2), (0.02, 0.3, height)) for x in (-width / 2, width / 2)]
    parts.append(box("wood", (0, -0.005, height / 2), (width, 0.01, height)))
    for z in np.arange(0.05, height + 0.01, 0.36):
        parts.append(box("wood", (0, -0.15, z), (width, 0.3, 0.02)))
        x = -width / 2 + 0.04
        while x < width / 2 - 0.08 and z < height - 0.3:
            thick, tall = rng.uniform(0.02, 0.07), rng.uniform(0.19, 0.31)
            if rng.random() < 0.85:
                tint = any_colour(rng)
                parts.append(box("paint", (x + thick / 2, -0.13, z + tall / 2), (thick * 0.95, 0.22, tall), tint=tint))
            x += thick
    return parts


def any_colour(rng: np.random.Generator) -> Colour:
    """A colour of things."""
    red, green, blue = rng.uniform(0.03, 0.75, 3) ** 1.6
    return float(red), float(green), float(blue)


def bottle(rng: np.random.Generator) -> list[Solid]:
    """A drinking bottle, upright, its bottom at the origin."""
    tint = any_colour(rng)
    body = rod("gloss", (0, 0, 0), (0, 0, 0.17), 0.033, tint=tint)
    return [body, rod("gloss", (0, 0, 0.17), (0, 0, 0.215), 0.026, top=0.6, tint=any_colour(rng))]


def book(rng: np.random.Generator, *, opened: bool) -> list[Solid]:
    """A book that lies at the origin, open or shut."""
    if not opened:
        return [box("paint", (0, 0, 0.012), (0.17, 0.24, 0.024), tint=any_colour(rng))]
    cover = box("paint", (0, 0, 0.003), (0.35, 0.25, 0.005), tint=any_colour(rng))
    return [cover, *(box("paper", (s * 0.085, 0, 0.011), (0.165, 0.24, 0.012)) for s in (-1, 1))]


def sheet() -> list[Solid]:
    """A sheet of paper that lies at the origin."""
    return [box("paper", (0, 0, 0.002), (0.21, 0.297, 0.002))]


def case(rng: np.random.Generator) -> list[Solid]:
    """A pencil case."""
    return [box("paint", (0, 0, 0.03), (0.21, 0.08, 0.055), tint=any_colour(rng))]


def pen(rng: np.random.Generator) -> list[Solid]:
    """A pen upright at the origin."""
    return [rod("gloss", (0, 0, -0.06), (0, 0, 0.1), 0.005, tint=any_colour(rng))]


def bag(rng: np.random.Generator) -> list[Solid]:
    """A school bag that stands on the floor."""
    tint = any_colour(rng)
    parts = [box("cloth", (0, 0, 0.2), (0.3, 0.17, 0.4), tint=tint)]
    parts.append(box("cloth", (0, 0.11, 0.13), (0.24, 0.07, 0.2), tint=tint))
    return [*parts, rod("cloth", (-0.05, 0, 0.42), (0.05, 0, 0.42), 0.015, tint=(0.02, 0.02, 0.02))]


def laptop(rng: np.random.Generator) -> list[Solid]:
    """An open laptop."""
    dark = (0.02, 0.02, 0.025) if rng.random() < 0.5 else (0.4, 0.4, 0.42)
    return [
        box("gloss", (0, 0, 0.01), (0.32, 0.22, 0.018), tint=dark),
        box("gloss", (0, 0.14, 0.11), (0.32, 0.012, 0.2), tint=dark),
    ]
