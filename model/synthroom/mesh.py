"""Meshes: what the renderer draws, as two vertex streams (what moves, what stays) and triangles."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from synthroom.bodies import F32, I32
from synthroom.rotations import Array, about

FIXED = np.dtype([("colour", "u1", 4), ("marks", "u1", 4), ("rest", "<f4", 3)])
PLAIN, SKIN, HAIR, CLOTH, STRIPES, WOOD, TILES, WALL, LIGHT, CHECKS, PRINT = range(11)
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Mesh:
    """Positions and normals (V, 6); colour, marks (person, part, material) and rest position (V); triangles (T, 3)."""

    moving: F32
    fixed: npt.NDArray[np.void]
    triangles: I32


@dataclass(frozen=True)
class Box:
    """A box: centre and size in metres, turned by `yaw` about z after `tilt` about x, degrees; colour is linear."""

    centre: tuple[float, float, float]
    size: tuple[float, float, float]
    colour: Colour
    material: int = PLAIN
    yaw: float = 0.0
    tilt: float = 0.0


_CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
_FACES = (
    ((0, 1, 3, 2), (-1, 0, 0)),
    ((4, 6, 7, 5), (1, 0, 0)),
    ((0, 4, 5, 1), (0, -1, 0)),
    ((2, 3, 7, 6), (0, 1, 0)),
    ((0, 2, 6, 4), (0, 0, -1)),
    ((1, 5, 7, 3), (0, 0, 1)),
)


def fixed_vertices(
    colours: Array | F32, rest: Array | F32, material: int, person: int = 0, parts: int | npt.NDArray[np.uint8] = 0
) -> npt.NDArray[np.void]:
    """Pack what does not move: linear colours (V, 3) or one, rest positions (V, 3), material, person and part."""
    out = np.zeros(len(rest), dtype=FIXED)
    out["colour"][:, :3] = np.clip(np.asarray(colours, dtype=np.float64) * 255 + 0.5, 0, 255)
    out["marks"][:, 0], out["marks"][:, 1], out["marks"][:, 2] = person, parts, material
    out["rest"] = rest
    return out


def boxes_mesh(boxes: list[Box]) -> Mesh:
    """One mesh of many boxes, 24 vertices each."""
    turns = np.stack([about("z", b.yaw) @ about("x", b.tilt) for b in boxes])
    sizes, centres = np.array([b.size for b in boxes]), np.array([b.centre for b in boxes])
    colours, materials = np.array([b.colour for b in boxes]), np.array([b.material for b in boxes])
    marks = np.stack([np.zeros_like(materials), np.zeros_like(materials), materials, np.zeros_like(materials)], 1)
    return turned_boxes(centres, turns, sizes, colours, marks)


def turned_boxes(
    centres: Array, turns: Array, sizes: Array, colours: Array, marks: npt.NDArray[np.integer[Any]]
) -> Mesh:
    """One mesh of boxes (B): centres (B, 3), axes as columns (B, 3, 3), sizes (B, 3), linear colours (B, 3), marks (B, 4)."""
    corner = np.concatenate([_CORNERS[list(q)] for q, _ in _FACES])
    normal = np.repeat(np.array([n for _, n in _FACES], float), 4, 0)
    positions = np.einsum("bij,bvj->bvi", turns, corner * sizes[:, None]) + centres[:, None]
    normals = np.einsum("bij,vj->bvi", turns, normal)
    moving = np.concatenate([positions, normals], -1).reshape(-1, 6).astype(np.float32)
    fixed = np.zeros((len(centres), 24), dtype=FIXED)
    fixed["colour"][..., :3] = np.clip(colours * 255 + 0.5, 0, 255)[:, None]
    fixed["marks"][:] = marks[:, None]
    fixed["rest"] = corner
    quads = np.arange(len(centres) * 6)[:, None] * 4
    triangles = (quads + np.array([0, 1, 2, 0, 2, 3])).reshape(-1, 3)
    return Mesh(moving=moving, fixed=fixed.ravel(), triangles=triangles.astype(np.int32))
