"""A bus, a roster and a watch over real captures of drawn pictures: what the tests of the watch share."""

import pytest

from classpulse.bus.base import Place
from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock, SystemClock
from classpulse.codec import decode
from classpulse.ingest.capture import Capture
from classpulse.ingest.watch import Watch
from classpulse.records import CameraConfig, CameraReport
from classpulse.roster import Roster
from classpulse.topics import REPORTS
from tests.services.ingest.making import (
    beats_of,
    capture_of,
    config_of,
    new_bus,
)
from tests.support import Shown

ROOM = "district/school/room"


class Place2:
    """A bus, a roster and a watch over real captures of drawn pictures."""

    def __init__(self, *, index: int = 0, count: int = 1, clock: ManualClock | SystemClock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.bus: MemoryBus = new_bus(self.clock)
        self.roster = Roster(self.bus, self.clock)
        self.opened: list[CameraConfig] = []
        self.metrics = Shown()
        self.watch = Watch(
            self.bus, self.clock, self._open, metrics=self.metrics, index=index, count=count, node="host"
        )

    def _open(self, config: CameraConfig) -> Capture:
        self.opened.append(config)
        return capture_of(config, self.bus, SystemClock())

    def turn_until(self, condition: object) -> None:
        """Turn until something is so."""
        for _ in range(2_000):
            self.watch.turn()
            if condition():  # type: ignore[operator]
                return
            SystemClock().sleep_ms(5)
        pytest.fail("it did not happen in time")

    def reports(self) -> list[CameraReport]:
        """Everything on reports.v1."""
        stored = self.bus.fetch(Place(REPORTS.name, 0), 0, max_records=10_000, max_bytes=1 << 30)
        return [noun for record in stored if isinstance(noun := decode(record), CameraReport)]


def camera(**more: object) -> CameraConfig:
    return config_of(str(more.pop("source", "synth://?fps=20")), fps=10, **more)  # type: ignore[arg-type]


def states(school: Place2) -> list[str]:
    return [beat.state for beat in beats_of(school.bus)]
