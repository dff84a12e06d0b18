"""Scene: a seed becomes a room with its class and teacher, ready to be posed and drawn."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from synthroom.bodies import Shape, body_model
from synthroom.garments import DressCode, draw_dress_code, draw_outfit, dress
from synthroom.layout import KINDS, Desk, Plan, draw_plan
from synthroom.mesh import Box, Mesh, boxes_mesh
from synthroom.people import Person, Spot, build_bodies, own_place
from synthroom.room import desk_boxes, standing_in_the_way, walls
from synthroom.seeds import SEED_RANGES, rng_of
from synthroom.sitting import Draw, Sitter, seat_person


@dataclass(frozen=True)
class Scene:
    """A room with its people; pupils are numbered 1 to n in the id buffer, teachers follow.

    `obstacles` are circles (x, y, radius) around the furniture along the walls.
    """

    seed: int
    plan: Plan
    pupils: tuple[Person, ...]
    teachers: tuple[Person, ...]
    room: Mesh
    obstacles: tuple[tuple[float, float, float], ...]

    @property
    def people(self) -> tuple[Person, ...]:
        """Pupils, then teachers."""
        return (*self.pupils, *self.teachers)


def build_scene(
    seed: int, *, pupils: tuple[int, int] = (8, 42), teachers: int | None = None, desks: Sequence[str] = tuple(KINDS)
) -> Scene:
    """Draw a room, its furniture and its people; `pupils` bounds their number, both ends included.

    `desks` narrows the kinds of their order (see `layout.KINDS`).
    """
    rng = rng_of(seed, 0)
    count = int(rng.integers(pupils[0], pupils[1] + 1))
    adults = int(rng.choice([0, 1, 2], p=[0.12, 0.7, 0.18])) if teachers is None else teachers
    mean = rng.uniform(6.5, 12.5) if rng.random() < 0.7 else rng.uniform(12.5, 17.5)
    years = np.clip(rng.normal(mean, 0.5, count), 5.8, 18)
    years = np.concatenate([years, rng.uniform(25, 58, adults)])
    bodies, girls = build_bodies(rng, years, calibrated=seed in SEED_RANGES["train"])  # exams keep their bodies
    d = Draw(rng)
    sitters = [seat_person(body_model(), shape, d) for shape in bodies]
    scale = float(np.mean([s.puppet().scale for s in sitters[:count]]))
    plan = draw_plan(rng, pupils=count, scale=scale, kinds=desks)
    seats = [(desk, k) for desk in plan.desks for k in range(len(desk.seats))]
    chosen = sorted(rng.choice(len(seats), min(count, len(seats)), replace=False))
    uniform = draw_dress_code(rng)
    boxes, persons = _furnish(rng, plan, [seats[i] for i in chosen], sitters, girls, uniform)
    adult_people = [
        _person(rng, len(persons) + 1 + i, sitters[count + i], girl=girls[count + i], uniform=None, spot=Spot(0, 0, 0))
        for i in range(adults)
    ]
    around = walls(rng, plan)
    return Scene(
        seed=seed,
        plan=plan,
        pupils=tuple(persons),
        teachers=tuple(adult_people),
        room=boxes_mesh(boxes + around),
        obstacles=tuple(standing_in_the_way(around)),
    )


def _person(
    rng: np.random.Generator, number: int, sitter: Sitter, *, girl: bool, uniform: DressCode | None, spot: Spot
) -> Person:
    outfit = draw_outfit(rng, girl=girl, uniform=uniform)
    shape = sitter.shape
    clothed = dress(sitter.model, shape, outfit, number)
    dressed = Shape(vertices=clothed.vertices, normals=shape.normals, heads=shape.heads, root=shape.root)
    return Person(number, sitter, dressed, clothed.fixed, clothed.triangles, clothed.coarse, spot, None)


def _furnish(
    rng: np.random.Generator,
    plan: Plan,
    taken: list[tuple[Desk, int]],
    sitters: list[Sitter],
    girls: list[bool],
    uniform: DressCode | None,
) -> tuple[list[Box], list[Person]]:
    """Put one pupil on each taken seat; desks and chairs follow their bodies' sizes."""
    boxes, persons = list[Box](), list[Person]()
    sizes = [(s.seat - s.floor, s.puppet().scale) for s in sitters[: len(taken)]]
    usual_seat, usual_scale = (float(np.mean([size[i] for size in sizes])) for i in (0, 1))
    above = float(rng.uniform(0.28, 0.4))
    for desk in plan.desks:
        here = {k: i for i, (other, k) in enumerate(taken) if other is desk}
        seats_m = [sizes[here[k]][0] if k in here else usual_seat for k in range(len(desk.seats))]
        tops = [sizes[i][0] + above * sizes[i][1] for i in here.values()]
        top_m = min(tops, default=usual_seat + above * usual_scale)  # the smallest must reach it
        pushed = [0.0 if k in here else float(rng.uniform(-0.2, 0.1)) for k in range(len(desk.seats))]
        boxes += desk_boxes(rng, plan, desk, top_m=top_m, seats_m=seats_m, pushed_m=pushed)
        for k, i in here.items():
            x, y = desk.to_room(desk.seats[k], 0)
            spot = Spot(x, y, desk.yaw + float(rng.normal(0, 4)))
            person = _person(rng, i + 1, sitters[i], girl=girls[i], uniform=uniform, spot=spot)
            side = desk.width / 2 - abs(desk.seats[k])
            place = own_place(sitters[i], top_m=top_m, near_m=plan.near, half_width_m=side)
            persons.append(replace(person, place=place))
    return boxes, sorted(persons, key=lambda p: p.number)
