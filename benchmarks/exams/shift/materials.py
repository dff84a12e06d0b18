"""Materials out of Blender's shader nodes, all procedural: nothing is read from a file.

Colours come from the paint of a mesh (attribute `paint`) or from the call; patterns lie in `rest`, the cloth's own axes.
"""

from typing import Any

import bpy
import numpy as np
from benchmarks.exams.shift.looks import Colour


class Nodes:
    """A material's node tree, written as calls."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.shader = self.tree.nodes["Principled BSDF"]

    def add(self, kind: str, inputs: dict[str, Any] | None = None, **properties: Any) -> Any:
        """Add a node; inputs are values or the outputs of other nodes."""
        node = self.tree.nodes.new(kind)
        for key, value in properties.items():
            setattr(node, key, value)
        for key, value in (inputs or {}).items():
            self.put(node, key, value)
        return node

    def put(self, node: Any, key: str, value: Any) -> None:
        """Set or link one input."""
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, node.inputs[key])
        else:
            node.inputs[key].default_value = value

    def attribute(self, name: str) -> Any:
        """A vector or colour that the mesh carries."""
        return self.add("ShaderNodeAttribute", attribute_name=name).outputs["Color"]

    def place(self) -> Any:
        """Where the point is in the object's own axes, metres."""
        return self.add("ShaderNodeTexCoord").outputs["Object"]

    def mix(self, amount: Any, first: Any, second: Any, blend: str = "MIX") -> Any:
        """Blend two colours."""
        node = self.add("ShaderNodeMix", data_type="RGBA", blend_type=blend)
        for socket, value in ((node.inputs[0], amount), (node.inputs[6], first), (node.inputs[7], second)):
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, socket)
            else:
                socket.default_value = value
        return node.outputs[2]

    def noise(self, at: Any, scale: float, detail: float = 3.0) -> Any:
        """Cloudy noise from 0 to 1."""
        return self.add("ShaderNodeTexNoise", {"Vector": at, "Scale": scale, "Detail": detail}).outputs[0]

    def steps(self, value: Any, edge: float) -> Any:
        """1 where a value is over an edge, else 0."""
        return self.add("ShaderNodeMath", {0: value, 1: edge}, operation="GREATER_THAN").outputs[0]  # type: ignore[dict-item]

    def done(self, colour: Any, *, rough: float, bump: Any = None, strength: float = 0.1, **inputs: Any) -> Any:
        """Finish the material."""
        self.put(self.shader, "Base Color", colour)
        self.put(self.shader, "Roughness", rough)
        for key, value in inputs.items():
            self.put(self.shader, key.replace("_", " "), value)
        if bump is not None:
            node = self.add("ShaderNodeBump", {"Height": bump, "Strength": strength, "Distance": 0.02})
            self.put(self.shader, "Normal", node.outputs[0])
        return self.material


def rgba(colour: Colour) -> tuple[float, float, float, float]:
    """A colour with full opacity."""
    return (*colour, 1.0)


def skin() -> Any:
    """Skin, its colour the mesh's paint."""
    n = Nodes("skin")
    mottled = n.mix(0.25, n.attribute("paint"), n.noise(n.place(), 9.0), "SOFT_LIGHT")
    return n.done(mottled, rough=0.5, Specular_IOR_Level=0.35)


def hair(colour: Colour) -> Any:
    """Hair: dark strands that gleam."""
    n = Nodes("hair")
    strands = n.noise(n.add("ShaderNodeMapping", {"Vector": n.place(), "Scale": (40, 40, 6)}).outputs[0], 1.5)
    dark = (colour[0] * 0.45, colour[1] * 0.45, colour[2] * 0.45)
    return n.done(n.mix(strands, rgba(dark), rgba(colour)), rough=0.42, bump=strands, strength=0.35)


def cloth(pattern: str, first: Colour, second: Colour, rng: np.random.Generator) -> Any:
    """Woven or knitted cloth with a pattern."""
    n = Nodes("cloth")
    at, a, b = n.attribute("rest"), rgba(first), rgba(second)
    axes = n.add("ShaderNodeSeparateXYZ", {"Vector": at}).outputs
    pitch = float(rng.uniform(60, 210))
    match pattern:
        case "stripes":
            colour = n.mix(n.steps(_wave(n, axes[2], pitch), float(rng.uniform(-0.4, 0.7))), a, b)
        case "checks":
            across = n.steps(_wave(n, axes[0], pitch), 0.2)
            half = n.mix(n.steps(_wave(n, axes[2], pitch), 0.2), a, n.mix(0.5, a, b))
            colour = n.mix(across, half, n.mix(0.6, a, b))
        case "dots":
            cells = n.add("ShaderNodeTexVoronoi", {"Vector": at, "Scale": pitch * 0.2, "Randomness": 0.2}).outputs[0]
            colour = n.mix(n.steps(cells, 0.33), b, a)
        case "print":
            spot = n.add("ShaderNodeMapping", {"Vector": at, "Location": (0, 0, 0.9), "Scale": (6, 0, 6)}).outputs[0]
            length = n.add("ShaderNodeVectorMath", {0: spot}, operation="LENGTH").outputs["Value"]  # type: ignore[dict-item]
            torn = n.add("ShaderNodeMath", {0: length, 1: n.noise(at, 22.0)}, operation="ADD").outputs[0]  # type: ignore[dict-item]
            ahead = n.steps(axes[1], 0.03)
            inside = n.add("ShaderNodeMath", {0: n.steps(torn, 1.05), 1: 1.0}, operation="SUBTRACT").outputs[0]  # type: ignore[dict-item]
            amount = n.add("ShaderNodeMath", {0: inside, 1: ahead}, operation="MULTIPLY")  # type: ignore[dict-item]
            colour = n.mix(n.add("ShaderNodeMath", {0: amount.outputs[0]}, operation="ABSOLUTE").outputs[0], a, b)  # type: ignore[dict-item]
        case "melange":
            colour = n.mix(n.noise(at, 160.0), a, n.mix(0.5, a, b))
        case _:
            colour = a
    folds = n.noise(at, 16.0, 1.0)
    return n.done(colour, rough=0.92, bump=folds, strength=0.35, Sheen_Weight=0.25)


