"""camera → ingest: which packets need decoding at all. Pure.

Where keyframes come at least twice a sampling interval, they alone can be sampled: two samples are then never further
apart than 1.5 intervals, which is as long as a frame speaks (design.md 6, coverage). Decoding one picture of a group is
about ten times cheaper than decoding all.
"""

from enum import Enum

LEARN_GROUPS = 3


class Want(Enum):
    """What to do with a packet."""

    DECODE = "decode"
    ALONE = "alone"
    SKIP = "skip"


class Keyframes:
    """Learns the distance of keyframes, and says whether a packet is wanted.

    `longest_ms` is the longest distance where it is known for the whole recording: nothing is learned then, so that two
    runs decode the same pictures. `learn=False` with nothing known decodes everything.
    """

    def __init__(self, interval_ms: float, *, longest_ms: float | None = None, learn: bool = False) -> None:
        self._most_ms = interval_ms / 2
        self._learn = learn and longest_ms is None
        self.alone = longest_ms is not None and longest_ms <= self._most_ms
        self._last_ms: float | None = None
        self._close_groups = 0

    def want(self, pts_ms: float, *, keyframe: bool, due_ms: float) -> Want:
        """For each packet, in stream order. ALONE: decode it by itself; what the decoder still holds comes out first."""
        if keyframe and self._learn:
            self._note(pts_ms)
        if not self.alone:
            return Want.DECODE
        return Want.ALONE if keyframe and pts_ms >= due_ms else Want.SKIP

    def _note(self, pts_ms: float) -> None:
        close = self._last_ms is not None and 0 < pts_ms - self._last_ms <= self._most_ms
        self._close_groups = self._close_groups + 1 if close else 0
        self._last_ms = pts_ms
        self.alone = self._close_groups >= LEARN_GROUPS
