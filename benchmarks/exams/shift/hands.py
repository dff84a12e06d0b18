"""Hands: palm, four fingers and a thumb in the shapes that tell behaviours apart.

A right hand: wrist at the origin, fingers along y, palm towards -z, thumb at -x; one hand is 1 long.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
from benchmarks.exams.shift.fields import Shape, Surface, joined, limb, surface
from benchmarks.exams.shift.vectors import Array, vec

# curl of the fingers in degrees a joint, spread between them in degrees, thumb: how far it lies across the palm (0..1)
SHAPES: dict[str, tuple[tuple[float, float, float, float], float, float]] = {
    "flat": ((4, 3, 4, 5), 1.5, 0.15),
    "spread": ((6, 4, 6, 8), 11, 0.0),
    "relaxed": ((28, 34, 38, 42), 2, 0.4),
    "fist": ((82, 84, 84, 82), 1, 1.0),
    "grip": ((48, 58, 68, 72), 1, 0.8),
    "point": ((4, 80, 84, 84), 1, 0.9),
}
_LONG = (0.4, 0.44, 0.41, 0.32)  # index to little finger
_THICK = (0.048, 0.05, 0.047, 0.041)


def _finger(root: Array, aside: float, length: float, thick: float, curl: float) -> Iterator[Shape]:
    start, bent = root, 0.0
    for share, more in ((0.45, 0.75), (0.31, 1.0), (0.24, 0.7)):
        bent += np.radians(curl) * more
        side = np.radians(aside) * np.cos(bent)
        way = vec(np.sin(side), np.cos(bent) * np.cos(side), -np.sin(bent))
        end = start + way * length * share
        yield limb(start, end, thick, thick * 0.92)
        start, thick = end, thick * 0.92


def _parts(shape: str) -> Iterator[Shape]:
    curls, spread, across = SHAPES[shape]
    for i in range(4):
        x = -0.155 + 0.105 * i
        yield limb((x * 0.7, 0.08, 0), (x, 0.47, 0.0), 0.075, 0.06)
        yield from _finger(vec(x, 0.5 - 0.03 * (i == 3), 0), spread * (i - 1.2), _LONG[i], _THICK[i], curls[i])
    knuckle = vec(-0.26 + 0.05 * across, 0.28, -0.06 - 0.05 * across)
    middle = knuckle + vec(-0.11 + 0.2 * across, 0.14 + 0.02 * across, -0.04 - 0.05 * across)
    yield limb((-0.1, 0.1, -0.02), knuckle, 0.08, 0.065)
    yield limb(knuckle, middle, 0.058, 0.052)
    yield limb(middle, middle + vec(-0.02 + 0.13 * across, 0.15, -0.01), 0.052, 0.042)


@cache
def right_hand(shape: str) -> Surface:
    """A right hand in one of `SHAPES`, with a piece of the wrist."""
    wrist = limb((0, -0.16, 0), (0, 0.08, 0), 0.135, 0.13, flat=(0, 0, 1), depth=0.72)
    return surface(joined((wrist, *_parts(shape)), 0.02), (-0.55, -0.32, -0.5), (0.5, 1.02, 0.16), 0.026)
