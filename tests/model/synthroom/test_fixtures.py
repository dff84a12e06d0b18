"""What a classroom has besides desks; nothing is rendered."""

from dataclasses import replace

import numpy as np
import pytest

from synthroom.fixtures import _MAKERS, SHARES, fixtures
from synthroom.layout import draw_plan
from synthroom.mesh import Box

PLANS = [draw_plan(np.random.default_rng(seed), pupils=20, scale=0.7) for seed in range(6)]
SHALLOW = replace(PLANS[0], bounds=(-3.0, -1.5, 3.0, 1.4))
"""One row of small pupils, the least room in front and behind."""
WALL_M = 0.05
"""Half a wall's thickness: what reaches no further into the room is inside the wall."""


def is_door(box: Box) -> bool:
    return box.size == (0.1, 0.9, 2.06)


def test_rooms_have_doors_as_often_as_stated() -> None:
    with_door = [any(map(is_door, fixtures(np.random.default_rng(seed), PLANS[0]))) for seed in range(300)]
    assert np.mean(with_door) == pytest.approx(SHARES["door"], abs=0.1)


@pytest.mark.parametrize("name", list(SHARES))
def test_fixtures_are_inside_the_room_and_not_hidden_in_its_walls(name: str) -> None:
    for seed, plan in enumerate([*PLANS, *[SHALLOW] * 20]):
        x0, y0, x1, y1 = plan.bounds
        low, high = np.array([x0, y0, 0.0]), np.array([x1, y1, plan.height])
        boxes = _MAKERS[name](np.random.default_rng(seed), plan)
        assert boxes
        for box in boxes:
            centre, half = np.array(box.centre), np.array(box.size) / 2
            assert (low - 0.01 <= centre).all(), box
            assert (centre <= high + 0.01).all(), box
            if box.yaw == box.tilt == 0:
                assert (centre[:2] + half[:2] > low[:2] + WALL_M).all(), box
                assert (centre[:2] - half[:2] < high[:2] - WALL_M).all(), box
