"""Which score is taken of a curve: not a lone peak, and of scores that are alike the lowest."""

from benchmarks.operating_point import best


def curve(*f1: float) -> list[dict[str, float]]:
    return [{"score": place / 10, "f1": value} for place, value in enumerate(f1)]


def test_a_broad_top_is_taken_before_a_lone_peak() -> None:
    assert best(curve(0.0, 0.0, 1.0, 0.0, 0.0, 0.6, 0.6, 0.6, 0.6, 0.6, 0.0)) == 0.7


def test_of_scores_that_are_alike_the_lowest_is_taken() -> None:
    assert best(curve(0.5, 0.7, 0.7, 0.7, 0.7, 0.7, 0.703, 0.703, 0.5)) == 0.3
