"""What an arm does becomes joints: each act names a place for the wrist, where the elbow hangs, how the hand is held.

`S` is +1 for the right arm and -1 for the left; `aside` and `ahead` of an arm (-1 to 1) vary every act.
"""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.exams.shift.posture import Arm, Pose
from benchmarks.exams.shift.skeleton import Trunk
from benchmarks.exams.shift.vectors import Array, Vector, bend, turn, unit, vec

_LIES = 0.032  # how high the middle of a lying forearm is over the desk


@dataclass(frozen=True)
class Limb:
    """Joints of an arm; the hand points along `fingers`, its palm looks along `palm`."""

    shoulder: Array
    elbow: Array
    wrist: Array
    fingers: Array
    palm: Array


def arms_of(trunk: Trunk, pose: Pose) -> tuple[Limb, Limb]:
    """Both arms, left and right; raises ValueError for an act that no arm knows."""
    left, right = (_limb(trunk, arm, side) for arm, side in ((pose.left, -1), (pose.right, 1)))
    return left, right


def _limb(trunk: Trunk, arm: Arm, side: int) -> Limb:
    if arm.act not in ACTS:
        raise ValueError(f"act {arm.act!r}: expected one of {', '.join(sorted(ACTS))}")
    return ACTS[arm.act](trunk, arm, side)


