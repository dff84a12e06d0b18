"""People: phenotypes of a class, bodies on their seats, and where a pose puts a body in the room."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synthroom.bodies import F32, I32, Shape, bone_transforms, shapes, skin
from synthroom.growth import FEMALE_FROM, calibrated_phenotypes
from synthroom.layout import Desk
from synthroom.rotations import Array, about, to_matrices
from synthroom.sitting import Draw, Place, Pose, Sitter

# anny's own anchors of morphological age: years -> slider
_YEARS, _SLIDER = (4.0, 11.0, 16.0, 25.0, 60.0), (0.215, 0.415, 0.67, 0.72, 0.9)


@dataclass(frozen=True)
class Spot:
    """Where a body stands or sits in the room: metres, and its turn about z in degrees."""

    x: float
    y: float
    yaw: float


@dataclass(frozen=True)
class Person:
    """One drawn person: number in the id buffer, body, clothes' data, and its place; `place` is None for a teacher."""

    number: int
    sitter: Sitter
    dressed: Shape
    fixed: npt.NDArray[np.void]
    triangles: I32
    coarse: I32
    spot: Spot
    place: Place | None

    def posed(self, pose: Pose, spot: Spot | None = None) -> F32:
        """Positions and normals (V, 6) in the room."""
        return self.at(pose.quaternions, pose.shift, self.turned(pose, spot))

    def turned(self, pose: Pose, spot: Spot | None = None) -> Spot:
        """Where a pose puts the body: at `spot`, else at its own, turned as the pose says."""
        base = spot or self.spot
        return base if pose.turn_deg == 0 else Spot(base.x, base.y, base.yaw + pose.turn_deg)

    def at(self, quaternions: Array, shift: Array, spot: Spot) -> F32:
        """Positions and normals (V, 6) in the room, of any turns of the bones and any shift."""
        model = self.sitter.model
        transforms = bone_transforms(model.skeleton, self.dressed.heads, to_matrices(quaternions))
        vertices, normals = skin(model, self.dressed, transforms)
        turn = about("z", spot.yaw).astype(np.float32)
        lift = np.array([shift[0], shift[1], shift[2] - self.sitter.floor], np.float32)
        place = np.array([spot.x, spot.y, 0], np.float32)
        return np.concatenate([(vertices + lift) @ turn.T + place, normals @ turn.T], 1).astype(np.float32)

    def joints(self, quaternions: Array, shift: Array) -> Array:
        """Heads of the movable bones (bones, 3) in the body's own frame, the floor at z = 0."""
        skeleton = self.sitter.model.skeleton
        transforms = bone_transforms(skeleton, self.dressed.heads, to_matrices(quaternions))
        heads = np.einsum("bij,bj->bi", transforms[:-1, :, :3], self.dressed.heads) + transforms[:-1, :, 3]
        moved: Array = heads + np.array([shift[0], shift[1], shift[2] - self.sitter.floor])
        return moved


def frozen_phenotypes(rng: np.random.Generator, years: Array) -> dict[str, Array]:
    """MakeHuman sliders of people of these ages as the frozen exams have them: of the right age, but too tall."""
    n = len(years)
    zeros = np.zeros(n)
    adult = years > 20
    return {
        "age": np.interp(years, _YEARS, _SLIDER),
        "gender": rng.random(n),
        "weight": rng.beta(3, 3, n),
        "muscle": rng.beta(3, 3, n),
        "height": rng.beta(4, 4, n),
        "proportions": rng.random(n),
        "african": rng.random(n),
        "asian": rng.random(n),
        "caucasian": rng.random(n),
        "cupsize": np.where(adult, 0.4, zeros),
        "firmness": np.full(n, 0.5),
    }


def build_bodies(rng: np.random.Generator, years: Array, *, calibrated: bool) -> tuple[list[Shape], list[bool]]:
    """Bodies of people of these ages, and which of them are dressed as girls or women.

    `calibrated`: statures follow the WHO's, and dress the body. Else both are as the frozen exams have them.
    """
    phenotypes = calibrated_phenotypes(rng, years) if calibrated else frozen_phenotypes(rng, years)
    female = phenotypes["gender"] >= FEMALE_FROM
    return shapes(phenotypes), [bool(one) for one in (female if calibrated else ~female)]


def own_place(sitter: Sitter, *, top_m: float, near_m: float, half_width_m: float) -> Place:
    """A desk as its pupil's own frame sees it; heights above the floor, `near_m` negative."""
    return Place(top=top_m + sitter.floor, near=near_m, half_width=half_width_m)


def furniture_circles(desks: Sequence[Desk], near_m: float) -> list[tuple[float, float, float]]:
    """Circles (x, y, radius) that cover the desks' tops, for those who walk around them."""
    out = list[tuple[float, float, float]]()
    for desk in desks:
        for share in np.linspace(-0.5, 0.5, 4):
            x, y = desk.to_room(float(share) * desk.width, near_m - desk.depth / 2)
            out.append((x, y, desk.depth / 2 + 0.22))
    return out


def free_spot(
    d: Draw, bounds: tuple[float, float, float, float], taken: list[tuple[float, float, float]], tries: int = 60
) -> Spot | None:
    """A spot for someone who stands, away from circles (x, y, radius) that are taken; None if there is no room."""
    x0, y0, x1, y1 = bounds
    for _ in range(tries):
        x, y = d.u(x0 + 0.35, x1 - 0.35), d.u(y0 + 0.4, y1 - 0.35)
        if all(math.hypot(x - tx, y - ty) > radius for tx, ty, radius in taken):
            return Spot(x, y, d.u(-180, 180))
    return None
