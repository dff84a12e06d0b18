"""Layout: where desks, seats and walls stand; a room's plan before anything is drawn.

The room's frame: metres, +z up, the board hangs on the wall at -y, pupils in rows face it; a seat's yaw turns the pupil,
0 facing -y and 90 facing +x.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synthroom.mesh import Colour

KINDS = {"single": 0.15, "double": 0.22, "pairs": 0.33, "long": 0.08, "groups": 0.15, "u": 0.07}
"""Orders of desks. "pairs": two to a desk, desk behind desk with little room, as in a full primary school."""


@dataclass(frozen=True)
class Desk:
    """A desk with its seats: where the middle of the seats stands, how it is turned, and the seats' offsets along it."""

    x: float
    y: float
    yaw: float
    seats: tuple[float, ...]
    width: float
    depth: float

    def to_room(self, local_x: float, local_y: float) -> tuple[float, float]:
        """A point of the desk's frame (x along the seats, -y towards the desk top) in the room."""
        c, s = math.cos(math.radians(self.yaw)), math.sin(math.radians(self.yaw))
        return self.x + c * local_x - s * local_y, self.y + s * local_x + c * local_y


@dataclass(frozen=True)
class Style:
    """One kind of furniture and wall for the whole room."""

    top: Colour
    top_wood: bool
    leg: Colour
    chair: Colour
    chair_wood: bool
    panel: float
    panel_colour: Colour
    wall: Colour
    dado: Colour
    floor: Colour
    floor_tiles: bool


@dataclass(frozen=True)
class Plan:
    """A room: desks, the inner walls' bounds (x0, y0, x1, y1), height, furniture's reach and look."""

    desks: tuple[Desk, ...]
    bounds: tuple[float, float, float, float]
    height: float
    near: float
    style: Style


def draw_plan(rng: np.random.Generator, *, pupils: int, scale: float, kinds: Sequence[str] = tuple(KINDS)) -> Plan:
    """Draw a room for so many pupils of a mean body scale (1 for an adult); `kinds` narrows the desks' order."""
    near = -float(rng.uniform(0.2, 0.29)) * scale
    share = np.array([KINDS[kind] for kind in kinds])
    kind = str(rng.choice(list(kinds), p=share / share.sum()))
    order = {"groups": _groups, "u": _u_shape}.get(kind)
    desks = _rows(rng, pupils, kind) if order is None else order(rng, pupils, near)
    xs, ys = zip(*[d.to_room(0, 0) for d in desks], strict=True)
    half = max(d.width for d in desks) / 2
    x0, x1 = min(xs) - half - rng.uniform(0.3, 1.4), max(xs) + half + rng.uniform(0.3, 1.4)
    y0, y1 = min(ys) - rng.uniform(2.0, 3.6), max(ys) + rng.uniform(0.8, 2.0)
    mx, my = (x0 + x1) / 2, (y0 + y1) / 2  # the room's middle becomes the origin
    moved = tuple(Desk(x=d.x - mx, y=d.y - my, yaw=d.yaw, seats=d.seats, width=d.width, depth=d.depth) for d in desks)
    bounds = (float(x0 - mx), float(y0 - my), float(x1 - mx), float(y1 - my))
    return Plan(desks=moved, bounds=bounds, height=float(rng.uniform(2.8, 3.5)), near=near, style=draw_style(rng))


def _rows(rng: np.random.Generator, pupils: int, kind: str) -> list[Desk]:
    places = {"single": 1, "double": 2, "pairs": 2, "long": 3}[kind]
    width = {1: rng.uniform(0.6, 0.75), 2: rng.uniform(1.1, 1.3), 3: rng.uniform(1.6, 1.9)}[places]
    pitch = width / places
    seats = tuple((i - (places - 1) / 2) * pitch for i in range(places))
    full = kind == "pairs"
    wanted = math.ceil(pupils * rng.uniform(1.0, 1.03 if full else 1.15) / places)
    columns = int(np.clip(round(math.sqrt(wanted * 2.0 / width * rng.uniform(0.7, 1.2) * 0.75)), 2, 6))
    rows = math.ceil(wanted / columns)
    aisle, back = (
        (rng.uniform(0.12, 0.6), rng.uniform(0.92, 1.12)) if full else (rng.uniform(0.4, 0.85), rng.uniform(1.1, 1.45))
    )
    depth = float(rng.uniform(0.38, 0.45) if full else rng.uniform(0.42, 0.55))
    jitter, angle = rng.uniform(0, 0.08), rng.uniform(0, 3)
    desks = [
        Desk(
            x=float(c * (width + aisle) + rng.normal(0, jitter)),
            y=float(r * back + rng.normal(0, jitter)),
            yaw=float(rng.normal(0, angle)),
            seats=seats,
            width=float(width),
            depth=depth,
        )
        for r in range(rows)
        for c in range(columns)
    ]
    return desks[:wanted]


