"""Seeds: which numbers belong to which split, so that no two splits share a room or a body."""

import numpy as np

SPLITS = ("train", "val", "test", "demo", "rooms", "hard", "tiny", "dark")
_STEP = 10_000_000
SEED_RANGES = {name: range(_STEP * (i + 1), _STEP * (i + 2)) for i, name in enumerate(SPLITS)}
LESSON_OFFSET = _STEP // 2  # lessons take the upper half of a split's seeds, pictures the lower


def picture_seed(split: str, scene: int) -> int:
    """Seed of a split's n-th scene of pictures; raises ValueError beyond the split's range."""
    return _seed(split, scene, 0, LESSON_OFFSET)


def lesson_seed(split: str, lesson: int) -> int:
    """Seed of a split's n-th lesson; raises ValueError beyond the split's range."""
    return _seed(split, lesson, LESSON_OFFSET, _STEP)


def _seed(split: str, number: int, low: int, high: int) -> int:
    if split not in SEED_RANGES:
        raise ValueError(f"split {split!r}: expected one of {', '.join(SPLITS)}")
    if not 0 <= number < high - low:
        raise ValueError(f"number {number} of split {split!r}: expected 0 to {high - low - 1}")
    return SEED_RANGES[split].start + low + number


def rng_of(seed: int, *stream: int) -> np.random.Generator:
    """Random numbers of one stream of one seed; streams never touch each other."""
    return np.random.default_rng([seed, *stream])
