"""bus → eyes: where a moment lies on a page. Positions are percent of the plot's width, so nothing distorts on zooming."""

from dataclasses import dataclass

from classpulse.reading import local

_SECOND, _MINUTE, _HOUR = 1_000, 60_000, 3_600_000
DAY_MS = 24 * _HOUR
STEPS_MS = (
    *(n * _SECOND for n in (1, 2, 5, 10, 15, 30)),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * DAY_MS for n in (1, 2, 7, 28)),
)
"""Steps a person reads easily; each is a multiple of ten seconds or divides them."""

_EDGE_PERCENT = 2.5


@dataclass(frozen=True)
class Tick:
    """A labelled moment on the axis."""

    percent: float
    label: str


@dataclass(frozen=True)
class Scale:
    """The time `[start_ms, end_ms)` laid over a plot's width."""

    start_ms: int
    end_ms: int

    @property
    def duration_ms(self) -> int:
        """Its length, at least one millisecond."""
        return max(1, self.end_ms - self.start_ms)

    def percent(self, at_ms: int) -> float:
        """0 at the start, 100 at the end; moments outside are moved to the nearer edge."""
        inside = min(max(at_ms, self.start_ms), self.end_ms)
        return 100 * (inside - self.start_ms) / self.duration_ms

    def box(self, start_ms: int, end_ms: int) -> str:
        """SVG attributes x and width of a stretch of time."""
        left, right = self.percent(start_ms), self.percent(end_ms)
        return f'x="{number(left)}%" width="{number(right - left)}%"'

    def ticks(self, time_zone: str, most: int = 10) -> list[Tick]:
        """At most `most` + 1 round moments of local time; none so near an edge that its label would be cut."""
        step_ms = least_step(self.duration_ms, most)
        offset = local(self.start_ms, time_zone).utcoffset()
        offset_ms = int(offset.total_seconds() * 1000) if offset else 0
        first_ms = -(-(self.start_ms + offset_ms) // step_ms) * step_ms - offset_ms
        moments = range(first_ms, self.end_ms + 1, step_ms)
        ticks = [Tick(self.percent(at_ms), self._label(at_ms, time_zone, step_ms)) for at_ms in moments]
        return [tick for tick in ticks if _EDGE_PERCENT <= tick.percent <= 100 - _EDGE_PERCENT]

    def _label(self, at_ms: int, time_zone: str, step_ms: int) -> str:
        moment = local(at_ms, time_zone)
        if step_ms >= DAY_MS:
            return f"{moment:%a %d %b}"
        if self.duration_ms > DAY_MS:
            return f"{moment:%a %H:%M}"
        return f"{moment:%H:%M:%S}" if step_ms < _MINUTE else f"{moment:%H:%M}"


def least_step(duration_ms: int, most: int) -> int:
    """The least readable step that divides a duration into at most `most` parts."""
    return next((step for step in STEPS_MS if duration_ms <= step * most), -(-duration_ms // (most * DAY_MS)) * DAY_MS)


def number(value: float) -> str:
    """A coordinate with three decimals at most and no needless zeros, to keep pages small."""
    return f"{value:.3f}".rstrip("0").rstrip(".")
