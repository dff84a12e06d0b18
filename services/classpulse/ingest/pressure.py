"""ingest ← bus: whether detect is so far behind that a `complete` camera must wait. Shared by all cameras of a process."""

import threading

from classpulse.bus.base import Bus
from classpulse.bus.limits import unread_by_partition
from classpulse.clock import Clock
from classpulse.topics import FRAMES, partition_of

MOST_RECORDS = 64
"""In the camera's own partition: what others tell in theirs is no reason to wait. Few enough that even a slow detect comes to
the last of all partitions before its time is over."""

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
        self._records: dict[int, int] = {}

    def high(self, camera: str, picture_bytes: int) -> bool:
        """Whether a camera has to wait; what waits is taken to be pictures of `picture_bytes` each. May raise Recoverable."""
        with self._lock:
            now_ms = self._clock.monotonic_ms()
            if self._looked_ms is None or now_ms - self._looked_ms >= LOOK_EVERY_MS:
                self._records = unread_by_partition(self._bus, READER, FRAMES)
                self._looked_ms = now_ms
            records = self._records[partition_of(camera, FRAMES.partitions)]
            return records > self._most_records or records * picture_bytes > self._most_bytes
