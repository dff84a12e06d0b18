"""A body of flat squares in a hand-made id buffer of 100 x 100 pixels; the camera is the identity."""

import numpy as np
import numpy.typing as npt
import pytest

from synthroom.bodies import ARM_LEFT, HAND_LEFT, HEAD, LEGS, TORSO, BodyModel, Shape, Skeleton
from synthroom.labels import label, projected_area, visible_box
from synthroom.people import Person, Spot
from synthroom.renderer import Picture
from synthroom.sitting import Pose, Sitter

SIDE = 100
# part -> its square in pixels (x0, y0, x1, y1)
BODY = {
    HEAD: (40, 10, 60, 30),
    TORSO: (30, 30, 70, 60),
    HAND_LEFT: (72, 5, 80, 15),
    ARM_LEFT: (70, 15, 80, 40),
    LEGS: (30, 60, 70, 95),
}


def cloud(square: tuple[int, int, int, int]) -> npt.NDArray[np.float32]:
    x0, y0, x1, y1 = square
    xs, ys = np.meshgrid(np.linspace(x0, x1, 60), np.linspace(y0, y1, 60))
    return np.stack([xs.ravel() / SIDE * 2 - 1, 1 - ys.ravel() / SIDE * 2, np.zeros(3600)], 1).astype(np.float32)


def person() -> tuple[Person, npt.NDArray[np.float32]]:
    vertices = np.concatenate([cloud(square) for square in BODY.values()])
    parts = np.repeat(np.array(list(BODY), dtype=np.uint8), 3600)
    nothing = np.zeros((0, 3), np.float32)
    model = BodyModel(
        Skeleton((), (), {}), np.zeros(0, np.int32), nothing, nothing, parts, {}, {}, np.zeros(0, np.int32), None
    )
    shape = Shape(nothing, nothing, np.zeros((0, 3)), np.zeros(3))
    triangles = np.arange(len(vertices), dtype=np.int32).reshape(-1, 3)
    sitter = Sitter(model, shape, {}, 0.0, 0.0, 0.4)
    return Person(7, sitter, shape, np.zeros(0, np.dtype("V1")), triangles, triangles, Spot(0, 0, 0), None), vertices


