"""Room: a plan becomes boxes; desks, chairs, things, walls, windows, board and lamps."""

from collections.abc import Sequence

import numpy as np

from synthroom.fixtures import fixtures
from synthroom.layout import Desk, Plan
from synthroom.mesh import CLOTH, LIGHT, PLAIN, TILES, WALL, WOOD, Box, Colour


def _rgb(rng: np.random.Generator, low: float, high: float) -> Colour:
    values = rng.uniform(low, high, 3)
    return float(values[0]), float(values[1]), float(values[2])


class Carpenter:
    """Collects boxes in a desk's frame."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.boxes = desk, list[Box]()

    def add(
        self,
        centre: tuple[float, float, float],
        size: tuple[float, float, float],
        colour: Colour,
        material: int = PLAIN,
        yaw: float = 0.0,
        tilt: float = 0.0,
    ) -> None:
        """Put a box at a point of the desk's frame."""
        x, y = self.desk.to_room(centre[0], centre[1])
        self.boxes.append(Box((x, y, centre[2]), size, colour, material, self.desk.yaw + yaw, tilt))


def desk_boxes(
    rng: np.random.Generator, plan: Plan, desk: Desk, *, top_m: float, seats_m: list[float], pushed_m: list[float]
) -> list[Box]:
    """One desk with its chairs and things: top and seat heights, and how far each chair is pushed back."""
    c, style = Carpenter(desk), plan.style
    middle, wood = plan.near - desk.depth / 2, WOOD if style.top_wood else PLAIN
    c.add((0, middle, top_m - 0.012), (desk.width, desk.depth, 0.024), style.top, wood)
    for x in (-desk.width / 2 + 0.04, desk.width / 2 - 0.04):
        for y in (-desk.depth / 2 + 0.04, desk.depth / 2 - 0.04):
            c.add((x, middle + y, top_m / 2 - 0.012), (0.03, 0.03, top_m - 0.024), style.leg)
    if style.panel > 0:
        front = plan.near - desk.depth + 0.03
        c.add(
            (0, front, top_m - 0.03 - style.panel / 2),
            (desk.width - 0.06, 0.015, style.panel),
            style.panel_colour,
            wood,
        )
    for offset, seat_m, pushed in zip(desk.seats, seats_m, pushed_m, strict=True):
        _chair(c, plan, offset, seat_m - 0.005, pushed)
    _things(rng, c, plan, top_m)
    return c.boxes


def _chair(c: Carpenter, plan: Plan, x: float, seat_m: float, pushed_m: float) -> None:
    style, y = plan.style, pushed_m
    wood = WOOD if style.chair_wood else PLAIN
    c.add((x, y + 0.02, seat_m - 0.015), (0.36, 0.36, 0.03), style.chair, wood)
    c.add((x, y + 0.22, seat_m + 0.31), (0.36, 0.025, 0.22), style.chair, wood, 0, -6)
    for dx in (-0.16, 0.16):
        c.add((x + dx, y + 0.2, seat_m / 2 + 0.19), (0.025, 0.025, seat_m + 0.36), style.leg)
        c.add((x + dx, y - 0.12, seat_m / 2), (0.025, 0.025, seat_m), style.leg)


def _things(rng: np.random.Generator, c: Carpenter, plan: Plan, top_m: float) -> None:
    desk = c.desk
    middle = plan.near - desk.depth / 2
    for offset in desk.seats:
        for _ in range(int(rng.integers(0, 4))):
            size = (rng.uniform(0.1, 0.2), rng.uniform(0.14, 0.27), rng.uniform(0.004, 0.03))
            paper = _rgb(rng, 0.75, 0.95) if rng.random() < 0.5 else _rgb(rng, 0.1, 0.9)
            where = (offset + rng.uniform(-0.14, 0.14), middle + rng.uniform(-0.12, 0.06), top_m + size[2] / 2)
            c.add(where, size, paper, PLAIN, float(rng.uniform(-40, 40)))
        if rng.random() < 0.06:
            _laptop(rng, c, offset, middle, top_m)
        if rng.random() < 0.25:
            where = (offset + rng.choice([-0.22, 0.22]), middle - desk.depth / 2 + 0.08, top_m + 0.09)
            c.add(where, (0.055, 0.055, 0.18), _rgb(rng, 0.1, 0.9))
        if rng.random() < 0.3:
            side = desk.width / 2 + 0.07
            c.add((side, middle, 0.2), (0.12, 0.3, 0.38), _rgb(rng, 0.02, 0.5), CLOTH)


