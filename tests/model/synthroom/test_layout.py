import numpy as np
import pytest

from synthroom.layout import KINDS, draw_plan
from synthroom.mesh import Box, boxes_mesh


def test_a_desk_turned_by_ninety_degrees_faces_the_other_wall() -> None:
    plan = draw_plan(np.random.default_rng(1), pupils=12, scale=0.7, kinds=("groups",))
    desk = plan.desks[0]
    ahead = np.subtract(desk.to_room(0, -1), desk.to_room(0, 0))
    yaw = np.radians(desk.yaw)
    np.testing.assert_allclose(ahead, [np.sin(yaw), -np.cos(yaw)], atol=1e-12)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("pupils", [1, 12, 30])
def test_every_room_seats_its_pupils_between_its_walls(kind: str, pupils: int) -> None:
    for seed in range(20):
        plan = draw_plan(np.random.default_rng(seed), pupils=pupils, scale=0.7, kinds=(kind,))
        seats = [desk.to_room(offset, 0) for desk in plan.desks for offset in desk.seats]
        x0, y0, x1, y1 = plan.bounds
        assert len(seats) >= pupils
        assert all(x0 + 0.2 < x < x1 - 0.2 and y0 + 0.4 < y < y1 - 0.2 for x, y in seats)


def test_a_box_has_six_faces_that_look_outwards() -> None:
    mesh = boxes_mesh([Box((1, 2, 3), (2, 4, 6), (0.5, 0.5, 0.5), yaw=30)])
    assert (mesh.moving.shape, mesh.triangles.shape) == ((24, 6), (12, 3))
    outwards = ((mesh.moving[:, :3] - [1, 2, 3]) * mesh.moving[:, 3:]).sum(1)
    np.testing.assert_allclose(sorted(set(outwards.round(5).tolist())), [1, 2, 3])
