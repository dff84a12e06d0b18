"""Cameras: where a classroom's camera hangs, how it looks, and where points fall in its picture."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synthroom.rotations import Array

NEAR_M, FAR_M = 0.1, 40.0


@dataclass(frozen=True)
class Camera:
    """A camera in the room's frame, metres; `fov_deg` is horizontal, `roll_deg` tilts the horizon.

    `barrel` (0..0.4) bends straight lines outwards: a point at the share r of the half diagonal shows what a pinhole would
    show at r (1 + barrel r^2) / (1 + barrel).
    """

    eye: tuple[float, float, float]
    target: tuple[float, float, float]
    fov_deg: float
    roll_deg: float = 0.0
    barrel: float = 0.0

    def view(self) -> Array:
        """World to camera: 4x4."""
        forward = np.subtract(self.target, self.eye)
        forward = forward / np.linalg.norm(forward)
        side = np.cross(forward, [0, 0, 1])
        side /= np.linalg.norm(side)
        up = np.cross(side, forward)
        c, s = math.cos(math.radians(self.roll_deg)), math.sin(math.radians(self.roll_deg))
        out = np.eye(4)
        out[0, :3], out[1, :3], out[2, :3] = c * side + s * up, c * up - s * side, -forward
        out[:3, 3] = -out[:3, :3] @ np.asarray(self.eye)
        return out

    def projection(self, aspect: float) -> Array:
        """Camera to clip space: 4x4; `aspect` is width over height."""
        t = 1 / math.tan(math.radians(self.fov_deg) / 2)
        out = np.zeros((4, 4))
        out[0, 0], out[1, 1] = t, t * aspect
        out[2, 2], out[2, 3] = (FAR_M + NEAR_M) / (NEAR_M - FAR_M), 2 * FAR_M * NEAR_M / (NEAR_M - FAR_M)
        out[3, 2] = -1
        return out


def project(points: Array, view_projection: Array, width: int, height: int) -> Array:
    """Pixels (N, 3) of world points (N, 3): x, y (down) and depth along the view in metres; behind is depth <= 0."""
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], 1) @ view_projection.T
    w = homogeneous[:, 3]
    safe = np.where(w > 1e-6, w, 1e-6)
    x = (homogeneous[:, 0] / safe + 1) * width / 2
    y = (1 - homogeneous[:, 1] / safe) * height / 2
    return np.stack([x, y, w], 1)


def bent(width: int, height: int, barrel: float) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Where each pixel of a bent picture lies in the straight one: x and y, each (H, W). The corners stay."""
    x, y = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
    r2 = (x * x + y * y) / (width * width + height * height) * 4
    share = (1 + barrel * r2) / (1 + barrel)
    return (x * share + width / 2 - 0.5).astype(np.float32), (y * share + height / 2 - 0.5).astype(np.float32)


def orthographic(half_m: float, near_m: float, far_m: float) -> Array:
    """Parallel projection for the sun's shadow map: 4x4."""
    out = np.diag([1 / half_m, 1 / half_m, -2 / (far_m - near_m), 1.0])
    out[2, 3] = -(far_m + near_m) / (far_m - near_m)
    return out
