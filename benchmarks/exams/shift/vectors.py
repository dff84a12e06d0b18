"""Vectors and turns. Axes of a body, a head and a room: x to the right, y forward (to the board), z up; metres."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Vector = Sequence[float] | Array | npt.NDArray[np.float32]


def vec(*numbers: float) -> Array:
    """Make a vector."""
    return np.array(numbers, dtype=np.float64)


def unit(v: Vector) -> Array:
    """Scale to length 1; raises ValueError for a vector without a direction."""
    array = np.asarray(v, dtype=np.float64)
    length = float(np.linalg.norm(array))
    if length < 1e-9:
        raise ValueError(f"vector {array.tolist()}: expected a length above 0")
    return array / length


def turn(*, pitch: float = 0, roll: float = 0, yaw: float = 0) -> Array:
    """Rotation matrix, degrees: pitch bows forward, roll tips to the right, yaw turns to the left, in this order."""
    a, b, c = np.radians([-pitch, roll, yaw])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    rotation: Array = about_z @ about_y @ about_x
    return rotation


def frame(forward: Vector, up: Vector) -> Array:
    """Rotation whose y axis is `forward` and whose z axis lies as near to `up` as it can."""
    y = unit(forward)
    side = np.cross(y, np.asarray(up, dtype=np.float64))
    if np.linalg.norm(side) < 1e-6:
        side = np.cross(y, vec(1, 0, 0) if abs(y[0]) < 0.9 else vec(0, 1, 0))
    x = unit(side)
    return np.stack([x, y, np.cross(x, y)], axis=1)


def bend(start: Vector, goal: Vector, upper: float, lower: float, pole: Vector) -> tuple[Array, Array]:
    """Middle and end joint of a limb of two bones that reaches for `goal`, its middle joint towards `pole`.

    A goal out of reach is approached as far as the limb allows; both bones keep their length.
    """
    origin = np.asarray(start, dtype=np.float64)
    way = np.asarray(goal, dtype=np.float64) - origin
    along = unit(way) if np.linalg.norm(way) > 1e-6 else vec(0, 0, -1)
    reach = float(np.clip(np.linalg.norm(way), abs(upper - lower) + 0.02, (upper + lower) * 0.995))
    near = (upper**2 - lower**2 + reach**2) / (2 * reach)
    off = float(np.sqrt(max(upper**2 - near**2, 0.0)))
    side = np.asarray(pole, dtype=np.float64)
    side = side - along * float(side @ along)
    if np.linalg.norm(side) < 1e-6:
        side = np.cross(along, vec(0, 0, 1)) + vec(1e-3, 0, 0)
    middle = origin + along * near + unit(side) * off
    return middle, origin + along * reach