def _laptop(rng: np.random.Generator, c: Carpenter, offset: float, middle: float, top_m: float) -> None:
    tint, y = _rgb(rng, 0.03, 0.6), middle + 0.02
    c.add((offset, y, top_m + 0.01), (0.3, 0.21, 0.018), tint)
    c.add((offset, y - 0.13, top_m + 0.11), (0.3, 0.012, 0.2), tint, PLAIN, 0, float(rng.uniform(8, 25)))


def walls(rng: np.random.Generator, plan: Plan) -> list[Box]:
    """Floor, walls, ceiling, windows, board, posters, cupboards, lamps."""
    x0, y0, x1, y1 = plan.bounds
    h, s, w, d = plan.height, plan.style, x1 - x0, y1 - y0
    out = [
        Box((0, 0, -0.05), (w, d, 0.1), s.floor, TILES if s.floor_tiles else WOOD),
        Box((0, 0, h + 0.05), (w, d, 0.1), (0.8, 0.8, 0.8), WALL),
    ]
    for x in (x0, x1):
        out.append(Box((x, 0, h / 2), (0.1, d, h), s.wall, WALL))
        out.append(Box((x - 0.01 * np.sign(x), 0, 0.5), (0.1, d, 1.0), s.dado, WALL))
    for y in (y0, y1):
        out.append(Box((0, y, h / 2), (w, 0.1, h), s.wall, WALL))
        out.append(Box((0, y - 0.01 * np.sign(y), 0.5), (w, 0.1, 1.0), s.dado, WALL))
    for part in (_windows, _board, _posters, _cupboards, _lamps, fixtures):
        out += part(rng, plan)
    return out


def standing_in_the_way(boxes: Sequence[Box]) -> list[tuple[float, float, float]]:
    """Circles (x, y, radius) around what stands on the floor along the walls: the teacher's desk, cupboards."""
    out = list[tuple[float, float, float]]()
    for box in boxes:
        width, depth, height = box.size
        on_floor = abs(box.centre[2] - height / 2) < 0.01
        if on_floor and box.material == WOOD and 0.3 < depth < 0.8 and height > 0.6:
            middles = np.linspace(-width / 2 + depth / 2, width / 2 - depth / 2, 4)
            out += [(box.centre[0] + float(x), box.centre[1], depth / 2 + 0.3) for x in middles]
    return out


def _windows(rng: np.random.Generator, plan: Plan) -> list[Box]:
    x0, y0, x1, y1 = plan.bounds
    out, sill, tall = list[Box](), rng.uniform(0.8, 1.1), rng.uniform(1.1, 1.6)
    glass = _rgb(rng, 0.85, 1.0)
    for x in [x0, x1] if rng.random() < 0.25 else [x0 if rng.random() < 0.5 else x1]:
        inner = x - 0.02 * float(np.sign(x))
        for y in np.arange(y0 + 1.0, y1 - 0.7, rng.uniform(1.6, 2.2)):
            out.append(Box((inner, float(y), sill + tall / 2), (0.1, 1.3, tall), glass, LIGHT))
            out.append(
                Box((inner - 0.02 * float(np.sign(x)), float(y), sill + tall / 2), (0.1, 0.05, tall), (0.8,) * 3)
            )
            if rng.random() < 0.3:
                drop = tall * rng.uniform(0.2, 0.6)
                middle = sill + tall - drop / 2
                out.append(
                    Box((inner - 0.04 * float(np.sign(x)), float(y), middle), (0.1, 1.3, drop), (0.7, 0.68, 0.6), CLOTH)
                )
    return out


