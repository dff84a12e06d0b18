"""What people do, drawn from distributions of this exam's own: seed → poses, no geometry yet.

The definitions are the project's, the numbers are not: a hand counts as raised in the air or upright on the desk, a
pupil who stands is `stand-up`, a head laid down is `sleeping`; a hand at the face is none of them.
"""

from dataclasses import dataclass

import numpy as np
from benchmarks.exams.shift.idle import idle_arm, otherwise
from benchmarks.exams.shift.posture import HAND_RAISING, SLEEPING, STAND_UP, Arm, Pose, arm, sided, spread


def raised_hand(rng: np.random.Generator) -> Pose:
    """A pupil who asks to speak: most often elbow on the desk, else bent or straight up."""
    mode = str(rng.choice(["raise-desk", "raise-straight", "raise-bent"], p=[0.55, 0.25, 0.2]))
    hand = str(
        rng.choice(["flat", "spread", "point"], p=[0.75, 0.2, 0.05] if mode == "raise-desk" else [0.5, 0.3, 0.2])
    )
    other = arm(rng, "folded", "flat") if mode == "raise-desk" and rng.random() < 0.8 else idle_arm(rng)
    pose = Pose(
        name=mode,
        behaviour=HAND_RAISING,
        raised="R",
        right=arm(rng, mode, hand),
        left=other,
        pitch=spread(rng, 7, 22) if mode == "raise-desk" else spread(rng, -4, 12),
        roll=spread(rng, -8, 3) if mode == "raise-straight" else spread(rng, -3, 4),
        twist=spread(rng, -8, 10),
        nod=spread(rng, -12, 8),
        tilt=spread(rng, -7, 7),
        look=spread(rng, -20, 20),
    )
    return sided(pose, rng)


def standing(rng: np.random.Generator) -> Pose:
    """A pupil who stands behind or beside the desk, to answer or to read."""
    beside = rng.random() < 0.3
    act = str(rng.choice(["hang", "lean", "read", "clasp"]))
    left, right = _standing_arms(rng, act)
    pose = Pose(
        name=f"stand-{act}",
        behaviour=STAND_UP,
        seated=False,
        left=left,
        right=right,
        pitch=spread(rng, 8, 24) if act == "lean" else spread(rng, -3, 8),
        roll=spread(rng, -3, 3),
        twist=spread(rng, -10, 10),
        nod=spread(rng, 15, 35) if act == "read" else spread(rng, -8, 20),
        tilt=spread(rng, -6, 6),
        look=spread(rng, -35, 35),
        shift_m=(spread(rng, 0.36, 0.48), spread(rng, -0.1, 0.15)) if beside else (spread(rng, -0.1, 0.1), -0.1),
        heading=float(rng.normal(0, 30)) if beside else float(rng.normal(0, 12)),
    )
    return sided(pose, rng)


def _standing_arms(rng: np.random.Generator, act: str) -> tuple[Arm, Arm]:
    if act == "read":
        return arm(rng, "hold", "grip"), arm(rng, "hold", "grip", "book")
    if act == "hang" and rng.random() < 0.4:
        return arm(rng, "hang"), arm(rng, "lean", "flat")
    return arm(rng, act), arm(rng, act)


def asleep(rng: np.random.Generator) -> Pose:
    """A pupil whose head lies on arms, desk or book."""
    look = float(rng.choice([0, 55, -55, 75])) + spread(rng, -12, 12)
    far = rng.random() < 0.25
    pose = Pose(
        name="sleep",
        behaviour=SLEEPING,
        rests=True,
        right=arm(rng, "stretched" if far else "pillow"),
        left=arm(rng, "lap" if rng.random() < 0.12 else "pillow"),
        pitch=60,
        roll=spread(rng, -5, 5),
        twist=spread(rng, -8, 8),
        nod=spread(rng, 62, 80) if abs(look) < 40 else spread(rng, 30, 45),
        tilt=-0.9 * look if abs(look) > 40 else spread(rng, -8, 8),
        look=0.5 * look,
        shift_m=(spread(rng, -0.04, 0.04), spread(rng, -0.1, -0.02)),
    )
    return sided(pose, rng)


def teacher(rng: np.random.Generator) -> Pose:
    """The adult, who is nobody's behaviour."""
    act = str(rng.choice(["explain", "point", "hang", "clasp", "sheet", "akimbo", "cross"]))
    arms = {
        "point": (arm(rng, "hang"), arm(rng, "point", "point")),
        "explain": (arm(rng, "hang"), arm(rng, "explain", "flat")),
        "sheet": (arm(rng, "hang"), arm(rng, "hold", "grip", "sheet")),
    }
    left, right = arms.get(act, (arm(rng, act), arm(rng, act)))
    return sided(
        Pose(
            name=f"teacher-{act}",
            seated=False,
            left=left,
            right=right,
            pitch=spread(rng, -3, 12),
            roll=spread(rng, -3, 3),
            twist=spread(rng, -15, 15),
            nod=spread(rng, -5, 20),
            look=spread(rng, -35, 35),
            stride=spread(rng, -0.25, 0.25),
        ),
        rng,
    )


@dataclass(frozen=True)
class Mood:
    """Chances of a view's pupils, and the most that may stand and sleep."""

    raising: float
    standing: float
    sleeping: float


def draw_mood(rng: np.random.Generator) -> Mood:
    """Some lessons have no behaviour, some have half the class's hands up."""
    kind = rng.choice(["quiet", "usual", "eager", "tired", "answering"], p=[0.14, 0.36, 0.16, 0.17, 0.17])
    base = {
        "quiet": Mood(0.0, 0.0, 0.0),
        "usual": Mood(0.12, 0.06, 0.06),
        "eager": Mood(0.36, 0.04, 0.0),
        "tired": Mood(0.03, 0.02, 0.24),
        "answering": Mood(0.08, 0.17, 0.03),
    }
    return base[str(kind)]


def pupil(rng: np.random.Generator, mood: Mood) -> Pose:
    """One pupil's pose; whoever does none of the three does one of many other things."""
    drawn = rng.random()
    if drawn < mood.raising:
        return raised_hand(rng)
    if drawn < mood.raising + mood.standing:
        return standing(rng)
    if drawn < mood.raising + mood.standing + mood.sleeping:
        return asleep(rng)
    return otherwise(rng)
