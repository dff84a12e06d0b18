"""Scene: a seed becomes a room with its class and teacher, ready to be posed and drawn."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from synthroom.bodies import Shape, body_model
from synthroom.camera import Camera
from synthroom.garments import UNIFORMS, draw_outfit, dress
from synthroom.layout import KINDS, Desk, Plan, draw_plan
from synthroom.mesh import Box, Colour, Mesh, boxes_mesh
from synthroom.people import Person, Spot, build_bodies, own_place
from synthroom.renderer import Light
from synthroom.room import desk_boxes, standing_in_the_way, walls
from synthroom.seeds import rng_of
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
    seed: int, *, pupils: tuple[int, int] = (12, 30), teachers: int | None = None, desks: Sequence[str] = tuple(KINDS)
) -> Scene:
    """Draw a room, its furniture and its people; `pupils` bounds their number, both ends included.

    `desks` narrows the kinds of their order (see `layout.KINDS`).
    """
    rng = rng_of(seed, 0)
    count = int(rng.integers(pupils[0], pupils[1] + 1))
    adults = int(rng.choice([0, 1, 2], p=[0.12, 0.76, 0.12])) if teachers is None else teachers
    years = np.clip(rng.normal(rng.uniform(6.5, 13.5), 0.5, count), 5.5, 16)
    years = np.concatenate([years, rng.uniform(25, 58, adults)])
    bodies, girls = build_bodies(rng, years)
    d = Draw(rng)
    sitters = [seat_person(body_model(), shape, d) for shape in bodies]
    scale = float(np.mean([s.puppet().scale for s in sitters[:count]]))
    plan = draw_plan(rng, pupils=count, scale=scale, kinds=desks)
    seats = [(desk, k) for desk in plan.desks for k in range(len(desk.seats))]
    chosen = sorted(rng.choice(len(seats), min(count, len(seats)), replace=False))
    uniform = UNIFORMS[rng.integers(len(UNIFORMS))] if rng.random() < 0.35 else None
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
    rng: np.random.Generator, number: int, sitter: Sitter, *, girl: bool, uniform: Colour | None, spot: Spot
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
    uniform: Colour | None,
) -> tuple[list[Box], list[Person]]:
    """Put one pupil on each taken seat; desks and chairs follow their bodies' sizes."""
    boxes, persons = list[Box](), list[Person]()
    sizes = [(s.seat - s.floor, s.puppet().scale) for s in sitters[: len(taken)]]
    usual_seat, usual_scale = (float(np.mean([size[i] for size in sizes])) for i in (0, 1))
    above = float(rng.uniform(0.28, 0.4))
    for desk in plan.desks:
        here = {k: i for i, (other, k) in enumerate(taken) if other is desk}
        seats_m = [sizes[here[k]][0] if k in here else usual_seat for k in range(len(desk.seats))]
        scale = float(np.mean([sizes[i][1] for i in here.values()])) if here else usual_scale
        top_m = float(np.mean([seats_m[k] for k in here] or [usual_seat])) + above * scale
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


def draw_light(rng: np.random.Generator) -> Light:
    """Daylight from one side, lamps, and their colours."""
    direction = np.array([rng.uniform(0.3, 0.9) * rng.choice([-1, 1]), rng.uniform(-0.7, 0.4), rng.uniform(0.9, 1.4)])
    direction /= np.linalg.norm(direction)
    sun, warm = rng.uniform(0.35, 1.6), rng.uniform(0.85, 1.1)
    sky, lamp = rng.uniform(0.35, 0.75), rng.uniform(0.0, 0.8)
    floor = sky * 0.55
    return Light(
        direction=(float(direction[0]), float(direction[1]), float(direction[2])),
        sun=(sun, sun * 0.97, sun * warm * 0.93),
        sky=(sky, sky, sky * float(rng.uniform(0.95, 1.1))),
        ground=(floor, floor * 0.96, floor * 0.9),
        lamp=(lamp, lamp, lamp * float(rng.uniform(0.8, 1.0))),
    )


def draw_camera(rng: np.random.Generator, plan: Plan, kind: str | None = None) -> Camera:
    """Hang a camera: mostly in a front corner, looking over the class; `kind` is front, middle, back or side."""
    x0, y0, x1, y1 = plan.bounds
    kind = kind or str(rng.choice(["front", "middle", "back", "side"], p=[0.6, 0.17, 0.13, 0.1]))
    sign, margin = float(rng.choice([-1, 1])), float(rng.uniform(0.2, 0.6))
    corner = x1 - margin if sign > 0 else x0 + margin
    x, y = {
        "front": (corner * float(rng.uniform(0.6, 1.0)), y0 + margin),
        "middle": (float(rng.uniform(0.4 * x0, 0.4 * x1)), y0 + margin),
        "back": (corner * float(rng.uniform(0.7, 1.0)), y1 - margin),
        "side": (corner, float(rng.uniform(y0 * 0.6, 0.3))),
    }[kind]
    ys = [desk.y for desk in plan.desks]
    centre = (float(rng.uniform(-0.8, 0.8)) - corner * 0.1, float(np.mean(ys) + rng.uniform(-0.8, 0.8)))
    height = float(min(rng.uniform(2.0, 3.2), plan.height - 0.15))
    target = (centre[0], centre[1], float(rng.uniform(0.35, 0.9)))
    fov = float(np.clip(rng.normal(82, 10), 60, 100))
    return Camera(eye=(x, y, height), target=target, fov_deg=fov, roll_deg=float(rng.normal(0, 1.5)))
