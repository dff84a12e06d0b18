"""A room's pictures: who does what, from where it is seen, in what light, and what is labelled."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from benchmarks.exams.shift.classroom import Person, Room, Set, build_room, seat_frame, seen_by
from benchmarks.exams.shift.draw import Light, Stage
from benchmarks.exams.shift.labels import PARTS, label, visible_box
from benchmarks.exams.shift.lens import developed, draw_film
from benchmarks.exams.shift.poses import draw_mood, pupil, teacher
from benchmarks.exams.shift.posture import Pose
from benchmarks.exams.shift.room import Plan
from benchmarks.exams.shift.still import Still
from benchmarks.exams.shift.vectors import Array, turn
from benchmarks.exams.shift.view import draw_camera

Rng = np.random.Generator


def stills(stage: Stage, seed: int, views: int) -> Iterator[Still]:
    """All views of one room."""
    room = build_room(seed)
    scene = Set(stage, room)
    for view in range(views):
        yield _still(scene, room, np.random.default_rng([seed, 10 + view]))


def _still(scene: Set, room: Room, rng: Rng) -> Still:
    stage = scene.stage
    poses = pose_class(room, rng)
    scene.furnish(poses, rng)
    pieces = {p.number: scene.pose(p, poses[p.number], _frame(room, p, poses[p.number])) for p in room.pupils}
    stage.drop_all(room.teacher.name)
    present = rng.random() < 0.8
    camera = draw_camera(rng, room.plan)
    if present:
        scene.pose(room.teacher, teacher(rng), _teachers_place(room.plan, rng, camera.pose[:2, 3]))
    scene.light(draw_light(rng))
    linear, ids = stage.shoot(camera, int(rng.integers(2**31)))
    film = draw_film(rng)
    found = (
        label(ids, p.number, poses[p.number], seen_by(camera, pieces[p.number], stage.width, stage.height))
        for p in room.pupils
    )
    adult = ids // PARTS == room.teacher.number
    return Still(
        rgb=developed(linear, film, rng),
        labels=tuple(one for one in found if one is not None),
        adults=(visible_box(adult),) if adult.sum() >= 100 else (),
        quality=film.quality,
    )


def pose_class(room: Room, rng: Rng) -> dict[int, Pose]:
    """Give every pupil something to do; who stands beside the desk stands where no neighbour sits."""
    mood = draw_mood(rng)
    poses = {p.number: pupil(rng, mood) for p in room.pupils}
    for person in room.pupils:
        pose, outer = poses[person.number], room.plan.seats[person.seat or 0].outer
        if pose.seated or not outer or pose.shift_m[0] * outer > 0:
            continue
        poses[person.number] = replace(pose, shift_m=(-pose.shift_m[0], pose.shift_m[1]))
    return poses


def _frame(room: Room, person: Person, pose: Pose) -> Array:
    return seat_frame(room.plan.seats[person.seat or 0], pose.heading)


def _teachers_place(plan: Plan, rng: Rng, camera_xy: Array) -> Array:
    """At the board or between the desks, looking at the class or at the board; not in the camera's face."""
    matrix = np.eye(4)
    for _ in range(30):
        if rng.random() < 0.65:
            x, y = rng.uniform(-0.35, 0.35) * plan.width, plan.length - rng.uniform(0.7, 1.7)
            yaw = rng.normal(180, 35) if rng.random() < 0.75 else rng.normal(0, 30)
        else:
            x, y, yaw = rng.uniform(-0.42, 0.42) * plan.width, rng.uniform(0.8, plan.length - 1.5), rng.uniform(0, 360)
        clear = min(np.hypot(s.x - x, s.y + 0.15 - y) for s in plan.seats) > 0.62
        if clear and np.hypot(*(camera_xy - (x, y))) > 1.6:
            break
    matrix[:3, :3], matrix[:2, 3] = turn(yaw=float(yaw)), (x, y)
    return matrix


def draw_light(rng: Rng) -> Light:
    """Sun, overcast, evening with lamps, a dim room for a projector."""
    kind = str(rng.choice(["sun", "overcast", "lamps", "dim"], p=[0.35, 0.3, 0.25, 0.1]))
    blue = float(rng.uniform(0, 1)) if kind != "overcast" else 0.1
    sky = {
        "sun": rng.uniform(1.5, 3.5),
        "overcast": rng.uniform(0.8, 2),
        "lamps": rng.uniform(0.02, 0.3),
        "dim": rng.uniform(0.05, 0.25),
    }
    lamps = {"sun": rng.choice([0, 25]), "overcast": rng.choice([0, 45]), "lamps": rng.uniform(40, 70), "dim": 0}
    return Light(
        sky=float(sky[kind]),
        sun=float(rng.uniform(4, 14)) if kind == "sun" else 0.0,
        sun_height=float(rng.uniform(18, 55)),
        sun_heading=float(rng.uniform(0, 360)),
        lamps=float(lamps[kind]),
        warmth=float(rng.uniform(0, 1)),
        sky_colour=(1 - 0.35 * blue, 1 - 0.18 * blue, 1.0),
    )
