"""A candidate looks at a few cameras while people and the rest of the school go on; what is worse than the champion is taken back.

Nobody knows the truth of a live room: that it looks, is not refused, is no slower and loses no more pictures is all that can be seen.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median

from classpulse.records import CameraReport

LEAST_LOOKED_AT = 20
"""Pictures of each camera: fewer say nothing, as in the comparison before a swap."""
MOST_DROPPED_MORE = 0.02
"""Of a hundred pictures the canary's cameras may lose two more than the others do."""
MOST_SLOWER = 1.5
LEAST_SLOWER_MS = 100
"""Half as slow again, and by what a person could notice."""
SETTLED_MS = 5_000
"""Workers look at their line once a second, and report as often: what they say before has to do with what was."""
SILENT_MS = 15_000
NAMED_BY = 12
"""So much of a digest stands in `CameraReport.refused_swap`."""

Reports = Callable[[], Mapping[str, CameraReport]]


@dataclass
class Tally:
    """What became of some cameras' pictures."""

    lost: int = 0
    looked_at: dict[str, int] = field(default_factory=dict)
    delays_ms: list[int] = field(default_factory=list)

    def add(self, last: CameraReport | None, report: CameraReport) -> None:
        """Count what a report tells that the one before did not; counters of a worker that begins anew start from 0."""
        known = self.looked_at.setdefault(report.camera, 0)
        if last is not None and last.model == report.model:
            self.looked_at[report.camera] = known + max(0, report.detected - last.detected)
            self.lost += max(0, sum(report.dropped.values()) - sum(last.dropped.values()))
        if report.capture_to_detection_ms is not None:
            self.delays_ms.append(report.capture_to_detection_ms)

    @property
    def lost_share(self) -> float:
        """Of all pictures."""
        return self.lost / max(1, self.lost + sum(self.looked_at.values()))


@dataclass
class Watch:
    """What detect said of the canary's cameras and of the others since the canary began, at `since_ms`.

    `before`: the last report of each camera of before, which stands in where all cameras are the canary's.
    """

    digest: str
    cameras: frozenset[str]
    since_ms: int
    before: Mapping[str, CameraReport] = field(default_factory=dict)
    lasts: dict[str, CameraReport] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    ours: Tally = field(default_factory=Tally)
    others: Tally = field(default_factory=Tally)

    def hear(self, reports: Mapping[str, CameraReport]) -> None:
        """Take what was last said of each camera; what was heard before counts once."""
        for camera, report in reports.items():
            last = self.lasts.get(camera)
            known = last is not None and report.at_ms <= last.at_ms
            if known or report.at_ms < self.since_ms + SETTLED_MS:
                continue
            self.lasts[camera] = report
            if camera not in self.cameras:
                self.others.add(last, report)
                continue
            if self.digest[:NAMED_BY] in report.refused_swap:
                self.refusals[camera] = report.refused_swap
            if report.model == self.digest:
                self.ours.add(last, report)

    def worse(self, now_ms: int) -> list[str]:
        """In what it is worse than the champion, at the end."""
        if self.refusals:
            return [f"{camera}: {why}" for camera, why in sorted(self.refusals.items())]
        return [*self._blind(now_ms)] or [*self._loses_more(), *self._is_slower()]

    def _blind(self, now_ms: int) -> Iterator[str]:
        for camera in sorted(self.cameras):
            looked_at, last = self.ours.looked_at.get(camera, 0), self.lasts.get(camera)
            if looked_at < LEAST_LOOKED_AT:
                yield f"{camera}: it looked at {looked_at} pictures; expected {LEAST_LOOKED_AT} at least"
            elif last is None or last.model != self.digest or last.at_ms < now_ms - SILENT_MS:
                yield f"{camera}: it does not look any more; expected it to, until the end"

    def _loses_more(self) -> Iterator[str]:
        ours, theirs = self.ours.lost_share, self.others.lost_share
        if ours > theirs + MOST_DROPPED_MORE:
            yield f"its cameras lost {ours:.1%} of their pictures, the others {theirs:.1%}; expected {MOST_DROPPED_MORE:.0%} more at most"

    def _is_slower(self) -> Iterator[str]:
        once = [told.capture_to_detection_ms for key, told in self.before.items() if key in self.cameras]
        delays_ms = self.others.delays_ms or [delay_ms for delay_ms in once if delay_ms is not None]
        if not self.ours.delays_ms or not delays_ms:
            return
        ours, theirs = median(self.ours.delays_ms), median(delays_ms)
        if ours > max(MOST_SLOWER * theirs, theirs + LEAST_SLOWER_MS):
            yield f"{ours:.0f} ms from capture to detection, the champion {theirs:.0f} ms; expected {MOST_SLOWER:g} times at most"
