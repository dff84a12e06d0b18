"""Where the camera hangs and what it sees: places, lenses, projection."""

from dataclasses import dataclass

import numpy as np
from benchmarks.exams.shift.room import Plan
from benchmarks.exams.shift.vectors import Array, frame, unit, vec


@dataclass(frozen=True)
class Camera:
    """A pinhole camera; `pose` is 4×4, the camera looks along its -z, y is up in the picture; `fov` is across, degrees."""

    pose: Array
    fov: float

    def project(self, points: Array, width: int, height: int) -> Array:
        """Pixels and depth in metres (N, 3: x, y, depth); depth is 0 or less behind the camera."""
        local = (points - self.pose[:3, 3]) @ self.pose[:3, :3]
        depth = -local[:, 2]
        focal = width / 2 / np.tan(np.radians(self.fov) / 2)
        safe = np.where(np.abs(depth) < 1e-6, 1e-6, depth)
        return np.stack(
            [width / 2 + local[:, 0] / safe * focal, height / 2 - local[:, 1] / safe * focal, depth], axis=1
        )


def look(at: Array, goal: Array, roll: float, fov: float) -> Camera:
    """Stand at a place and look at another."""
    axes = frame(goal - at, (0, 0, 1))
    right, forward, up = axes.T
    c, s = np.cos(np.radians(roll)), np.sin(np.radians(roll))
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2], pose[:3, 3] = c * right + s * up, c * up - s * right, -unit(forward), at
    return Camera(pose, fov)


def draw_camera(rng: np.random.Generator, plan: Plan) -> Camera:
    """Hang a camera where classrooms have one: front mostly, in a corner or over the board, sometimes at the back."""
    spot = str(rng.choice(["front-corner", "front", "back-corner", "side"], p=[0.42, 0.26, 0.18, 0.14]))
    side = float(rng.choice([-1, 1]))
    half = plan.width / 2 - 0.25
    x = side * (half - abs(rng.normal(0, 0.2))) if spot != "front" else float(rng.uniform(-0.6, 0.6)) * half
    y = {
        "front-corner": plan.length - 0.3,
        "front": plan.length - 0.35,
        "back-corner": 0.4,
        "side": plan.length * 0.55,
    }[spot]
    z = float(rng.uniform(2.0, min(3.2, plan.height - 0.25)))
    seats = np.array([(s.x, s.y) for s in plan.seats])
    goal = seats[int(rng.integers(len(seats)))] * 0.4 + seats.mean(0) * 0.6
    fov = float(rng.choice([rng.uniform(45, 62), rng.uniform(62, 92), rng.uniform(92, 110)], p=[0.3, 0.5, 0.2]))
    return look(vec(x, y, z), vec(goal[0], goal[1], rng.uniform(0.7, 1.1)), float(rng.normal(0, 1.5)), fov)
