"""Whose gestures a lesson's camera can see, and which camera is taken; nothing is drawn."""

import numpy as np
import pytest

from synthroom.camera import project
from synthroom.casting import Cast, _good, choose_camera
from synthroom.labels import Label
from synthroom.mesh import Box, boxes_mesh
from synthroom.scene import Scene
from tests.model.synthroom.test_views import PLAN, pupils

SIZE_WH = (960, 540)


def test_nobody_cast_has_no_rivals() -> None:
    assert Cast({"sleeping": {}}).rivals() == {"sleeping": set()}


def test_rivals_are_those_whose_boxes_of_one_behaviour_overlap() -> None:
    boxes = {1: (0, 0, 100, 100), 2: (50, 0, 150, 100), 3: (80, 0, 180, 100)}  # overlaps: 1/3, 1/9, 7/13
    cast = Cast({"sleeping": boxes, "stand-up": {1: (0, 0, 9, 9)}})
    assert cast.rivals() == {"sleeping": {frozenset({1, 2}), frozenset({2, 3})}, "stand-up": set()}
    assert cast.pupils() == {"sleeping": [1, 2, 3], "stand-up": [1]}


@pytest.mark.parametrize(
    ("box", "visible", "good"),
    [
        ((100, 100, 140, 180), 0.6, True),
        ((0, 100, 40, 180), 0.6, False),  # at the picture's edge
        ((100, 460, 140, 540), 0.6, False),
        ((100, 100, 140, 165), 0.6, False),  # not long enough
        ((100, 100, 130, 180), 0.6, False),  # too thin
        ((100, 100, 140, 180), 0.4, False),  # half hidden
    ],
)
def test_a_raised_hand_is_cast_where_it_is_large_whole_and_seen(
    box: tuple[int, int, int, int], visible: float, *, good: bool
) -> None:
    assert _good(Label("hand-raising", 1, box, visible), SIZE_WH) is good


def test_the_camera_that_is_taken_has_most_of_the_class_in_its_picture() -> None:
    nothing = boxes_mesh([Box((0, 0, 0), (1, 1, 1), (0.5, 0.5, 0.5))])
    scene = Scene(seed=1, plan=PLAN, pupils=pupils(), teachers=(), room=nothing, obstacles=())
    for seed in range(5):
        camera = choose_camera(np.random.default_rng(seed), scene, width=960, height=540)
        heads = np.array([(p.spot.x, p.spot.y, 1.1) for p in scene.pupils])
        x, y, depth = project(heads, camera.projection(16 / 9) @ camera.view(), *SIZE_WH).T
        assert ((x > 0) & (x < 960) & (y > 0) & (y < 540) & (depth > 0)).mean() > 0.7
