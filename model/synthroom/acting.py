"""Acting: a script's gestures become tracks of poses, with idle motion between them; the teacher walks."""

import math
from dataclasses import dataclass

import numpy as np

from synthroom.idle import idle
from synthroom.people import Person, Spot, free_spot
from synthroom.poses import hand_raising, sleeping, stand_up
from synthroom.puppet import Puppet
from synthroom.rotations import Array, about_vector, blend, to_matrices, to_quaternions
from synthroom.scene import Scene
from synthroom.script import MOVES_MS, Gesture, Hold, Track
from synthroom.sitting import HAND_RAISING, SLEEPING, STAND_UP, Draw, Pose, straight_legs
from synthroom.teacher import teach

WALK_M_PER_S, STEP_MS = 0.75, 560


def perform(pupil: Person, behaviour: str, d: Draw) -> Pose:
    """The pose of one behaviour, or "idle", at a pupil's desk; raises ValueError for somebody without a desk."""
    if pupil.place is None:
        raise ValueError(f"person {pupil.number}: expected a pupil with a desk, found none")
    sitter, place = pupil.sitter, pupil.place
    if behaviour == HAND_RAISING:
        return hand_raising(sitter, place, d)
    if behaviour == STAND_UP:
        return stand_up(sitter, place, d, beside=False)
    if behaviour == SLEEPING:
        return sleeping(sitter, place, d)
    return idle(sitter, place, d)


def waver(pose: Pose, d: Draw, bones: tuple[int, ...], degrees: float) -> Pose:
    """The same pose, a little different: nobody holds still."""
    turns = to_matrices(pose.quaternions)
    for bone in bones:
        turns[bone] = turns[bone] @ about_vector(d.rng.normal(size=3), d.u(-degrees, degrees))
    return Pose(pose.kind, to_quaternions(turns), pose.shift, pose.raised)


def pupil_track(person: Person, gestures: list[Gesture], duration_ms: int, d: Draw) -> tuple[Track, list[int]]:
    """A pupil's whole lesson, and for each of its gestures the index of the first hold that performs it."""
    holds, firsts, now = list[Hold](), list[int](), 0
    for gesture in sorted(gestures, key=lambda g: g.started_ms):
        move = int(d.u(*MOVES_MS[gesture.behaviour]))
        holds += _idle_holds(person, now, gesture.started_ms - move, d)
        firsts.append(len(holds))
        pose = perform(person, gesture.behaviour, d)
        holds += _lively_holds(person, pose, gesture.started_ms, gesture.ended_ms, d)
        now = gesture.ended_ms + int(d.u(*MOVES_MS[gesture.behaviour]))
    holds += _idle_holds(person, now, duration_ms + 1000, d)
    return Track(tuple(holds)), firsts


def _idle_holds(person: Person, start_ms: int, end_ms: int, d: Draw) -> list[Hold]:
    """Idle poses that fill a stretch of time; at least one, and the last lasts to the end."""
    out, now = list[Hold](), start_ms
    while True:
        lasts = int(d.u(2500, 9000))
        last = now + lasts + 2500 > end_ms
        until = end_ms if last else now + lasts
        out += _lively_holds(person, perform(person, "idle", d), now, until, d)
        if last:
            return out
        now = until + int(d.u(*MOVES_MS[None]))


def _lively_holds(person: Person, pose: Pose, start_ms: int, end_ms: int, d: Draw) -> list[Hold]:
    """One pose with small motions in it; the first and the last instant are the pose's own stretch of time."""
    index = person.sitter.model.skeleton.index
    bones = [index["head"], index["neck02"], index["spine03"]]
    degrees, pause = (0.8, (3000, 5000)) if pose.behaviour == SLEEPING else (3.0, (1200, 3200))
    if pose.raised is not None:
        bones += [index[f"upperarm01.{pose.raised}"], index[f"lowerarm01.{pose.raised}"]]
    out, now, current = list[Hold](), start_ms, pose
    while True:
        until = now + int(d.u(*pause))
        if until + 1500 > end_ms:
            return [*out, Hold(current, now, max(end_ms, now))]
        out.append(Hold(current, now, until))
        now, current = until + int(d.u(400, 900)), waver(pose, d, tuple(bones), degrees)


# ------------------------------------------------------------------ teacher


@dataclass(frozen=True)
class Leg:
    """A straight walk, or a stay where start and end are the same spot."""

    started_ms: int
    ended_ms: int
    start: Spot
    end: Spot


