"""Clothed bodies: joints → surfaces of one posed person, in the body's own axes. Clothes are fields that swell."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from benchmarks.exams.shift.fields import Shape, Surface, ball, cut, half_space, joined, limb, rippled, surface
from benchmarks.exams.shift.looks import Look
from benchmarks.exams.shift.posture import Pose
from benchmarks.exams.shift.reach import Limb, arms_of
from benchmarks.exams.shift.skeleton import Build, Leg, Place, Trunk, legs_of, trunk_of
from benchmarks.exams.shift.vectors import Array, frame, unit, vec

HEAD, UPPER, HAND_LEFT, HAND_RIGHT, LEGS = 1, 2, 3, 4, 5
_CELL = 0.015


@dataclass(frozen=True)
class Body:
    """A posed person without head and hands, whose own frames are given: 4×4, they carry meshes of unit size."""

    trunk: Trunk
    arms: tuple[Limb, Limb]
    legs: tuple[Leg, Leg]
    head: Array
    hands: tuple[Array, Array]


def pose_body(build: Build, pose: Pose, place: Place) -> Body:
    """Find the joints of a pose."""
    trunk = trunk_of(build, pose, place)
    arms = arms_of(trunk, pose)
    left, right = (_hand_frame(limb_, build, side) for limb_, side in zip(arms, (-1, 1), strict=True))
    return Body(trunk, arms, legs_of(trunk, pose), _matrix(trunk.head_turn * build.head, trunk.head), (left, right))


def _matrix(linear: Array, origin: Array) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, origin
    return matrix


def _hand_frame(arm: Limb, build: Build, side: int) -> Array:
    axes = frame(arm.fingers, -arm.palm) * build.hand
    return _matrix(axes @ np.diag([side, 1.0, 1.0]), arm.wrist)


def _torso(body: Body, thick: float) -> Iterator[Shape]:
    trunk, build = body.trunk, body.trunk.build
    ahead, g = trunk.chest_turn[:, 1], build.girth
    hips, chest = (build.hip + 0.032) * g + thick, build.shoulder * 0.74 * g + thick
    waist = build.shoulder * 0.62 * g + thick
    yield limb(trunk.pelvis, trunk.waist, hips, waist, flat=ahead, depth=0.8)
    below = trunk.chest - trunk.chest_turn[:, 2] * chest * 0.8
    yield limb(trunk.waist, below, waist, chest, flat=ahead, depth=0.74)
    left, right = (arm.shoulder for arm in body.arms)
    yield limb(trunk.chest - trunk.chest_turn[:, 2] * 0.02, left, 0.048 + thick, 0.042 * g + thick)
    yield limb(trunk.chest - trunk.chest_turn[:, 2] * 0.02, right, 0.048 + thick, 0.042 * g + thick)


def _thickness(build: Build) -> float:
    """How thick limbs are, against an adult's."""
    return build.girth * (0.55 + 0.45 * (build.stature - build.head) / 1.5)


def _sleeves(body: Body, look: Look) -> Iterator[Shape]:
    t, thick = _thickness(body.trunk.build), look.loose_m
    for arm in body.arms:
        if look.top == "tee":
            yield limb(
                arm.shoulder, arm.shoulder + (arm.elbow - arm.shoulder) * 0.6, 0.05 * t + thick, 0.047 * t + thick
            )
            continue
        yield limb(arm.shoulder, arm.elbow, 0.05 * t + thick, 0.041 * t + thick)
        end = arm.elbow + (arm.wrist - arm.elbow) * (0.8 if look.top == "shirt" else 0.9)
        yield limb(arm.elbow, end, 0.041 * t + thick, 0.029 * t + thick * 0.8)


def _collar(body: Body, look: Look) -> Iterator[Shape]:
    trunk, up = body.trunk, body.trunk.chest_turn[:, 2]
    back = -trunk.chest_turn[:, 1]
    if look.top == "hoodie":
        yield ball(trunk.chest + back * 0.075 + up * 0.0, (0.11, 0.06, 0.085), trunk.chest_turn)
    if look.top in ("hoodie", "jacket", "shirt", "sweater"):
        yield limb(trunk.chest, trunk.chest + up * trunk.build.neck * 0.35, 0.068, 0.062)


def _top(body: Body, look: Look) -> Surface:
    thick = look.loose_m + (0.012 if look.top in ("hoodie", "jacket") else 0)
    shapes = (*_torso(body, thick), *_sleeves(body, look), *_collar(body, look))
    rng = np.random.default_rng([look.seed, 2])
    waves = rng.normal(0, 1, (8, 3)) * rng.uniform(30, 75, (8, 1))
    cloth = rippled(joined(shapes, 0.022), waves, rng.uniform(0, 6.3, 8), 0.005 + look.loose_m * 0.35)
    joints = [j for a in body.arms for j in (a.shoulder, a.elbow, a.wrist)] + [body.trunk.pelvis, body.trunk.chest]
    made = _meshed(cloth, joints, 0.24)
    rest = (made.points - body.trunk.chest) @ body.trunk.chest_turn
    return Surface(made.points, made.faces, None, rest.astype(np.float32))


