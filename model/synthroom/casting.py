"""Casting: where a lesson's camera hangs, and whose gestures it can see well."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from synthroom.acting import perform
from synthroom.backdrop import Backdrop
from synthroom.camera import Camera, project
from synthroom.labels import Label, label
from synthroom.renderer import Crowd
from synthroom.scene import Scene
from synthroom.seeds import rng_of
from synthroom.sitting import BEHAVIOURS, HAND_RAISING, SLEEPING, STAND_UP, Draw
from synthroom.views import hang, over_the_class

LEAST_SHARE = {HAND_RAISING: 0.5, STAND_UP: 0.35, SLEEPING: 0.45}
LONG_SIDE_PX = {HAND_RAISING: 72, STAND_UP: 80, SLEEPING: 54}  # least longer side of the box, at 540 lines
SHORT_SIDE_PX = {HAND_RAISING: 36, STAND_UP: 30, SLEEPING: 34}
RIVAL_IOU = 0.2


def choose_camera(rng: np.random.Generator, scene: Scene, *, width: int, height: int, candidates: int = 120) -> Camera:
    """Of many cameras in the front corners, the one that has most pupils large and whole in its picture."""
    d = Draw(rng)
    cameras = [_in_a_front_corner(d, scene) for _ in range(candidates)]
    return max(cameras, key=lambda camera: _well_seen(scene, camera, width, height))


def _in_a_front_corner(d: Draw, scene: Scene) -> Camera:
    x, y = hang(d, scene.plan, "front")
    eye = (x, y, min(d.u(2.0, 3.2), scene.plan.height - 0.15))
    return Camera(eye, over_the_class(d, scene.plan, x), d.u(48, 80), float(d.rng.normal(0, 0.75)))


def _well_seen(scene: Scene, camera: Camera, width: int, height: int) -> float:
    vp = camera.projection(width / height) @ camera.view()
    score = 0.0
    for pupil in scene.pupils:
        top, desk = (np.array([[pupil.spot.x, pupil.spot.y, z]]) for z in (1.55, 0.7))
        high, low = (project(p, vp, width, height)[0] for p in (top, desk))
        if high[2] < 1.6 or low[2] < 1.6 or not (0 < high[0] < width and 0 < low[0] < width):
            continue
        if high[1] > 5 and low[1] < height - 25:
            score += min(float(low[1] - high[1]) / 85, 1.0) ** 2
    return score


@dataclass(frozen=True)
class Cast:
    """Boxes of the pupils whose gesture the camera sees well, in pixels: behaviour -> pupil -> x0, y0, x1, y1."""

    boxes: dict[str, dict[int, tuple[int, int, int, int]]]

    def pupils(self) -> dict[str, list[int]]:
        """Who may do what."""
        return {behaviour: list(found) for behaviour, found in self.boxes.items()}

    def rivals(self) -> dict[str, set[frozenset[int]]]:
        """Pairs whose boxes of one behaviour overlap so much that nobody could tell one from the other."""
        return {
            behaviour: {
                frozenset(pair) for pair in combinations(found, 2) if _iou(found[pair[0]], found[pair[1]]) > RIVAL_IOU
            }
            for behaviour, found in self.boxes.items()
        }


def _iou(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(width, 0) * max(height, 0)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return common / (sum(areas) - common)


def cast_pupils(scene: Scene, crowd: Crowd, backdrop: Backdrop, size_wh: tuple[int, int]) -> Cast:
    """Find the pupils whose gestures the camera sees well, trying one gesture of one pupil at a time.

    The others sit as they would; teachers are out of sight.
    """
    d = Draw(rng_of(scene.seed, 50))
    waiting = {p.number: p.posed(perform(p, "idle", d)) for p in scene.pupils}
    for number, body in waiting.items():
        crowd.place(number, body)
    out: dict[str, dict[int, tuple[int, int, int, int]]] = {name: {} for name in BEHAVIOURS}
    for behaviour in BEHAVIOURS:
        for pupil in scene.pupils:
            pose = perform(pupil, behaviour, d)
            body = pupil.posed(pose)
            crowd.place(pupil.number, body)
            picture = backdrop.draw(crowd, [])  # only the marks are needed: nothing is shaded
            found = label(picture, pupil, pose, body[:, :3], backdrop.view_projection)
            if found is not None and _good(found, size_wh):
                out[behaviour][pupil.number] = found.box_xyxy
            crowd.place(pupil.number, waiting[pupil.number])
    return Cast(out)


def _good(found: Label, size_wh: tuple[int, int]) -> bool:
    x0, y0, x1, y1 = found.box_xyxy
    width, height = size_wh
    inside = x0 > 0 and y0 > 0 and x1 < width and y1 < height
    scale = height / 540
    short, long = sorted((x1 - x0, y1 - y0))
    large = long >= LONG_SIDE_PX[found.behaviour] * scale and short >= SHORT_SIDE_PX[found.behaviour] * scale
    return inside and large and found.visible >= LEAST_SHARE[found.behaviour]