@dataclass(frozen=True)
class Walk:
    """A teacher's lesson: where it stands or walks, what its upper body does, and its two strides."""

    legs: tuple[Leg, ...]
    gestures: Track
    strides: tuple[Pose, Pose]

    def at(self, time_ms: float) -> tuple[Array, Array, Spot]:
        """Turns, shift and spot at a moment."""
        leg = next((one for one in self.legs if time_ms < one.ended_ms), self.legs[-1])
        share = min(max((time_ms - leg.started_ms) / max(leg.ended_ms - leg.started_ms, 1), 0.0), 1.0)
        spot = _between(leg.start, leg.end, share)
        walking = math.hypot(leg.end.x - leg.start.x, leg.end.y - leg.start.y) > 0.01
        if not walking:
            return *self.gestures.at(time_ms), spot
        swing = 0.5 + 0.5 * math.sin(math.pi * (time_ms - leg.started_ms) / STEP_MS)
        first, second = self.strides
        stride = blend(first.quaternions, second.quaternions, swing)
        ramp = min(1.0, (time_ms - leg.started_ms) / 400, (leg.ended_ms - time_ms) / 400)
        turns, shift = self.gestures.at(time_ms)
        mean = first.shift * (1 - swing) + second.shift * swing
        return blend(turns, stride, max(ramp, 0.0)), shift * (1 - ramp) + mean * ramp, spot


def _between(start: Spot, end: Spot, share: float) -> Spot:
    turn = (end.yaw - start.yaw + 180) % 360 - 180
    return Spot(start.x + (end.x - start.x) * share, start.y + (end.y - start.y) * share, start.yaw + turn * share)


def _clear(start: Spot, end: Spot, taken: list[tuple[float, float, float]]) -> bool:
    steps = max(int(math.hypot(end.x - start.x, end.y - start.y) / 0.15), 1)
    points = [
        (start.x + (end.x - start.x) * i / steps, start.y + (end.y - start.y) * i / steps) for i in range(steps + 1)
    ]
    return all(math.hypot(x - tx, y - ty) > radius for x, y in points for tx, ty, radius in taken)


def teacher_walk(
    scene: Scene, teacher: Person, taken: list[tuple[float, float, float]], duration_ms: int, d: Draw
) -> Walk | None:
    """Let a teacher wander between free spots, staying and gesturing in between; None if there is no room."""
    spots = [spot for _ in range(40) if (spot := free_spot(d, scene.plan.bounds, taken)) is not None]
    if not spots:
        return None
    front = min(spots, key=lambda s: s.y)
    legs, now, here = list[Leg](), 0, Spot(front.x, front.y, 180.0 + d.u(-30, 30))
    while now < duration_ms:
        stay = now + int(d.u(2500, 8000))
        legs.append(Leg(now, stay, here, here))
        nearby = [s for s in spots if 0.8 < math.hypot(s.x - here.x, s.y - here.y) < 5 and _clear(here, s, taken)]
        if not nearby:
            now = stay
            continue
        there = nearby[int(d.rng.integers(len(nearby)))]
        heading = math.degrees(math.atan2(there.x - here.x, -(there.y - here.y)))
        facing = 180.0 + d.u(-50, 50) if there.y < min(desk.y for desk in scene.plan.desks) else d.u(-180, 180)
        legs += _steps(here, there, heading, facing, stay)
        now, here = legs[-1].ended_ms, Spot(there.x, there.y, facing)
    return Walk(tuple(legs), _teacher_gestures(teacher, duration_ms, d), _strides(teacher))


def _steps(here: Spot, there: Spot, heading: float, facing: float, start_ms: int) -> list[Leg]:
    """Turn, walk, turn."""
    turned, arrived = Spot(here.x, here.y, heading), Spot(there.x, there.y, heading)
    walk_ms = int(math.hypot(there.x - here.x, there.y - here.y) / WALK_M_PER_S * 1000)
    first, second = start_ms + 600, start_ms + 600 + walk_ms
    return [
        Leg(start_ms, first, here, turned),
        Leg(first, second, turned, arrived),
        Leg(second, second + 600, arrived, Spot(there.x, there.y, facing)),
    ]


def _teacher_gestures(teacher: Person, duration_ms: int, d: Draw) -> Track:
    holds, now = list[Hold](), 0
    while now < duration_ms + 1000:
        until = now + int(d.u(1500, 5000))
        kind = d.pick({"explain": 0.5, "point": 0.2, "hold": 0.3})
        holds.append(Hold(teach(teacher.sitter, d, kind), now, until))
        now = until + int(d.u(500, 1000))
    return Track(tuple(holds))


def _strides(teacher: Person) -> tuple[Pose, Pose]:
    poses = []
    for sign in (1, -1):
        p = Puppet(teacher.sitter.model, teacher.sitter.shape)
        straight_legs(p, Draw(np.random.default_rng(0)), sign * 0.32)
        for side, swing in (("L", -sign), ("R", sign)):
            p.arm(side, (0.12, swing * 0.3, -1), (0.0, swing * 0.3 - 0.3, -1))
        p.spine(4, sign * 3)
        poses.append(
            Pose("teacher-walk", p.quaternions(), np.array([0.0, 0.0, teacher.sitter.floor - p.lowest("shoe")]))
        )
    return poses[0], poses[1]
