"""Idle poses: everything pupils do that is not one of the three behaviours, drawn often and never labelled."""

from collections.abc import Callable

import numpy as np

from synthroom.puppet import Puppet, outwards
from synthroom.rotations import Array
from synthroom.sitting import (
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
)


def face_point(p: Puppet, feature: str, dx: float = 0.0, dy: float = 0.0, dz: float = 0.0) -> Array:
    """Where a point at the face is now: `feature` ("lips", "iris", "brow") plus an offset in the head's frame, metres."""
    vertices = p.shape.vertices[p.model.paint[feature]].mean(0).astype(float)
    return p.point("head", vertices + np.array([dx, dy, dz]) * p.scale)


def hand_at(p: Puppet, side: str, target: Array, d: Draw, *, curl: float) -> None:
    """Bring the hand to a point at the head, the elbow staying where the shoulder lets it hang."""
    k = outwards(side)
    wrist = target + np.array([k * 0.035, -0.03, -0.085]) * p.scale
    p.reach(side, wrist, (d.u(0.2, 0.6), -0.4, -1), (d.u(-0.35, 0.0), 0.15, 1))
    p.palm(side, (-0.3, 1, 0))
    p.fingers(side, curl)


def _listen(p: Puppet, place: Place, d: Draw) -> None:
    p.spine(d.u(0, 14), d.u(-8, 8), d.u(-4, 4))
    p.gaze(d.u(-8, 15), d.u(-35, 35), d.u(-6, 6))
    rest_arms(p, place, d)


def _lap(p: Puppet, _place: Place, d: Draw) -> None:
    p.spine(d.u(-10, 6), d.u(-8, 8), d.u(-4, 4))
    p.gaze(d.u(-8, 25), d.u(-40, 40), d.u(-8, 8))
    for side in "LR":
        arm_down(p, side, d)


def _folded(p: Puppet, place: Place, d: Draw) -> None:
    p.spine(d.u(4, 18), d.u(-6, 6), d.u(-4, 4))
    for side in "LR":
        flat_forearm(p, place, side, d)
    p.gaze(d.u(-8, 12), d.u(-25, 25), d.u(-6, 6))


def _write(p: Puppet, place: Place, d: Draw) -> None:
    p.spine(d.u(14, 28), d.u(-8, 8), d.u(-5, 5))
    p.gaze(d.u(30, 55), d.u(-15, 15), d.u(-8, 8))
    for side in "LR":
        on_desk(p, place, side, d)
        p.fingers(side, d.u(25, 50))


def _write_low(p: Puppet, place: Place, d: Draw) -> None:
    p.spine(d.u(30, 44), d.u(-10, 10), d.u(-8, 8))
    p.gaze(d.u(45, 70), d.u(-20, 20), d.u(-15, 15))
    for side in "LR":
        on_desk(p, place, side, d)
        p.fingers(side, d.u(25, 50))


def _propped(p: Puppet, place: Place, d: Draw) -> None:
    """Chin or cheek on a hand, the elbow on the desk."""
    side = d.side()
    k = outwards(side)
    lean_on_elbow(p, place, side, d, d.u(8, 20))
    p.gaze(d.u(-5, 25), d.u(-25, 25), k * d.u(0, 14))
    cheek = d.chance(0.6)
    target = face_point(p, "lips", k * (0.05 if cheek else 0.01), -0.005, 0.0 if cheek else -0.035)
    hand_at(p, side, target, d, curl=d.u(20, 75))
    rest_arms(p, place, d, other(side))


def _mouth(p: Puppet, place: Place, d: Draw) -> None:
    """Hand on the mouth, the eye, the hair or the ear; the elbow is free."""
    side = d.side()
    k = outwards(side)
    p.spine(d.u(0, 16), d.u(-8, 8), d.u(-5, 5))
    p.gaze(d.u(-5, 20), d.u(-25, 25), d.u(-6, 6))
    where = d.pick({"lips": 0.4, "iris": 0.3, "hair": 0.3})
    if where == "hair":
        target = face_point(p, "iris", k * 0.09, 0.07, d.u(0.0, 0.07))
    else:
        target = face_point(p, where, k * (0.0 if where == "lips" else 0.03), -0.01)
    hand_at(p, side, target, d, curl=d.u(10, 60))
    rest_arms(p, place, d, other(side))


