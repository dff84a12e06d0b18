"""Heads: skull, face, ears, eyes, hair and glasses in the head's own axes; one head is 1 high, its centre the origin."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from benchmarks.exams.shift.fields import (
    F32,
    Shape,
    Surface,
    ball,
    carved,
    cut,
    half_space,
    joined,
    limb,
    rippled,
    surface,
)
from benchmarks.exams.shift.looks import Look
from benchmarks.exams.shift.vectors import Vector, vec

_CRANIUM = ((0, -0.055, 0.13), (0.335, 0.43, 0.365))


def _skull(child: float, rng: np.random.Generator) -> Shape:
    """The bare head; `child` is 1 for the youngest: rounder, with fuller cheeks and a smaller nose."""
    jaw, nose = 0.225 + 0.02 * rng.normal(0, 0.5), 0.05 + 0.02 * (1 - child)
    head = joined(
        (
            ball(*_CRANIUM),
            ball((0, 0.1, -0.14), (0.27 + 0.02 * child, 0.29, 0.34)),
            ball((0, 0.2, -0.36 + 0.03 * child), (jaw * 0.62, 0.15, 0.12)),
            ball((0.15, 0.21, -0.15), (0.12 + 0.025 * child, 0.13, 0.12)),
            ball((-0.15, 0.21, -0.15), (0.12 + 0.025 * child, 0.13, 0.12)),
        ),
        0.09,
    )
    for side in (-1, 1):
        head = carved(head, ball((side * 0.145, 0.415, 0.01), (0.085, 0.075, 0.05)), 0.04)
    features = (
        limb((0, 0.365, 0.02), (0, 0.4 + nose, -0.12), 0.032, 0.045),
        ball((0.04, 0.39, -0.13), (0.035, 0.04, 0.03)),
        ball((-0.04, 0.39, -0.13), (0.035, 0.04, 0.03)),
        limb((-0.075, 0.335, -0.25), (0.075, 0.335, -0.25), 0.022, 0.022),
        limb((-0.06, 0.34, -0.285), (0.06, 0.34, -0.285), 0.024, 0.024),
        *(ball((s * 0.345, -0.03, -0.03), (0.035, 0.085, 0.13)) for s in (-1, 1)),
    )
    lids = [limb((s * 0.09, 0.37, z), (s * 0.2, 0.345, z * 0.8), 0.02, 0.018) for s in (-1, 1) for z in (0.05, -0.042)]
    return joined((head, *features, *lids), 0.028)


def _near(points: F32, start: Vector, end: Vector, radius: float) -> F32:
    """1 within a radius of a line, falling to 0 just outside."""
    result: F32 = np.clip(1.5 - (limb(start, end, radius, radius)(points) + radius) / radius, 0, 1)
    return result


def _painted(face: Surface, look: Look) -> Surface:
    points, skin = face.points, np.array(look.skin, np.float32)
    paint = np.tile(skin, (len(points), 1))

    def stroke(amount: F32, colour: Vector) -> None:
        paint[:] = paint + (np.asarray(colour, np.float32) - paint) * np.clip(amount, 0, 1)[:, None]

    for s in (-1, 1):
        stroke(0.35 * _near(points, (s * 0.19, 0.33, -0.15), (s * 0.2, 0.31, -0.16), 0.12), skin * (1.1, 0.75, 0.72))
        stroke(0.9 * _near(points, (s * 0.07, 0.42, 0.105), (s * 0.215, 0.36, 0.115), 0.026), look.hair)
        stroke(0.5 * _near(points, (s * 0.09, 0.4, 0.035), (s * 0.2, 0.37, 0.035), 0.028), skin * 0.4)
    stroke(0.8 * _near(points, (-0.08, 0.37, -0.265), (0.08, 0.37, -0.265), 0.055), skin * (0.95, 0.5, 0.5))
    stroke(0.8 * _near(points, (-0.085, 0.37, -0.267), (0.085, 0.37, -0.267), 0.014), skin * 0.25)
    return Surface(face.points, face.faces, paint)


def _eyes() -> Surface:
    """Two eyeballs with dark irises that look ahead."""
    lines, rings = 9, 12
    u, v = np.meshgrid(np.linspace(0, np.pi, lines), np.linspace(0, 2 * np.pi, rings, endpoint=False), indexing="ij")
    sphere = np.stack([np.sin(u) * np.cos(v), np.cos(u), np.sin(u) * np.sin(v)], -1).reshape(-1, 3)
    at = np.arange(lines * rings).reshape(lines, rings)
    a, b = at[:-1], at[1:]
    c, d = np.roll(at, -1, 1)[1:], np.roll(at, -1, 1)[:-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    points = np.concatenate([sphere * 0.056 + (s * 0.142, 0.322, 0.004) for s in (-1, 1)])
    iris = np.tile(np.where(u.reshape(-1, 1) < 0.72, (0.02, 0.012, 0.008), (0.5, 0.47, 0.45)), (2, 1))
    both = np.concatenate([faces, faces + len(sphere)])
    return Surface(points.astype(np.float32), both.astype(np.int32), iris.astype(np.float32))


def _cap(thick: float, hairline: float, lower: float) -> Shape:
    """Hair that lies on the head, behind a slanting hairline, down to a height."""
    c, r = _CRANIUM
    grown = joined((ball(c, np.asarray(r) + thick), ball((0, -0.1, -0.1), (0.3 + thick, 0.3 + thick, 0.3))), 0.08)
    behind = half_space((0, 0.33 + hairline, 0.33 + 0.3 * hairline), (0, 0.86, -0.52))
    return cut(cut(grown, behind), half_space((0, 0, lower), (0, -0.25, -1)))


def _tail(*joints: Vector, r0: float, r1: float) -> Iterator[Shape]:
    for start, end in pairwise(joints):
        yield limb(start, end, r0, r1)
        r0, r1 = r1, r1 * 0.8


def _hair_shapes(style: str) -> tuple[Shape, float]:
    """A style's shape and how much its strands stand out."""
    sides = (-1, 1)
    match style:
        case "crop":
            return _cap(0.025, 0.0, -0.16), 0.012
        case "short":
            return _cap(0.065, 0.02, -0.2), 0.03
        case "fringe":
            return joined((_cap(0.065, 0.05, -0.26), ball((0, 0.27, 0.27), (0.29, 0.17, 0.16))), 0.04), 0.03
        case "bob":
            locks = (limb((s * 0.34, -0.02, 0.1), (s * 0.36, 0.02, -0.42), 0.1, 0.09) for s in sides)
            return joined((_cap(0.07, 0.03, -0.4), *locks, ball((0, -0.3, -0.2), (0.33, 0.17, 0.3))), 0.07), 0.03
        case "long":
            locks = (limb((s * 0.33, -0.06, 0.1), (s * 0.34, -0.02, -0.8), 0.09, 0.07) for s in sides)
            return joined((_cap(0.065, 0.03, -0.4), *locks, ball((0, -0.32, -0.4), (0.33, 0.14, 0.6))), 0.08), 0.03
        case "ponytail":
            tail = _tail((0, -0.42, 0.2), (0, -0.62, 0.1), (0, -0.6, -0.4), (0, -0.55, -0.6), r0=0.08, r1=0.11)
            return joined((_cap(0.04, 0.0, -0.25), *tail), 0.03), 0.02
        case "pigtails":
            tails = (
                t
                for s in sides
                for t in _tail((s * 0.3, -0.2, 0.1), (s * 0.5, -0.2, 0), (s * 0.52, -0.1, -0.6), r0=0.07, r1=0.09)
            )
            return joined((_cap(0.045, 0.01, -0.25), *tails), 0.03), 0.02
        case "bun":
            return joined((_cap(0.04, 0.0, -0.25), ball((0, -0.38, 0.42), (0.17, 0.17, 0.16))), 0.03), 0.02
        case "curls":
            return joined((_cap(0.14, 0.03, -0.3), ball((0, -0.12, 0.22), (0.48, 0.5, 0.42))), 0.05), 0.07
        case _:
            wrap = joined((_cap(0.07, 0.06, -0.9), limb((0, -0.1, 0.1), (0, -0.04, -0.55), 0.42, 0.4)), 0.08)
            opening = ball((0, 0.45, -0.06), (0.245, 0.4, 0.4))
            return carved(wrap, opening, 0.03), 0.015


