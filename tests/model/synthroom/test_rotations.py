import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthroom.rotations import about, about_vector, arc, blend, to_matrices, to_quaternions

ANGLE = st.floats(-180, 180)
NUMBER = st.floats(-1, 1)


def test_no_rotations_give_no_quaternions() -> None:
    assert to_quaternions(np.zeros((0, 3, 3))).shape == (0, 4)


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    np.testing.assert_allclose(about("z", 90) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_leaning_forwards_takes_up_to_the_front() -> None:
    np.testing.assert_allclose(about("x", 90) @ [0, 0, 1], [0, -1, 0], atol=1e-12)


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_turning_about_a_vector_is_turning_about_its_axis(axis: str) -> None:
    vector = {"x": [2.0, 0, 0], "y": [0, 0.5, 0], "z": [0, 0, 3.0]}[axis]
    np.testing.assert_allclose(about_vector(np.array(vector), 33), about(axis, 33), atol=1e-12)


@given(st.tuples(NUMBER, NUMBER, NUMBER), st.tuples(NUMBER, NUMBER, NUMBER))
def test_an_arc_takes_one_direction_to_the_other(start: tuple[float, ...], end: tuple[float, ...]) -> None:
    a, b = np.array(start), np.array(end)
    if min(np.linalg.norm(a), np.linalg.norm(b)) < 0.1:
        return
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    if a @ b < -0.99:
        return  # opposite directions have no shortest way
    np.testing.assert_allclose(arc(a, b) @ a, b, atol=1e-6)


@given(ANGLE, st.tuples(NUMBER, NUMBER, NUMBER))
def test_quaternions_and_matrices_are_two_names_of_one_turn(angle: float, axis: tuple[float, ...]) -> None:
    if np.linalg.norm(axis) < 0.1:
        return
    matrix = about_vector(np.array(axis), angle)
    np.testing.assert_allclose(to_matrices(to_quaternions(matrix)), matrix, atol=1e-9)


def test_a_blend_begins_at_the_start_ends_at_the_end_and_is_halfway_between() -> None:
    start, end = (to_quaternions(about("x", angle)) for angle in (0, 80))
    np.testing.assert_allclose(blend(start, end, 0), start)
    np.testing.assert_allclose(blend(start, end, 1), end)
    np.testing.assert_allclose(to_matrices(blend(start, end, 0.5)), about("x", 40), atol=1e-12)


def test_a_blend_goes_the_short_way_round() -> None:
    start, end = to_quaternions(about("z", 170)), -to_quaternions(about("z", -170))
    np.testing.assert_allclose(to_matrices(blend(start, end, 0.5)), about("z", 180), atol=1e-12)
