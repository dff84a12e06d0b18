"""A candidate looks at a few cameras while people and the rest of the school go on; what is worse than the champion is taken back.

Nobody knows the truth of a live room: refused, blind to none, slower or losing more pictures is all that can be seen here.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

from classpulse.records import CameraReport

MOST_DROPPED_MORE = 0.02
"""Of a hundred pictures the canary's cameras may lose two more than the others do."""
MOST_SLOWER = 1.5
LEAST_SLOWER_MS = 100
"""Half as slow again, and by what a person could notice."""


SETTLED_MS = 5_000
"""Workers look at their line once a second, and report as often: what they say before has to do with what was."""
NAMED_BY = 12
"""So much of a digest stands in `CameraReport.refused_swap`."""


@dataclass
class Watch:
    """What detect said of the canary's cameras and of the others since the canary began, at `since_ms`."""

    digest: str
    cameras: frozenset[str]
    since_ms: int
    lasts: dict[str, CameraReport] = field(default_factory=dict)
    looked: set[str] = field(default_factory=set)
    refusals: dict[str, str] = field(default_factory=dict)
    seen: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    lost: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    delays_ms: dict[bool, list[int]] = field(default_factory=lambda: {True: [], False: []})

    def hear(self, reports: Mapping[str, CameraReport]) -> None:
        """Take what was last said of each camera; what was heard before counts once."""
        for camera, report in reports.items():
            last = self.lasts.get(camera)
            known = last is not None and report.at_ms <= last.at_ms
            if known or report.at_ms < self.since_ms + SETTLED_MS:
                continue
            self.lasts[camera] = report
            ours = camera in self.cameras
            if ours and self.digest[:NAMED_BY] in report.refused_swap:
                self.refusals[camera] = report.refused_swap
            if ours and report.model != self.digest:
                continue
            self.looked.update({camera} if ours else ())
            if last is not None and last.model == report.model:
                self.seen[ours] += max(0, report.detected - last.detected)
                self.lost[ours] += max(0, sum(report.dropped.values()) - sum(last.dropped.values()))
            if report.capture_to_detection_ms is not None:
                self.delays_ms[ours].append(report.capture_to_detection_ms)

    def refused(self) -> str:
        """Why it can be taken back at once; empty where nothing is known against it."""
        return next(iter(self.refusals.values()), "")

    def worse(self) -> list[str]:
        """In what it is worse than the champion, at the end."""
        if self.refusals:
            return [f"{camera}: {why}" for camera, why in sorted(self.refusals.items())]
        if unseen := sorted(self.cameras - self.looked):
            return [f"it never looked at {', '.join(unseen)}; expected it at every camera of the canary"]
        return [*self._loses_more(), *self._is_slower()]

    def _loses_more(self) -> Iterable[str]:
        ours, theirs = (self.lost[who] / max(1, self.lost[who] + self.seen[who]) for who in (True, False))
        if ours > theirs + MOST_DROPPED_MORE:
            yield f"its cameras lost {ours:.1%} of their pictures, the others {theirs:.1%}; expected {MOST_DROPPED_MORE:.0%} more at most"

    def _is_slower(self) -> Iterable[str]:
        if not all(self.delays_ms.values()):
            return
        ours, theirs = median(self.delays_ms[True]), median(self.delays_ms[False])
        if ours > max(MOST_SLOWER * theirs, theirs + LEAST_SLOWER_MS):
            yield f"{ours:.0f} ms from capture to detection, the others {theirs:.0f} ms; expected {MOST_SLOWER:g} times at most"


Reports = Callable[[], Mapping[str, CameraReport]]
