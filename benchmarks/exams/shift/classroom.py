"""One room with its people: built once from a seed, posed and photographed several times."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from benchmarks.exams.shift import furniture, materials
from benchmarks.exams.shift.bodies import HAND_LEFT, HAND_RIGHT, HEAD, Body, clothed, pose_body
from benchmarks.exams.shift.draw import Light, Stage
from benchmarks.exams.shift.fields import Surface
from benchmarks.exams.shift.hands import right_hand
from benchmarks.exams.shift.heads import head_parts
from benchmarks.exams.shift.labels import PARTS, Piece
from benchmarks.exams.shift.looks import Look, colour, draw_look, draw_uniform
from benchmarks.exams.shift.posture import Arm, Pose
from benchmarks.exams.shift.room import Plan, Seat, clutter, draw_plan, fit_out, room_solids, seating
from benchmarks.exams.shift.skeleton import Build, Place, desk_height, draw_build, seat_height
from benchmarks.exams.shift.vectors import Array, Vector, frame, turn, vec
from benchmarks.exams.shift.view import Camera

Rng = np.random.Generator


@dataclass(frozen=True)
class Person:
    """Somebody of the room; `number` counts from 1, `seat` is none for adults."""

    number: int
    build: Build
    look: Look
    years: float
    head: dict[str, Surface]
    seat: int | None = None

    @property
    def name(self) -> str:
        """How the scene knows them."""
        return f"person-{self.number}-"


@dataclass(frozen=True)
class Room:
    """A plan with its people and the heights that fit them."""

    seed: int
    plan: Plan
    pupils: tuple[Person, ...]
    teacher: Person
    seat_m: float
    desk_m: float


def build_room(seed: int) -> Room:
    """Choose a room, furniture that fits the age of its class, and who is there today."""
    rng = np.random.default_rng([seed, 0])
    plan, uniform = draw_plan(rng), draw_uniform(rng)
    taken = [i for i in range(len(plan.seats)) if rng.random() < rng.choice([0.7, 0.95])][:30]
    pupils = tuple(_person(rng, n, plan.years, uniform=uniform, seat=i) for n, i in enumerate(taken, 1))
    usual = draw_build(np.random.default_rng([seed, 1]), plan.years)
    return Room(seed, plan, pupils, _person(rng, len(taken) + 1, 30.0), seat_height(usual), desk_height(usual))


def _person(rng: Rng, number: int, years: float, *, uniform: Any = None, seat: int | None = None) -> Person:
    own_years = years + float(rng.normal(0, 0.5)) if seat is not None else years
    build = draw_build(rng, own_years)
    look = draw_look(rng, uniform=uniform, adult=seat is None)
    child = float(np.interp(own_years, (6, 18), (1, 0)))
    return Person(number, build, look, own_years, head_parts(look, child), seat)


class Set:
    """A room on a Blender stage."""

    def __init__(self, stage: Stage, room: Room) -> None:
        self.stage, self.room = stage, room
        rng = np.random.default_rng([room.seed, 2])
        stage.empty()
        self._fittings = fit_out(rng)
        self._materials = _materials(rng)
        self._skin = materials.skin()
        self._clothes = {p.number: _wardrobe(p.look) for p in (*room.pupils, room.teacher)}
        self._solids("room", room_solids(room.plan, rng, self._fittings))

    def _solids(self, name: str, solids: list[furniture.Solid]) -> None:
        self.stage.drop_all(f"{name}/")
        for material, surface in furniture.merged(solids).items():
            self.stage.put(f"{name}/{material}", surface, self._materials[material])

    def furnish(self, poses: dict[int, Pose], rng: Rng) -> None:
        """Set desks, chairs and what lies on them, as the pupils' poses need it."""
        room, seats = self.room, {p.number: p.seat for p in self.room.pupils}
        pushed = {seats[n]: 0.24 for n, pose in poses.items() if not pose.seated and abs(pose.shift_m[0]) < 0.3}
        away = {seats[n]: 0.05 for n, pose in poses.items() if not pose.seated and abs(pose.shift_m[0]) >= 0.3}
        solids = seating(
            room.plan,
            room.desk_m,
            room.seat_m,
            self._fittings,
            {k: v for k, v in (pushed | away).items() if k is not None},
            rng,
        )
        by_seat = {seats[number]: pose for number, pose in poses.items()}
        for i, seat in enumerate(room.plan.seats):
            pose = by_seat.get(i)
            if pose is not None:
                solids += clutter(seat, room.desk_m, rng, clear=pose.rests)
        self._solids("seating", solids)

    def pose(self, person: Person, pose: Pose, world: Array) -> tuple[Piece, ...]:
        """Put a person on the stage; the pieces are their meshes in the room's axes, without depth yet."""
        body = pose_body(person.build, pose, Place(self.room.seat_m, self.room.desk_m))
        self.stage.drop_all(person.name)
        pieces = list[Piece]()
        for name, part, surface, matrix in _meshes(person, pose, body):
            whole = world @ matrix
            index = person.number * PARTS + part
            self.stage.put(person.name + name, surface, self._material_of(person, name), index=index, matrix=whole)
            pieces.append(Piece(part, surface.points @ whole[:3, :3].T + whole[:3, 3], surface.faces))
        self._props(person, pose, body, world)
        return tuple(pieces)

    def _material_of(self, person: Person, name: str) -> Any:
        return self._clothes[person.number].get(name.split("/", maxsplit=1)[0], self._skin)

    def _props(self, person: Person, pose: Pose, body: Body, world: Array) -> None:
        rng = np.random.default_rng([person.look.seed, 3])
        for arm, hand, side in ((pose.left, body.hands[0], -1), (pose.right, body.hands[1], 1)):
            held = _held(arm, hand, side, body, rng)
            for i, solid in enumerate(held):
                name = f"{person.name}holds-{side}-{i}"
                tinted = furniture.merged([solid])[solid.material]
                self.stage.put(name, tinted, self._materials[solid.material], matrix=world)

    def light(self, light: Light) -> None:
        """Light the room from its windows and its lamps."""
        plan = self.room.plan
        self.stage.sun(light)
        self.stage.drop_all("light-")
        for i, w in enumerate(plan.windows):
            at = vec(plan.side * (plan.width / 2 + 0.02), (w.y0 + w.y1) / 2, (w.z0 + w.z1) / 2)
            size = (w.y1 - w.y0, w.z1 - w.z0)
            inward = _facing(at, vec(-plan.side, 0, -0.25))
            self.stage.lamp(
                f"light-window-{i}", inward, size, light.sky * 30 * size[0] * size[1], vec(*light.sky_colour)
            )
        warm = vec(1, 1 - 0.25 * light.warmth, 1 - 0.5 * light.warmth)
        for i, (x, y) in enumerate(plan.lamps):
            if light.lamps:
                self.stage.lamp(
                    f"light-lamp-{i}",
                    _facing(vec(x, y, plan.height - 0.09), vec(0, 0, -1)),
                    (0.3, 1.2),
                    light.lamps,
                    warm,
                )


