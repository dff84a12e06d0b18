"""Fixtures: what a classroom has besides desks; doors, notice boards, pillars, screens, fans, curtains, shelves, plants."""

import numpy as np

from synthroom.layout import Plan
from synthroom.mesh import CLOTH, LIGHT, PLAIN, WALL, WOOD, Box, Colour

SHARES = {
    "door": 0.7,
    "notices": 0.6,
    "pillars": 0.2,
    "screen": 0.35,
    "fans": 0.3,
    "curtains": 0.35,
    "shelf": 0.35,
    "plants": 0.3,
    "hooks": 0.25,
    "beams": 0.2,
}
"""How often a room has each."""


def fixtures(rng: np.random.Generator, plan: Plan) -> list[Box]:
    """Draw which of them a room has, and where."""
    out = list[Box]()
    for name, share in SHARES.items():
        if rng.random() < share:
            out += _MAKERS[name](rng, plan)
    return out


def _tint(rng: np.random.Generator, low: float, high: float, saturation: float = 0.6) -> Colour:
    free = rng.uniform(low, high, 3)
    mixed = free.mean() + (free - free.mean()) * saturation
    return float(mixed[0]), float(mixed[1]), float(mixed[2])


def _door(rng: np.random.Generator, plan: Plan) -> list[Box]:
    x0, y0, x1, y1 = plan.bounds
    x, y = (x0 if rng.random() < 0.5 else x1), float(rng.choice([y0 + 1.0, y1 - 1.0]))
    inner, tint = x - 0.03 * float(np.sign(x)), _tint(rng, 0.1, 0.8)
    pane = Box((inner - 0.02 * float(np.sign(x)), y, 1.55), (0.1, 0.5, 0.6), (0.75, 0.8, 0.85), LIGHT)
    return [Box((inner, y, 1.03), (0.1, 0.9, 2.06), tint, WOOD if rng.random() < 0.5 else PLAIN)] + [pane] * int(
        rng.random() < 0.5
    )


def _notices(rng: np.random.Generator, plan: Plan) -> list[Box]:
    """A board with many small papers, on the back wall or a side wall."""
    x0, y0, x1, y1 = plan.bounds
    wide, tall, z = float(rng.uniform(1.2, 3.2)), float(rng.uniform(0.8, 1.2)), float(rng.uniform(1.4, 1.7))
    back = bool(rng.random() < 0.65)
    middle = float(rng.uniform(x0 + 1.2, x1 - 1.2) if back else rng.uniform(y0 + 1.2, y1 - 1.2))
    wall = y1 if back else (x0 if rng.random() < 0.5 else x1)

    def flat(along: float, height: float, size: tuple[float, float], tint: Colour, out_m: float) -> Box:
        where = wall - out_m * float(np.sign(wall))
        if back:
            return Box((middle + along, where, height), (size[0], 0.1, size[1]), tint, PLAIN)
        return Box((where, middle + along, height), (0.1, size[0], size[1]), tint, PLAIN)

    out = [flat(0, z, (wide, tall), _tint(rng, 0.1, 0.7), 0.03)]
    for i in range(int(rng.integers(8, 36))):
        size = (float(rng.uniform(0.1, 0.3)), float(rng.uniform(0.1, 0.3)))
        along, up = float(rng.uniform(-0.46, 0.46)) * wide, float(rng.uniform(-0.42, 0.42)) * tall
        tint = _tint(rng, 0.6, 0.95, 0.4) if rng.random() < 0.5 else _tint(rng, 0.05, 0.9, 1.0)
        out.append(flat(along, z + up, size, tint, 0.035 + 0.0006 * i))
    return out


def _pillars(rng: np.random.Generator, plan: Plan) -> list[Box]:
    x0, y0, x1, y1 = plan.bounds
    side = float(rng.uniform(0.25, 0.45))
    return [
        Box(
            (x - side / 2 * float(np.sign(x)), float(y), plan.height / 2),
            (side, side, plan.height),
            plan.style.wall,
            WALL,
        )
        for x in (x0, x1)
        for y in np.linspace(y0, y1, int(rng.integers(4, 6)))[1:-1]
    ]


def _screen(rng: np.random.Generator, plan: Plan) -> list[Box]:
    """A screen, lit or dark, beside or before the board, and a projector under the ceiling."""
    _, y0, _, _ = plan.bounds
    x, wide = float(rng.uniform(-1.8, 1.8)), float(rng.uniform(1.2, 2.4))
    tint = _tint(rng, 0.5, 1.0, 0.3) if rng.random() < 0.6 else (0.02, 0.02, 0.025)
    face = Box((x, y0 + 0.11, 1.75), (wide, 0.05, wide * 0.6), tint, LIGHT if tint[0] > 0.3 else PLAIN)
    frame = Box((x, y0 + 0.1, 1.75), (wide + 0.08, 0.05, wide * 0.6 + 0.08), (0.02, 0.02, 0.02))
    projector = Box((x, y0 + 2.6, plan.height - 0.3), (0.35, 0.28, 0.12), (0.8, 0.8, 0.8))
    return [frame, face, projector]


