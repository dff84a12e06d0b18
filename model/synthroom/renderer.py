"""Renderer: meshes, a camera and light -> a picture and an id buffer, on OpenGL without a window (EGL).

Mesa's llvmpipe is enough. Deferred: positions first, then each pixel is shaded once, with one shadow map.
"""

import importlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from synthroom import shaders
from synthroom.bodies import F32, body_model
from synthroom.camera import Camera, orthographic
from synthroom.mesh import Mesh
from synthroom.people import Person
from synthroom.rotations import Array

U8 = npt.NDArray[np.uint8]
SHADOW_SIDE = 1024
OUT_OF_SIGHT_M, FINE_WITHIN_M = -50.0, 3.2


@dataclass(frozen=True)
class Light:
    """The sun's direction (towards it), and linear strengths of sun, sky, floor and lamps."""

    direction: tuple[float, float, float]
    sun: tuple[float, float, float]
    sky: tuple[float, float, float]
    ground: tuple[float, float, float]
    lamp: tuple[float, float, float]


@dataclass(frozen=True)
class Picture:
    """Pixels (H, W, 3) in sRGB, and per pixel the person's number (0: nobody) and the part of the body (H, W)."""

    rgb: U8
    persons: U8
    parts: U8


def available() -> str:
    """Say why nothing can be rendered here, or nothing ("") if it can."""
    try:
        body_model()
        _context()
    except Exception as error:  # noqa: BLE001 - drivers fail in many ways; the caller reports the reason
        return f"{type(error).__name__}: {error}"
    return ""


def _moderngl() -> Any:
    return importlib.import_module("moderngl")  # here, because only those who draw have it


@cache
def _context() -> Any:
    """Give the process its one context: with two, what one renderer asks for goes to whichever was made last."""
    body_model()  # warp's and Mesa's LLVM live in peace only when warp (under anny) is loaded first; else a crash
    return _moderngl().create_context(standalone=True, backend="egl", require=330)


class Drawable:
    """A mesh in the renderer's memory; what moves may be written again."""

    def __init__(self, renderer: "Renderer", mesh: Mesh) -> None:
        gl = renderer.gl
        self.moving = gl.buffer(mesh.moving.tobytes())
        fixed, index = gl.buffer(mesh.fixed.tobytes()), gl.buffer(mesh.triangles.tobytes())
        self._buffers = [self.moving, fixed, index]
        self.shape = gl.vertex_array(
            renderer.geometry,
            [(self.moving, "3f4 3f4", "p", "n"), (fixed, "3f1 1x 3f1 1x 3f4", "c", "m", "r")],
            index_buffer=index,
        )
        self.shadow = gl.vertex_array(renderer.depth, [(self.moving, "3f4 12x", "p")], index_buffer=index)

    def move(self, moving: npt.NDArray[np.float32], first_vertex: int = 0) -> None:
        """Write positions and normals (V, 6) again, from a vertex on."""
        self.moving.write(moving.tobytes(), offset=first_vertex * 24)

    def draw_shape(self, _eye: Array) -> None:
        """Draw into the geometry buffers; `_eye` is where the camera is."""
        self.shape.render()

    def draw_shadow(self) -> None:
        """Draw into the shadow map."""
        self.shadow.render()

    def release(self) -> None:
        """Give the memory back."""
        for item in (self.shape, self.shadow, *self._buffers):
            item.release()