def _facing(at: Array, way: Array) -> Array:
    """Frame of a light at a place that shines along `way`; its width lies level."""
    axes = frame(way, (0, 0, 1) if abs(way[2]) < 0.9 else (1, 0, 0))
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2], matrix[:3, 3] = axes[:, 0], axes[:, 2], -axes[:, 1], at
    return matrix


def _meshes(person: Person, pose: Pose, body: Body) -> Iterator[tuple[str, int, Surface, Array]]:
    skin = np.array(person.look.skin, np.float32)
    for name, (part, surface) in clothed(body, person.look).items():
        yield name, part, _tinted(surface, skin), np.eye(4)
    for name, surface in person.head.items():
        yield name, HEAD, surface, body.head
    for arm, matrix, part in ((pose.left, body.hands[0], HAND_LEFT), (pose.right, body.hands[1], HAND_RIGHT)):
        yield f"hand/{part}", part, _tinted(right_hand(arm.hand), skin), matrix


def _tinted(surface: Surface, tint: Vector) -> Surface:
    return replace(surface, paint=np.tile(np.asarray(tint, np.float32), (len(surface.points), 1)))


def _held(arm: Arm, hand: Array, side: int, body: Body, rng: Rng) -> list[furniture.Solid]:
    """What a hand holds, in the body's axes."""
    grip = hand[:3, :3] @ vec(0, 0.5, -0.16) + hand[:3, 3]
    match arm.holds:
        case "pen":
            return _carried(furniture.pen(rng), grip, frame((side * 0.3, 0.75, -0.5), (side * 0.2, -0.4, 1)))
        case "bottle":
            mouth = body.trunk.head + body.trunk.head_turn @ vec(0, 0.48, -0.26) * body.trunk.build.head
            up = mouth - grip
            return _carried(
                furniture.bottle(rng), grip - 0.05 * up / np.linalg.norm(up), frame(np.cross(up, (1, 0, 0.1)), up)
            )
        case "book" | "sheet":
            middle = (body.hands[0][:3, 3] + body.hands[1][:3, 3]) / 2 if arm.act == "hold" else grip
            piece = furniture.book(rng, opened=True) if arm.holds == "book" else furniture.sheet()
            return _carried(piece, middle + vec(0, 0.06, 0.05), frame((0, 0.65, 0.75), (0, -0.75, 0.65)))
        case _:
            return []


