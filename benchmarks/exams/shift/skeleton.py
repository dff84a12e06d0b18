"""A pose becomes joints: who bends where, in metres, in the body's own axes (x right, y ahead, z up, floor at 0)."""

from dataclasses import dataclass

import numpy as np
from benchmarks.exams.shift.posture import Pose
from benchmarks.exams.shift.vectors import Array, bend, turn, unit, vec

_GROWTH_YEARS = (6, 8, 10, 12, 14, 16, 18, 25)
_GROWTH_M = (1.16, 1.28, 1.38, 1.49, 1.61, 1.68, 1.71, 1.71)


@dataclass(frozen=True)
class Build:
    """Lengths of a body in metres; `girth` is 1 for the usual weight. `shoulder` and `hip` are half widths."""

    stature: float
    head: float
    torso: float
    neck: float
    shoulder: float
    hip: float
    upper_arm: float
    forearm: float
    hand: float
    thigh: float
    shin: float
    foot: float
    girth: float


def draw_build(rng: np.random.Generator, years: float) -> Build:
    """Proportions of an age: the younger, the larger the head and the narrower the shoulders."""
    stature = float(np.interp(years, _GROWTH_YEARS, _GROWTH_M) * rng.normal(1, 0.04))
    head = float(np.interp(years, (6, 12, 18), (0.2, 0.212, 0.224)) * rng.normal(1, 0.02))
    rest = stature - head * 0.94
    return Build(
        stature=stature,
        head=head,
        torso=rest * 0.345,
        neck=rest * 0.055,
        shoulder=rest * float(np.interp(years, (6, 18), (0.108, 0.122)) * rng.normal(1, 0.04)),
        hip=rest * 0.078,
        upper_arm=rest * 0.2,
        forearm=rest * 0.168,
        hand=rest * 0.118,
        thigh=rest * 0.285,
        shin=rest * 0.27,
        foot=rest * 0.165,
        girth=float(np.clip(rng.normal(1.03, 0.13), 0.82, 1.45)),
    )


def seat_height(build: Build) -> float:
    """Where this body's seat should be."""
    return build.shin + 0.05


def desk_height(build: Build) -> float:
    """Where this body's desk should be: a little over its elbows when it sits."""
    return seat_height(build) + 0.09 + build.torso - build.upper_arm + 0.07


@dataclass(frozen=True)
class Place:
    """What a body sits on and leans on: heights of seat and desk, and how far ahead of the seat's middle the desk begins."""

    seat_m: float
    desk_m: float
    edge_m: float = 0.17


@dataclass(frozen=True)
class Trunk:
    """The body without its limbs. Rotations have columns right, forward, up; `shoulders` and `hips` are left, right."""

    build: Build
    place: Place
    pelvis: Array
    waist: Array
    chest: Array
    chest_turn: Array
    neck: Array
    skull: Array
    head: Array
    head_turn: Array
    shoulders: tuple[Array, Array]
    hips: tuple[Array, Array]


def trunk_of(build: Build, pose: Pose, place: Place) -> Trunk:
    """Hold the trunk and the head as a pose says; who rests the head bows until it lies on the desk."""
    if not pose.rests:
        return _trunk(build, pose, place, pose.pitch)
    goal = place.desk_m + build.head * 0.47 + 0.03
    low, high = 15.0, 95.0
    for _ in range(12):
        middle = (low + high) / 2
        if _trunk(build, pose, place, middle).head[2] > goal:
            low = middle
        else:
            high = middle
    return _trunk(build, pose, place, (low + high) / 2)


def _trunk(build: Build, pose: Pose, place: Place, pitch: float) -> Trunk:
    sit = place.seat_m + 0.09 * build.girth
    height = sit if pose.seated else build.thigh + build.shin + 0.06
    pelvis = vec(pose.shift_m[0], pose.shift_m[1] if pose.seated else 0.0, height)
    if not pose.seated:
        pelvis = vec(pose.shift_m[0], pose.shift_m[1], height)
    lower = turn(pitch=pitch * 0.75, roll=pose.roll * 0.7, yaw=pose.twist * 0.3)
    upper = turn(pitch=pitch * 1.15, roll=pose.roll * 1.15, yaw=pose.twist)
    waist = pelvis + lower @ vec(0, -0.01, build.torso * 0.45)
    chest = waist + upper @ vec(0, 0, build.torso * 0.55)
    neck = chest + upper @ vec(0, 0.012, build.neck * 0.55)
    head_turn = turn(pitch=pose.nod, roll=pose.tilt, yaw=pose.look)
    half = turn(pitch=(pose.nod + pitch) / 2, roll=(pose.tilt + pose.roll) / 2, yaw=pose.look / 2)
    skull = neck + half @ vec(0, 0.012, build.neck * 0.75)
    head = skull + head_turn @ vec(0, build.head * 0.08, build.head * 0.5)
    wide = upper @ vec(build.shoulder, -0.005, -0.035)
    other = upper @ vec(-build.shoulder, -0.005, -0.035)
    across = turn(roll=pose.roll * 0.3, yaw=pose.twist * 0.1) @ vec(build.hip, 0, 0)
    return Trunk(
        build, place, pelvis, waist, chest, upper, neck, skull, head, head_turn,
        (chest + other, chest + wide), (pelvis - across, pelvis + across),
    )  # fmt: skip


@dataclass(frozen=True)
class Leg:
    """Joints of a leg and where its toes are."""

    hip: Array
    knee: Array
    ankle: Array
    toe: Array


def legs_of(trunk: Trunk, pose: Pose) -> tuple[Leg, Leg]:
    """Both legs, left and right: feet on the floor."""
    left, right = (_leg(trunk, pose, side) for side in (-1, 1))
    return left, right


def _leg(trunk: Trunk, pose: Pose, side: int) -> Leg:
    build, hip = trunk.build, trunk.hips[(side + 1) // 2]
    if pose.seated:
        tuck = 0.1 * side * np.sin(pose.nod) + 0.05
        goal = vec(hip[0] + side * 0.05, hip[1] + build.thigh - tuck, 0.06)
        knee, ankle = bend(hip, goal, build.thigh, build.shin, (side * 0.25, 0.8, 1))
    else:
        goal = vec(hip[0] + side * 0.025, hip[1] + side * pose.stride, 0.06)
        knee, ankle = bend(hip, goal, build.thigh, build.shin, (side * 0.1, 1, 0))
    ahead = unit(vec(side * 0.25, 1, 0))
    return Leg(hip, knee, ankle, ankle + ahead * build.foot * 0.72 - vec(0, 0, 0.02))
