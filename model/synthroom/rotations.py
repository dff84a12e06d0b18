"""Rotations of the drawn bodies: small matrices and unit quaternions, pure functions.

Angles are degrees, axes are model axes (+x the body's left, -y its front, +z up).
"""

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def about(axis: str, degrees: float) -> Array:
    """Rotate about a model axis: 3x3, right-handed; `axis` is "x", "y" or "z"."""
    a = math.radians(degrees)
    c, s = math.cos(a), math.sin(a)
    rows = {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }
    return np.array(rows[axis], dtype=np.float64)


def about_vector(axis: Array, degrees: float) -> Array:
    """Rotate about any vector (Rodrigues' formula): 3x3."""
    x, y, z = axis / np.linalg.norm(axis)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    a = math.radians(degrees)
    turned: Array = np.eye(3) + math.sin(a) * k + (1 - math.cos(a)) * (k @ k)
    return turned


def arc(start: Array, end: Array) -> Array:
    """Shortest rotation that takes direction `start` to direction `end`: 3x3."""
    a, b = start / np.linalg.norm(start), end / np.linalg.norm(end)
    v, c = np.cross(a, b), float(a @ b)
    k = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    turned: Array = np.eye(3) + k + k @ k / max(1 + c, 1e-3)
    return turned


def to_quaternions(matrices: Array) -> Array:
    """Unit quaternions (..., 4), w first and w >= 0, of rotation matrices (..., 3, 3)."""
    m = matrices
    d = m[..., [0, 1, 2], [0, 1, 2]]
    t = d.sum(-1)
    # Four candidates, each exact where its own component is large; the largest is taken (Shepperd 1978).
    q = np.empty((*m.shape[:-2], 4, 4))
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    e, f, g = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    q[..., 0, :] = np.stack([1 + t, a, b, c], -1)
    q[..., 1, :] = np.stack([a, 1 + 2 * d[..., 0] - t, e, f], -1)
    q[..., 2, :] = np.stack([b, e, 1 + 2 * d[..., 1] - t, g], -1)
    q[..., 3, :] = np.stack([c, f, g, 1 + 2 * d[..., 2] - t], -1)
    best = np.concatenate([t[..., None], d], -1).argmax(-1)
    out = np.take_along_axis(q, best[..., None, None], -2)[..., 0, :]
    out = out / np.linalg.norm(out, axis=-1, keepdims=True)
    signed: Array = np.where(out[..., :1] < 0, -out, out)
    return signed


def to_matrices(quaternions: Array) -> Array:
    """Rotation matrices (..., 3, 3) of unit quaternions (..., 4), w first."""
    w, x, y, z = np.moveaxis(quaternions, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def blend(start: Array, end: Array, share: float) -> Array:
    """Normalised linear blend of quaternions (..., 4): `start` at share 0, `end` at 1, the short way round."""
    sign = np.where((start * end).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    mixed = start * (1 - share) + end * sign * share
    unit: Array = mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)
    return unit
