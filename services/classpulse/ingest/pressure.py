"""ingest ← bus: whether detect is so far behind that a `complete` camera must wait. Shared by all cameras of a process."""

import threading

from classpulse.bus.base import Bus
from classpulse.clock import Clock
from classpulse.topics import FRAMES

MOST_RECORDS = 256
MOST_BYTES = (FRAMES.retention_bytes or 0) // 2
LOOK_EVERY_MS = 50
READER = "detect"


class Pressure:
    """Looks at detect's lag at most every LOOK_EVERY_MS, however many cameras ask."""

    def __init__(
        self, bus: Bus, clock: Clock, *, most_records: int = MOST_RECORDS, most_bytes: int = MOST_BYTES
    ) -> None:
        self._bus, self._clock = bus, clock
        self._most_records, self._most_bytes = most_records, most_bytes
        self._lock = threading.Lock()
        self._looked_ms: int | None = None
        self._high = False

    def high(self) -> bool:
        """Whether to wait. May raise Recoverable."""
        with self._lock:
            now_ms = self._clock.monotonic_ms()
            if self._looked_ms is None or now_ms - self._looked_ms >= LOOK_EVERY_MS:
                records, size_bytes = self._bus.lag(READER, FRAMES)
                self._high = records > self._most_records or size_bytes > self._most_bytes
                self._looked_ms = now_ms
            return self._high
