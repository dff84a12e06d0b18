import math

import numpy as np
import pytest

from synthroom.camera import bent, project
from synthroom.layout import draw_plan
from synthroom.lens import bend, block
from synthroom.people import Person, Spot
from synthroom.renderer import Picture
from synthroom.sitting import Draw
from synthroom.views import CLOSER, LIGHTS, PLACES, VIEWS, draw_light, draw_view, hang
from tests.model.synthroom.test_labels import person

PLAN = draw_plan(np.random.default_rng(3), pupils=20, scale=0.7, kinds=("double",))


def pupils() -> tuple[Person, ...]:
    somebody, _ = person()
    return tuple(
        Person(i + 1, somebody.sitter, *[None] * 4, Spot(*desk.to_room(0, 0), 0.0), None)  # type: ignore[arg-type]
        for i, desk in enumerate(PLAN.desks)
    )


@pytest.mark.parametrize("view", list(VIEWS))
def test_cameras_hang_inside_the_room_two_to_three_metres_high(view: str) -> None:
    x0, y0, x1, y1 = PLAN.bounds
    for seed in range(40):
        camera = draw_view(Draw(np.random.default_rng(seed)), PLAN, pupils(), view)
        x, y, z = camera.eye
        assert x0 < x < x1
        assert y0 < y < y1
        assert 2.0 <= z <= min(3.2, PLAN.height)


@pytest.mark.parametrize("place", list(PLACES))
def test_a_camera_hangs_by_the_wall_that_its_place_names(place: str) -> None:
    x0, y0, x1, y1 = PLAN.bounds
    for seed in range(20):
        x, y = hang(Draw(np.random.default_rng(seed)), PLAN, place)
        away = {"front": y - y0, "middle": y - y0, "back": y1 - y, "side": min(x - x0, x1 - x)}[place]
        assert 0.2 <= away <= 0.6


def test_only_wide_lenses_bend_lines_much() -> None:
    cameras = [
        draw_view(Draw(np.random.default_rng(seed)), PLAN, pupils(), view) for view in VIEWS for seed in range(60)
    ]
    bent_much = {wide: [c.barrel > 0.06 for c in cameras if (c.fov_deg > 65) == wide] for wide in (True, False)}
    assert 0.4 < np.mean(bent_much[True]) < 0.8
    assert not any(bent_much[False])


def test_wide_views_use_lenses_of_60_to_110_degrees_and_some_bend_lines() -> None:
    drawn = [draw_view(Draw(np.random.default_rng(seed)), PLAN, pupils(), "wide") for seed in range(60)]
    assert all(60 <= camera.fov_deg <= 110 for camera in drawn)
    assert {camera.barrel > 0 for camera in drawn} == {True, False}


@pytest.mark.parametrize("view", list(CLOSER))
def test_a_closer_view_shows_a_body_of_a_metre_at_the_stated_share_of_the_height(view: str) -> None:
    low, high = CLOSER[view]
    for seed in range(30):
        camera = draw_view(Draw(np.random.default_rng(seed)), PLAN, pupils(), view)
        up = np.cross(np.subtract(camera.target, camera.eye), [0, 0, 1])
        up = np.cross(up, np.subtract(camera.target, camera.eye))
        ends = np.array([camera.target, camera.target]) + np.outer([-0.5, 0.5], up / np.linalg.norm(up))
        pixels = project(ends, camera.projection(16 / 9) @ camera.view(), 1600, 900)
        share = math.dist(pixels[0, :2], pixels[1, :2]) / 900
        assert low * 0.9 < share < high * 1.15 or camera.fov_deg in (8, 100)


def test_a_dim_room_has_less_light_than_a_sunny_one() -> None:
    strength = {
        kind: np.mean([sum(draw_light(Draw(np.random.default_rng(s)), kind).sky) for s in range(20)]) for kind in LIGHTS
    }
    assert strength["dim"] < strength["lamps"] < strength["day"]


def test_the_sun_is_strongest_at_a_window_and_the_lamps_where_there_is_no_sun() -> None:
    drawn = {kind: [draw_light(Draw(np.random.default_rng(s)), kind) for s in range(20)] for kind in LIGHTS}
    sun, lamp = (
        {kind: np.mean([getattr(light, key) for light in found]) for kind, found in drawn.items()}
        for key in ("sun", "lamp")
    )
    assert max(sun["lamps"], sun["dim"]) < 0.1 * sun["day"] < sun["day"] < sun["window"]
    assert lamp["dim"] < lamp["window"] < lamp["day"] < lamp["lamps"]


def test_a_lens_without_bend_moves_nothing() -> None:
    x, y = bent(16, 9, 0.0)
    np.testing.assert_allclose(x[0], np.arange(16), atol=1e-5)
    np.testing.assert_allclose(y[:, 0], np.arange(9), atol=1e-5)


def test_a_bent_lens_keeps_the_corners_and_magnifies_the_middle() -> None:
    x, y = bent(160, 90, 0.25)
    assert abs(x[0, 0]) < 0.3
    assert abs(y[0, 0]) < 0.3
    assert x[45, 81] - x[45, 80] == pytest.approx(1 / 1.25, abs=0.01)


def test_marks_are_bent_as_the_pixels_are() -> None:
    rgb, persons = np.zeros((90, 160, 3), np.uint8), np.zeros((90, 160), np.uint8)
    rgb[20:40, 30:60], persons[20:40, 30:60] = 200, 5
    out = bend(Picture(rgb, persons, persons // 2), 0.3)
    assert set(np.unique(out.persons)) == {0, 5}
    assert np.array_equal(out.parts, out.persons // 2)
    assert ((out.rgb[..., 0] > 100) == (out.persons == 5)).mean() > 0.99
    assert not np.array_equal(out.persons, persons)


def test_what_is_behind_something_near_is_no_longer_marked() -> None:
    grey = Picture(
        np.full((90, 160, 3), 90, np.uint8), np.full((90, 160), 3, np.uint8), np.full((90, 160), 1, np.uint8)
    )
    for seed in range(10):
        out = block(grey, Draw(np.random.default_rng(seed)))
        hidden = out.persons == 0
        assert 0.001 < hidden.mean() < 0.6
        assert np.array_equal(hidden, out.parts == 0)
