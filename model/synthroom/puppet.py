"""Puppet: bends one body's skeleton. Aims limbs, reaches for points, turns palms, curls fingers.

Points are metres in the body's own frame (+x its left, -y its front, +z up, feet not yet on the floor).
"""

import math
from collections.abc import Sequence

import numpy as np

from synthroom.bodies import BodyModel, Shape, bone_transforms, skin
from synthroom.rotations import Array, about, about_vector, arc, to_quaternions

SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
NECK = ("neck01", "neck02", "neck03", "head")


def outwards(side: str) -> int:
    """Sign of x that points away from the body: +1 for "L", -1 for "R"."""
    return 1 if side == "L" else -1


class Puppet:
    """Rotations of one body's bones in model axes, each carried by its parent."""

    def __init__(self, model: BodyModel, shape: Shape) -> None:
        self.model, self.shape = model, shape
        self.turns: dict[str, Array] = {}
        self._index, self._parents = model.skeleton.index, model.skeleton.parents
        rest = np.linalg.norm(shape.heads[self._index["head"]] - shape.heads[self._index["spine05"]])
        self.scale = float(rest) / 0.526  # 1.0 for the skeleton's adult template

    def rest(self, bone: str) -> Array:
        """Head of a bone in the rest shape."""
        head: Array = self.shape.heads[self._index[bone]]
        return head

    def carried(self, bone: str) -> Array:
        """Rotation of a bone against the world, its parents' included: 3x3."""
        turn, i = np.eye(3), self._index[bone]
        while i >= 0:
            name = self.model.skeleton.names[i]
            if name in self.turns:
                turn = self.turns[name] @ turn
            i = self._parents[i]
        return turn

    def joint(self, bone: str) -> Array:
        """Where the head of a bone is now."""
        return self._follow(bone, self.rest(bone), of_parent=True)

    def point(self, bone: str, rest_point: Array) -> Array:
        """Where a rest point that is fixed to a bone is now."""
        return self._follow(bone, rest_point, of_parent=False)

    def _follow(self, bone: str, point: Array, *, of_parent: bool) -> Array:
        i = self._parents[self._index[bone]] if of_parent else self._index[bone]
        while i >= 0:
            name = self.model.skeleton.names[i]
            if name in self.turns:
                head = self.shape.heads[i]
                point = self.turns[name] @ (point - head) + head
            i = self._parents[i]
        return point

    def aim(self, bone: str, child: str, direction: Array | Sequence[float]) -> None:
        """Turn `bone` the short way so that bone -> child points along `direction`."""
        self.turns.pop(bone, None)
        self.turns[bone] = arc(self.rest(child) - self.rest(bone), self.carried(bone).T @ np.asarray(direction, float))

    def spine(self, bend: float, twist: float = 0, side: float = 0) -> None:
        """Bend forwards, twist and lean sideways, degrees in all."""
        for bone in SPINE:
            self.turns[bone] = about("z", twist / 5) @ about("y", side / 5) @ about("x", bend / 5)

    def head(self, nod: float, yaw: float = 0, roll: float = 0) -> None:
        """Nod down, turn to the left and tilt, degrees in all."""
        for bone in NECK:
            self.turns[bone] = about("z", yaw / 4) @ about("y", roll / 4) @ about("x", nod / 4)

    def lay_head(self, nod: float, yaw: float, roll: float) -> None:
        """Bend the neck forwards first and turn the head last, so that a turned head still sinks as `nod` grows."""
        self.head(0)
        for bone in NECK[:3]:
            self.turns[bone] = about("x", nod / 3)
        for bone in NECK[2:]:
            self.turns[bone] = self.turns[bone] @ about("z", yaw / 2) @ about("y", roll / 2)

    def gaze(self, nod: float, yaw: float = 0, roll: float = 0) -> None:
        """Hold the head against the world instead of against the trunk."""
        for bone in NECK:
            self.turns.pop(bone, None)
        wanted = self.carried("spine01").T @ about("z", yaw) @ about("y", roll) @ about("x", nod)
        quarter = _fourth_root(wanted)
        for bone in NECK:
            self.turns[bone] = quarter

    def shrug(self, side: str, clavicle: float, shoulder: float) -> None:
        """Lift the shoulder girdle, degrees."""
        k = outwards(side)
        self.turns[f"clavicle.{side}"] = about("y", -k * clavicle)
        self.turns[f"shoulder01.{side}"] = about("y", -k * shoulder)

    def arm(self, side: str, up: Sequence[float], fore: Sequence[float], hand: Sequence[float] | None = None) -> None:
        """Aim upper arm, forearm and hand; x of each direction is measured outwards."""
        k = outwards(side)
        out = [np.array([d[0] * k, d[1], d[2]], float) for d in (up, fore, hand or fore)]
        self._drop_twist(side)
        self.aim(f"upperarm01.{side}", f"lowerarm01.{side}", out[0])
        self.aim(f"lowerarm01.{side}", f"wrist.{side}", out[1])
        self.aim(f"wrist.{side}", f"finger3-1.{side}", out[2])

    def _drop_twist(self, side: str) -> None:
        for bone in ("upperarm01", "lowerarm01", "lowerarm02", "wrist"):
            self.turns.pop(f"{bone}.{side}", None)

    def lengths(self, side: str) -> tuple[float, float]:
        """Upper arm and forearm, metres."""
        shoulder, elbow, wrist = (self.rest(f"{b}.{side}") for b in ("upperarm01", "lowerarm01", "wrist"))
        return float(np.linalg.norm(elbow - shoulder)), float(np.linalg.norm(wrist - elbow))

    def reach(
        self, side: str, wrist: Array | Sequence[float], pole: Sequence[float], hand: Sequence[float] | None = None
    ) -> None:
        """Put the wrist at a point, or as near as the arm is long; the elbow goes towards `pole` (x outwards)."""
        k = outwards(side)
        self._drop_twist(side)
        shoulder = self.joint(f"upperarm01.{side}")
        upper, fore = self.lengths(side)
        way = np.asarray(wrist, float) - shoulder
        distance = float(np.clip(np.linalg.norm(way), abs(upper - fore) + 1e-3, (upper + fore) * 0.995))
        way = way / np.linalg.norm(way)
        along = (distance**2 + upper**2 - fore**2) / (2 * distance)
        across = np.array([pole[0] * k, pole[1], pole[2]], float)
        across = across - way * (across @ way)
        across /= np.linalg.norm(across)
        elbow = way * along + across * math.sqrt(max(upper**2 - along**2, 0))
        self.aim(f"upperarm01.{side}", f"lowerarm01.{side}", elbow)
        self.aim(f"lowerarm01.{side}", f"wrist.{side}", way * distance - elbow)
        towards = way * distance - elbow if hand is None else np.array([hand[0] * k, hand[1], hand[2]], float)
        self.aim(f"wrist.{side}", f"finger3-1.{side}", towards)

    def rest_elbow(self, side: str, height: float, direction: Sequence[float]) -> bool:
        """Put the elbow at a height, away from the shoulder along `direction` (x, y; x outwards); False: out of reach."""
        self._drop_twist(side)
        shoulder = self.joint(f"upperarm01.{side}")
        upper, _ = self.lengths(side)
        drop = float(np.clip(height - shoulder[2], -upper, upper))
        flat = np.array([direction[0] * outwards(side), direction[1]], float)
        flat *= math.sqrt(max(upper**2 - drop**2, 1e-4)) / np.linalg.norm(flat)
        self.aim(f"upperarm01.{side}", f"lowerarm01.{side}", (flat[0], flat[1], drop))
        return abs(height - float(shoulder[2])) <= upper

    def forearm(self, side: str, fore: Array | Sequence[float], hand: Sequence[float] | None = None) -> None:
        """Aim the forearm and the hand only, as after `rest_elbow`; x outwards."""
        k = outwards(side)
        for bone in ("lowerarm01", "lowerarm02", "wrist"):
            self.turns.pop(f"{bone}.{side}", None)
        self.aim(f"lowerarm01.{side}", f"wrist.{side}", (fore[0] * k, fore[1], fore[2]))
        towards = fore if hand is None else hand
        self.aim(f"wrist.{side}", f"finger3-1.{side}", (towards[0] * k, towards[1], towards[2]))

    def palm(self, side: str, normal: Sequence[float]) -> None:
        """Turn the palm towards `normal` (x outwards), half in the forearm, half in the wrist, at most 130 degrees."""
        k = outwards(side)
        fingers = self.rest(f"finger3-1.{side}") - self.rest(f"wrist.{side}")
        across = self.rest(f"finger2-1.{side}") - self.rest(f"finger5-1.{side}")
        rest_normal = np.cross(fingers, across) * k
        turn = self.carried(f"wrist.{side}")
        axis = turn @ fingers / np.linalg.norm(fingers)
        now, wanted = turn @ rest_normal, np.array([normal[0] * k, normal[1], normal[2]], float)
        now, wanted = now - axis * (now @ axis), wanted - axis * (wanted @ axis)
        angle = math.degrees(math.atan2(float(np.cross(now, wanted) @ axis), float(now @ wanted)))
        angle = float(np.clip(angle, -130, 130))
        for bone in ("lowerarm02", "wrist"):
            name = f"{bone}.{side}"
            above = self.carried(name) @ self.turns.get(name, np.eye(3)).T
            # Turn about the hand's axis as the bone's parent sees it, after the bone's own turn.
            self.turns[name] = about_vector(above.T @ axis, angle / 2) @ self.turns.get(name, np.eye(3))

    def fingers(self, side: str, curl: float, *, index: float | None = None, thumb: float | None = None) -> None:
        """Curl each joint of the fingers by `curl` degrees: 0 flat, 20 relaxed, 75 a fist; the index may differ."""
        across = self.rest(f"finger2-1.{side}") - self.rest(f"finger5-1.{side}")
        axis = across * -outwards(side)
        for finger in range(2, 6):
            angle = index if index is not None and finger == 2 else curl
            for joint in range(1, 4):
                self.turns[f"finger{finger}-{joint}.{side}"] = about_vector(axis, angle)
        for joint in range(2, 4):
            self.turns[f"finger1-{joint}.{side}"] = about_vector(axis, (curl if thumb is None else thumb) / 2)

    def quaternions(self) -> Array:
        """All movable bones' turns: (bones, 4)."""
        turns = [self.turns.get(name, np.eye(3)) for name in self.model.skeleton.names]
        return to_quaternions(np.stack(turns))

    def lowest(self, layer: str) -> float:
        """Least z of a layer's vertices now."""
        turns = np.stack([self.turns.get(name, np.eye(3)) for name in self.model.skeleton.names])
        vertices, _ = skin(self.model, self.shape, bone_transforms(self.model.skeleton, self.shape.heads, turns))
        return float(vertices[self.model.layers[layer].vertices, 2].min())

    def seat_height(self) -> float:
        """Least z of the thighs and bottom of a sitting body."""
        turns = np.stack([self.turns.get(name, np.eye(3)) for name in self.model.skeleton.names])
        vertices, _ = skin(self.model, self.shape, bone_transforms(self.model.skeleton, self.shape.heads, turns))
        legs = vertices[self.model.layers["pants"].vertices]
        return float(legs[legs[:, 1] > -0.08, 2].min())


def _fourth_root(matrix: Array) -> Array:
    angle = math.degrees(math.acos(float(np.clip((np.trace(matrix) - 1) / 2, -1, 1))))
    axis = np.array([matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]])
    if np.linalg.norm(axis) < 1e-9:
        return np.eye(3)
    return about_vector(axis, angle / 4)
