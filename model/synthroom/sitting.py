"""Sitting: a pupil at a desk, its chance, and how arms rest; what all poses share."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from synthroom.bodies import BodyModel, Shape
from synthroom.puppet import Puppet, outwards
from synthroom.rotations import Array

HAND_RAISING, STAND_UP, SLEEPING = "hand-raising", "stand-up", "sleeping"
BEHAVIOURS = (HAND_RAISING, STAND_UP, SLEEPING)


@dataclass(frozen=True)
class Place:
    """A pupil's desk in the body's own frame, metres: height of the top, its near edge (negative y), its half width."""

    top: float
    near: float
    half_width: float


@dataclass(frozen=True)
class Prop:
    """Something held: a box that a bone carries.

    For a wrist `offset_m` and `size_m` are along (across the palm, towards the fingers, out of the palm); for any other
    bone along the body's own axes. `offset_m` is from the bone's head to the box's middle, for a body of scale 1. Without
    a bone ("") it lies where it is in the body's own frame, of any scale.
    """

    bone: str
    offset_m: tuple[float, float, float]
    size_m: tuple[float, float, float]
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Pose:
    """Turns of the bones (bones, 4), a shift of the whole body, and the side of a raised hand ("L", "R" or none).

    `turn_deg` turns the whole body about its own upright axis, against its seat. `props` are held things.
    """

    kind: str
    quaternions: Array
    shift: Array
    raised: str | None = None
    turn_deg: float = 0.0
    props: tuple[Prop, ...] = ()

    @property
    def behaviour(self) -> str | None:
        """The label this pose deserves, if any."""
        return next((name for name in BEHAVIOURS if self.kind.startswith(f"{name}/")), None)


@dataclass(frozen=True)
class Sitter:
    """A body on its chair: how its legs are placed, where floor, seat and desk top lie in its own frame."""

    model: BodyModel
    shape: Shape
    legs: dict[str, Array]
    floor: float
    standing_floor: float
    seat: float

    def puppet(self) -> Puppet:
        """A puppet that already sits."""
        p = Puppet(self.model, self.shape)
        p.turns.update(self.legs)
        return p


class Draw:
    """A seeded source of the small differences between people."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def u(self, low: float, high: float) -> float:
        """Uniform between two bounds."""
        return float(self.rng.uniform(low, high))

    def chance(self, share: float) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < share)

    def side(self) -> str:
        """Left or right; most people are right-handed."""
        return "R" if self.chance(0.6) else "L"

    def pick(self, table: Mapping[str, float]) -> str:
        """One of the names, by weight."""
        weights = np.array(list(table.values()))
        return str(list(table)[int(self.rng.choice(len(table), p=weights / weights.sum()))])


def other(side: str) -> str:
    """The opposite side."""
    return "R" if side == "L" else "L"


def seat_person(model: BodyModel, shape: Shape, d: Draw) -> Sitter:
    """Sit a body down: legs placed, feet on the floor, seat height found."""
    p = Puppet(model, shape)
    straight_legs(p, d)
    standing = p.lowest("shoe")
    p = Puppet(model, shape)
    for s in "LR":
        k = outwards(s)
        p.aim(f"upperleg01.{s}", f"lowerleg01.{s}", (k * d.u(0.05, 0.25), -1, d.u(-0.1, 0)))
        p.aim(f"lowerleg01.{s}", f"foot.{s}", (k * d.u(-0.1, 0.1), d.u(-0.3, 0.2), -1))
    return Sitter(
        model=model,
        shape=shape,
        legs=dict(p.turns),
        floor=p.lowest("shoe"),
        standing_floor=standing,
        seat=p.seat_height(),
    )


def straight_legs(p: Puppet, d: Draw, stride: float = 0.0) -> None:
    """Stand; `stride` (0..0.5) puts one leg before the other."""
    for s, step in (("L", stride), ("R", -stride)):
        k = outwards(s)
        p.aim(f"upperleg01.{s}", f"lowerleg01.{s}", (k * d.u(0.02, 0.1), d.u(-0.05, 0.05) - step, -1))
        p.aim(f"lowerleg01.{s}", f"foot.{s}", (k * 0.02, d.u(0, 0.1) - step * 0.6 + abs(step) * 0.5, -1))


