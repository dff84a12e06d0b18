import numpy as np
import pytest

from synthroom.backdrop import Backdrop, merged
from synthroom.classroom import pose_class
from synthroom.renderer import Crowd, Drawable, Renderer
from synthroom.scene import build_scene
from synthroom.seeds import picture_seed, rng_of
from synthroom.sitting import Draw
from synthroom.views import draw_light, draw_view


def test_no_rectangles_stay_none() -> None:
    assert merged([]) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([(0, 0, 10, 10), (50, 50, 60, 60)], {(0, 0, 10, 10), (50, 50, 60, 60)}),
        ([(0, 0, 10, 10), (2, 2, 8, 8)], {(0, 0, 10, 10)}),
        ([(0, 0, 10, 10), (5, 0, 15, 10)], {(0, 0, 15, 10)}),
        ([(0, 0, 10, 10), (20, 0, 30, 10), (5, 0, 25, 10)], {(0, 0, 30, 10)}),
        ([(0, 0, 10, 10), (9, 9, 30, 30)], {(0, 0, 10, 10), (9, 9, 30, 30)}),
    ],
)
def test_rectangles_join_where_that_shades_no_more(
    given: list[tuple[int, int, int, int]], expected: set[tuple[int, int, int, int]]
) -> None:
    assert set(merged(given)) == expected


@pytest.mark.synth
def test_shading_only_what_moved_gives_the_whole_picture(renderer: Renderer) -> None:
    scene = build_scene(picture_seed("val", 3), pupils=(5, 5), teachers=0)
    rng = rng_of(scene.seed, 9)
    room, crowd = Drawable(renderer, scene.room), Crowd(renderer, scene.people)
    d = Draw(rng)
    camera, light = draw_view(d, scene.plan, scene.pupils, "wide"), draw_light(d, "day")
    before = [p.posed(pose) for p, pose in zip(scene.pupils, pose_class(scene, rng), strict=True)]
    for pupil, body in zip(scene.pupils, before, strict=True):
        crowd.place(pupil.number, body)
    alone = renderer.draw([crowd, room], camera, light)
    backdrop = Backdrop(renderer, room, camera, light)
    assert np.array_equal(backdrop.draw(crowd).rgb, alone.rgb)
    rectangles = []
    for pupil, pose, old in zip(scene.pupils, pose_class(scene, rng), before, strict=True):
        body = pupil.posed(pose)
        crowd.place(pupil.number, body)
        if (touched := backdrop.touched(old, body)) is not None:
            rectangles.append(touched)
    partly, wholly = backdrop.draw(crowd, rectangles), renderer.draw([crowd, room], camera, light)
    assert not np.array_equal(wholly.rgb, alone.rgb)
    assert np.array_equal(partly.rgb, wholly.rgb)
    assert np.array_equal(partly.persons, wholly.persons)
