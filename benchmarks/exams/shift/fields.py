"""Shapes as signed distance fields on a grid → surfaces: bodies grow together where their parts meet.

Distances are in metres, negative inside; they are near enough to true distances for a smooth surface.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from benchmarks.exams.shift.vectors import Array, Vector

F32 = npt.NDArray[np.float32]
Shape = Callable[[F32], F32]


@dataclass(frozen=True)
class Surface:
    """A triangle mesh: `points` (V, 3), `faces` (T, 3); `paint` (V, 3) linear RGB or none; `rest` (V, 3) for patterns."""

    points: F32
    faces: npt.NDArray[np.int32]
    paint: F32 | None = field(default=None, repr=False)
    rest: F32 | None = field(default=None, repr=False)


def limb(start: Vector, end: Vector, r0: float, r1: float, *, flat: Vector | None = None, depth: float = 1.0) -> Shape:
    """A tapered capsule; with `flat` its thickness along that axis is `depth` times its width."""
    a, b = np.asarray(start, np.float32), np.asarray(end, np.float32)
    way = b - a
    square = max(float(way @ way), 1e-9)
    axis = None if flat is None else np.asarray(flat, np.float32) / np.float32(np.linalg.norm(flat))

    def distance(points: F32) -> F32:
        rel = points - a
        t = np.clip(rel @ way / square, 0, 1)
        rel = rel - t[:, None] * way
        if axis is not None:
            rel = rel + (rel @ axis)[:, None] * (axis * np.float32(1 / depth - 1))
        length: F32 = np.sqrt(np.einsum("pi,pi->p", rel, rel)) - (np.float32(r0) + t * np.float32(r1 - r0))
        return length

    return distance


def ball(centre: Vector, radii: Vector, turned: Array | None = None) -> Shape:
    """An ellipsoid with half axes `radii`, perhaps turned."""
    c, r = np.asarray(centre, np.float32), np.asarray(radii, np.float32)
    rotation = None if turned is None else turned.astype(np.float32)

    def distance(points: F32) -> F32:
        rel = points - c
        if rotation is not None:
            rel = rel @ rotation
        k0 = np.linalg.norm(rel / r, axis=1)
        k1 = np.linalg.norm(rel / (r * r), axis=1)
        result: F32 = (k0 * (k0 - 1) / np.maximum(k1, 1e-6)).astype(np.float32)
        return result

    return distance


def half_space(point: Vector, outward: Vector) -> Shape:
    """Everything behind a plane."""
    p, n = np.asarray(point, np.float32), np.asarray(outward, np.float32)
    length = float(np.linalg.norm(n))

    def distance(points: F32) -> F32:
        result: F32 = ((points - p) @ n / length).astype(np.float32)
        return result

    return distance


def joined(shapes: Sequence[Shape], blend: float) -> Shape:
    """Union, rounded over `blend` metres where shapes meet."""

    def distance(points: F32) -> F32:
        total = shapes[0](points)
        for shape in shapes[1:]:
            other = shape(points)
            h = np.clip(0.5 + 0.5 * (other - total) / blend, 0, 1)
            total = other + (total - other) * h - np.float32(blend) * h * (1 - h)
        return total

    return distance


def cut(body: Shape, keep: Shape) -> Shape:
    """The part of a body that lies inside `keep`."""
    return lambda points: np.maximum(body(points), keep(points))


def carved(body: Shape, hole: Shape, blend: float) -> Shape:
    """A body without a hole, its rim rounded."""
    inverse: Shape = lambda points: -body(points)  # noqa: E731 - a field is an expression
    grown = joined((inverse, hole), blend)
    return lambda points: -grown(points)


def rippled(body: Shape, waves: Array, phases: Array, height: float) -> Shape:
    """A body whose surface moves in waves: folds of cloth, strands of hair. `waves` are radians per metre."""
    k, shift = waves.astype(np.float32), phases.astype(np.float32)

    def distance(points: F32) -> F32:
        moved = np.sin(points @ k.T + shift).mean(axis=1)
        result: F32 = body(points) + np.float32(height) * moved
        return result

    return distance


def surface(shape: Shape, low: Vector, high: Vector, cell: float) -> Surface:
    """Polygons of a shape inside a box; raises ValueError where the box holds no surface."""
    from skimage.measure import marching_cubes  # noqa: PLC0415 - only the drawing needs it, not who reads shapes

    lower = np.asarray(low, np.float64)
    counts = np.maximum(np.ceil((np.asarray(high) - lower) / cell).astype(int) + 1, 3)
    axes = [(lower[i] + np.arange(counts[i]) * cell).astype(np.float32) for i in range(3)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    values = shape(grid).reshape(counts)
    rim = np.float32(cell)
    for axis in range(3):
        for end in (0, -1):
            edge = np.moveaxis(values, axis, 0)[end]
            np.maximum(edge, rim, out=edge)  # close what the box cuts
    if not values.min() < 0:
        raise ValueError(f"box {lower.tolist()} to {list(high)}: expected a surface inside, found none")
    points, faces, _, _ = marching_cubes(values, 0.0, spacing=(cell, cell, cell))
    return Surface((points + lower).astype(np.float32), faces.astype(np.int32))