def _both_hands(p: Puppet, place: Place, d: Draw) -> None:
    """Both hands at the face, elbows on the desk."""
    lean_on_elbow(p, place, "L", d, d.u(10, 22))
    p.gaze(d.u(0, 30), d.u(-15, 15), 0)
    for side in "LR":
        target = face_point(p, "lips", outwards(side) * 0.05, -0.005, d.u(-0.02, 0.03))
        hand_at(p, side, target, d, curl=d.u(15, 70))


def _pencil(p: Puppet, place: Place, d: Draw) -> None:
    """A pencil held up, the fist no higher than the chin."""
    side = d.side()
    lean_on_elbow(p, place, side, d, d.u(4, 14))
    p.forearm(side, (d.u(-0.7, 0.2), d.u(-0.9, -0.3), d.u(0.35, 0.7)))
    p.palm(side, (-1, 0, 0))
    p.fingers(side, d.u(55, 75))
    p.gaze(d.u(-5, 20), d.u(-30, 30), 0)
    rest_arms(p, place, d, other(side))


def _drink(p: Puppet, place: Place, d: Draw) -> None:
    side = d.side()
    p.spine(d.u(-8, 4))
    p.gaze(d.u(-25, -8), d.u(-15, 15), 0)
    hand_at(p, side, face_point(p, "lips", 0, -0.06, 0.03), d, curl=d.u(35, 55))
    rest_arms(p, place, d, other(side))


def _turned(p: Puppet, place: Place, d: Draw) -> None:
    """Turned to the pupil behind or beside."""
    k = outwards(d.side())
    p.spine(d.u(0, 12), k * d.u(25, 55), d.u(-6, 6))
    p.gaze(d.u(-5, 12), k * d.u(70, 125), d.u(-6, 6))
    rest_arms(p, place, d)


def _lean(p: Puppet, place: Place, d: Draw) -> None:
    """Leaning to a neighbour or back in the chair."""
    k = outwards(d.side())
    if d.chance(0.6):
        p.spine(d.u(5, 18), k * d.u(0, 18), k * d.u(14, 28))
    else:
        p.spine(d.u(-22, -10), d.u(-8, 8), d.u(-6, 6))
    p.gaze(d.u(-8, 15), k * d.u(0, 60), d.u(-8, 8))
    rest_arms(p, place, d)


def _stretch(p: Puppet, _place: Place, d: Draw) -> None:
    """Hands behind the head, elbows out: near a raised hand, and none."""
    p.spine(d.u(-12, 0), d.u(-8, 8))
    p.gaze(d.u(-18, 0), d.u(-20, 20), 0)
    for side in "LR":
        k = outwards(side)
        wrist = face_point(p, "iris", k * 0.07, 0.19, d.u(-0.06, 0.02))
        p.reach(side, wrist, (1, -0.2, 0.3), (-1, 0.2, 0.2))
        p.fingers(side, 25)


def _point_low(p: Puppet, place: Place, d: Draw) -> None:
    """An arm held out to a neighbour or to the front, below the shoulder."""
    side = d.side()
    p.spine(d.u(2, 16), d.u(-12, 12))
    p.gaze(d.u(-5, 15), d.u(-40, 40), 0)
    x = d.u(-0.2, 1.0)
    p.arm(side, (x, -1, d.u(-0.6, -0.2)), (x + d.u(-0.2, 0.1), -1, d.u(-0.15, 0.25)))
    p.fingers(side, d.u(20, 70), index=5)
    rest_arms(p, place, d, other(side))


def _read(p: Puppet, place: Place, d: Draw) -> None:
    """A book or a tablet held upright on the desk."""
    p.spine(d.u(4, 16), d.u(-6, 6))
    p.gaze(d.u(15, 35), d.u(-10, 10), 0)
    for side in "LR":
        k = outwards(side)
        p.reach(
            side, (k * 0.11, place.near - d.u(0.1, 0.16), place.top + d.u(0.06, 0.14)), (1, 0.4, -0.6), (0, -0.5, 1)
        )
        p.palm(side, (-1, 0, 0))
        p.fingers(side, 35)