def _board(rng: np.random.Generator, plan: Plan) -> list[Box]:
    _, y0, _, y1 = plan.bounds
    green = bool(rng.random() < 0.5)
    face: Colour = (0.04, 0.15, 0.1) if green else (0.85, 0.86, 0.87)
    width, middle = rng.uniform(2.0, 3.6), rng.uniform(-0.5, 0.5)
    out = [
        Box((middle, y0 + 0.06, 1.5), (width, 0.04, 1.2), face, PLAIN),
        Box((middle, y0 + 0.055, 1.5), (width + 0.08, 0.04, 1.28), (0.3, 0.25, 0.2), PLAIN),
    ]
    for _ in range(int(rng.integers(0, 9))):  # writing
        ink: Colour = (0.7, 0.7, 0.65) if green else _rgb(rng, 0.0, 0.5)
        x, z = middle + rng.uniform(-0.4, 0.4) * width, rng.uniform(1.1, 1.95)
        out.append(Box((float(x), y0 + 0.082, float(z)), (float(rng.uniform(0.15, 0.6)), 0.002, 0.025), ink))
    if rng.random() < 0.7:  # the teacher's desk
        x, top = float(rng.uniform(-1.8, 1.8)), _rgb(rng, 0.2, 0.6)
        out.append(Box((x, y0 + 0.9, 0.37), (1.3, 0.6, 0.74), top, WOOD))
    if rng.random() < 0.3:
        out.append(Box((float(rng.uniform(-1.5, 1.5)), y1 - 0.07, 1.5), (float(rng.uniform(1.5, 3)), 0.04, 1.1), face))
    return out


def _posters(rng: np.random.Generator, plan: Plan) -> list[Box]:
    x0, y0, x1, y1 = plan.bounds
    out = []
    for i in range(int(rng.integers(3, 18))):
        size, z, tint = rng.uniform(0.25, 0.9), rng.uniform(1.25, 2.1), _rgb(rng, 0.05, 0.95)
        thick, shape = 0.03 + 0.001 * i, rng.uniform(0.6, 1.2)
        wall = int(rng.choice([0, 1, 2, 3], p=[0.5, 0.1, 0.2, 0.2]))
        if wall < 2:
            where = (float(rng.uniform(x0 + 0.5, x1 - 0.5)), y1 - 0.05 if wall == 0 else y0 + 0.05, float(z))
            out.append(Box(where, (float(size), thick, float(size * shape)), tint, WALL))
        else:
            where = (x0 + 0.05 if wall == 2 else x1 - 0.05, float(rng.uniform(y0 + 0.5, y1 - 0.5)), float(z))
            out.append(Box(where, (thick, float(size), float(size * shape)), tint, WALL))
    return out


def _cupboards(rng: np.random.Generator, plan: Plan) -> list[Box]:
    x0, _, x1, y1 = plan.bounds
    out = list[Box]()
    for _ in range(int(rng.integers(0, 4))):
        wide, tall = rng.uniform(0.8, 1.8), rng.choice([0.9, 1.3, 1.9])
        x, tint = float(rng.uniform(x0 + 1, x1 - 1)), _rgb(rng, 0.15, 0.6)
        out.append(Box((x, y1 - 0.22, float(tall) / 2), (float(wide), 0.36, float(tall)), tint, WOOD))
        for k in range(int(rng.integers(0, 8))):
            size = (float(rng.uniform(0.05, 0.2)), 0.2, float(rng.uniform(0.1, 0.3)))
            where = (x + float(rng.uniform(-0.4, 0.4) * wide), y1 - 0.22, float(tall) + size[2] / 2 + 0.001 * k)
            out.append(Box(where, size, _rgb(rng, 0.05, 0.9)))
    return out


def _lamps(rng: np.random.Generator, plan: Plan) -> list[Box]:
    x0, y0, x1, y1 = plan.bounds
    return [
        Box((float(x), float(y), plan.height - 0.03), (0.25, 1.3, 0.05), (0.97, 0.97, 0.95), LIGHT)
        for x in np.linspace(x0, x1, 4)[1:-1]
        for y in np.linspace(y0, y1, int(rng.integers(3, 6)))[1:-1]
    ]
