"""camera → frames.v1: which pictures are taken, and when they were captured. Pure: no clock, no I/O."""

from fractions import Fraction

JUMP_MS = 2_000
"""A live stream whose clock is suddenly so far ahead of the wall clock has jumped."""

BACK_MS = 1_000
"""A stream time that goes back by less is a late picture, by more a jump."""

MOST_TOLERANCE_MS = 40


class Grid:
    """Sampling by time: slot k begins at floor(1000 k / fps) ms of stream time, and one picture is taken per slot.

    The grid starts at stream time 0, so a restart takes the same pictures. Live cameras stamp their pictures with some
    jitter: with `tolerant` a picture that comes up to a quarter of a slot (at most 40 ms) early belongs to the next slot.
    """

    def __init__(self, fps: float, *, tolerant: bool = False) -> None:
        self._fps = Fraction(fps).limit_denominator(1000)
        self.interval_ms = max(1, round(1000 / self._fps))
        self._tolerance_ms = min(self.interval_ms // 4, MOST_TOLERANCE_MS) if tolerant else 0

    def slot(self, pts_ms: int) -> int:
        """The slot of a stream time: the last one that has begun."""
        return -(-(pts_ms + self._tolerance_ms + 1) * self._fps // 1000) - 1

    def start_of(self, slot: int) -> int:
        """The least stream time of a slot."""
        return max(0, slot * 1000 // self._fps - self._tolerance_ms)


class LiveClock:
    """Event time of a live stream: the wall clock at connection plus the stream's own clock.

    A picture cannot have been captured after it arrived: where the stream's clock runs ahead (a burst at connection, a
    quartz that is fast), the sum is lowered to now, little by little. A picture that is late stays late.
    """

    def __init__(self) -> None:
        self._anchor_ms: int | None = None
        self._last_pts_ms = 0

    def place(self, pts_ms: int, now_ms: int) -> int | None:
        """When the picture was captured; None when the stream's clock (or the wall clock) has jumped.

        After a jump `restart` says where the new count begins.
        """
        if self._anchor_ms is None:
            self.restart(pts_ms, now_ms)
            return now_ms
        at_ms = self._anchor_ms + pts_ms
        if pts_ms < self._last_pts_ms - BACK_MS or at_ms > now_ms + JUMP_MS:
            return None
        self._last_pts_ms = max(self._last_pts_ms, pts_ms)
        if at_ms > now_ms:
            self._anchor_ms -= at_ms - now_ms
        return min(at_ms, now_ms)

    def restart(self, pts_ms: int, now_ms: int) -> None:
        """Count anew: this stream time is now."""
        self._anchor_ms = now_ms - pts_ms
        self._last_pts_ms = pts_ms