def _face_down(p: Puppet, place: Place, d: Draw) -> None:
    """Looking into the lap or under the desk."""
    p.spine(d.u(15, 35), d.u(-15, 15), d.u(-10, 10))
    p.gaze(d.u(40, 75), d.u(-30, 30), d.u(-10, 10))
    for side in "LR":
        if d.chance(0.6):
            arm_down(p, side, d)
        else:
            flat_forearm(p, place, side, d)


def _crossed(p: Puppet, _place: Place, d: Draw) -> None:
    """Arms folded over the chest, sitting back."""
    p.spine(d.u(-12, 6), d.u(-8, 8), d.u(-4, 4))
    cross_arms(p, d)
    p.gaze(d.u(-8, 12), d.u(-35, 35), d.u(-6, 6))


def _tie_hair(p: Puppet, _place: Place, d: Draw) -> None:
    """Both hands at the back of the head or at the nape, elbows up."""
    p.spine(d.u(-4, 14), d.u(-8, 8))
    p.gaze(d.u(-5, 25), d.u(-25, 25), d.u(-8, 8))
    for side in "LR":
        k = outwards(side)
        wrist = face_point(p, "iris", k * 0.05, 0.17, d.u(-0.1, 0.08))
        p.reach(side, wrist, (1, -0.1, d.u(0.1, 0.7)), (-1, 0.2, 0.3))
        p.fingers(side, d.u(20, 50))


def _scratch(p: Puppet, place: Place, d: Draw) -> None:
    """One hand on top of the head, behind the ear or at the neck: the elbow is up, the hand is not raised."""
    side = d.side()
    k = outwards(side)
    p.spine(d.u(0, 18), d.u(-8, 8), d.u(-5, 5))
    p.gaze(d.u(-5, 25), d.u(-25, 25), d.u(-8, 8))
    where = d.pick({"crown": 0.4, "ear": 0.35, "nape": 0.25})
    offset = {"crown": (k * 0.03, 0.06, 0.1), "ear": (k * 0.085, 0.1, 0.0), "nape": (k * 0.04, 0.17, -0.08)}[where]
    p.reach(side, face_point(p, "iris", *offset), (1, -0.4, d.u(-0.3, 0.5)), (-1, 0.3, 0.1))
    p.palm(side, (-1, 0.2, -0.3))
    p.fingers(side, d.u(15, 50))
    rest_arms(p, place, d, other(side))


def _reach_up_both(p: Puppet, _place: Place, d: Draw) -> None:
    """Stretching with both arms over the head, fingers locked: the nearest thing to a raised hand that is none."""
    p.spine(d.u(-14, -2), d.u(-8, 8), d.u(-6, 6))
    p.gaze(d.u(-25, 0), d.u(-15, 15), 0)
    for side in "LR":
        p.shrug(side, d.u(8, 14), d.u(15, 28))
        wrist = p.joint("head") + np.array([outwards(side) * 0.04, d.u(-0.03, 0.06), d.u(0.33, 0.42)]) * p.scale
        p.reach(side, wrist, (1, -0.1, 0.2), (-1, 0, d.u(0.0, 0.5)))
        p.fingers(side, d.u(40, 70))


def _pass_on(p: Puppet, place: Place, d: Draw) -> None:
    """Handing something to the neighbour or to the desk in front or behind."""
    side = d.side()
    k = outwards(side)
    behind = d.chance(0.3)
    p.spine(d.u(5, 22), k * (d.u(40, 60) if behind else d.u(-10, 30)), k * d.u(0, 14))
    p.gaze(d.u(0, 20), k * (d.u(80, 120) if behind else d.u(10, 70)), 0)
    across, ahead = (d.u(0.6, 1.2), d.u(-0.2, 0.8)) if behind else (d.u(0.2, 1.4), d.u(-1, -0.2))
    p.arm(side, (across, ahead, d.u(-0.5, 0.1)), (across, ahead, d.u(-0.3, 0.3)))
    p.fingers(side, d.u(15, 45))
    rest_arms(p, place, d, other(side))


def _bend_to_bag(p: Puppet, place: Place, d: Draw) -> None:
    """Bent down beside the chair, one arm to the floor."""
    side = d.side()
    k = outwards(side)
    p.spine(d.u(20, 45), k * d.u(0, 25), k * d.u(30, 48))
    p.gaze(d.u(30, 60), k * d.u(10, 50), 0)
    p.arm(side, (d.u(0.2, 0.6), d.u(-0.4, 0.2), -1), (d.u(0, 0.4), d.u(-0.4, 0.2), -1))
    p.fingers(side, d.u(20, 60))
    rest_arms(p, place, d, other(side))


