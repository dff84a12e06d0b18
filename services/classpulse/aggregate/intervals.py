"""aggregate, the arithmetic of time: sorted, disjoint, half-open runs of integer milliseconds. Pure."""

from collections.abc import Callable, Iterable, Sequence

Run = tuple[int, int]
"""`[start, end)`."""
Level = tuple[int, int, int]
"""`[start, end)` and how many there were."""


def measure(runs: Iterable[Run]) -> int:
    """How long disjoint runs last together."""
    return sum(end - start for start, end in runs)


def union(runs: Iterable[Run]) -> list[Run]:
    """The time in at least one run; touching runs become one."""
    joined: list[Run] = []
    for start, end in sorted(runs):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        elif end > start:
            joined.append((start, end))
    return joined


def without(runs: Sequence[Run], taken: Sequence[Run]) -> list[Run]:
    """The time of `runs` that is in none of `taken`; both sorted and disjoint."""
    left: list[Run] = []
    for start, end in runs:
        at = start
        for cut_start, cut_end in taken:
            if cut_end <= at or cut_start >= end:
                continue
            if cut_start > at:
                left.append((at, cut_start))
            at = max(at, cut_end)
        if at < end:
            left.append((at, end))
    return left


def within(runs: Iterable[Run], start: int, end: int) -> list[Run]:
    """The part of the runs inside `[start, end)`."""
    return [(max(s, start), min(e, end)) for s, e in runs if s < end and e > start]


def extend(runs: list[Run], start: int, end: int) -> None:
    """Add `[start, end)` behind runs that lie before it; what touches the last becomes part of it."""
    if runs and runs[-1][1] == start:
        runs[-1] = (runs[-1][0], end)
    else:
        runs.append((start, end))


def extend_level(levels: list[Level], start: int, end: int, count: int) -> None:
    """Add a level behind others; one that touches the last and is as high becomes part of it."""
    if levels and levels[-1][1] == start and levels[-1][2] == count:
        levels[-1] = (levels[-1][0], end, count)
    else:
        levels.append((start, end, count))


def overlay(functions: Sequence[Sequence[Level]], combine: Callable[[Iterable[int]], int]) -> tuple[int, int]:
    """(integral, greatest value) of several step functions combined at every millisecond, by `max` or `sum`.

    Between its levels a function is 0.
    """
    if len(functions) == 1:
        levels = functions[0]
        return sum((end - start) * n for start, end, n in levels), max((n for _, _, n in levels), default=0)
    edges = sorted(
        edge
        for which, levels in enumerate(functions)
        for start, end, n in levels
        for edge in ((end, 0, which, 0), (start, 1, which, n))
    )
    values = [0] * len(functions)
    integral = peak = last = 0
    for at, _, which, n in edges:
        if at > last:
            height = combine(values)
            integral += (at - last) * height
            peak = max(peak, height)
        values[which], last = n, at
    return integral, peak
