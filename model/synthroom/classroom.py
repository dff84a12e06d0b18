"""Classroom: what everybody does at one moment of a still picture."""

import numpy as np

from synthroom.idle import HARD, IDLE, idle
from synthroom.people import Person, Spot, free_spot, furniture_circles
from synthroom.poses import LIE_AWAKE, hand_raising, lie_awake, sleeping, stand_up
from synthroom.scene import Scene
from synthroom.sitting import HAND_RAISING, SLEEPING, STAND_UP, Draw, Pose
from synthroom.teacher import teach
from synthroom.worlds import GENERAL, World


def draw_activities(rng: np.random.Generator, pupils: int, world: World = GENERAL) -> list[str]:
    """What each pupil does: one of the behaviours or "idle"; rooms differ much, and several often raise hands at once."""
    usual = world.shares[HAND_RAISING]
    share = float(
        rng.choice(
            [usual * rng.uniform(0, 0.4), usual * rng.uniform(0.4, 1.4), usual * rng.uniform(1.4, 3)],
            p=[0.25, 0.5, 0.25],
        )
    )
    weights = [share, *(min(rng.gamma(1.6, world.shares[name] / 1.6), 0.35) for name in (STAND_UP, SLEEPING))]
    scale = min(1.0, 0.92 / max(sum(weights), 1e-6))
    p = [w * scale for w in weights]
    return [str(a) for a in rng.choice([HAND_RAISING, STAND_UP, SLEEPING, "idle"], pupils, p=[*p, 1 - sum(p)])]


def pose_class(scene: Scene, rng: np.random.Generator, world: World = GENERAL) -> list[Pose]:
    """A pose for every pupil; one class tends to raise hands, and to wait, in one way."""
    d = Draw(rng)
    usual_raise = d.pick({"any": 0.5, "elbow": 0.37, "straight": 0.13})
    usual_idle = d.pick({"any": 0.6, "folded": 0.12, "write": 0.12, "listen": 0.16})
    poses = []
    for pupil, activity in zip(scene.pupils, draw_activities(rng, len(scene.pupils), world), strict=True):
        place = pupil.place
        if place is None:
            raise ValueError(f"pupil {pupil.number} of scene {scene.seed}: expected a place at a desk, found none")
        if activity == HAND_RAISING:
            mode = usual_raise if usual_raise != "any" and d.chance(0.75) else None
            poses.append(hand_raising(pupil.sitter, place, d, mode))
        elif activity == STAND_UP:
            poses.append(stand_up(pupil.sitter, place, d, turned=True))
        elif activity == SLEEPING:
            poses.append(sleeping(pupil.sitter, place, d))
        else:
            kind = _idle_kind(d, usual_idle, world.hard)
            lying = kind == LIE_AWAKE
            poses.append(lie_awake(pupil.sitter, place, d) if lying else idle(pupil.sitter, place, d, kind))
    return poses


_HARD_WEIGHTS = {name: IDLE[name][0] ** 0.7 for name in HARD} | {LIE_AWAKE: 0.07}
"""The rare ones a little more often than in life."""


def _idle_kind(d: Draw, usual: str, hard: float | None) -> str | None:
    """What a pupil does who does none of the three; None: by the usual weights."""
    if hard is not None and d.chance(hard):
        return d.pick(_HARD_WEIGHTS)
    return usual if usual != "any" and d.chance(0.6) else None


def place_teachers(scene: Scene, rng: np.random.Generator) -> list[tuple[Person, Pose, Spot]]:
    """Teachers somewhere between desks and walls, often in front of the class."""
    d, out = Draw(rng), list[tuple[Person, Pose, Spot]]()
    x0, y0, x1, y1 = scene.plan.bounds
    taken = [(p.spot.x, p.spot.y, 0.5) for p in scene.pupils]
    taken += furniture_circles(scene.plan.desks, scene.plan.near)
    front = min(desk.y for desk in scene.plan.desks) - 0.9
    for teacher in scene.teachers:
        bounds = (x0, y0, x1, front) if d.chance(0.5) and front - y0 > 0.9 else (x0, y0, x1, y1)
        spot = free_spot(d, bounds, taken)
        if spot is None:
            continue
        pose = teach(teacher.sitter, d)
        yaw = d.u(-60, 60) + 180 if bounds[3] == front and pose.kind != "teacher-board" else spot.yaw
        if pose.kind == "teacher-board":
            spot, yaw = Spot(spot.x * 0.5, y0 + 0.55, 0), d.u(-25, 25)
        spot = Spot(spot.x, spot.y, yaw)
        taken.append((spot.x, spot.y, 0.6))
        out.append((teacher, pose, spot))
    return out