def _clasped(p: Puppet, place: Place, d: Draw) -> None:
    """Hands clasped before the mouth or the chin, both elbows on the desk."""
    lean_on_elbow(p, place, "L", d, d.u(6, 18))
    p.gaze(d.u(-5, 15), d.u(-30, 30), d.u(-5, 5))
    target = face_point(p, "lips", 0, d.u(-0.12, -0.03), d.u(-0.1, 0.0))
    for side in "LR":
        wrist = target + np.array([outwards(side) * 0.03, 0.0, -0.06]) * p.scale
        p.reach(side, wrist, (0.7, -0.4, -1), (-0.6, -0.1, 1))
        p.fingers(side, d.u(40, 70))


def _show(p: Puppet, place: Place, d: Draw) -> None:
    """Reading something held up before the chest or the face."""
    p.spine(d.u(0, 14), d.u(-8, 8))
    p.gaze(d.u(0, 25), d.u(-12, 12), 0)
    side = d.side()
    target = face_point(p, "lips", 0, d.u(-0.3, -0.18), d.u(-0.22, -0.04))
    for s in "LR" if d.chance(0.5) else side:
        p.reach(
            s, target + np.array([outwards(s) * d.u(0.05, 0.12), 0, -0.08]) * p.scale, (0.7, 0.2, -1), (-0.3, -0.3, 1)
        )
        p.palm(s, (-0.6, 0.8, 0))
        p.fingers(s, d.u(25, 45))
    if p.turns.get(f"upperarm01.{other(side)}") is None:
        rest_arms(p, place, d, other(side))


IDLE: dict[str, tuple[float, Callable[[Puppet, Place, Draw], None]]] = {
    "listen": (0.17, _listen),
    "lap": (0.04, _lap),
    "folded": (0.12, _folded),
    "write": (0.14, _write),
    "write-low": (0.055, _write_low),
    "propped": (0.09, _propped),
    "mouth": (0.06, _mouth),
    "both-hands": (0.03, _both_hands),
    "pencil": (0.03, _pencil),
    "drink": (0.015, _drink),
    "turned": (0.045, _turned),
    "lean": (0.04, _lean),
    "stretch": (0.012, _stretch),
    "point-low": (0.02, _point_low),
    "read": (0.03, _read),
    "face-down": (0.025, _face_down),
    "crossed": (0.02, _crossed),
    "tie-hair": (0.01, _tie_hair),
    "scratch": (0.02, _scratch),
    "reach-up-both": (0.004, _reach_up_both),
    "pass-on": (0.02, _pass_on),
    "bend-to-bag": (0.015, _bend_to_bag),
    "clasped": (0.02, _clasped),
    "show": (0.02, _show),
}
QUIET = ("listen", "lap", "folded", "write", "lean")
HARD = tuple(name for name in IDLE if name not in QUIET)
"""Kinds that resemble one of the behaviours: the hard negatives."""
_IN_HAND = {"drink": "cup", "pencil": "pen", "read": "book", "show": "sheet", "pass-on": "sheet", "lap": "phone"}
_HELD_SHARE = {"drink": 1.0, "pencil": 1.0, "read": 1.0, "show": 0.9, "pass-on": 0.7, "lap": 0.3}


def idle(sitter: Sitter, place: Place, d: Draw, kind: str | None = None) -> Pose:
    """Do one of the unlabelled things, by weight or by name."""
    kind = kind or d.pick({name: weight for name, (weight, _) in IDLE.items()})
    p = sitter.puppet()
    IDLE[kind][1](p, place, d)
    return Pose(kind, p.quaternions(), np.zeros(3), props=_held(p, kind, d))


def _held(p: Puppet, kind: str, d: Draw) -> tuple[Prop, ...]:
    """What a hand holds in this kind of pose, in the hand that is higher up."""
    if kind not in _IN_HAND or not d.chance(_HELD_SHARE[kind]):
        return ()
    heights = {side: float(p.joint(f"wrist.{side}")[2]) for side in "LR"}
    return (draw_prop(d, _IN_HAND[kind], max(heights, key=lambda side: heights[side])),)
