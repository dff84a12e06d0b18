"""A classroom by seed: its walls, furniture and seats. The board hangs on the wall at y = length; seats look along y."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from benchmarks.exams.shift.furniture import (
    DeskStyle,
    Solid,
    any_colour,
    bag,
    book,
    bottle,
    box,
    case,
    chair,
    desk,
    laptop,
    moved,
    rod,
    sheet,
    shelf,
)
from benchmarks.exams.shift.looks import Colour, colour
from benchmarks.exams.shift.vectors import turn, vec

Rng = np.random.Generator


@dataclass(frozen=True)
class Seat:
    """Where a pupil sits, on the floor, and where the seat looks, degrees to the left of the board.

    `outer` is the side without neighbour: -1 left, 1 right, 0 both.
    """

    x: float
    y: float
    yaw: float = 0.0
    outer: int = 0


@dataclass(frozen=True)
class Window:
    """An opening in a side wall: from y0 to y1, from z0 to z1."""

    y0: float
    y1: float
    z0: float
    z1: float


@dataclass(frozen=True)
class Plan:
    """A room, metres. `side` is the window wall's: -1 left of who looks at the board, 1 right."""

    width: float
    length: float
    height: float
    side: int
    windows: tuple[Window, ...]
    seats: tuple[Seat, ...]
    desks: tuple[tuple[float, float, float, int], ...]
    style: DeskStyle
    years: float
    lamps: tuple[tuple[float, float], ...]


def draw_plan(rng: Rng) -> Plan:
    """Choose a room and set its desks."""
    style = DeskStyle(
        width=float(rng.uniform(0.6, 0.72)),
        depth=float(rng.uniform(0.46, 0.6)),
        panel=bool(rng.random() < 0.45),
        tray=bool(rng.random() < 0.5),
        side_walls=bool(rng.random() < 0.2),
        metal=colour(rng, (0, 0.4), (0.03, 0.6)),
    )
    width, length = float(rng.uniform(6.4, 8.6)), float(rng.uniform(7.2, 10.0))
    kind = str(rng.choice(["pairs", "single", "groups", "horseshoe"], p=[0.52, 0.22, 0.16, 0.1]))
    desks = list(
        {"pairs": _pairs, "single": _single, "groups": _groups, "horseshoe": _horseshoe}[kind](
            rng, width, length, style
        )
    )
    seats = tuple(seat for one in desks for seat in _seats(one, style))
    height, bays = float(rng.uniform(2.8, 3.5)), int(rng.integers(2, 5))
    return Plan(
        width=width,
        length=length,
        height=height,
        side=int(rng.choice([-1, 1])),
        windows=_windows(rng, length, height, bays),
        seats=seats,
        desks=tuple(desks),
        style=style,
        years=float(rng.choice([6.5, 8, 9, 10, 11, 12, 14, 16, 17.5])),
        lamps=tuple((x, y) for x in (-width / 4, width / 4) for y in np.linspace(1.4, length - 1.4, 3)),
    )


def _windows(rng: Rng, length: float, height: float, bays: int) -> tuple[Window, ...]:
    bay, low, high = (length - 1.0) / bays, float(rng.uniform(0.85, 1.1)), height - float(rng.uniform(0.25, 0.5))
    gap = float(rng.uniform(0.15, 0.6))
    return tuple(Window(0.5 + i * bay + gap / 2, 0.5 + (i + 1) * bay - gap / 2, low, high) for i in range(bays))


Spot = tuple[float, float, float, int]  # x and y of the near edge's middle, yaw, seats


