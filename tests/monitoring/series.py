"""Series of samples a step apart, written as promtool reads them."""

from collections.abc import Iterator
from itertools import accumulate


def gauge(*parts: tuple[int, float | None]) -> str:
    """So many samples of each value; None: no sample."""
    return " ".join("_" if value is None else f"{value:g}" for count, value in parts for _ in range(count))


def counter(*parts: tuple[int, float]) -> str:
    """Rises by so much at each of so many samples, from 0 on."""
    return " ".join(f"{value:.10g}" for value in accumulate(_rises(parts), initial=0))


def _rises(parts: tuple[tuple[int, float], ...]) -> Iterator[float]:
    for count, rise in parts:
        yield from [rise] * count
