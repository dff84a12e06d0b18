"""The nouns of a pose: what each arm does and how the trunk and the head are held. Angles in degrees."""

from dataclasses import dataclass, replace

import numpy as np

HAND_RAISING, STAND_UP, SLEEPING = "hand-raising", "stand-up", "sleeping"


@dataclass(frozen=True)
class Arm:
    """One arm: an act that `reach.py` knows, how far it leans aside and forward (-1 to 1 each), the hand's shape.

    `holds` is what the hand holds: "" or pen, bottle, book, sheet.
    """

    act: str
    aside: float = 0.0
    ahead: float = 0.0
    hand: str = "relaxed"
    holds: str = ""


@dataclass(frozen=True)
class Pose:
    """One person's posture. The trunk's angles are the chest's; the head's are those against the body's heading.

    `behaviour` is none for the unlabelled; `raised` names the raised hand, L or R; `shift_m` moves the body (right,
    forward) from its seat; `heading` turns it from where the seat looks.
    """

    name: str
    left: Arm
    right: Arm
    behaviour: str | None = None
    raised: str | None = None
    seated: bool = True
    pitch: float = 5.0
    roll: float = 0.0
    twist: float = 0.0
    nod: float = 0.0
    tilt: float = 0.0
    look: float = 0.0
    shift_m: tuple[float, float] = (0.0, 0.0)
    heading: float = 0.0
    stride: float = 0.0
    rests: bool = False


def spread(rng: np.random.Generator, low: float, high: float) -> float:
    """Any number between two, none likelier than another."""
    return float(rng.uniform(low, high))


def arm(rng: np.random.Generator, act: str, hand: str = "relaxed", holds: str = "") -> Arm:
    """An arm that leans as chance will have it."""
    return Arm(act, spread(rng, -1, 1), spread(rng, -1, 1), hand, holds)


def sided(pose: Pose, rng: np.random.Generator) -> Pose:
    """Perhaps mirror a pose that is written for its right hand."""
    if rng.random() < 0.5:
        return pose
    return replace(
        pose,
        left=pose.right,
        right=pose.left,
        raised={None: None, "R": "L", "L": "R"}[pose.raised],
        **{key: -getattr(pose, key) for key in ("roll", "twist", "tilt", "look", "heading")},
        shift_m=(-pose.shift_m[0], pose.shift_m[1]),
    )