def _carried(solids: list[furniture.Solid], at: Array, axes: Array) -> list[furniture.Solid]:
    rotation, offset = axes.T.astype(np.float32), at.astype(np.float32)
    return [replace(s, surface=replace(s.surface, points=s.surface.points @ rotation + offset)) for s in solids]


def seat_frame(seat: Seat, heading: float) -> Array:
    """Where a seated body's axes lie in the room."""
    matrix = np.eye(4)
    matrix[:3, :3] = turn(yaw=seat.yaw + heading)
    matrix[:2, 3] = seat.x, seat.y
    return matrix


def seen_by(camera: Camera, pieces: tuple[Piece, ...], width: int, height: int) -> list[Piece]:
    """Pieces as the camera would see them alone."""
    return [replace(piece, corners=camera.project(piece.corners, width, height)) for piece in pieces]


def _wardrobe(look: Look) -> dict[str, Any]:
    rng = np.random.default_rng([look.seed, 4])
    scarf = materials.cloth("plain", colour(rng), look.second, rng) if look.style == "scarf" else None
    return {
        "top": materials.cloth(look.pattern, look.cloth, look.second, rng),
        "bottom": materials.cloth("plain", look.legs, look.legs, rng),
        "shoes": materials.plain("shoes", look.shoes, rough=0.5),
        "hair": scarf or materials.hair(look.hair),
        "eyes": materials.painted("eyes", rough=0.15),
        "glasses": materials.plain("glasses", (0.02, 0.02, 0.025), rough=0.3),
    }


def _materials(rng: Rng) -> dict[str, Any]:
    top = (colour(rng, (0.25, 0.6), (0.3, 0.75)), colour(rng, (0.0, 0.15), (0.55, 0.85)))[int(rng.random() < 0.4)]
    floor, brown = colour(rng, (0.05, 0.5), (0.12, 0.55)), (0.35, 0.19, 0.08)
    worn = (floor[0] * 0.85, floor[1] * 0.85, floor[2] * 0.85)
    return {
        "desk": materials.wood(_wooden(rng) if rng.random() < 0.6 else top, 3.0, float(rng.uniform(0.25, 0.6))),
        "wood": materials.wood(brown if rng.random() < 0.5 else _wooden(rng), 4.0, 0.5),
        "floor": materials.tiles(floor, worn, float(rng.uniform(0.25, 0.6)), boards=bool(rng.random() < 0.4)),
        "wall": materials.wall(),
        "ceiling": materials.plain("ceiling", (0.75, 0.75, 0.73), rough=0.9),
        "metal": materials.painted("metal", rough=0.35, metallic=0.6),
        "shell": materials.painted("shell", rough=0.4),
        "paint": materials.painted("paint", rough=0.7),
        "gloss": materials.painted("gloss", rough=0.25),
        "cloth": materials.painted("cloth", rough=0.95),
        "paper": materials.plain("paper", (0.8, 0.79, 0.75), rough=0.8),
        "lamp": materials.plain("lamp", (0.9, 0.9, 0.88), rough=0.5, emit=float(rng.choice([0.0, 3.0]))),
        "poster": materials.poster(),
        "greenboard": materials.board((0.02, 0.07, 0.045), (0.65, 0.65, 0.6), rng),
        "blackboard": materials.board((0.02, 0.02, 0.022), (0.65, 0.65, 0.6), rng),
        "whiteboard": materials.board((0.8, 0.81, 0.82), (0.03, 0.04, 0.2), rng),
    }


def _wooden(rng: Rng) -> tuple[float, float, float]:
    base = np.array((0.5, 0.32, 0.16)) * rng.uniform(0.5, 1.4)
    red, green, blue = np.clip(base * np.exp(rng.normal(0, 0.1, 3)), 0.02, 0.85)
    return float(red), float(green), float(blue)
