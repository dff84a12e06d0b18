import numpy as np
import pytest

from synthroom.crew import own_renderer
from synthroom.renderer import Drawable, Renderer
from synthroom.scene import build_scene
from synthroom.seeds import picture_seed, rng_of
from synthroom.sitting import Draw
from synthroom.views import draw_light, draw_view


@pytest.mark.synth
def test_two_renderers_of_one_process_draw_what_each_draws_alone(renderer: Renderer) -> None:
    scene = build_scene(picture_seed("val", 3), pupils=(2, 2), teachers=0)
    d = Draw(rng_of(scene.seed, 9))
    camera, light = draw_view(d, scene.plan, scene.pupils, "wide"), draw_light(d, "day")
    room = Drawable(renderer, scene.room)
    alone = renderer.draw([room], camera, light)

    larger = own_renderer(2 * renderer.width, 2 * renderer.height)
    large = larger.draw([Drawable(larger, scene.room)], camera, light)
    again = renderer.draw([room], camera, light)

    assert large.rgb.shape == (2 * renderer.height, 2 * renderer.width, 3)
    assert abs(large.rgb.mean() - alone.rgb.mean()) < 5
    assert np.array_equal(again.rgb, alone.rgb)
