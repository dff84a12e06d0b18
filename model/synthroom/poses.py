"""Poses of the three labelled behaviours, as distributions over a puppet's joints."""

import numpy as np

from synthroom.puppet import Puppet, outwards
from synthroom.rotations import about
from synthroom.sitting import (
    HAND_RAISING,
    SLEEPING,
    STAND_UP,
    Draw,
    Place,
    Pose,
    Prop,
    Sitter,
    arm_down,
    cross_arms,
    draw_prop,
    flat_forearm,
    lean_on_elbow,
    on_desk,
    other,
    rest_arms,
    straight_legs,
)

# ------------------------------------------------------------------ hand-raising

RAISES = {"straight": 0.22, "bent": 0.17, "elbow": 0.45, "low": 0.06, "supported": 0.06, "both": 0.04}


def hand_raising(sitter: Sitter, place: Place, d: Draw, mode: str | None = None, side: str | None = None) -> Pose:
    """Raise a hand: straight, bent, low beside the head, or with the elbow on the desk and the palm open.

    "supported": the other hand holds the raised arm. "both": both hands are up, one of them is the one that is labelled.
    """
    p, side = sitter.puppet(), side or d.side()
    mode = mode or d.pick(RAISES)
    if mode == "elbow":
        lean_on_elbow(p, place, side, d, d.u(-2, 9), d.u(0.1, 0.7))
        inwards = d.u(0.12, 0.35) if d.chance(0.3) else d.u(-0.2, 0.12)  # before the face, or beside it
        p.forearm(side, (-inwards, d.u(-0.3, 0.15), 1), (d.u(-0.2, 0.1), d.u(-0.25, 0.15), 1))
        kind = d.pick({"flat": 0.75, "down": 0.05, "desk": 0.2})
        if kind == "down":
            arm_down(p, other(side), d)
        else:
            {"flat": flat_forearm, "desk": on_desk}[kind](p, place, other(side), d)
        p.gaze(d.u(-8, 8), d.u(-25, 25), d.u(-5, 5))
    else:
        p.spine(d.u(-2, 12), d.u(-8, 8), outwards(side) * d.u(-8, 3))
        rest_arms(p, place, d, other(side))
        for s in "LR" if mode == "both" else side:
            _lift_arm(p, s, mode, d)
        p.gaze(d.u(-12, 8), d.u(-30, 30), d.u(-6, 6))
        if mode == "supported":
            _support(p, side, d)
        elif mode == "both":
            _raised_hand(p, other(side), d)
    _raised_hand(p, side, d)
    props = (draw_prop(d, d.pick({"pen": 0.6, "sheet": 0.4}), side),) if d.chance(0.07) else ()
    return Pose(f"{HAND_RAISING}/{mode}", p.quaternions(), np.zeros(3), raised=side, props=props)


def _lift_arm(p: Puppet, side: str, mode: str, d: Draw) -> None:
    p.shrug(side, d.u(8, 14), d.u(15, 28))
    if mode == "bent":
        p.arm(side, (d.u(0.3, 0.7), d.u(-0.7, -0.1), d.u(0.2, 0.7)), (d.u(-0.3, 0.15), d.u(-0.3, 0.1), 1))
    elif mode == "low":
        p.arm(side, (d.u(0.2, 0.6), d.u(-0.8, -0.4), d.u(-0.25, 0.2)), (d.u(-0.2, 0.15), d.u(-0.3, 0.05), 1))
    else:
        p.arm(side, (d.u(-0.05, 0.3), d.u(-0.45, 0.05), 1), (d.u(-0.25, 0.15), d.u(-0.3, 0.1), 1))


def _support(p: Puppet, side: str, d: Draw) -> None:
    """The other hand holds the raised arm at its elbow, across the chest."""
    elbow = p.joint(f"lowerarm01.{side}")
    p.reach(other(side), elbow + np.array([0, -0.03, d.u(-0.08, -0.02)]) * p.scale, (0.5, -0.5, -1), (-1, 0, 0.2))
    p.fingers(other(side), d.u(25, 50))


def _raised_hand(p: Puppet, side: str, d: Draw) -> None:
    facing = d.pick({"front": 0.55, "inwards": 0.25, "outwards": 0.1, "back": 0.1})
    normal = {"front": (0, -1, 0), "inwards": (-1, -0.3, 0), "outwards": (1, -0.5, 0), "back": (0, 1, 0)}[facing]
    p.palm(side, (normal[0] + d.u(-0.4, 0.4), normal[1] + d.u(-0.2, 0.2), 0))
    shape = d.pick({"flat": 0.75, "relaxed": 0.15, "index": 0.1})
    if shape == "index":
        p.fingers(side, d.u(60, 80), index=d.u(0, 8))
    else:
        p.fingers(side, d.u(-2, 6) if shape == "flat" else d.u(12, 25))


