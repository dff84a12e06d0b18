"""An audit again and again, of what has been closed since: every frame is to be accounted for, by the logs alone."""

import logging
import threading
from collections.abc import Collection

from classpulse.aggregate.room import FINALITY_LIMIT_MS
from classpulse.audit import Audit, audit
from classpulse.bus.base import Bus, Place
from classpulse.bus.limits import first_of
from classpulse.clock import Clock, rfc3339
from classpulse.errors import Recoverable
from classpulse.telemetry import Metrics
from classpulse.topics import DEAD_LETTERS, EVENTS, short_name

CLOSED_AFTER_MS = 300_000
"""What is older is closed: its buckets are final, unless a camera is behind."""

LOOK_BACK_MS = 3_600_000
"""The first audit begins so long before, unless it is told from when on."""

MOST_MS = FINALITY_LIMIT_MS + LOOK_BACK_MS
"""Nothing is looked at again that is older: no camera may be further behind."""

REST_S = 0.5

_log = logging.getLogger("classpulse.audit")


class Auditor:
    """Audits these rooms (none: all but hidden ones). `alive_ms`: when it last got on, on the monotonic clock.

    What did not add up, or is not final yet, is looked at again with what came after it: a fault stays in view for MOST_MS.
    """

    def __init__(
        self, bus: Bus, clock: Clock, *, metrics: Metrics, rooms: Collection[str] = (), from_ms: int | None = None
    ) -> None:
        self._bus, self._clock, self._metrics, self._rooms = bus, clock, metrics, rooms
        self._from_ms = clock.now_ms() - CLOSED_AFTER_MS - LOOK_BACK_MS if from_ms is None else from_ms
        self.alive_ms = clock.monotonic_ms()

    def run(self, every_s: int, stop: threading.Event) -> None:
        """Every so many seconds, until `stop` is set. A bus that does not answer is asked again the next time. Raises Fatal."""
        while not stop.is_set():
            due_ms = self._clock.monotonic_ms() + 1000 * every_s
            try:
                self.once()
            except Recoverable as error:
                _log.warning("%s; auditing again in %d s", error, every_s)
            while not stop.is_set() and self._clock.monotonic_ms() < due_ms:
                self._live()
                stop.wait(REST_S)

    def once(self) -> Audit | None:
        """Audit what is closed and was not; None where that is nothing. May raise Recoverable."""
        to_ms = self._clock.now_ms() - CLOSED_AFTER_MS
        from_ms = max(self._from_ms, to_ms - MOST_MS)
        if to_ms <= from_ms:
            return None
        found = audit(self._bus, self._rooms, from_ms=from_ms, to_ms=to_ms, advance=self._live)
        if found.balanced and not any(account.not_yet for account in found.accounts):
            self._from_ms = to_ms
        self._metrics.audit_unexplained_frames.set(found.unexplained)
        self._metrics.audit_last_timestamp_seconds.set(self._clock.now_ms() / 1000)
        self._tell_oldest()
        _say(found, from_ms, to_ms)
        return found

    def _tell_oldest(self) -> None:
        """Since when there are records of topics that no stage reads."""
        for topic in (EVENTS, DEAD_LETTERS):
            places = [Place(topic.name, partition) for partition in range(topic.partitions)]
            heads = [record.appended_at_ms for place in places for record in first_of(self._bus, place)]
            oldest = self._metrics.oldest_record_timestamp_seconds.labels(short_name(topic))
            oldest.set(min(heads, default=0) / 1000)

    def _live(self, _records: int = 0) -> None:
        self.alive_ms = self._clock.monotonic_ms()


def _say(found: Audit, from_ms: int, to_ms: int) -> None:
    window = f"from {rfc3339(from_ms)} to {rfc3339(to_ms)}"
    captured = sum(account.captured for account in found.accounts)
    if found.balanced:
        _log.info("%s: %d cameras, %d frames: it adds up", window, len(found.accounts), captured)
        return
    _log.error("%s: %d frames of %d are not accounted for", window, found.unexplained, captured)
    for account in found.accounts:
        if not account.balanced:
            _log.error("%s: captured %d, difference %d", account.camera, account.captured, account.difference)
    for fault in found.faults:
        _log.error(
            "%s: %d buckets, the first of them at %s, are not what their detections give; `classpulse audit` says more",
            fault.room, fault.buckets, rfc3339(fault.start_ms),
        )  # fmt: skip
