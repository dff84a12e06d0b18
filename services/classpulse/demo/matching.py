"""The demo, truth against finding: one-to-one matching of stretches of time, as large as it can be.

Stretches may be matched when their temporal intersection over union reaches LEAST_IOU. A greedy choice can take away
the only partner of another; augmenting paths (Kuhn's algorithm for bipartite graphs) cannot, and so no order of the
input changes how many are matched.
"""

from collections.abc import Sequence
from dataclasses import dataclass

LEAST_IOU = 0.3

Stretch = tuple[int, int]
"""Half-open `[start_ms, end_ms)`."""


@dataclass(frozen=True)
class Counts:
    """How often a behaviour truly was, was found, was missed, and was found without being true."""

    true: int = 0
    found: int = 0
    missed: int = 0
    false: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.true + other.true, self.found + other.found, self.missed + other.missed, self.false + other.false
        )

    @property
    def precision(self) -> float | None:
        """The share of findings that are true; None without findings."""
        return _share(self.found, self.found + self.false)

    @property
    def recall(self) -> float | None:
        """The share of true events that were found; None without true events."""
        return _share(self.found, self.true)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of both; None when there was nothing to find and nothing was found."""
        return _share(2 * self.found, 2 * self.found + self.missed + self.false)


@dataclass(frozen=True)
class Matching:
    """Which true stretch goes with which found one (by their places in the input), and the found ones that are false."""

    found_of_true: dict[int, int]
    false: frozenset[int]
    counts: Counts


def iou(one: Stretch, other: Stretch) -> float:
    """Temporal intersection over union, 0..1; 0 where either is empty."""
    common_ms = min(one[1], other[1]) - max(one[0], other[0])
    if common_ms <= 0:
        return 0.0
    return common_ms / (max(one[1], other[1]) - min(one[0], other[0]))


def matched(true: Sequence[Stretch], found: Sequence[Stretch], least_iou: float = LEAST_IOU) -> dict[int, int]:
    """A largest one-to-one matching, true place → found place; pairs are offered by their overlap, the largest first."""
    overlaps = ((iou(t, f), i, j) for i, t in enumerate(true) for j, f in enumerate(found))
    partners: list[list[int]] = [[] for _ in true]
    true_of_found: dict[int, int] = {}
    for _, i, j in sorted((-overlap, i, j) for overlap, i, j in overlaps if overlap >= least_iou):
        partners[i].append(j)
        for one in sorted(set(range(len(true))) - set(true_of_found.values())):
            _augment(one, partners, true_of_found, set())
    return {i: j for j, i in sorted(true_of_found.items(), key=lambda pair: pair[1])}


def measure(true: Sequence[Stretch], found: Sequence[Stretch], others: Sequence[Stretch] = ()) -> Matching:
    """Match and count. A finding left over that matches one of `others` (true, but not asked for) is not false."""
    found_of_true = matched(true, found)
    left = [j for j in range(len(found)) if j not in set(found_of_true.values())]
    excused = {left[j] for j in matched(others, [found[j] for j in left]).values()}
    false = frozenset(left) - excused
    counts = Counts(len(true), len(found_of_true), len(true) - len(found_of_true), len(false))
    return Matching(found_of_true, false, counts)


def _augment(i: int, partners: Sequence[Sequence[int]], true_of_found: dict[int, int], tried: set[int]) -> bool:
    """Give true stretch `i` a partner, moving others to their next choice where that frees one."""
    for j in partners[i]:
        if j in tried:
            continue
        tried.add(j)
        if j not in true_of_found or _augment(true_of_found[j], partners, true_of_found, tried):
            true_of_found[j] = i
            return True
    return False


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
