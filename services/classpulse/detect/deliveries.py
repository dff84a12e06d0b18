"""Which cameras may lose old frames: a small cached look at cameras.v1, because a Frame does not say its delivery."""

from classpulse.bus.base import Bus
from classpulse.clock import Clock
from classpulse.records import Delivery
from classpulse.roster import Roster

REFRESH_MS = 1_000


class Deliveries:
    """Camera key → delivery. What is removed keeps its last; what was never known is `complete`: nothing of it is lost."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._roster, self._clock = Roster(bus, clock), clock
        self._known: dict[str, Delivery] = {}
        self._due_ms: int | None = None

    def __call__(self, camera: str) -> Delivery:
        """As cameras.v1 had it at most REFRESH_MS ago."""
        now_ms = self._clock.monotonic_ms()
        if self._due_ms is None or now_ms >= self._due_ms:
            self._due_ms = now_ms + REFRESH_MS
            self._known |= {key: config.delivery for key, config in self._roster.cameras().items()}
        return self._known.get(camera, "complete")
