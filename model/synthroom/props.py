"""Props: what people hold; boxes that follow a bone, drawn with the person's number and no part of the body."""

from collections.abc import Sequence

import numpy as np

from synthroom.bodies import bone_transforms
from synthroom.mesh import PLAIN, Mesh, turned_boxes
from synthroom.people import Person, Spot
from synthroom.puppet import Puppet, outwards
from synthroom.rotations import Array, about, to_matrices
from synthroom.sitting import Pose, Prop


def held_mesh(posed: Sequence[tuple[Person, Pose, Spot]]) -> Mesh | None:
    """Everything that these people hold in their poses, at their spots; None if nobody holds anything."""
    rows = [placed(person, pose, spot, prop) for person, pose, spot in posed for prop in pose.props]
    if not rows:
        return None
    held = [(person, prop) for person, pose, _ in posed for prop in pose.props]
    scales = np.array([Puppet(person.sitter.model, person.sitter.shape).scale for person, _ in held])
    sizes = np.array([prop.size_m for _, prop in held]) * np.clip(scales, 0.7, 1)[:, None]
    marks = np.array([[person.number, 0, PLAIN, 0] for person, _ in held])
    centres, turns = np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows])
    return turned_boxes(centres, turns, sizes, np.array([prop.colour for _, prop in held]), marks)


def placed(person: Person, pose: Pose, spot: Spot, prop: Prop) -> tuple[Array, Array]:
    """Middle (3) and axes as columns (3, 3) of a held thing in the room."""
    puppet = Puppet(person.sitter.model, person.sitter.shape)
    skeleton = person.sitter.model.skeleton
    transforms = bone_transforms(skeleton, person.dressed.heads, to_matrices(pose.quaternions))
    axes = _rest_axes(puppet, prop.bone)
    if prop.bone:
        carried = transforms[skeleton.index[prop.bone]]
        point = puppet.rest(prop.bone) + axes @ np.asarray(prop.offset_m) * puppet.scale
    else:
        carried, point = np.eye(3, 4), np.asarray(prop.offset_m)
    moved = carried[:, :3] @ point + carried[:, 3] + pose.shift - np.array([0, 0, person.sitter.floor])
    spot = person.turned(pose, spot)
    turn = about("z", spot.yaw)
    return turn @ moved + np.array([spot.x, spot.y, 0]), turn @ carried[:, :3] @ axes


def _rest_axes(puppet: Puppet, bone: str) -> Array:
    """Across the palm, towards the fingers, out of the palm, as columns; the body's own axes for any other bone."""
    if not bone.startswith("wrist."):
        return np.eye(3)
    side = bone[-1]
    fingers = puppet.rest(f"finger3-1.{side}") - puppet.rest(bone)
    fingers /= np.linalg.norm(fingers)
    across = puppet.rest(f"finger2-1.{side}") - puppet.rest(f"finger5-1.{side}")
    across -= fingers * (across @ fingers)
    across /= np.linalg.norm(across)
    palm: Array = np.cross(fingers, across) * outwards(side)
    return np.stack([across, fingers, palm], 1)
