"""ingest ← bus: whether detect is so far behind that a `complete` camera must wait. Shared by all cameras of a process."""

import threading

from classpulse.bus.base import Bus
from classpulse.bus.limits import unread
from classpulse.clock import Clock
from classpulse.topics import FRAMES

MOST_RECORDS = 256
MOST_BYTES = (FRAMES.retention_bytes or 0) // 2
LOOK_EVERY_MS = 250
READER = "detect"


class Pressure:
    """Looks at how much detect has not read at most every LOOK_EVERY_MS, however many cameras ask."""

    def __init__(
        self, bus: Bus, clock: Clock, *, most_records: int = MOST_RECORDS, most_bytes: int = MOST_BYTES
    ) -> None:
        self._bus, self._clock = bus, clock
        self._most_records, self._most_bytes = most_records, most_bytes
        self._lock = threading.Lock()
        self._looked_ms: int | None = None
        self._records = 0

    def high(self, picture_bytes: int) -> bool:
        """Whether to wait; what waits is taken to be pictures of `picture_bytes` each. May raise Recoverable."""
        with self._lock:
            now_ms = self._clock.monotonic_ms()
            if self._looked_ms is None or now_ms - self._looked_ms >= LOOK_EVERY_MS:
                self._records = unread(self._bus, READER, FRAMES)
                self._looked_ms = now_ms
            return self._records > self._most_records or self._records * picture_bytes > self._most_bytes