def _wave(n: Nodes, value: Any, pitch: float) -> Any:
    scaled = n.add("ShaderNodeMath", {0: value, 1: pitch}, operation="MULTIPLY").outputs[0]  # type: ignore[dict-item]
    return n.add("ShaderNodeMath", {0: scaled}, operation="SINE").outputs[0]  # type: ignore[dict-item]


def painted(name: str, *, rough: float, metallic: float = 0.0) -> Any:
    """A plain material in the mesh's own colours."""
    n = Nodes(name)
    return n.done(n.attribute("paint"), rough=rough, Metallic=metallic)


def plain(name: str, colour: Colour, *, rough: float, emit: float = 0.0) -> Any:
    """One colour, perhaps shining."""
    n = Nodes(name)
    n.material.cycles.emission_sampling = "NONE"
    return n.done(rgba(colour), rough=rough, Emission_Color=rgba(colour), Emission_Strength=emit)


def wall() -> Any:
    """Painted plaster with stains."""
    n = Nodes("wall")
    stains = n.mix(0.3, n.attribute("paint"), n.noise(n.place(), 0.9, 3.0), "SOFT_LIGHT")
    return n.done(stains, rough=0.85)


def wood(colour: Colour, scale: float, rough: float) -> Any:
    """Wood with its grain along x."""
    n = Nodes("wood")
    long = n.add("ShaderNodeMapping", {"Vector": n.place(), "Scale": (1.0, 14, 14)}).outputs[0]
    grain = n.noise(long, scale, 5.0)
    dark = (colour[0] * 0.55, colour[1] * 0.5, colour[2] * 0.45)
    return n.done(n.mix(grain, rgba(dark), rgba(colour)), rough=rough)


def tiles(first: Colour, second: Colour, size_m: float, *, boards: bool) -> Any:
    """A floor of tiles or boards."""
    n = Nodes("floor")
    dark = (first[0] * 0.45, first[1] * 0.45, first[2] * 0.45)
    brick = n.add(
        "ShaderNodeTexBrick",
        {"Vector": n.place(), "Color1": rgba(first), "Color2": rgba(second), "Mortar": rgba(dark), "Scale": 1.0},
    )
    brick.offset = 0.5 if boards else 0.0
    for key, value in (
        ("Mortar Size", 0.004),
        ("Brick Width", size_m * (6 if boards else 1)),
        ("Row Height", size_m if not boards else 0.12),
    ):
        n.put(brick, key, value)
    worn = n.mix(0.3, brick.outputs[0], n.noise(n.place(), 2.2, 3.0), "SOFT_LIGHT")
    return n.done(worn, rough=0.35 if boards else 0.28)


def board(colour: Colour, chalk: Colour, rng: np.random.Generator) -> Any:
    """A board with lines of something like writing and the traces of a sponge."""
    n = Nodes("board")
    shifted = n.add("ShaderNodeMapping", {"Vector": n.place(), "Location": (float(rng.uniform(0, 9)), 0, 0)}).outputs[0]
    axes = n.add("ShaderNodeSeparateXYZ", {"Vector": shifted}).outputs
    lines = n.steps(_wave(n, axes[2], 42.0), 0.35)
    written = n.steps(
        n.noise(n.add("ShaderNodeMapping", {"Vector": shifted, "Scale": (1.3, 0, 0.8)}).outputs[0], 1.0), 0.5
    )
    strokes = n.steps(
        n.noise(n.add("ShaderNodeMapping", {"Vector": shifted, "Scale": (34, 0, 22)}).outputs[0], 1.0), 0.53
    )
    amount = n.add("ShaderNodeMath", {0: lines, 1: strokes}, operation="MULTIPLY").outputs[0]  # type: ignore[dict-item]
    amount = n.add("ShaderNodeMath", {0: amount, 1: written}, operation="MULTIPLY").outputs[0]  # type: ignore[dict-item]
    wiped = n.mix(0.12, rgba(colour), n.noise(shifted, 2.5, 5.0), "ADD" if max(colour) < 0.3 else "MULTIPLY")
    return n.done(n.mix(amount, wiped, rgba(chalk)), rough=0.35)


def poster() -> Any:
    """Paper with blots, bars and lines of print."""
    n = Nodes("poster")
    at = n.place()
    cells = n.add("ShaderNodeTexVoronoi", {"Vector": at, "Scale": 5.0}).outputs[1]
    text = n.steps(n.noise(n.add("ShaderNodeMapping", {"Vector": at, "Scale": (60, 60, 25)}).outputs[0], 1.0), 0.58)
    picture = n.mix(n.steps(n.noise(at, 2.2), 0.5), n.attribute("paint"), cells)
    return n.done(n.mix(text, picture, (0.7, 0.7, 0.66, 1.0)), rough=0.6)
