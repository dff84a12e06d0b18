"""The teacher: an adult who stands and walks, drawn and never labelled."""

import numpy as np

from synthroom.puppet import Puppet, outwards
from synthroom.sitting import Draw, Pose, Sitter, other, straight_legs

TEACHING = {"explain": 0.3, "walk": 0.25, "point": 0.12, "board": 0.13, "hold": 0.12, "lean": 0.08}


def teach(sitter: Sitter, d: Draw, kind: str | None = None) -> Pose:
    """Stand as a teacher: explaining, walking, pointing, writing at the board, holding a book, bent to a desk."""
    kind = kind or d.pick(TEACHING)
    p = Puppet(sitter.model, sitter.shape)
    straight_legs(p, d, d.u(0.15, 0.45) if kind == "walk" else d.u(0, 0.08))
    floor = p.lowest("shoe")
    p.spine(d.u(-2, 8), d.u(-8, 8), d.u(-3, 3))
    side = d.side()
    for s in "LR":
        p.arm(s, (d.u(0.08, 0.2), d.u(-0.2, 0.2), -1), (d.u(-0.1, 0.05), d.u(-0.5, -0.1), -1))
        p.fingers(s, d.u(15, 40))
    if kind == "explain":
        for s in "LR" if d.chance(0.5) else side:
            p.arm(s, (d.u(0.15, 0.4), d.u(-0.5, 0), -1), (d.u(-0.5, 0.4), -1, d.u(-0.2, 0.5)))
            p.palm(s, (-0.4, 0, 1))
    elif kind == "point":
        p.arm(side, (d.u(0, 0.8), -1, d.u(-0.3, 0.3)), (d.u(-0.2, 0.6), -1, d.u(-0.1, 0.4)))
        p.fingers(side, 65, index=3)
    elif kind == "board":
        p.arm(side, (d.u(0.1, 0.5), -1, d.u(-0.1, 0.5)), (d.u(-0.3, 0.2), -0.6, d.u(0.5, 1)))
        p.fingers(side, 45)
    elif kind == "hold":
        p.arm(side, (0.15, -0.2, -1), (d.u(-0.5, -0.1), -1, 0.3))
        if d.chance(0.5):
            p.arm(other(side), (0.15, -0.2, -1), (d.u(-0.5, -0.1), -1, 0.3))
    elif kind == "lean":
        p.spine(d.u(25, 45), d.u(-10, 10))
        p.arm(side, (0.1, -0.5, -1), (outwards(side) * 0, -0.6, -1))
    p.gaze(d.u(0, 15) if kind != "lean" else d.u(25, 45), d.u(-40, 40), 0)
    return Pose(f"teacher-{kind}", p.quaternions(), np.array([0.0, 0.0, sitter.floor - floor]))