def _groups(rng: np.random.Generator, pupils: int, near: float) -> list[Desk]:
    clusters = math.ceil(pupils / 4)
    columns = int(np.clip(round(math.sqrt(clusters * rng.uniform(0.8, 1.6))), 2, 4))
    width, depth = float(rng.uniform(1.1, 1.3)), float(rng.uniform(0.45, 0.6))
    seats = (-width / 4, width / 4)
    reach, axis = -near + depth, float(rng.choice([0.0, 90.0]))
    gap_x, gap_y = rng.uniform(2.3, 2.8), rng.uniform(2.2, 2.7)
    desks = []
    for i in range(clusters):
        x, y = (i % columns) * gap_x, (i // columns) * gap_y
        turn = math.radians(axis + rng.normal(0, 5))
        ahead = np.array([math.sin(turn), -math.cos(turn)])
        for sign in (1, -1):
            place = np.array([x, y]) - sign * ahead * reach
            yaw = math.degrees(turn) + (0 if sign == 1 else 180)
            desks.append(Desk(x=float(place[0]), y=float(place[1]), yaw=yaw, seats=seats, width=width, depth=depth))
    return desks


def _u_shape(rng: np.random.Generator, pupils: int, near: float) -> list[Desk]:
    """Desks along three sides, all facing the middle; the fourth side, at the board, is open."""
    width, depth = float(rng.uniform(1.1, 1.3)), float(rng.uniform(0.45, 0.6))
    seats = (-width / 4, width / 4)
    wanted = math.ceil(pupils / 2)
    across = max(round(wanted * rng.uniform(0.3, 0.45)), 1)
    arms = wanted - across
    left, right = math.ceil(arms / 2), arms // 2
    half, out = (across * width) / 2 + depth + 0.35, list[Desk]()

    def put(x: float, y: float, yaw: float) -> None:
        turn = yaw + float(rng.normal(0, 2))
        out.append(Desk(x=x, y=y, yaw=turn, seats=seats, width=width, depth=depth))

    for i in range(across):
        put((i - (across - 1) / 2) * (width + 0.03), 0.0, 0.0)
    for count, side in ((left, -1), (right, 1)):
        for i in range(count):
            put(side * (half - near), near - depth - 0.75 - width * (i + 0.5) * 1.03, -90.0 * side)
    return out


def _shade(values: np.ndarray) -> Colour:
    return float(values[0]), float(values[1]), float(values[2])


def draw_style(rng: np.random.Generator) -> Style:
    """Draw one school's furniture and walls."""
    wood = rng.uniform(0.25, 0.8) * np.array([1, rng.uniform(0.7, 0.85), rng.uniform(0.4, 0.65)])
    light = rng.uniform(0.6, 0.9) * rng.uniform(0.93, 1, 3)
    top_wood = bool(rng.random() < 0.6)
    wall = rng.uniform(0.5, 0.9) * rng.uniform(0.85, 1, 3)
    grey = rng.uniform(0.05, 0.6)
    chair_wood = bool(rng.random() < 0.45)
    return Style(
        top=_shade(wood if top_wood else light),
        top_wood=top_wood,
        leg=_shade(grey * rng.uniform(0.85, 1, 3)),
        chair=_shade(wood if chair_wood else rng.uniform(0.05, 0.7, 3)),
        chair_wood=chair_wood,
        panel=float(rng.choice([0.0, rng.uniform(0.15, 0.3), rng.uniform(0.35, 0.6)], p=[0.2, 0.3, 0.5])),
        panel_colour=_shade(wood * 0.9 if rng.random() < 0.5 else grey * rng.uniform(0.8, 1, 3)),
        wall=_shade(wall),
        dado=_shade(wall * rng.uniform(0.45, 1.0, 3)),
        floor=_shade(rng.uniform(0.15, 0.65) * rng.uniform(0.8, 1, 3)),
        floor_tiles=bool(rng.random() < 0.6),
    )