class Crowd(Drawable):
    """People in the renderer's memory: near ones are drawn finely, distant ones and all shadows coarsely."""

    def __init__(self, renderer: "Renderer", people: Sequence[Person]) -> None:
        self._count = len(people[0].dressed.vertices)
        self._row = {person.number: i for i, person in enumerate(people)}
        self._centres = np.full((len(people), 3), OUT_OF_SIGHT_M)
        fine = [person.triangles + i * self._count for i, person in enumerate(people)]
        coarse = [person.coarse + i * self._count for i, person in enumerate(people)]
        bounds = np.cumsum([0, *(3 * len(part) for part in (*coarse, *fine))])
        self._ranges = [(int(a), int(b - a)) for a, b in itertools.pairwise(bounds)]
        fixed = np.concatenate([person.fixed for person in people])
        away = np.full((len(fixed), 6), OUT_OF_SIGHT_M, np.float32)
        super().__init__(renderer, Mesh(away, fixed, np.concatenate([*coarse, *fine]).astype(np.int32)))

    def place(self, number: int, moving: F32) -> None:
        """Put one person's posed vertices (V, 6) in the room."""
        row = self._row[number]
        self._centres[row] = moving[:: len(moving) // 50, :3].mean(0)
        self.move(moving, row * self._count)

    def vanish(self, number: int) -> None:
        """Take one person out of sight."""
        self.place(number, np.full((self._count, 6), OUT_OF_SIGHT_M, np.float32))

    def draw_shape(self, eye: Array) -> None:
        """Draw each person in sight, finely when near."""
        for row, centre in enumerate(self._centres):
            if centre[2] < OUT_OF_SIGHT_M / 2:
                continue
            near = np.linalg.norm(centre - eye) < FINE_WITHIN_M
            first, count = self._ranges[row + (len(self._centres) if near else 0)]
            self.shape.render(vertices=count, first=first)

    def draw_shadow(self) -> None:
        """Draw everybody's coarse shadow."""
        self.shadow.render(vertices=sum(count for _, count in self._ranges[: len(self._centres)]))


class Renderer:
    """The buffers for one picture size, in the process's OpenGL context."""

    def __init__(self, width: int, height: int) -> None:
        moderngl = _moderngl()
        self.width, self.height = width, height
        gl = self.gl = _context()
        self._strip = moderngl.TRIANGLES
        self._depth_test = moderngl.DEPTH_TEST
        gl.gc_mode = "auto"
        self.geometry = gl.program(shaders.VERTEX, shaders.GEOMETRY)
        self.depth = gl.program(
            "#version 330\nin vec3 p; uniform mat4 VP; void main(){gl_Position=VP*vec4(p,1);}", shaders.DEPTH
        )
        self.shade = gl.program(shaders.SCREEN, shaders.SHADE)
        self._screen = gl.vertex_array(self.shade, [])
        self._targets = self.make_targets()
        self._depth_texture = gl.depth_texture((width, height))
        self._depth_texture.compare_func = ""
        self.frame = gl.framebuffer(self._targets, self._depth_texture)
        self._out = gl.framebuffer([gl.renderbuffer((width, height), 4)])
        self._shadow_map = gl.depth_texture((SHADOW_SIDE, SHADOW_SIDE))
        self._shadow_map.compare_func = "<="
        self.shadow_frame = gl.framebuffer(depth_attachment=self._shadow_map)

    def make_targets(self) -> list[Any]:
        """New textures for the geometry pass: marks, normal, colour, rest position."""
        size = (self.width, self.height)
        return [
            self.gl.texture(size, 4, dtype="f1"),
            self.gl.texture(size, 4, dtype="f2"),
            self.gl.texture(size, 4, dtype="f1"),
            self.gl.texture(size, 4, dtype="f2"),
        ]

    def draw(self, drawables: Sequence[Drawable], camera: Camera, light: Light) -> Picture:
        """Draw everything once."""
        shadow_vp = shadow_view(light)
        vp = camera.projection(self.width / self.height) @ camera.view()
        self.pass_shadow(drawables, shadow_vp)
        self.pass_geometry(drawables, vp, np.asarray(camera.eye))
        self.pass_shade(vp, shadow_vp, camera, light)
        return self.read()

    def pass_shadow(self, drawables: Sequence[Drawable], vp: Array, *, clear: bool = True) -> None:
        """Draw into the shadow map, over what is there if it is not cleared."""
        self.gl.enable(self._depth_test)
        self.shadow_frame.use()
        if clear:
            self.shadow_frame.clear(depth=1)
        self.depth["VP"].write(_column_major(vp))
        for drawable in drawables:
            drawable.draw_shadow()

    def pass_geometry(self, drawables: Sequence[Drawable], vp: Array, eye: Array, *, clear: bool = True) -> None:
        """Draw into the geometry buffers, over what is there if they are not cleared."""
        self.gl.enable(self._depth_test)
        self.frame.use()
        if clear:
            self.frame.clear()
        self.geometry["VP"].write(_column_major(vp))
        for drawable in drawables:
            drawable.draw_shape(eye)

    def pass_shade(
        self,
        vp: Array,
        shadow_vp: Array,
        camera: Camera,
        light: Light,
        rectangle: tuple[int, int, int, int] | None = None,
    ) -> None:
        """Shade the picture, or one rectangle of it (x0, y0, x1, y1; y down)."""
        program = self.shade
        program["LP"].write(_column_major(shadow_vp))
        program["IVP"].write(_column_major(np.linalg.inv(vp)))
        program["size"] = (self.width, self.height)
        program["eye"], program["L"] = tuple(camera.eye), tuple(light.direction)
        for name, value in (("sun", light.sun), ("sky", light.sky), ("gnd", light.ground), ("lamp", light.lamp)):
            program[name] = value
        for i, texture in enumerate((*self._targets, self._depth_texture)):
            texture.use(i)
            program[f"g{i}" if i < 4 else "gz"] = i
        self._shadow_map.use(5)
        program["sh"] = 5
        self.gl.disable(self._depth_test)
        x0, y0, x1, y1 = rectangle or (0, 0, self.width, self.height)
        self._out.scissor = (x0, self.height - y1, x1 - x0, y1 - y0)
        self._out.use()
        self._screen.render(self._strip, vertices=3)

    def read(self) -> Picture:
        """Fetch the picture and its marks."""
        shape = (self.height, self.width, 4)
        rgb = np.frombuffer(self._out.read(components=4), np.uint8).reshape(shape)[::-1, :, :3]
        marks = np.frombuffer(self._targets[0].read(), np.uint8).reshape(shape)[::-1]
        return Picture(rgb=rgb, persons=np.ascontiguousarray(marks[..., 0]), parts=np.ascontiguousarray(marks[..., 1]))


def shadow_view(light: Light) -> Array:
    """World to the shadow map's clip space: 4x4."""
    sun = np.asarray(light.direction) * 14
    sun_camera = Camera(eye=(sun[0], sun[1], sun[2]), target=(0, 0, 0), fov_deg=60)
    return orthographic(7.5, 0.1, 30) @ sun_camera.view()


def _column_major(matrix: npt.NDArray[np.floating[Any]]) -> bytes:
    return np.ascontiguousarray(matrix.T, np.float32).tobytes()