def _fans(rng: np.random.Generator, plan: Plan) -> list[Box]:
    x0, y0, x1, y1 = plan.bounds
    out, z = list[Box](), plan.height - float(rng.uniform(0.4, 0.6))
    tint = (0.75, 0.75, 0.72) if rng.random() < 0.6 else _tint(rng, 0.1, 0.6)
    for x in np.linspace(x0, x1, 4)[1:-1]:
        for y in np.linspace(y0, y1, int(rng.integers(3, 5)))[1:-1]:
            turn = float(rng.uniform(0, 90))
            out += [Box((float(x), float(y), z), (1.2, 0.12, 0.015), tint, PLAIN, turn + k * 60) for k in range(3)]
            out.append(Box((float(x), float(y), (z + plan.height) / 2), (0.05, 0.05, plan.height - z), tint))
    return out


def _curtains(rng: np.random.Generator, plan: Plan) -> list[Box]:
    x0, y0, x1, y1 = plan.bounds
    wall, tint = (x0 if rng.random() < 0.5 else x1), _tint(rng, 0.1, 0.8)
    inner = wall - 0.07 * float(np.sign(wall))
    return [
        Box((inner, float(y), 1.75), (0.12, float(rng.uniform(0.2, 0.7)), 1.9), tint, CLOTH)
        for y in np.arange(y0 + 0.6, y1 - 0.4, rng.uniform(1.4, 2.4))
    ]


def _shelf(rng: np.random.Generator, plan: Plan) -> list[Box]:
    """Books on the boards of a low shelf along a side wall."""
    x0, y0, x1, y1 = plan.bounds
    wall = x0 if rng.random() < 0.5 else x1
    x, y, long = wall - 0.2 * float(np.sign(wall)), float(rng.uniform(y0 + 1.5, y1 - 1.0)), float(rng.uniform(0.9, 1.8))
    wood, out = _tint(rng, 0.2, 0.6, 0.4), list[Box]()
    for z in (0.05, 0.42, 0.79):
        out.append(Box((x, y, z), (0.3, long, 0.03), wood, WOOD))
        for k in range(int(rng.integers(4, 14)) if z < 0.7 else int(rng.integers(0, 5))):
            size = (0.18, float(rng.uniform(0.02, 0.07)), float(rng.uniform(0.18, 0.3)))
            along = y + float(rng.uniform(-0.45, 0.45)) * long
            out.append(Box((x + 0.0007 * k, along, z + size[2] / 2 + 0.015), size, _tint(rng, 0.03, 0.8, 1.0)))
    return out


def _plants(rng: np.random.Generator, plan: Plan) -> list[Box]:
    x0, _, x1, y1 = plan.bounds
    out = list[Box]()
    for _ in range(int(rng.integers(1, 5))):
        x, y, z = float(rng.uniform(x0 + 0.3, x1 - 0.3)), y1 - 0.3, float(rng.choice([0.25, 0.95]))
        out.append(Box((x, y, z), (0.2, 0.2, 0.22), _tint(rng, 0.1, 0.6)))
        for _ in range(9):
            leaf = (x + float(rng.normal(0, 0.1)), y + float(rng.normal(0, 0.07)), z + float(rng.uniform(0.15, 0.5)))
            green: Colour = (0.05, float(rng.uniform(0.12, 0.35)), 0.06)
            out.append(
                Box(leaf, (0.13, 0.05, 0.1), green, PLAIN, float(rng.uniform(0, 180)), float(rng.uniform(-50, 50)))
            )
    return out


def _hooks(rng: np.random.Generator, plan: Plan) -> list[Box]:
    """Coats and bags that hang in a row."""
    x0, y0, x1, y1 = plan.bounds
    wall = x0 if rng.random() < 0.5 else x1
    inner, start = wall - 0.12 * float(np.sign(wall)), float(rng.uniform(y0 + 1.0, max(y0 + 1.0, y1 - 3.0)))
    return [
        Box(
            (inner, start + 0.3 * i, float(rng.uniform(0.95, 1.15))),
            (0.16, 0.24, float(rng.uniform(0.4, 0.8))),
            _tint(rng, 0.02, 0.6, 0.9),
            CLOTH,
        )
        for i in range(int(rng.integers(3, 10)))
        if start + 0.3 * i < y1 - 0.2
    ]


def _beams(rng: np.random.Generator, plan: Plan) -> list[Box]:
    x0, y0, x1, y1 = plan.bounds
    deep = float(rng.uniform(0.15, 0.35))
    return [
        Box((0, float(y), plan.height - deep / 2), (x1 - x0, 0.25, deep), (0.75, 0.75, 0.74), WALL)
        for y in np.linspace(y0, y1, int(rng.integers(4, 7)))[1:-1]
    ]


_MAKERS = {
    "door": _door,
    "notices": _notices,
    "pillars": _pillars,
    "screen": _screen,
    "fans": _fans,
    "curtains": _curtains,
    "shelf": _shelf,
    "plants": _plants,
    "hooks": _hooks,
    "beams": _beams,
}
