"""Lens: bends a drawn picture as a wide lens does, and hides a part of it behind something near."""

import cv2
import numpy as np

from synthroom.camera import bent
from synthroom.renderer import Picture
from synthroom.sitting import Draw


def bend(picture: Picture, barrel: float) -> Picture:
    """The picture and its marks through a lens; see `camera.Camera`."""
    if barrel == 0:
        return picture
    height, width = picture.persons.shape
    x, y = bent(width, height, barrel)
    return Picture(
        rgb=cv2.remap(np.ascontiguousarray(picture.rgb), x, y, cv2.INTER_LINEAR),
        persons=cv2.remap(picture.persons, x, y, cv2.INTER_NEAREST),
        parts=cv2.remap(picture.parts, x, y, cv2.INTER_NEAREST),
    )


def block(picture: Picture, d: Draw) -> Picture:
    """Something out of focus stands in the way at an edge: a lamp, a beam, a shelf, the edge of a door."""
    height, width = picture.persons.shape
    mask = np.zeros((height, width), np.float32)
    depth, along, tilt = d.u(0.06, 0.28), d.u(0.1, 0.9), d.u(-0.25, 0.25)
    edge = d.pick({"left": 1, "right": 1, "top": 0.7, "bottom": 0.5})
    span = d.u(0.15, 1.2)
    a, b = (along - span / 2), (along + span / 2)
    flat = np.array([[a, -0.2], [b, -0.2], [b, depth + tilt * depth], [a, depth - tilt * depth]])
    points = {
        "top": flat,
        "bottom": flat * [1, -1] + [0, 1],
        "left": flat[:, ::-1],
        "right": flat[:, ::-1] * [-1, 1] + [1, 0],
    }
    cv2.fillPoly(mask, [np.round(points[edge] * [width, height]).astype(np.int32)], 1.0)
    mask = cv2.GaussianBlur(mask, (0, 0), d.u(2, 9))
    colour = np.array([d.u(5, 170)] * 3) * [d.u(0.85, 1.1), 1, d.u(0.8, 1.1)]
    rgb = (picture.rgb * (1 - mask[..., None]) + colour * mask[..., None]).clip(0, 255).astype(np.uint8)
    seen = mask < 0.5
    return Picture(rgb=rgb, persons=picture.persons * seen, parts=picture.parts * seen)
