"""A live camera on the memory bus: its pictures come as the manual clock reaches them, and the other stages keep up."""

import random
import threading
from collections.abc import Callable
from functools import partial
from typing import Self

from classpulse.ingest.capture import Capture
from classpulse.ingest.pressure import Pressure
from classpulse.reading import RoomTimeline, read_room
from classpulse.records import CameraConfig
from tests.route.rig import FRONT, NOW_MS, ROOM, STEP_MS, Bright, Route
from tests.services.ingest.making import SHORT, Act, ScriptedSource, wait_for
from tests.support import Shown

PATIENCE_S = 60


class LiveRoute(Route):
    """A room with one live camera. `keeping_up`: detect and aggregate handle each picture before the next one comes."""

    def __init__(self) -> None:
        super().__init__()
        self._config = CameraConfig(camera=FRONT, source="rtsp://camera/stream")
        self.declare(self._config)
        self._stage = self.worker()
        self._loops = (self.detecting(self._stage), self.aggregating())
        self.keeping_up = True
        self.captured = 0
        self.work()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stage.close()

    def play(self, *connections: list[Act], off: bool = True) -> None:
        """What the camera gives in one connection after the other; then it is switched `off`, or its process just ends."""
        over, leave = threading.Event(), threading.Event()
        last: list[Act] = [over.set, lambda: leave.wait(PATIENCE_S) and None]
        source = ScriptedSource(*connections[:-1], [*connections[-1], *last])
        self._capture = Capture(
            self._config,
            self.bus,
            self.clock,
            pressure=Pressure(self.bus, self.clock),
            metrics=Shown(),
            rng=random.Random(1),
            limits=SHORT,
            source_of=lambda _: source,
        )
        self._capture.start()
        assert over.wait(PATIENCE_S), "the script was not played to its end"
        self._capture.stop(off=off)
        leave.set()
        assert self._capture.join(PATIENCE_S)
        assert self._capture.error is None
        self.captured = self._capture.report(0).captured
        self.work()

    def sends(self, from_ms: int, to_ms: int, *, begun_ms: int = 0, ahead_ms: int = 0) -> list[Act]:
        """A stretch of a lesson that began `begun_ms` after the test did, by a camera whose clock is ahead."""
        acts: list[Act] = []
        for at_ms in range(from_ms, to_ms, STEP_MS):
            acts += [self.until(begun_ms + at_ms), Bright(at_ms + ahead_ms, ahead_ms=ahead_ms), self._settle]
        return [*acts, self.until(begun_ms + to_ms)]

    def until(self, at_ms: int) -> Callable[[], None]:
        """An act: nothing comes before that time."""
        return lambda: self.clock.advance(NOW_MS + at_ms - self.clock.now_ms())

    def keep_up(self, *, keeping_up: bool) -> Callable[[], None]:
        """An act: from now on detect and aggregate stand still, or go on."""
        return partial(setattr, self, "keeping_up", keeping_up)

    def let_pass(self, duration_ms: int) -> None:
        """Time in which nothing comes and the stages look every second."""
        for _ in range(duration_ms // 1_000):
            self.clock.advance(1_000)
            self.work()

    def work(self) -> None:
        """Handle everything there is."""
        for loop in self._loops:
            while loop.turn():
                continue

    def timeline(self) -> RoomTimeline:
        return read_room(self.bus, ROOM)

    def _settle(self) -> None:
        """An act: the picture is published or told as dropped, and whoever keeps up has handled it."""
        wait_for(self._told, PATIENCE_S)
        if self.keeping_up:
            self.work()

    def _told(self) -> bool:
        report = self._capture.report(0)
        return report.captured == report.published + sum(report.dropped.values())
