"""How a member of an embedded bus reads: its in-memory positions, fair over partitions, knowing what it missed.

Shared by the buses that keep their own log (memory, sqlite); a broker's client does the same for itself.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from classpulse.bus.base import DEADLINE_MS, Place
from classpulse.bus.limits import stored_bytes
from classpulse.clock import Clock
from classpulse.codec import Stored

NAP_MS = 4
"""How long a poll sleeps before it looks again: half of it is the mean delay it adds, and a look costs about 10 µs."""


class Snapshot(Protocol):
    """The committed log at one instant."""

    def bounds(self, topic: str) -> Mapping[int, tuple[int, int]]:
        """Per partition: (first offset left, next offset to be written)."""
        ...

    def scan(self, place: Place, start: int, stop: int) -> AbstractContextManager[Iterator[Stored]]:
        """Records with start <= offset < stop, in order, one at a time."""
        ...


class Reader:
    """Where a member reads next, in memory only."""

    def __init__(self, places: frozenset[Place]) -> None:
        self._places = sorted(places)
        self._next: dict[Place, int] = {}
        self._missed: dict[Place, int] = {}
        self._turn = 0

    def start(self, positions: Mapping[Place, int]) -> None:
        """Read from these offsets on."""
        self._next.update(positions)

    def take(self, log: Snapshot, *, max_records: int, max_bytes: int) -> list[Stored]:
        """The next records; a partition that filled a take is last in line for the following one."""
        bounds = {topic: log.bounds(topic) for topic in {place.topic for place in self._places}}
        taken: list[Stored] = []
        left_bytes = max_bytes
        for step in range(len(self._places)):
            turn = (self._turn + step) % len(self._places)
            place = self._places[turn]
            first, end = bounds[place.topic][place.partition]
            start = self._start_of(place, first)
            if start >= end:
                continue
            before = len(taken)
            with log.scan(place, start, end) as records:
                full, left_bytes = self._drain(place, records, taken, max_records, left_bytes)
            if full:
                self._turn = turn + (len(taken) > before)
                return taken
            self._next[place] = end
        return taken

    def missed(self) -> dict[Place, int]:
        """Partitions where unread records were gone when their turn came, with the first offset left; told once."""
        missed, self._missed = self._missed, {}
        return missed

    def _start_of(self, place: Place, first: int) -> int:
        start = self._next.get(place, first)
        if start < first:
            self._missed[place] = first
            start = self._next[place] = first
        return start

    def _drain(
        self, place: Place, records: Iterator[Stored], taken: list[Stored], max_records: int, left_bytes: int
    ) -> tuple[bool, int]:
        """Move records over until a limit is met: (met, bytes left)."""
        for record in records:
            size_bytes = stored_bytes(record)
            if len(taken) >= max_records or (taken and size_bytes > left_bytes):
                return True, left_bytes
            taken.append(record)
            left_bytes -= size_bytes
            self._next[place] = record.offset + 1
        return False, left_bytes


def wait_for(
    take: Callable[[], list[Stored]], version: Callable[[], int], *, clock: Clock, timeout_ms: int
) -> list[Stored]:
    """What `take` gives as soon as it gives something; looks again only when `version` says the log has changed."""
    give_up_ms = clock.monotonic_ms() + min(timeout_ms, DEADLINE_MS)
    while True:
        seen = version()
        taken = take()
        if taken:
            return taken
        while version() == seen:
            left_ms = give_up_ms - clock.monotonic_ms()
            if left_ms <= 0:
                return taken
            clock.sleep_ms(min(NAP_MS, left_ms))