def _meshed(shape: Shape, joints: list[Array], margin: float, cell: float = _CELL) -> Surface:
    around = np.stack(joints)
    return surface(shape, around.min(0) - margin, around.max(0) + margin, cell)


def _forearms(body: Body) -> Iterator[Shape]:
    t = _thickness(body.trunk.build)
    for arm in body.arms:
        yield limb(arm.shoulder, arm.elbow, 0.045 * t, 0.038 * t)
        swell = arm.elbow + (arm.wrist - arm.elbow) * 0.35
        yield limb(arm.elbow, swell, 0.037 * t, 0.038 * t)
        yield limb(swell, arm.wrist, 0.038 * t, 0.024 * t)


def _limbs_of(legs: tuple[Leg, Leg], t: float, thick: float) -> Iterator[Shape]:
    for leg in legs:
        yield limb(leg.hip, leg.knee, 0.078 * t + thick, 0.054 * t + thick)
        yield limb(leg.knee, leg.ankle, 0.054 * t + thick, 0.04 * t + thick)


def _bottom(body: Body, look: Look) -> Surface:
    trunk, t = body.trunk, _thickness(body.trunk.build)
    shapes = [limb(trunk.hips[0], trunk.hips[1], 0.085 * t + 0.012, 0.085 * t + 0.012)]
    joints = [j for leg in body.legs for j in (leg.hip, leg.knee)]
    if look.bottom == "trousers":
        shapes += _limbs_of(body.legs, t, 0.008 + look.loose_m * 0.3)
        joints += [leg.ankle for leg in body.legs]
    elif look.bottom == "shorts":
        shapes += [limb(leg.hip, leg.knee, 0.09 * t, 0.075 * t) for leg in body.legs]
    else:
        middle = (body.legs[0].knee + body.legs[1].knee) / 2
        across = unit(body.legs[1].hip - body.legs[0].hip)
        wide = float(np.linalg.norm(body.legs[1].knee - body.legs[0].knee)) / 2 + 0.06 * t
        depth = np.cross(across, unit(middle - trunk.pelvis))
        hem = trunk.pelvis + (middle - trunk.pelvis) * 0.95
        cone = limb(trunk.pelvis, middle, trunk.build.hip + 0.04, wide, flat=depth, depth=0.085 * t / wide)
        shapes.append(cut(cone, half_space(hem, middle - trunk.pelvis)))
    return _meshed(joined(shapes, 0.02), joints, 0.17, 0.018)


def _shoes(body: Body) -> Surface:
    shapes = list[Shape]()
    for leg in body.legs:
        shapes.append(limb(vec(*leg.ankle[:2], 0.042), leg.toe + vec(0, 0, 0.0), 0.042, 0.036))
        shapes.append(limb(leg.ankle, leg.ankle + vec(0, 0, 0.03), 0.045, 0.04))
    joints = [j for leg in body.legs for j in (leg.ankle, leg.toe)]
    return _meshed(joined(shapes, 0.02), joints, 0.1, 0.014)


def _neck(body: Body) -> Surface:
    trunk, size = body.trunk, body.trunk.build.head
    top = trunk.skull + trunk.head_turn @ vec(0, -0.05 * size, 0.25 * size)
    shape = joined(
        (limb(trunk.chest, trunk.skull, 0.05, 0.235 * size), limb(trunk.skull, top, 0.235 * size, 0.24 * size)), 0.02
    )
    return _meshed(shape, [trunk.chest, trunk.skull, top], 0.09, 0.012)


def clothed(body: Body, look: Look) -> dict[str, tuple[int, Surface]]:
    """Surfaces of trunk, arms and legs by material, each with its part of the body."""
    made = {"neck": (HEAD, _neck(body)), "top": (UPPER, _top(body, look)), "bottom": (LEGS, _bottom(body, look))}
    if look.top in ("tee", "shirt"):
        joints = [j for a in body.arms for j in (a.shoulder, a.elbow, a.wrist)]
        made["arms"] = (UPPER, _meshed(joined(list(_forearms(body)), 0.015), joints, 0.08, 0.014))
    if look.bottom != "trousers":
        joints = [j for leg in body.legs for j in (leg.hip, leg.knee, leg.ankle)]
        bare = joined(list(_limbs_of(body.legs, _thickness(body.trunk.build) * 0.85, 0)), 0.02)
        made["shins"] = (LEGS, _meshed(bare, joints, 0.12, 0.02))
    made["shoes"] = (LEGS, _shoes(body))
    return made
