"""The hard negatives: what pupils do all lesson long and what is none of the three behaviours."""

from collections.abc import Callable

import numpy as np
from benchmarks.exams.shift.posture import Arm, Pose, arm, sided, spread

Rng = np.random.Generator


def idle_arm(rng: np.random.Generator) -> Arm:
    """An arm of which nobody takes notice."""
    act = str(rng.choice(["folded", "desk", "desk", "lap", "folded"]))
    return arm(rng, act, str(rng.choice(["relaxed", "flat"])))


def _write(rng: Rng) -> Pose:
    return Pose(
        name="write",
        right=arm(rng, "write", "grip", "pen"),
        left=arm(rng, "folded", "flat"),
        pitch=spread(rng, 12, 38),
        roll=spread(rng, -6, 6),
        nod=spread(rng, 25, 55),
        tilt=spread(rng, -12, 12),
        look=spread(rng, -15, 15),
    )


def _read(rng: Rng) -> Pose:
    both = rng.random() < 0.5
    return Pose(
        name="read",
        right=arm(rng, "hold", "grip", "book") if both else arm(rng, "desk", "flat"),
        left=arm(rng, "hold", "grip") if both else arm(rng, "desk", "flat"),
        pitch=spread(rng, 5, 28),
        nod=spread(rng, 25, 50),
        look=spread(rng, -10, 10),
    )


def _listen(rng: Rng) -> Pose:
    return Pose(
        name="listen",
        right=arm(rng, "folded", "flat"),
        left=arm(rng, "folded", "flat"),
        pitch=spread(rng, 3, 20),
        roll=spread(rng, -4, 4),
        nod=spread(rng, -10, 12),
        look=spread(rng, -35, 35),
    )


def _crossed(rng: Rng) -> Pose:
    return Pose(
        name="crossed",
        right=arm(rng, "cross"),
        left=arm(rng, "cross"),
        pitch=spread(rng, -12, 6),
        nod=spread(rng, -8, 15),
        look=spread(rng, -40, 40),
        shift_m=(0, -0.05),
    )


def _propped(rng: Rng) -> Pose:
    return Pose(
        name="propped",
        right=arm(rng, str(rng.choice(["chin", "cheek", "temple"])), str(rng.choice(["fist", "relaxed", "flat"]))),
        left=idle_arm(rng),
        pitch=spread(rng, 12, 30),
        roll=spread(rng, 0, 9),
        nod=spread(rng, 0, 28),
        tilt=spread(rng, 0, 18),
        look=spread(rng, -25, 25),
    )


def _touching(rng: Rng) -> Pose:
    act = str(rng.choice(["mouth", "eye", "ear", "crown", "cheek"]))
    return Pose(
        name=f"touch-{act}",
        right=arm(rng, act, str(rng.choice(["relaxed", "fist", "point"]))),
        left=idle_arm(rng),
        pitch=spread(rng, 0, 22),
        nod=spread(rng, -5, 28),
        tilt=spread(rng, -10, 10),
        look=spread(rng, -30, 30),
    )


def _both_at_face(rng: Rng) -> Pose:
    act = str(rng.choice(["cheek", "eye", "temple"]))
    return Pose(
        name="both-at-face",
        right=arm(rng, act, "flat"),
        left=arm(rng, act, "flat"),
        pitch=spread(rng, 14, 32),
        nod=spread(rng, 5, 40),
        look=spread(rng, -12, 12),
    )


def _drink(rng: Rng) -> Pose:
    return Pose(
        name="drink",
        right=arm(rng, "drink", "grip", "bottle"),
        left=idle_arm(rng),
        pitch=spread(rng, -8, 6),
        nod=spread(rng, -30, -8),
        look=spread(rng, -20, 20),
    )


def _turned(rng: Rng) -> Pose:
    around = spread(rng, 25, 60)
    return Pose(
        name="turned",
        right=Arm("lap"),
        left=arm(rng, "desk"),
        pitch=spread(rng, 0, 12),
        twist=-around,
        look=-around - spread(rng, 15, 55),
        nod=spread(rng, -5, 18),
        heading=-spread(rng, 0, 40),
    )


def _whisper(rng: Rng) -> Pose:
    return Pose(
        name="whisper",
        right=idle_arm(rng),
        left=idle_arm(rng),
        pitch=spread(rng, 4, 20),
        roll=spread(rng, 8, 22),
        tilt=spread(rng, 0, 14),
        look=-spread(rng, 30, 70),
    )


def _to_the_bag(rng: Rng) -> Pose:
    return Pose(
        name="bag",
        right=arm(rng, "floor"),
        left=arm(rng, "lap"),
        pitch=spread(rng, 30, 52),
        roll=spread(rng, 28, 46),
        nod=spread(rng, 30, 60),
        look=-spread(rng, 10, 40),
        shift_m=(0.06, -0.12),
    )


def _stretch(rng: Rng) -> Pose:
    act = str(rng.choice(["nape", "nape", "wide"]))
    return Pose(
        name=f"stretch-{act}",
        right=arm(rng, act, "fist" if act == "wide" else "relaxed"),
        left=arm(rng, act, "fist" if act == "wide" else "relaxed"),
        pitch=spread(rng, -16, 2),
        nod=spread(rng, -18, 8),
        look=spread(rng, -20, 20),
    )


def _slouch(rng: Rng) -> Pose:
    return Pose(
        name="slouch",
        right=arm(rng, "lap"),
        left=idle_arm(rng),
        pitch=spread(rng, -20, -6),
        roll=spread(rng, -8, 8),
        nod=spread(rng, 5, 35),
        look=spread(rng, -30, 30),
        shift_m=(0, 0.06),
    )


def _pass_on(rng: Rng) -> Pose:
    return Pose(
        name="pass",
        right=arm(rng, "point", "grip", str(rng.choice(["sheet", "pen", "book"]))),
        left=idle_arm(rng),
        pitch=spread(rng, 4, 18),
        twist=spread(rng, -40, 20),
        look=spread(rng, -45, 20),
    )


def _low(rng: Rng) -> Pose:
    """Reads or writes with the nose nearly on the page: the near miss of sleeping."""
    return Pose(
        name="low",
        right=arm(rng, "write", "grip", "pen"),
        left=arm(rng, "folded", "flat"),
        pitch=spread(rng, 36, 46),
        roll=spread(rng, -8, 8),
        nod=spread(rng, 40, 60),
        tilt=spread(rng, -20, 20),
        shift_m=(0, -0.05),
    )


def _pen_up(rng: Rng) -> Pose:
    return Pose(
        name="pen-up",
        right=arm(rng, "ponder", "grip", "pen"),
        left=arm(rng, "folded", "flat"),
        pitch=spread(rng, 8, 22),
        nod=spread(rng, -12, 15),
        look=spread(rng, -30, 30),
    )


WEIGHTS: dict[Callable[[Rng], Pose], float] = {
    _write: 5,
    _read: 3,
    _listen: 5,
    _crossed: 1.5,
    _propped: 4,
    _touching: 3,
    _both_at_face: 1,
    _drink: 1,
    _turned: 2,
    _whisper: 1.5,
    _to_the_bag: 1,
    _stretch: 1.2,
    _slouch: 1.5,
    _pass_on: 1,
    _low: 1.2,
    _pen_up: 1.5,
}


def otherwise(rng: Rng) -> Pose:
    """Something that is no behaviour."""
    weights = np.array(list(WEIGHTS.values()))
    choice = int(rng.choice(len(weights), p=weights / weights.sum()))
    return sided(list(WEIGHTS)[choice](rng), rng)
