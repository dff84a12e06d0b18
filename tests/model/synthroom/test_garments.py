"""What people wear, before a body wears it."""

import numpy as np

from synthroom.garments import CUTS, DressCode, colour, draw_dress_code, draw_outfit


def test_no_cloth_has_the_colour_of_skin() -> None:
    rng = np.random.default_rng(0)
    drawn = [colour(rng, saturation=saturation) for saturation in (0.2, 0.6, 0.95) for _ in range(300)]
    assert not [one for one in drawn if one[0] > one[1] > one[2] and one[0] < 2.2 * one[2]]


def test_in_uniform_shirts_are_alike_and_nobody_wears_a_hood() -> None:
    code = DressCode(shirt=(0.1, 0.2, 0.6), cut="scarf", second=(0.6, 0.0, 0.0), looseness_m=0.02)
    rng = np.random.default_rng(1)
    same = [draw_outfit(rng, girl=bool(i % 2), uniform=code) for i in range(80)]
    free = [draw_outfit(rng, girl=bool(i % 2), uniform=None) for i in range(80)]

    assert {(one.shirt, one.cut, one.second, one.looseness_m, one.hood) for one in same} == {
        ((0.1, 0.2, 0.6), "scarf", (0.6, 0.0, 0.0), 0.02, False)
    }
    assert len({one.shirt for one in free}) == len({one.pants for one in same}) == 80
    assert {one.cut for one in free} == set(CUTS)
    assert any(one.hood for one in free)


def test_only_girls_have_long_hair_and_about_half_of_the_schools_have_a_dress_code() -> None:
    rng = np.random.default_rng(2)
    assert not any(draw_outfit(rng, girl=False, uniform=None).long_hair for _ in range(50))
    assert any(draw_outfit(rng, girl=True, uniform=None).long_hair for _ in range(50))
    assert 0.3 < np.mean([draw_dress_code(rng) is not None for _ in range(300)]) < 0.6