def picture(hidden: tuple[int, ...] = (), covered: tuple[int, int, int, int] | None = None) -> Picture:
    persons, parts = np.zeros((SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    for part, (x0, y0, x1, y1) in BODY.items():
        if part not in hidden:
            persons[y0:y1, x0:x1], parts[y0:y1, x0:x1] = 7, part
    if covered is not None:
        x0, y0, x1, y1 = covered
        persons[y0:y1, x0:x1], parts[y0:y1, x0:x1] = 3, TORSO
    return Picture(np.zeros((SIDE, SIDE, 3), np.uint8), persons, parts)


def pose(kind: str, raised: str | None = None) -> Pose:
    return Pose(kind, np.zeros((0, 4)), np.zeros(3), raised)


def boxed(seen: Picture, doing: Pose) -> tuple[int, int, int, int] | None:
    somebody, vertices = person()
    found = label(seen, somebody, doing, vertices, np.eye(4))
    return None if found is None else found.box_xyxy


def test_nobody_in_the_picture_gets_no_box() -> None:
    assert boxed(picture(hidden=tuple(BODY)), pose("stand-up/down")) is None


def test_an_empty_mask_has_no_box() -> None:
    with pytest.raises(ValueError, match="expected at least one visible pixel, found none"):
        visible_box(np.zeros((4, 4), dtype=np.bool_))


def test_one_pixel_is_a_box_of_one_pixel() -> None:
    mask = np.zeros((5, 9), dtype=np.bool_)
    mask[3, 7] = True
    assert visible_box(mask) == (7, 3, 8, 4)


def test_a_stray_pixel_does_not_stretch_a_box() -> None:
    mask = np.zeros((200, 200), dtype=np.bool_)
    mask[100:150, 100:140] = True  # 2,000 pixels: two may be spared on each side
    mask[0, 0] = mask[199, 199] = True
    assert visible_box(mask) == (100, 100, 140, 150)


def test_standing_is_all_that_is_visible_of_the_pupil() -> None:
    assert boxed(picture(), pose("stand-up/down")) == (30, 5, 80, 95)


def test_a_raised_hand_is_the_upper_body_with_the_arm() -> None:
    assert boxed(picture(), pose("hand-raising/bent", "L")) == (30, 5, 80, 60)


def test_sleeping_is_head_arms_and_trunk() -> None:
    assert boxed(picture(), pose("sleeping/folded")) == (30, 5, 80, 60)


def test_what_a_neighbour_hides_is_outside_the_box() -> None:
    assert boxed(picture(covered=(0, 0, 40, 100)), pose("stand-up/down")) == (40, 5, 80, 95)


@pytest.mark.parametrize("kind", ["listen", "propped", "stretch", "hand-raising"])
def test_what_is_no_behaviour_gets_no_box(kind: str) -> None:
    assert boxed(picture(), pose(kind)) is None


def test_a_raised_hand_that_is_hidden_is_no_raised_hand() -> None:
    assert boxed(picture(hidden=(HAND_LEFT,)), pose("hand-raising/bent", "L")) is None


def test_a_body_that_is_mostly_hidden_gets_no_box() -> None:
    assert boxed(picture(hidden=(TORSO, LEGS, HEAD, HAND_LEFT)), pose("stand-up/down")) is None


def test_a_visible_third_is_enough() -> None:
    somebody, vertices = person()
    found = label(
        picture(hidden=(LEGS, HEAD, HAND_LEFT, ARM_LEFT)), somebody, pose("stand-up/down"), vertices, np.eye(4)
    )
    assert found is not None
    assert found.box_xyxy == (30, 30, 70, 60)
    assert 0.3 < found.visible < 0.5  # 1,200 of 3,330 pixels


def test_a_box_under_sixteen_pixels_is_dropped() -> None:
    somebody, vertices = person()
    seen = picture(hidden=tuple(BODY))
    seen.persons[50:65, 50:65], seen.parts[50:65, 50:65] = 7, TORSO
    small = label(seen, somebody, pose("stand-up/down"), vertices * 0.1, np.eye(4))
    assert small is None


def test_a_world_may_label_smaller_boxes() -> None:
    somebody, vertices = person()
    seen = picture(hidden=tuple(BODY))
    seen.persons[50:62, 50:62], seen.parts[50:62, 50:62] = 7, TORSO
    found = [
        label(seen, somebody, pose("stand-up/down"), vertices * 0.1, np.eye(4), least_px=least) for least in (12, 13)
    ]
    assert [None if one is None else one.box_xyxy for one in found] == [(50, 50, 62, 62), None]


def test_behind_a_lens_the_box_is_where_the_pixels_are_and_the_share_that_of_the_straight_picture() -> None:
    somebody, vertices = person()
    shifted = picture(hidden=tuple(BODY))
    shifted.persons[40:52, 10:30], shifted.parts[40:52, 10:30] = 7, TORSO  # too few pixels for a share of their own
    found = label(shifted, somebody, pose("stand-up/down"), vertices, np.eye(4), straight=picture())
    hidden = label(picture(), somebody, pose("stand-up/down"), vertices, np.eye(4), straight=picture(tuple(BODY)))

    assert found is not None
    assert found.box_xyxy == (10, 40, 30, 52)
    assert found.visible > 0.8
    assert hidden is None


def test_the_area_of_a_free_square_is_nearly_its_own() -> None:
    points = np.stack(np.meshgrid(np.linspace(0, 40, 80), np.linspace(0, 40, 80)), -1).reshape(-1, 2)
    area = projected_area(np.concatenate([points, np.ones((6400, 1))], 1))
    assert area == pytest.approx(1600, rel=0.25)


def test_a_body_behind_the_camera_covers_everything_and_shows_no_share() -> None:
    assert projected_area(np.array([[0, 0, -1.0], [5, 5, 1.0]])) == float("inf")
