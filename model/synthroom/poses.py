"""Poses of the three labelled behaviours, as distributions over a puppet's joints."""

import numpy as np

from synthroom.puppet import Puppet, outwards
from synthroom.sitting import (
    HAND_RAISING,
    SLEEPING,
    STAND_UP,
    Draw,
    Place,
    Pose,
    Sitter,
    arm_down,
    flat_forearm,
    lean_on_elbow,
    on_desk,
    other,
    rest_arms,
    straight_legs,
)

# ------------------------------------------------------------------ hand-raising

RAISES = {"straight": 0.27, "bent": 0.2, "elbow": 0.45, "low": 0.08}


def hand_raising(sitter: Sitter, place: Place, d: Draw, mode: str | None = None, side: str | None = None) -> Pose:
    """Raise a hand: straight, bent, low beside the head, or with the elbow on the desk and the palm open."""
    p, side = sitter.puppet(), side or d.side()
    mode = mode or d.pick(RAISES)
    if mode == "elbow":
        lean_on_elbow(p, place, side, d, d.u(3, 12))
        p.forearm(side, (d.u(-0.3, 0.15), d.u(-0.3, 0.2), 1), (d.u(-0.2, 0.1), d.u(-0.25, 0.15), 1))
        kind = d.pick({"flat": 0.75, "down": 0.05, "desk": 0.2})
        if kind == "down":
            arm_down(p, other(side), d)
        else:
            {"flat": flat_forearm, "desk": on_desk}[kind](p, place, other(side), d)
        p.gaze(d.u(-8, 8), d.u(-25, 25), d.u(-5, 5))
    else:
        p.spine(d.u(-2, 12), d.u(-8, 8), outwards(side) * d.u(-8, 3))
        rest_arms(p, place, d, other(side))
        p.shrug(side, d.u(8, 14), d.u(15, 28))
        if mode == "straight":
            p.arm(side, (d.u(-0.05, 0.3), d.u(-0.45, 0.05), 1), (d.u(-0.25, 0.15), d.u(-0.3, 0.1), 1))
        elif mode == "bent":
            p.arm(side, (d.u(0.3, 0.7), d.u(-0.7, -0.1), d.u(0.2, 0.7)), (d.u(-0.3, 0.15), d.u(-0.3, 0.1), 1))
        else:
            p.arm(side, (d.u(0.2, 0.6), d.u(-0.8, -0.4), d.u(-0.25, 0.2)), (d.u(-0.2, 0.15), d.u(-0.3, 0.05), 1))
        p.gaze(d.u(-12, 8), d.u(-30, 30), d.u(-6, 6))
    _raised_hand(p, side, d)
    return Pose(f"{HAND_RAISING}/{mode}", p.quaternions(), np.zeros(3), raised=side)


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

STANDS = {"down": 0.4, "desk": 0.3, "book": 0.12, "behind": 0.1, "folded": 0.08}


def stand_up(sitter: Sitter, place: Place, d: Draw, mode: str | None = None, *, beside: bool | None = None) -> Pose:
    """Stand behind the desk or beside it: arms down, hands on the desk, a book in the hands, arms folded."""
    p = Puppet(sitter.model, sitter.shape)
    mode = mode or d.pick(STANDS)
    straight_legs(p, d)
    beside = d.chance(0.25) if beside is None else beside
    rise = sitter.floor - sitter.standing_floor
    p.spine(d.u(-3, 10), d.u(-10, 10), d.u(-4, 4))
    if mode == "desk" and not beside:
        p.spine(d.u(12, 28), d.u(-6, 6))
        for s in "LR":
            wrist = (outwards(s) * d.u(0.1, 0.22) * p.scale, place.near - d.u(0.03, 0.12), place.top - rise + 0.05)
            p.reach(s, wrist, (0.5, 1, 0), (0, -1, -0.3))
            p.fingers(s, d.u(0, 20))
    else:
        _standing_arms(p, mode, d)
    p.gaze(d.u(-5, 22), d.u(-35, 35), d.u(-4, 4))
    across = outwards(d.side()) * (place.half_width + d.u(0.12, 0.25)) if beside else d.u(-0.06, 0.06)
    return Pose(f"{STAND_UP}/{mode}", p.quaternions(), np.array([across, d.u(-0.06, 0.04), rise]))


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
        _cross_arms(p, d)
    else:
        for s in "LR":
            p.arm(s, (d.u(0.08, 0.25), d.u(-0.1, 0.1), -1), (d.u(-0.1, 0.05), d.u(-0.45, -0.05), -1))
            p.fingers(s, d.u(15, 40))


def _cross_arms(p: Puppet, d: Draw) -> None:
    for s, height in (("L", 0.02), ("R", -0.02)):
        p.arm(s, (d.u(0.15, 0.3), -0.25, -1), (-1, d.u(-0.5, -0.35), 0.15 + height), (-1, 0.1, 0.1))
        p.fingers(s, 25)


# ------------------------------------------------------------------ sleeping

SLEEPS = {"folded": 0.55, "sideways": 0.25, "one-arm": 0.12, "flat": 0.08}


def sleeping(sitter: Sitter, place: Place, d: Draw, mode: str | None = None) -> Pose:
    """Lie on the desk: on folded arms, sideways on one arm, or with the cheek on the desk and the arms down."""
    mode = mode or d.pick(SLEEPS)
    p = sitter.puppet()
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
    yaw = d.u(-30, 30) if mode == "folded" else outwards(d.side()) * d.u(35, 75)
    cushion = 0.0 if mode == "flat" else d.u(0.03, 0.055)
    _lay_head(p, place, yaw, d.u(-15, 15), cushion)
    _sleeping_arms(p, place, mode, back, d)
    return Pose(f"{SLEEPING}/{mode}", p.quaternions(), np.array([0.0, back, 0.0]))


def _lay_head(p: Puppet, place: Place, yaw: float, roll: float, cushion: float) -> None:
    low, high = -50.0, 60.0
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
