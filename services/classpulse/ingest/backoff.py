"""camera → ingest: how long to wait before trying again. Pure, given its randomness."""

import random

FIRST_MS = 500
MOST_MS = 30_000


class Backoff:
    """Doubling waits from `FIRST_MS` to `MOST_MS`, each shortened by up to half so that cameras do not come back at once."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._failures = 0

    def next_ms(self) -> int:
        """The wait after one more failure."""
        whole_ms = min(FIRST_MS << min(self._failures, 16), MOST_MS)
        self._failures += 1
        return round(whole_ms * (0.5 + 0.5 * self._rng.random()))

    def reset(self) -> None:
        """It worked: the next failure is a first one."""
        self._failures = 0
