"""The metrics of an actor, shown by Ray: on the metrics port of the node where it is, under their names with `ray_` before them."""

import os
from typing import Any

from ray.util import metrics as ray_metrics

from classpulse.telemetry import Counting, Measuring, Row, Showing


class OnRay:
    """A `Maker`. Two labels more say whose series it is: `worker`, which stays, and `pid`.

    Ray shows the counters of a process for as long as its node lives, and tells those that came after it by WorkerId alone, which
    whoever scrapes drops: without `pid` a dead worker's would hide its successor's.
    """

    def __init__(self, worker: str) -> None:
        self._whose = {"worker": worker, "pid": str(os.getpid())}

    def counter(self, row: Row) -> Counting:
        """As `Maker.counter`."""
        return self._series(ray_metrics.Counter(row.name, row.meaning, self._tags(row)), row)

    def gauge(self, row: Row) -> Showing:
        """As `Maker.gauge`."""
        return self._series(ray_metrics.Gauge(row.name, row.meaning, self._tags(row)), row)

    def histogram(self, row: Row) -> Measuring:
        """As `Maker.histogram`."""
        return self._series(ray_metrics.Histogram(row.name, row.meaning, [*row.buckets], self._tags(row)), row)

    def _tags(self, row: Row) -> tuple[str, ...]:
        return (*row.labels, *self._whose)

    def _series(self, made: Any, row: Row) -> "_Series":
        return _Series(made, row.labels, self._whose)


class _Series:
    """A metric of Ray's, with the tags that are known of it."""

    def __init__(self, made: Any, labels: tuple[str, ...], tags: dict[str, str]) -> None:
        self._made, self._labels, self._tags = made, labels, tags

    def labels(self, *values: str) -> "_Series":
        """The one of these labels' values."""
        return _Series(self._made, (), self._tags | dict(zip(self._labels, values, strict=True)))

    def remove(self, *_values: str) -> None:
        """Nothing: Ray shows a series for as long as its process lives."""

    def inc(self, amount: float = 1) -> None:
        """Raise it; Ray takes no 0."""
        if amount:
            self._made.inc(amount, self._tags)

    def set(self, value: float) -> None:
        """Replace it."""
        self._made.set(value, self._tags)

    def observe(self, amount: float) -> None:
        """One more of them."""
        self._made.observe(amount, self._tags)