# ------------------------------------------------------------------ standing

STANDS = {"down": 0.38, "desk": 0.28, "book": 0.14, "behind": 0.08, "folded": 0.06, "half": 0.06}


def stand_up(
    sitter: Sitter, place: Place, d: Draw, mode: str | None = None, *, beside: bool | None = None, turned: bool = False
) -> Pose:
    """Stand behind the desk or beside it: arms down, hands on the desk, a book in the hands, arms folded, half risen.

    `turned`: some look to the side or away from the desk.
    """
    p = Puppet(sitter.model, sitter.shape)
    mode = mode or d.pick(STANDS)
    straight_legs(p, d)
    beside = d.chance(0.25) if beside is None else beside
    rise = sitter.floor - sitter.standing_floor
    p.spine(d.u(-3, 10), d.u(-10, 10), d.u(-4, 4))
    if mode == "half":
        p.turns.update({name: about("x", -d.u(18, 34)) @ turn for name, turn in p.turns.items() if "upperleg" in name})
    if mode in ("desk", "half") and not beside:
        p.spine(d.u(12, 28), d.u(-6, 6))
        for s in "LR":
            wrist = (outwards(s) * d.u(0.1, 0.22) * p.scale, place.near - d.u(0.03, 0.12), place.top - rise + 0.05)
            p.reach(s, wrist, (0.5, 1, 0), (0, -1, -0.3))
            p.fingers(s, d.u(0, 20))
    else:
        _standing_arms(p, mode, d)
    p.gaze(d.u(-5, 22), d.u(-35, 35), d.u(-4, 4))
    across = outwards(d.side()) * (place.half_width + d.u(0.12, 0.25)) if beside else d.u(-0.06, 0.06)
    turn = outwards(d.side()) * d.u(40, 180) if turned and mode != "desk" and d.chance(0.2) else 0.0
    if mode == "half":
        rise -= d.u(0.05, 0.12) * p.scale
    props = (draw_prop(d, "book", d.side()),) if mode == "book" else ()
    shift = np.array([across, d.u(-0.06, 0.04), rise])
    return Pose(f"{STAND_UP}/{mode}", p.quaternions(), shift, turn_deg=turn, props=props)


def _standing_arms(p: Puppet, mode: str, d: Draw) -> None:
    if mode == "book":
        for s in "LR":
            p.arm(s, (0.15, d.u(-0.35, -0.1), -1), (d.u(-0.35, -0.1), -1, d.u(0.1, 0.5)))
            p.palm(s, (-0.6, 0.3, 0.6))
            p.fingers(s, 30)
    elif mode == "behind":
        for s in "LR":
            p.arm(s, (0.2, 0.35, -1), (-0.7, 0.35, -0.8))
    elif mode == "folded":
        cross_arms(p, d)
    else:
        for s in "LR":
            p.arm(s, (d.u(0.08, 0.25), d.u(-0.1, 0.1), -1), (d.u(-0.1, 0.05), d.u(-0.45, -0.05), -1))
            p.fingers(s, d.u(15, 40))


# ------------------------------------------------------------------ sleeping

SLEEPS = {"folded": 0.45, "sideways": 0.22, "one-arm": 0.11, "flat": 0.08, "slid": 0.07, "book": 0.07}


def sleeping(sitter: Sitter, place: Place, d: Draw, mode: str | None = None) -> Pose:
    """Lie on the desk: on folded arms, sideways on one arm, cheek on the desk, face on a book; or slid low in the chair."""
    mode = mode or d.pick(SLEEPS)
    p = sitter.puppet()
    if mode == "slid":
        return _slid_low(p, place, d)
    back = _lie_on_desk(p, place, d, mode)
    _sleeping_arms(p, place, mode, back, d)
    props = (_pillow(p, place, d),) if mode == "book" else ()
    return Pose(f"{SLEEPING}/{mode}", p.quaternions(), np.array([0.0, back, 0.0]), props=props)


