"""Waiting before another attempt."""

import random

from classpulse.ingest.backoff import Backoff


class Fixed(random.Random):
    """Always the same number."""

    def __init__(self, number: float) -> None:
        super().__init__(0)
        self._number = number

    def random(self) -> float:
        return self._number


def test_waits_double_from_half_a_second_up_to_thirty() -> None:
    backoff = Backoff(Fixed(1.0))
    assert [backoff.next_ms() for _ in range(9)] == [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]


def test_jitter_shortens_a_wait_by_up_to_half() -> None:
    backoff = Backoff(Fixed(0.0))
    assert [backoff.next_ms() for _ in range(3)] == [250, 500, 1_000]


def test_cameras_that_fail_together_do_not_come_back_together() -> None:
    waits = {Backoff(random.Random(seed)).next_ms() for seed in range(40)}
    assert len(waits) > 20


def test_a_success_makes_the_next_failure_a_first_one() -> None:
    backoff = Backoff(Fixed(1.0))
    for _ in range(100):
        backoff.next_ms()
    assert backoff.next_ms() == 30_000
    backoff.reset()
    assert backoff.next_ms() == 500