def _hair(look: Look, rng: np.random.Generator) -> Surface:
    shape, strands = _hair_shapes(look.style)
    waves = rng.normal(0, 1, (7, 3)) * (26, 26, 7 if look.style != "curls" else 26)
    curled = rippled(shape, waves, rng.uniform(0, 6.3, 7), strands)
    return surface(curled, (-0.75, -0.85, -1.05), (0.75, 0.6, 0.85), 0.034)


def _tube(line: F32, radius: float) -> tuple[F32, F32]:
    """A thin square tube along a closed or open line: points and faces."""
    around = np.array([(0, 1, 1), (0, 1, -1), (0, -1, -1), (0, -1, 1)], np.float32) * radius
    around = around[:, [1, 0, 2]] + around[:, [2, 1, 0]] * 0.3
    points = (line[:, None] + around[None]).reshape(-1, 3)
    faces = []
    for i in range(len(line) - 1):
        for j in range(4):
            a, b = i * 4 + j, i * 4 + (j + 1) % 4
            faces += [(a, b, b + 4), (a, b + 4, a + 4)]
    return points, np.array(faces, np.float32)


def glasses() -> Surface:
    """Two rims, a bridge and two temples."""
    angle = np.linspace(0, 2 * np.pi, 19)
    lines = [
        np.stack(
            [s * 0.15 + 0.105 * np.cos(angle), 0.44 - 0.06 * np.abs(np.cos(angle) * s + 1) * 0.3, 0.08 * np.sin(angle)],
            -1,
        )
        for s in (-1, 1)
    ]
    lines.append(np.array([(-0.05, 0.45, 0.01), (0.05, 0.45, 0.01)]))
    lines += [np.array([(s * 0.255, 0.42, 0.02), (s * 0.35, 0.2, 0.02), (s * 0.37, -0.05, -0.0)]) for s in (-1, 1)]
    points, faces, count = [], [], 0
    for line in lines:
        p, f = _tube(line.astype(np.float32), 0.014)
        points.append(p)
        faces.append(f + count)
        count += len(p)
    return Surface(np.concatenate(points).astype(np.float32), np.concatenate(faces).astype(np.int32))


def head_parts(look: Look, child: float) -> dict[str, Surface]:
    """Everything on a person's neck, by material: face, eyes, hair, perhaps glasses."""
    rng = np.random.default_rng([look.seed, 1])
    face = surface(_skull(child, rng), vec(-0.46, -0.56, -0.56), vec(0.46, 0.56, 0.56), 0.028)
    parts = {"face": _painted(face, look), "eyes": _eyes(), "hair": _hair(look, rng)}
    if look.glasses:
        parts["glasses"] = glasses()
    return parts