def _pillow(p: Puppet, place: Place, d: Draw) -> Prop:
    """A closed book on the desk, under the face."""
    head = p.joint("head")
    where = (float(head[0]), float(head[1]) - 0.07, place.top + 0.02)
    return Prop("", where, (d.u(0.18, 0.3), d.u(0.2, 0.3), 0.035), (d.u(0.05, 0.9), d.u(0.05, 0.9), d.u(0.05, 0.9)))


def _slid_low(p: Puppet, place: Place, d: Draw) -> Pose:
    """Asleep in the chair: slid forwards and down, the head on the chest or on a shoulder."""
    p.spine(d.u(-26, -10), d.u(-8, 8), d.u(-10, 10))
    p.gaze(d.u(35, 60), d.u(-25, 25), d.u(-25, 25))
    if d.chance(0.4):
        cross_arms(p, d)
    else:
        rest_arms(p, place, d)
    shift = np.array([0.0, -d.u(0.08, 0.16), -d.u(0.06, 0.12)]) * p.scale
    return Pose(f"{SLEEPING}/slid", p.quaternions(), shift)


def _lie_on_desk(p: Puppet, place: Place, d: Draw, mode: str, *, awake: bool = False) -> float:
    """Bring trunk and head down to the desk; give how far back the body moved, metres. `awake`: the head is up."""
    lift = d.u(0.05, 0.09) * p.scale
    twist, lean = d.u(-8, 8), d.u(-6, 6)
    if mode == "sideways":
        lean = outwards(d.side()) * d.u(4, 12)
    low, high = 20.0, 110.0
    for _ in range(9):  # the shoulders come down until they are just above the desk
        middle = (low + high) / 2
        p.spine(middle, twist, lean)
        mean = (p.joint("upperarm01.L")[2] + p.joint("upperarm01.R")[2]) / 2
        low, high = (middle, high) if mean > place.top + lift else (low, middle)
    shoulders = (p.joint("upperarm01.L")[1] + p.joint("upperarm01.R")[1]) / 2
    back = float(np.clip(place.near - d.u(0.0, 0.05) - shoulders, -0.08, 0.16))  # the head must lie beyond the edge
    yaw = d.u(-30, 30) if mode in ("folded", "book") else outwards(d.side()) * d.u(35, 75)
    cushion = 0.0 if mode == "flat" else d.u(0.03, 0.055)
    _lay_head(p, place, yaw, d.u(-15, 15), cushion, least=45 - middle)
    if awake:
        p.gaze(d.u(-5, 15), yaw, d.u(-10, 10))
    return back


LIE_AWAKE = "lie-awake"


def lie_awake(sitter: Sitter, place: Place, d: Draw) -> Pose:
    """Chin on the folded arms, looking to the front: near to sleeping, and not asleep."""
    p = sitter.puppet()
    back = _lie_on_desk(p, place, d, "folded", awake=True)
    _sleeping_arms(p, place, "folded", back, d)
    return Pose(LIE_AWAKE, p.quaternions(), np.array([0.0, back, 0.0]))


def _lay_head(p: Puppet, place: Place, yaw: float, roll: float, cushion: float, *, least: float) -> None:
    """Nod until the head lies on the desk; at least so far that the face looks down, even where the desk is high."""
    low, high = max(least, -50.0), 60.0
    for _ in range(6):
        middle = (low + high) / 2
        p.lay_head(middle, yaw, roll)
        low, high = (middle, high) if p.lowest("head") > place.top + cushion else (low, middle)


def _sleeping_arms(p: Puppet, place: Place, mode: str, back: float, d: Draw) -> None:
    head, s = p.joint("head"), p.scale
    front = min(head[1] - 0.06 * s, place.near - back - 0.08)
    stretched = d.side()
    for side in "LR":
        k = outwards(side)
        if mode == "flat" or (mode == "one-arm" and side != stretched):
            p.arm(side, (0.2, -0.4, -1), (-0.1, 0.1, -1))
        elif mode in ("sideways", "one-arm") and side == stretched:
            p.reach(side, (k * d.u(0.02, 0.15), front - d.u(0.12, 0.25) * s, place.top + 0.03), (1, 0, 0.1), (0, -1, 0))
            p.palm(side, (0, 0, -1))
        else:
            wrist = (-k * d.u(0.04, 0.1) * s, front - d.u(0.0, 0.05) * s, place.top + 0.03)
            p.reach(side, wrist, (1, -0.1, d.u(0, 0.15)), (-1, d.u(-0.2, 0.2), 0))
            p.palm(side, (0, 0, -1))
        p.fingers(side, d.u(5, 30))