def _shoulder(trunk: Trunk, side: int) -> Array:
    return trunk.shoulders[(side + 1) // 2]


def _reach(trunk: Trunk, side: int, wrist: Vector, pole: Vector, fingers: Vector, palm: Vector) -> Limb:
    """Bring the wrist to a place; elbow and wrist stay over the desk where there is one beneath."""
    build, start = trunk.build, _shoulder(trunk, side)
    elbow, end = bend(start, wrist, build.upper_arm, build.forearm, pole)
    floor = trunk.place.desk_m + _LIES
    if elbow[1] > trunk.place.edge_m and elbow[2] < floor and start[2] > floor:
        raised = vec(elbow[0], elbow[1], floor + 0.005)
        elbow = start + unit(raised - start) * build.upper_arm
        end = elbow + unit(vec(*wrist) - elbow) * build.forearm
    return Limb(start, elbow, end, unit(fingers), unit(palm))


def _chain(trunk: Trunk, side: int, upper: Vector, lower: Vector, fingers: Vector, palm: Vector) -> Limb:
    """Aim both bones."""
    start = _shoulder(trunk, side)
    elbow = start + unit(upper) * trunk.build.upper_arm
    return Limb(start, elbow, elbow + unit(lower) * trunk.build.forearm, unit(fingers), unit(palm))


def _lifted(trunk: Trunk, limb: Limb, by: float) -> Limb:
    """A raised arm takes its shoulder along."""
    up = trunk.chest_turn @ vec(0, 0, by)
    return Limb(limb.shoulder + up, limb.elbow + up, limb.wrist + up, limb.fingers, limb.palm)


def _raise_desk(trunk: Trunk, arm: Arm, side: int) -> Limb:
    """Elbow on the desk, forearm upright, palm open beside or before the face."""
    build, start = trunk.build, _shoulder(trunk, side)
    drop = min(max(start[2] - trunk.place.desk_m - _LIES, 0.02), build.upper_arm * 0.985)
    flat = (build.upper_arm**2 - drop**2) ** 0.5
    way = unit(vec(side * (0.15 + 0.3 * arm.aside), 1, 0))
    elbow = start + way * flat - vec(0, 0, drop)
    lower = unit(vec(side * (-0.04 + 0.16 * arm.aside), 0.02 + 0.14 * arm.ahead, 1))
    palm = vec(-side * 0.9, 0.4, 0) if arm.ahead * arm.aside > 0.25 else vec(-side * 0.25 * arm.aside, 1, 0)
    return Limb(start, elbow, elbow + lower * build.forearm, unit(lower + vec(-side * 0.08, 0.02, 0)), unit(palm))


def _raise_straight(trunk: Trunk, arm: Arm, side: int) -> Limb:
    up = vec(side * (0.12 + 0.18 * arm.aside), 0.12 + 0.2 * arm.ahead, 1)
    fore = up + vec(-side * 0.1, 0.05, 0)
    return _lifted(trunk, _chain(trunk, side, up, fore, fore, (-side * 0.2, 1, -0.1)), 0.045)


def _raise_bent(trunk: Trunk, arm: Arm, side: int) -> Limb:
    upper = vec(side * (0.65 + 0.25 * arm.aside), 0.55 + 0.3 * arm.ahead, 0.2 + 0.35 * arm.aside * arm.ahead)
    lower = vec(-side * (0.05 + 0.12 * arm.ahead), 0.1 - 0.1 * arm.aside, 1)
    return _lifted(trunk, _chain(trunk, side, upper, lower, lower, (-side * 0.2, 1, -0.05)), 0.02)


def _folded(trunk: Trunk, arm: Arm, side: int) -> Limb:
    place, top = trunk.place, trunk.place.desk_m + _LIES
    near = max(place.edge_m + 0.08, _shoulder(trunk, side)[1] + 0.08) + 0.02 * arm.ahead + (0.035 if side > 0 else 0)
    wrist = vec(-side * (0.01 + 0.03 * arm.aside) + trunk.chest[0], near + 0.04, top)
    return _reach(trunk, side, wrist, (side, -0.2, -0.35), (-side, 0.25, 0), (0, 0, -1))


def _desk(trunk: Trunk, arm: Arm, side: int) -> Limb:
    top = trunk.place.desk_m + _LIES
    near = max(trunk.place.edge_m + 0.14, _shoulder(trunk, side)[1] + 0.14)
    wrist = vec(trunk.chest[0] + side * (0.13 + 0.07 * arm.aside), near + 0.05 * arm.ahead, top)
    return _reach(trunk, side, wrist, (side, -0.3, -0.6), (-side * (0.5 + 0.4 * arm.aside), 1, -0.05), (0, 0, -1))


def _write(trunk: Trunk, arm: Arm, side: int) -> Limb:
    top = trunk.place.desk_m + _LIES
    near = max(trunk.place.edge_m + 0.12, _shoulder(trunk, side)[1] + 0.1)
    wrist = vec(trunk.chest[0] + side * (0.08 + 0.03 * arm.aside), near + 0.03 * arm.ahead, top)
    return _reach(trunk, side, wrist, (side, -0.4, -0.4), (-side * 0.6, 1, -0.15), (-side * 0.6, 0, -0.8))


def _hold(trunk: Trunk, arm: Arm, side: int) -> Limb:
    """Hands that hold a book or a sheet before the chest."""
    ahead = 0.24 + 0.04 * arm.ahead
    wrist = trunk.chest + vec(side * 0.09, ahead, -0.2 + 0.03 * arm.aside)
    wrist[2] = max(wrist[2], trunk.place.desk_m + 0.06 if wrist[1] > trunk.place.edge_m else 0.0)
    return _reach(trunk, side, wrist, (side * 0.8, -0.3, -0.7), (-side * 0.15, 0.8, 0.5), (-side, -0.25, 0.4))


def _lap(trunk: Trunk, arm: Arm, side: int) -> Limb:
    wrist = trunk.pelvis + vec(side * (0.09 + 0.02 * arm.aside), 0.2 + 0.05 * arm.ahead, 0.11)
    return _reach(trunk, side, wrist, (side * 0.7, -0.8, -0.2), (-side * 0.5, 1, -0.2), (-side * 0.3, 0, -1))


def _hang(trunk: Trunk, arm: Arm, side: int) -> Limb:
    upper = vec(side * (0.2 + 0.08 * arm.aside), -0.03 + 0.12 * arm.ahead, -1)
    lower = vec(side * 0.02, 0.16 + 0.14 * arm.ahead, -1)
    return _chain(trunk, side, upper, lower, lower + vec(0, 0.05, 0), (-side, 0.1, 0))


def _lean(trunk: Trunk, arm: Arm, side: int) -> Limb:
    """Stand and lean on the desk."""
    wrist = vec(trunk.chest[0] + side * (0.2 + 0.05 * arm.aside), trunk.place.edge_m + 0.1, trunk.place.desk_m + 0.04)
    return _reach(trunk, side, wrist, (side, -1, 0), (side * 0.2, 1, -0.1), (0, 0.1, -1))


def _clasp(trunk: Trunk, arm: Arm, side: int) -> Limb:
    wrist = trunk.pelvis + vec(side * 0.045, 0.19, 0.08 + 0.05 * arm.aside)
    return _reach(trunk, side, wrist, (side, -0.4, 0), (-side, 0.3, -0.6), (0, -1, 0.1))


def _akimbo(trunk: Trunk, arm: Arm, side: int) -> Limb:
    wrist = trunk.pelvis + vec(side * (trunk.build.hip + 0.1), 0.03, 0.13 + 0.02 * arm.aside)
    return _reach(trunk, side, wrist, (side, -0.5, 0), (-side * 0.4, 1, -0.5), (-side, 0, -0.2))


def _cross(trunk: Trunk, arm: Arm, side: int) -> Limb:
    front = trunk.chest_turn @ vec(-side * (0.1 + 0.02 * arm.aside), 0.165 + 0.02 * side, -0.15 + 0.02 * side)
    fingers = trunk.chest_turn @ vec(-side, -0.15, 0.25)
    wrist = trunk.chest + front
    wrist[2] = max(wrist[2], trunk.place.desk_m + 0.05 if trunk.place.edge_m < wrist[1] else 0.0)
    return _reach(trunk, side, wrist, (side, 0.2, -0.6), fingers, trunk.chest_turn @ vec(0, -1, 0))


def _floor(trunk: Trunk, arm: Arm, side: int) -> Limb:
    wrist = trunk.pelvis + vec(side * 0.42, 0.2 + 0.08 * arm.ahead, -0.22)
    return _reach(trunk, side, wrist, (side * 0.5, -1, 0), (side * 0.2, 0.3, -1), (-side, 0, 0))


def _wide(trunk: Trunk, arm: Arm, side: int) -> Limb:
    upper = trunk.chest_turn @ vec(side, -0.25 + 0.2 * arm.ahead, 0.05 + 0.25 * arm.aside)
    lower = upper + vec(0, -0.1, 0.25)
    return _chain(trunk, side, upper, lower, lower, (0, 0.3, -1))


def _point(trunk: Trunk, arm: Arm, side: int) -> Limb:
    """Stretched ahead or aside: points at the board, passes something on."""
    way = vec(side * (0.45 + 0.5 * arm.aside), 0.8 + 0.2 * arm.ahead, 0.1 + 0.15 * arm.ahead)
    return _chain(trunk, side, way - vec(0, 0, 0.3), way, way, (-side * 0.6, 0, -0.8))


def _explain(trunk: Trunk, arm: Arm, side: int) -> Limb:
    upper, lower = vec(side * 0.3, 0.25, -1), vec(side * (0.3 + 0.4 * arm.aside), 1, 0.25 + 0.3 * arm.ahead)
    return _chain(trunk, side, upper, lower, lower, (-side * 0.6, 0, 0.8))


def _ponder(trunk: Trunk, arm: Arm, side: int) -> Limb:
    """Elbow on the desk, the hand with a pen between desk and chin."""
    wrist = trunk.chest + vec(side * (0.14 + 0.04 * arm.aside), 0.26 + 0.03 * arm.ahead, -0.06)
    wrist[2] = max(wrist[2] - 0.03, trunk.place.desk_m + 0.12)
    return _reach(trunk, side, wrist, (side * 0.5, 0.1, -1), (-side * 0.7, 0.1, 0.6), (-side * 0.6, -0.7, 0))


def _pillow(trunk: Trunk, arm: Arm, side: int) -> Limb:
    """A forearm that lies under the head."""
    top = trunk.place.desk_m + _LIES
    head = trunk.head
    wrist = vec(head[0] - side * 0.07, head[1] + 0.03 + 0.05 * side + 0.03 * arm.ahead, top)
    return _reach(trunk, side, wrist, (side, 0.1, -0.1), (-side, 0.15, 0), (0, 0, -1))


def _stretched(trunk: Trunk, arm: Arm, side: int) -> Limb:
    top = trunk.place.desk_m + _LIES
    wrist = vec(trunk.head[0] + side * (0.16 + 0.06 * arm.aside), trunk.head[1] + 0.3, top)
    return _reach(trunk, side, wrist, (side, 0, 0.1), (0, 1, -0.05), (0, 0, -1))


@dataclass(frozen=True)
class Touch:
    """Where on the head the hand is, in heads: right (of this side), ahead, up; and how the hand comes there."""

    spot: tuple[float, float, float]
    fingers: tuple[float, float, float]
    palm: tuple[float, float, float]
    pole: tuple[float, float, float] = (0.35, 0.45, -1)


TOUCHES = {
    "chin": Touch((0.08, 0.4, -0.5), (-0.55, 0.1, 0.5), (-0.2, -0.75, 0.6)),
    "cheek": Touch((0.36, 0.22, -0.2), (0.15, -0.1, 1), (-1, -0.35, 0)),
    "temple": Touch((0.37, 0.14, 0.12), (-0.1, -0.1, 1), (-1, -0.2, 0)),
    "mouth": Touch((0.1, 0.5, -0.3), (-0.6, -0.1, 0.8), (-0.1, -1, 0)),
    "eye": Touch((0.16, 0.46, 0.02), (-0.35, -0.15, 1), (-0.2, -1, 0)),
    "ear": Touch((0.42, -0.05, -0.02), (0.0, -0.5, 1), (-1, 0, 0), (1, 0.4, -0.6)),
    "crown": Touch((0.25, 0.0, 0.5), (-0.6, -0.25, 0.6), (-0.7, 0, -0.7), (1, 0.5, 0)),
    "nape": Touch((0.12, -0.45, -0.1), (-1, -0.2, 0.1), (0, 1, 0), (1, -0.1, 0.25)),
    "drink": Touch((0.02, 0.68, -0.18), (-0.8, 0.3, 0.1), (-0.7, -0.5, 0), (0.9, 0.2, -0.6)),
}


def _touch(trunk: Trunk, arm: Arm, side: int) -> Limb:
    """Bring the hand's middle to a spot on the head."""
    touch, size, head = TOUCHES[arm.act], trunk.build.head, trunk.head_turn
    vary = vec(0.03 * arm.aside, 0, 0.05 * arm.ahead)
    spot = trunk.head + head @ (vec(side, 1, 1) * (vec(*touch.spot) + vary) * size)
    fingers = unit(head @ (vec(side, 1, 1) * vec(*touch.fingers)))
    palm = unit(head @ (vec(side, 1, 1) * vec(*touch.palm)))
    wrist = spot - fingers * trunk.build.hand * 0.5 - palm * 0.02
    return _reach(trunk, side, wrist, turn(yaw=0) @ (vec(side, 1, 1) * vec(*touch.pole)), fingers, palm)


ACTS: dict[str, Callable[[Trunk, Arm, int], Limb]] = {
    "raise-desk": _raise_desk,
    "raise-straight": _raise_straight,
    "raise-bent": _raise_bent,
    "folded": _folded,
    "desk": _desk,
    "write": _write,
    "hold": _hold,
    "lap": _lap,
    "hang": _hang,
    "lean": _lean,
    "clasp": _clasp,
    "akimbo": _akimbo,
    "cross": _cross,
    "floor": _floor,
    "wide": _wide,
    "point": _point,
    "explain": _explain,
    "ponder": _ponder,
    "pillow": _pillow,
    "stretched": _stretched,
    **dict.fromkeys(TOUCHES, _touch),
}
