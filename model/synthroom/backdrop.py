"""Backdrop: a room that stays while people move; what stands still is drawn and shaded only once.

The room's geometry and shadows are kept and copied under each frame; only those rectangles of the picture are shaded
again in which somebody, or somebody's shadow, moved.
"""

from typing import Any

import numpy as np

from synthroom.bodies import F32
from synthroom.camera import Camera, project
from synthroom.renderer import SHADOW_SIDE, Crowd, Drawable, Light, Picture, Renderer, shadow_view

Rectangle = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, y down, half-open."""
_MARGIN_PX = 6


class Backdrop:
    """One room seen by one camera in one light."""

    def __init__(self, renderer: Renderer, room: Drawable, camera: Camera, light: Light) -> None:
        self._renderer, self._camera, self._light = renderer, camera, light
        self.view_projection = camera.projection(renderer.width / renderer.height) @ camera.view()
        self._shadow_vp = shadow_view(light)
        self._eye = np.asarray(camera.eye)
        gl, size = renderer.gl, (renderer.width, renderer.height)
        self._frame = gl.framebuffer(renderer.make_targets(), gl.depth_texture(size))
        self._shadow = gl.framebuffer(depth_attachment=gl.depth_texture((SHADOW_SIDE, SHADOW_SIDE)))
        renderer.pass_shadow([room], self._shadow_vp)
        renderer.pass_geometry([room], self.view_projection, self._eye)
        self._copy(self._shadow, renderer.shadow_frame)
        self._copy(self._frame, renderer.frame)

    def _copy(self, target: Any, source: Any) -> None:
        self._renderer.gl.copy_framebuffer(target, source)

    def draw(self, crowd: Crowd, changed: list[Rectangle] | None = None) -> Picture:
        """Draw people before the room; with `changed` only these rectangles are shaded again."""
        renderer = self._renderer
        self._copy(renderer.shadow_frame, self._shadow)
        renderer.pass_shadow([crowd], self._shadow_vp, clear=False)
        self._copy(renderer.frame, self._frame)
        renderer.pass_geometry([crowd], self.view_projection, self._eye, clear=False)
        whole = (0, 0, renderer.width, renderer.height)
        for rectangle in [whole] if changed is None else merged(changed):
            renderer.pass_shade(self.view_projection, self._shadow_vp, self._camera, self._light, rectangle)
        return renderer.read()

    def touched(self, before: F32, after: F32) -> Rectangle | None:
        """Rectangle of the picture that a body and its shadow cover in two positions (V, 6); None if out of sight."""
        low = np.minimum(before[:, :3].min(0), after[:, :3].min(0)).astype(np.float64)
        high = np.maximum(before[:, :3].max(0), after[:, :3].max(0)).astype(np.float64)
        corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
        sun = np.asarray(self._light.direction)
        fallen = corners - sun * (np.maximum(corners[:, 2:], 0) / sun[2])  # where each corner's shadow meets the floor
        width, height = self._renderer.width, self._renderer.height
        pixels = project(np.concatenate([corners, fallen]), self.view_projection, width, height)
        if (pixels[:, 2] < 0.2).any():
            return 0, 0, width, height
        x0, y0 = np.floor(pixels[:, :2].min(0)).astype(int) - _MARGIN_PX
        x1, y1 = np.ceil(pixels[:, :2].max(0)).astype(int) + _MARGIN_PX
        box = (max(int(x0), 0), max(int(y0), 0), min(int(x1), width), min(int(y1), height))
        return box if box[0] < box[2] and box[1] < box[3] else None


def merged(rectangles: list[Rectangle]) -> list[Rectangle]:
    """Join rectangles where one that encloses both is no larger than both together."""
    out = list[Rectangle]()
    for rectangle in rectangles:
        current = rectangle
        while hit := next(
            (other for other in out if _area(_around(current, other)) <= _area(current) + _area(other)), None
        ):
            out.remove(hit)
            current = _around(current, hit)
        out.append(current)
    return out


def _around(one: Rectangle, other: Rectangle) -> Rectangle:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _area(one: Rectangle) -> int:
    return (one[2] - one[0]) * (one[3] - one[1])