def on_desk(p: Puppet, place: Place, side: str, d: Draw) -> None:
    """Hand on the desk, as when reading or waiting."""
    k, s = outwards(side), p.scale
    wrist = (k * d.u(0.02, 0.2) * s, place.near - d.u(0.05, 0.2) * s, place.top + 0.03)
    p.reach(side, wrist, (0.6, 0.6, -0.6), (d.u(-0.8, 0.1), -1, d.u(-0.15, 0.05)))
    p.palm(side, (0, 0, -1))
    p.fingers(side, d.u(5, 35))


def arm_down(p: Puppet, side: str, d: Draw) -> None:
    """Arm hanging, the hand in the lap."""
    p.arm(side, (d.u(0.1, 0.3), d.u(-0.25, 0.1), -1), (d.u(-0.2, 0.1), d.u(-0.7, -0.1), -1))
    p.fingers(side, d.u(15, 40))


def flat_forearm(p: Puppet, place: Place, side: str, d: Draw) -> None:
    """Forearm along the desk's front edge, the usual sitting posture of small children."""
    k, s = outwards(side), p.scale
    wrist = (-k * d.u(0.0, 0.1) * s, place.near - d.u(0.05, 0.11) * s, place.top + 0.03)
    p.reach(side, wrist, (1, 0.3, -0.5), (-1, d.u(-0.25, 0.1), 0))
    p.palm(side, (0, 0, -1))
    p.fingers(side, d.u(5, 25))


def rest_arms(p: Puppet, place: Place, d: Draw, sides: str = "LR") -> None:
    """Arms at rest, each in its own way."""
    for side in sides:
        kind = d.pick({"desk": 0.5, "flat": 0.3, "down": 0.2})
        if kind == "desk":
            on_desk(p, place, side, d)
        elif kind == "flat":
            flat_forearm(p, place, side, d)
        else:
            arm_down(p, side, d)


def cross_arms(p: Puppet, d: Draw) -> None:
    """Arms folded over the chest."""
    for s, height in (("L", 0.02), ("R", -0.02)):
        p.arm(s, (d.u(0.15, 0.3), -0.25, -1), (-1, d.u(-0.5, -0.35), 0.15 + height), (-1, 0.1, 0.1))
        p.fingers(s, 25)


PROPS = {
    "pen": ((0.0, 0.09, 0.02), (0.01, 0.15, 0.01)),
    "sheet": ((0.0, 0.17, 0.02), (0.21, 0.28, 0.002)),
    "book": ((0.0, 0.12, 0.03), (0.17, 0.24, 0.02)),
    "cup": ((0.0, 0.07, 0.05), (0.15, 0.06, 0.06)),
    "phone": ((0.0, 0.09, 0.02), (0.07, 0.14, 0.008)),
}
"""Held things: where they are against the wrist, and their size; both as in `Prop`."""


def draw_prop(d: Draw, kind: str, side: str) -> Prop:
    """A held thing of a kind of `PROPS` in the hand of a side, of any colour; paper is light."""
    offset, size = PROPS[kind]
    low = 0.7 if kind == "sheet" else 0.03
    colour = (d.u(low, 0.9), d.u(low, 0.9), d.u(low, 0.9))
    return Prop(f"wrist.{side}", offset, size, colour)


def lean_on_elbow(p: Puppet, place: Place, side: str, d: Draw, bend: float, outward: float | None = None) -> None:
    """Lean forwards (and to that side) until the elbow can lie on the desk, then put it there, so far `outward` of the shoulder."""
    direction = (d.u(0.0, 0.35) if outward is None else outward, -1.0)
    twist, lean = d.u(-5, 5), outwards(side) * d.u(0, 6)
    for extra in range(0, 45, 3):
        p.spine(bend + extra, twist, lean)
        shoulder = p.joint(f"upperarm01.{side}")
        upper, _ = p.lengths(side)
        reach_y = place.near - 0.03 * p.scale  # the elbow must lie beyond the edge
        drop = shoulder[2] - place.top - 0.035
        flat = max(upper**2 - drop**2, 0) ** 0.5 if drop < upper else -1.0
        ahead = flat / (1 + direction[0] ** 2) ** 0.5
        if flat >= 0 and shoulder[1] - ahead <= reach_y:
            break
    p.rest_elbow(side, place.top + 0.035, direction)
