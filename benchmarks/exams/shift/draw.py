"""Blender's Cycles as a camera: surfaces, lights and a lens in, linear colours and an id for every pixel out.

The ids are Cycles' object indices, which come from a pixel's first sample and so are never mixed along an edge.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt
import OpenEXR
from benchmarks.exams.shift.fields import F32, Surface
from benchmarks.exams.shift.vectors import Array
from benchmarks.exams.shift.view import Camera
from mathutils import Matrix

SAMPLES, BOUNCES = 4, 2


@dataclass(frozen=True)
class Light:
    """The light of one view. Strengths in W/m² (sky, sun), W (lamps); the sun's angles in degrees."""

    sky: float
    sun: float
    sun_height: float
    sun_heading: float
    lamps: float
    warmth: float
    sky_colour: tuple[float, float, float]


class Stage:
    """One Blender scene. Things come and go by name; materials are made once a room."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.scene = bpy.context.scene
        self._set_up_render()
        world = bpy.data.worlds.new("world")
        world.use_nodes = True
        world.cycles.sampling_method = "NONE"  # the windows' lamps stand for the sky
        self.scene.world = world
        self._background = world.node_tree.nodes["Background"]
        self._things = dict[str, Any]()
        camera = bpy.data.cameras.new("camera")
        self._camera = bpy.data.objects.new("camera", camera)
        self.scene.collection.objects.link(self._camera)
        self.scene.camera = self._camera

    def _set_up_render(self) -> None:
        render, cycles = self.scene.render, self.scene.cycles
        render.engine = "CYCLES"
        render.resolution_x, render.resolution_y, render.resolution_percentage = self.width, self.height, 100
        render.threads_mode, render.threads = "FIXED", 1
        render.use_persistent_data = True
        render.image_settings.media_type = "MULTI_LAYER_IMAGE"
        render.image_settings.file_format = "OPEN_EXR_MULTILAYER"
        render.image_settings.color_depth, render.image_settings.exr_codec = "32", "NONE"
        cycles.samples, cycles.use_adaptive_sampling = SAMPLES, False
        cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = BOUNCES, BOUNCES, 1
        cycles.caustics_reflective = cycles.caustics_refractive = False
        cycles.sample_clamp_indirect = 3.0
        cycles.use_light_tree = False  # twice as fast, and the denoiser forgives what it costs
        cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
        cycles.denoising_quality, cycles.denoising_prefilter = "FAST", "NONE"
        cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
        cycles.filter_width = 1.2
        self.scene.view_layers[0].use_pass_object_index = True

    def put(self, name: str, surface: Surface, material: Any, *, index: int = 0, matrix: Array | None = None) -> None:
        """Stand a surface in the scene, or another in its place."""
        mesh = bpy.data.meshes.new(name)
        mesh.vertices.add(len(surface.points))
        mesh.vertices.foreach_set("co", surface.points.ravel())
        count = len(surface.faces)
        mesh.loops.add(count * 3)
        mesh.polygons.add(count)
        mesh.loops.foreach_set("vertex_index", surface.faces.ravel())
        mesh.polygons.foreach_set("loop_start", np.arange(0, count * 3, 3, dtype=np.int32))
        smooth = len(surface.points) * 3 > count  # boxes share no rounded edge
        mesh.polygons.foreach_set("use_smooth", np.full(count, smooth and index > 0, dtype=bool))
        mesh.update(calc_edges=True)
        _attribute(mesh, "paint", surface.paint)
        _attribute(mesh, "rest", surface.rest)
        mesh.materials.append(material)
        self._link(name, mesh, index, matrix)

    def _link(self, name: str, data: Any, index: int, matrix: Array | None) -> None:
        self.drop(name)
        thing = bpy.data.objects.new(name, data)
        thing.pass_index = index
        if matrix is not None:
            thing.matrix_world = Matrix(matrix.tolist())
        self.scene.collection.objects.link(thing)
        self._things[name] = thing

    def drop(self, name: str) -> None:
        """Take a thing away, if it is there."""
        thing = self._things.pop(name, None)
        if thing is not None:
            data = thing.data
            bpy.data.objects.remove(thing)
            (bpy.data.meshes if isinstance(data, bpy.types.Mesh) else bpy.data.lights).remove(data)

    def drop_all(self, prefix: str) -> None:
        """Take away everything whose name begins so."""
        for name in [name for name in self._things if name.startswith(prefix)]:
            self.drop(name)

    def empty(self) -> None:
        """Clear the scene for another room."""
        self.drop_all("")
        for material in list(bpy.data.materials):
            bpy.data.materials.remove(material)

    def lamp(self, name: str, matrix: Array, size: tuple[float, float], watts: float, colour: Array) -> None:
        """An area light that shines along its -z."""
        data = bpy.data.lights.new(name, "AREA")
        data.shape, data.size, data.size_y = "RECTANGLE", *size
        data.energy, data.color = watts, tuple(float(c) for c in colour)
        self._link(name, data, 0, matrix)
        self._things[name].visible_camera = False

    def sun(self, light: Light) -> None:
        """Set sun and sky."""
        data = bpy.data.lights.new("sun", "SUN")
        data.energy, data.angle, data.color = light.sun, 0.02, (1.0, 0.93, 0.8)
        self._link("sun", data, 0, None)
        tilt, heading = np.radians([90 - light.sun_height, light.sun_heading])
        self._things["sun"].rotation_euler = (tilt, 0, heading)
        self._background.inputs[0].default_value = (*light.sky_colour, 1.0)
        self._background.inputs[1].default_value = light.sky

    def shoot(self, camera: Camera, seed: int) -> tuple[F32, npt.NDArray[np.int32]]:
        """Render: linear RGB (H, W, 3) and ids (H, W)."""
        self._camera.matrix_world = Matrix(camera.pose.tolist())
        lens = self._camera.data
        lens.angle, lens.clip_start = float(np.radians(camera.fov)), 0.05
        self.scene.cycles.seed = seed
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "view.exr"
            self.scene.render.filepath = str(path)
            bpy.ops.render.render(write_still=True)
            return _read(path)


def _attribute(mesh: Any, name: str, values: F32 | None) -> None:
    if values is None:
        return
    attribute = mesh.attributes.new(name, "FLOAT_VECTOR", "POINT")
    attribute.data.foreach_set("vector", np.ascontiguousarray(values, np.float32).ravel())


def _read(path: Path) -> tuple[F32, npt.NDArray[np.int32]]:
    channels = {name: c.pixels for part in OpenEXR.File(str(path)).parts for name, c in part.channels.items()}
    colours = next(pixels for name, pixels in channels.items() if name.endswith("Combined"))
    ids = next(pixels for name, pixels in channels.items() if "Index" in name)
    return np.ascontiguousarray(colours[..., :3]), np.rint(ids).astype(np.int32)
