"""bus → a camera's account: frames captured = in timelines + Σ dropped{reason} + what had not come so far.

A `Ledger` is an independent count: it reads detections.v1 as sequences only and knows no bucket, clock or rule of aggregate's.
"""

from dataclasses import dataclass, field

from classpulse.aggregate.camera_story import PAST_EPOCHS, SUPERSEDED, UNEXPLAINED
from classpulse.records import Dropped, FrameDetections, Heartbeat, Hole, Told


@dataclass(frozen=True)
class Account:
    """One camera's frames. `not_yet`: how far those had come that are in no final bucket.

    `clip_frames`: how many there are by the clip's own count; None where no clip is known, or it was not played to its end.
    """

    camera: str
    captured: int
    in_timelines: int
    dropped: dict[str, int]
    clip_frames: int | None = None
    not_yet: dict[str, int] = field(default_factory=dict)

    @property
    def difference(self) -> int:
        """Captured frames of which nothing is told; below 0, more was told than captured."""
        return self.captured - self.in_timelines - sum(self.dropped.values()) - sum(self.not_yet.values())

    @property
    def balanced(self) -> bool:
        """Whether every captured frame is accounted for, and the clip's own count agrees where there is one."""
        return self.difference == 0 and self.clip_frames in (None, self.captured)


@dataclass
class Ledger:
    """One camera's detections log, read once in order: what was detected, what was dropped for which reason.

    `told` gives the next sequence of the newest epochs: whatever lies before it has been accounted for. As for aggregate,
    what comes late of an older epoch than the last PAST_EPOCHS is told already.
    """

    epoch: int = -1
    told: dict[int, int] = field(default_factory=dict)
    told_from: int = 0
    detected: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    hole_reason: str | None = None
    _captured_before: int = 0

    @property
    def captured(self) -> int:
        """Sequences told of: in each epoch the highest one, plus one."""
        return self._captured_before + sum(self.told.values())

    def tell(self, noun: Told) -> None:
        """Take the next record of this camera."""
        match noun:
            case Hole():
                self.hole_reason = noun.reason
                return
            case FrameDetections():
                first, last, reason = noun.sequence, noun.sequence, None
            case Dropped():
                first, last, reason = noun.first_sequence, noun.last_sequence, noun.reason
            case Heartbeat():
                first, last, reason = noun.last_sequence + 1, noun.last_sequence, None
            case _:
                return
        late = noun.epoch < self.epoch
        if late and (noun.epoch < self.told_from or last < self.told.get(noun.epoch, 0)):
            return
        self.epoch = max(self.epoch, noun.epoch)
        self._account(noun.epoch, first, last, SUPERSEDED if late else reason, late=late)
        self._forget()

    def _account(self, epoch: int, first: int, last: int, reason: str | None, *, late: bool) -> None:
        """Sequences `first`..`last` are told of (reason None: detected); those before that nobody told of are a hole."""
        known = self.told.get(epoch, 0)
        self._drop(UNEXPLAINED if late else self.hole_reason or UNEXPLAINED, first - known)
        news = last + 1 - max(first, known)
        if reason is not None:
            self._drop(reason, news)
        else:
            self.detected += max(0, news)
        self.told[epoch] = max(known, first, last + 1)
        self.hole_reason = self.hole_reason if late else None

    def _drop(self, reason: str, count: int) -> None:
        if count > 0:
            self.dropped[reason] = self.dropped.get(reason, 0) + count

    def _forget(self) -> None:
        """Add up epochs of which nothing counts any more."""
        for old in sorted(epoch for epoch in self.told if epoch < self.epoch)[:-PAST_EPOCHS]:
            self._captured_before += self.told.pop(old)
            self.told_from = old + 1
