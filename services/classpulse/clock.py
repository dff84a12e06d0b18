"""The one place where time is read. Everything else gets a `Clock`, so that a test can own the time."""

import threading
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """Wall time and monotonic time in integer milliseconds, and a way to wait."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 (wall clock; may jump)."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds of a clock that never goes back; only differences mean something."""
        ...

    def sleep_ms(self, duration_ms: int) -> None:
        """Wait; never longer than asked by more than the scheduler's grain."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Wall clock."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """Monotonic clock."""
        return time.monotonic_ns() // 1_000_000

    def sleep_ms(self, duration_ms: int) -> None:
        """Sleep on the machine's clock."""
        time.sleep(max(0, duration_ms) / 1000)


class ManualClock:
    """A clock that moves only when told; sleeping advances it. For route tests without waiting."""

    def __init__(self, start_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = start_ms
        self._lock = threading.Lock()

    def now_ms(self) -> int:
        """The time last set."""
        with self._lock:
            return self._now_ms

    def monotonic_ms(self) -> int:
        """The same time: a manual clock never jumps by itself."""
        return self.now_ms()

    def sleep_ms(self, duration_ms: int) -> None:
        """Advance instead of waiting."""
        self.advance(duration_ms)

    def advance(self, duration_ms: int) -> None:
        """Move the time on."""
        with self._lock:
            self._now_ms += max(0, duration_ms)


def rfc3339(at_ms: int) -> str:
    """Milliseconds since 1970 as RFC 3339 in UTC with millisecond digits, as CloudEvents' `time` wants it."""
    seconds, millis = divmod(at_ms, 1000)
    return f"{_whole(seconds)}.{millis:03d}Z"


@lru_cache(maxsize=4096)
def _whole(seconds: int) -> str:
    """What is told at once was mostly seen in the same seconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def from_rfc3339(text: str) -> int:
    """The inverse of `rfc3339`; any RFC 3339 text with an offset. Raises ValueError for text without one."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} has no offset; expected RFC 3339 such as 2026-03-02T08:15:00+01:00")
    seconds = int(moment.replace(microsecond=0).timestamp())
    return seconds * 1000 + moment.microsecond // 1000