def _rows(
    rng: Rng, width: float, length: float, wide: float, aisle: float, least_pitch: float = 1.25
) -> Iterator[tuple[float, float]]:
    columns = max(int((width - 1.0 + aisle) // (wide + aisle)), 1)
    pitch = float(rng.uniform(least_pitch, least_pitch + 0.25))
    rows = min(int((length - 3.4) // pitch) + 1, int(rng.integers(3, 6)))
    start = (
        length - 2.3 - pitch * (rows - 1) - float(rng.uniform(0, max(length - 3.4 - pitch * (rows - 1), 0.01)) * 0.6)
    )
    for row in range(rows):
        for column in range(columns):
            yield (
                (column - (columns - 1) / 2) * (wide + aisle) + rng.normal(0, 0.02),
                start + row * pitch + rng.normal(0, 0.03),
            )


def _pairs(rng: Rng, width: float, length: float, style: DeskStyle) -> Iterator[Spot]:
    for x, y in _rows(rng, width, length, style.width * 2, float(rng.uniform(0.5, 0.8))):
        yield x, y, float(rng.normal(0, 1)), 2


def _single(rng: Rng, width: float, length: float, style: DeskStyle) -> Iterator[Spot]:
    for x, y in _rows(rng, width, length, style.width, float(rng.uniform(0.5, 0.7))):
        yield x, y, float(rng.normal(0, 2)), 1


def _groups(rng: Rng, width: float, length: float, style: DeskStyle) -> Iterator[Spot]:
    for x, y in _rows(rng, width, length - 0.4, style.depth * 2 + 1.1, 0.35, 1.95):
        if rng.random() < 0.9:
            yield x - style.depth, y, -90.0, 2
            yield x + style.depth, y, 90.0, 2


def _horseshoe(_: Rng, width: float, length: float, style: DeskStyle) -> Iterator[Spot]:
    half, back = width / 2 - 1.1, 1.4
    for y in np.arange(back + 1.2, length - 2.4, style.width * 2 + 0.05):
        yield -half, float(y), -90.0, 2
        yield half, float(y), 90.0, 2
    for x in np.arange(-half + 1.3, half - 1.2, style.width * 2 + 0.05):
        yield float(x), back, 0.0, 2
        yield float(x), back + 2.2, 0.0, 2


def _seats(spot: Spot, style: DeskStyle) -> Iterator[Seat]:
    x, y, yaw, count = spot
    for i in range(count):
        across = (i - (count - 1) / 2) * style.width
        at = turn(yaw=yaw) @ vec(across, -0.17, 0)
        yield Seat(x + float(at[0]), y + float(at[1]), yaw, 0 if count == 1 else (-1, 1)[i])


@dataclass(frozen=True)
class Fittings:
    """Choices of a room's surfaces that its solids share."""

    wall: Colour
    trim: Colour
    shell: Colour
    curtain: Colour | None


def fit_out(rng: Rng) -> Fittings:
    """Choose wall paint, the lower wall's, chairs and curtains."""
    wall = colour(rng, (0.0, 0.25), (0.5, 0.92))
    trim = colour(rng, (0.05, 0.5), (0.25, 0.7)) if rng.random() < 0.4 else wall
    return Fittings(
        wall,
        trim,
        colour(rng, (0, 0.8), (0.05, 0.7)),
        colour(rng, (0, 0.6), (0.2, 0.8)) if rng.random() < 0.5 else None,
    )


def room_solids(plan: Plan, rng: Rng, fittings: Fittings) -> list[Solid]:
    """The empty room and what stands along its walls."""
    return [
        *_shell(plan, fittings),
        *_window_wall(plan, fittings, rng),
        *_board(plan, rng),
        *_along_walls(plan, rng),
        *_teachers_desk(plan, rng),
        *_outside(plan, rng),
        *(box("lamp", (x, y, plan.height - 0.04), (0.3, 1.2, 0.06)) for x, y in plan.lamps),
    ]


def _shell(plan: Plan, fittings: Fittings) -> Iterator[Solid]:
    w, n, h = plan.width, plan.length, plan.height
    yield box("floor", (0, n / 2, -0.05), (w, n, 0.1))
    yield box("ceiling", (0, n / 2, h + 0.05), (w + 0.4, n + 0.4, 0.1))
    yield box("wall", (0, -0.05, h / 2), (w + 0.2, 0.1, h), tint=fittings.wall)
    yield box("wall", (0, n + 0.05, h / 2), (w + 0.2, 0.1, h), tint=fittings.wall)
    inner = -plan.side * (w / 2 + 0.05)
    yield box("wall", (inner, n / 2, h / 2), (0.1, n, h), tint=fittings.wall)
    for x, y, sx, sy in ((0, 0.004, w, 0.008), (0, n - 0.004, w, 0.008), (inner + plan.side * 0.05, n / 2, 0.016, n)):
        yield box("wall", (x, y, 0.55), (sx, sy, 1.1), tint=fittings.trim)
        yield box("wood", (x, y, 0.04), (sx + 0.01, sy + 0.01, 0.08))
    yield box("wood", (inner + plan.side * 0.05, 1.0, 1.02), (0.05, 0.95, 2.05))


def _window_wall(plan: Plan, fittings: Fittings, rng: Rng) -> Iterator[Solid]:
    x, h, first = plan.side * (plan.width / 2 + 0.08), plan.height, plan.windows[0]
    frame = (0.75, 0.75, 0.73) if rng.random() < 0.7 else (0.12, 0.07, 0.04)
    yield box("wall", (x, plan.length / 2, first.z0 / 2), (0.16, plan.length, first.z0), tint=fittings.trim)
    yield box("wall", (x, plan.length / 2, (first.z1 + h) / 2), (0.16, plan.length, h - first.z1), tint=fittings.wall)
    edges = [0.0, *(e for w in plan.windows for e in (w.y0, w.y1)), plan.length]
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        middle, tall = (first.z0 + first.z1) / 2, first.z1 - first.z0
        yield box("wall", (x, (start + end) / 2, middle), (0.16, end - start, tall), tint=fittings.wall)
    for w in plan.windows:
        for y in (w.y0, (w.y0 + w.y1) / 2, w.y1):
            yield box("gloss", (x, y, (w.z0 + w.z1) / 2), (0.06, 0.06, w.z1 - w.z0), tint=frame)
        for z in (w.z0, w.z0 + (w.z1 - w.z0) * 0.7, w.z1):
            yield box("gloss", (x, (w.y0 + w.y1) / 2, z), (0.06, w.y1 - w.y0, 0.05), tint=frame)
        yield box(
            "paint",
            (x - plan.side * 0.14, (w.y0 + w.y1) / 2, 0.45),
            (0.09, (w.y1 - w.y0) * 0.8, 0.55),
            tint=(0.7, 0.7, 0.68),
        )
        if fittings.curtain:
            inside = x - plan.side * 0.17
            for y in (*np.arange(-0.12, 0.13, 0.06) + w.y0, *np.arange(-0.12, 0.13, 0.06) + w.y1):
                yield rod("cloth", (inside, y, 0.5), (inside, y, w.z1 + 0.1), 0.045, tint=fittings.curtain)


def _outside(plan: Plan, rng: Rng) -> Iterator[Solid]:
    """What the windows show: lawn or yard, houses, trees."""
    ground = float(rng.choice([-0.3, -3.5, -7]))
    yield box("paint", (plan.side * 60, 0, ground - 0.1), (110, 160, 0.2), tint=colour(rng, (0.1, 0.5), (0.3, 0.6)))
    for _ in range(9):
        x, y = plan.side * float(rng.uniform(14, 45)), float(rng.uniform(-25, 35))
        if rng.random() < 0.5:
            tall = float(rng.uniform(4, 14))
            yield box(
                "wall",
                (x, y, ground + tall / 2),
                (8, float(rng.uniform(6, 14)), tall),
                tint=colour(rng, (0, 0.3), (0.3, 0.8)),
            )
        else:
            tall, green = float(rng.uniform(3, 9)), (0.03, float(rng.uniform(0.06, 0.2)), 0.02)
            yield rod("paint", (x, y, ground + 1), (x, y, ground + tall), 1.8, tint=green, top=0.5)


def _board(plan: Plan, rng: Rng) -> Iterator[Solid]:
    wide, y = float(rng.uniform(2.6, min(4.4, plan.width - 1.6))), plan.length - 0.03
    kind = str(rng.choice(["greenboard", "whiteboard", "blackboard"], p=[0.45, 0.4, 0.15]))
    yield box(kind, (0, y, 1.5), (wide, 0.03, 1.2))
    for z in (0.88, 2.12):
        yield box("metal", (0, y - 0.02, z), (wide + 0.06, 0.06, 0.04), tint=(0.4, 0.4, 0.4))
    if rng.random() < 0.5:
        yield box(
            "gloss",
            (float(rng.uniform(-1, 1)), plan.length - 1.6, plan.height - 0.35),
            (0.35, 0.3, 0.14),
            tint=(0.6, 0.6, 0.6),
        )


def _along_walls(plan: Plan, rng: Rng) -> Iterator[Solid]:
    inner, y = -plan.side * plan.width / 2, 1.8
    while y < plan.length - 1.6:
        if rng.random() < 0.35:
            tall = float(rng.choice([0.85, 1.2, 1.95]))
            yield from moved(shelf(1.1, tall, rng), (inner, y + 0.5, 0), -90.0 if plan.side < 0 else 90.0)
        elif rng.random() < 0.7:
            yield from _poster(rng, inner + plan.side * 0.012, y + 0.5, along=True)
        y += 1.25
    for x in np.arange(-plan.width / 2 + 0.8, plan.width / 2 - 0.8, 1.25):
        if rng.random() < 0.35:
            yield from moved(shelf(1.1, float(rng.choice([0.85, 1.2, 1.95])), rng), (x, 0.0, 0), 180.0)
        elif rng.random() < 0.6:
            yield from _poster(rng, float(x), 0.012, along=False)


def _poster(rng: Rng, x: float, y: float, *, along: bool) -> Iterator[Solid]:
    wide, tall = float(rng.uniform(0.35, 0.9)), float(rng.uniform(0.4, 0.95))
    size = (0.008, wide, tall) if along else (wide, 0.008, tall)
    yield box("poster", (x, y, float(rng.uniform(1.45, 1.9))), size, tint=any_colour(rng))


def _teachers_desk(plan: Plan, rng: Rng) -> Iterator[Solid]:
    x = float(rng.choice([-1, 1])) * (plan.width / 2 - 1.3)
    style = DeskStyle(0.7, 0.7, panel=True, tray=False, side_walls=True, metal=plan.style.metal)
    yield from moved(desk(style, 0.75, 2), (x, plan.length - 0.75, 0), 180)
    for _ in range(3):
        piece = (laptop(rng), book(rng, opened=False), bottle(rng))[int(rng.integers(3))]
        yield from moved(
            piece, (x + float(rng.uniform(-0.5, 0.5)), plan.length - 1.05, 0.75), float(rng.uniform(0, 360))
        )


def seating(
    plan: Plan, desk_m: float, seat_m: float, fittings: Fittings, pushed: dict[int, float], rng: Rng
) -> list[Solid]:
    """Desks, chairs and bags; a chair is pushed back as many metres as `pushed` says for its seat."""
    solids = [s for x, y, yaw, count in plan.desks for s in moved(desk(plan.style, desk_m, count), (x, y, 0), yaw)]
    for i, seat in enumerate(plan.seats):
        rotation, at = turn(yaw=seat.yaw), vec(seat.x, seat.y, 0)
        back = pushed.get(i, 0.0)
        solids += moved(
            chair(seat_m, plan.style.metal, fittings.shell),
            at + rotation @ vec(0, -back, 0),
            seat.yaw + rng.normal(0, 3),
        )
        if rng.random() < 0.6:
            spot = at + rotation @ vec(0.34 * float(rng.choice([-1, 1])), float(rng.uniform(-0.1, 0.3)), 0)
            solids += moved(bag(rng), spot, float(rng.uniform(0, 360)))
    return solids


def clutter(seat: Seat, desk_m: float, rng: Rng, *, clear: bool) -> list[Solid]:
    """What lies on one pupil's part of the desk; `clear` keeps its middle free for arms and heads."""
    solids, rotation, at = list[Solid](), turn(yaw=seat.yaw), vec(seat.x, seat.y, desk_m)
    things: tuple[tuple[float, Callable[[], list[Solid]], float, float], ...] = (
        (0.0 if clear else 0.45, lambda: book(rng, opened=True), 0.0, 0.42),
        (0.35, lambda: book(rng, opened=False), 0.2, 0.52),
        (0.4, lambda: bottle(rng), 0.26, 0.56),
        (0.5, lambda: case(rng), -0.14, 0.55),
        (0.5, sheet, 0.04, 0.36),
        (0.0 if clear else 0.06, lambda: laptop(rng), 0.0, 0.42),
    )
    for chance, make, x, y in things:
        if rng.random() < chance:
            spot = at + rotation @ vec(x + rng.normal(0, 0.03), y + rng.normal(0, 0.03), 0)
            solids += moved(make(), spot, seat.yaw + rng.normal(0, 10))
    return solids
