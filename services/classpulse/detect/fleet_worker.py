"""A detect worker as a fleet runs it: in a thread of its own, so that others can ask how it is, and end it after its step."""

import logging
import os
import threading
from dataclasses import dataclass
from typing import Literal

from classpulse.bus.base import open_bus
from classpulse.clock import Clock, SystemClock
from classpulse.detect.devices import Device
from classpulse.detect.main import GROUP, Worker, opened
from classpulse.errors import ClassPulseError
from classpulse.settings import Settings
from classpulse.telemetry import Metrics

WorkerState = Literal["opening", "running", "drained", "failed"]

_log = logging.getLogger("classpulse.detect")


@dataclass(frozen=True, slots=True)
class Health:
    """How a worker is. `frames`, `steps`: since its start; `busy_ms`: time spent in those steps.

    `quiet_ms`: since it last came round, with or without a step; `oldest_ms`: age of the oldest frame that waited for its
    last step; `assigned`: so many partitions are its; `refused`: the runtimes that did not load before this one did, and the
    release that should look and does not, each with the reason; `error`: what ended it.
    """

    state: WorkerState
    pid: int
    quiet_ms: int
    frames: int = 0
    steps: int = 0
    busy_ms: int = 0
    oldest_ms: int = 0
    assigned: int = 0
    runtime: str = ""
    model: str = ""
    refused: tuple[str, ...] = ()
    error: str = ""


class FleetWorker:
    """A worker in one slot of the group, from now on until it is drained or fails."""

    def __init__(self, settings: Settings, slot: int, device: Device, metrics: Metrics) -> None:
        self._settings, self._slot, self._device, self._metrics = settings, slot, device, metrics
        self._clock: Clock = SystemClock()
        self._began_ms = self._clock.monotonic_ms()
        self._stop = threading.Event()
        self._state: WorkerState = "opening"
        self._error = ""
        self._worker: Worker | None = None
        self._thread = threading.Thread(target=self._run, name=f"slot-{slot}", daemon=True)
        self._thread.start()

    def health(self) -> Health:
        """As it is now; never waits."""
        worker = self._worker
        now_ms = self._clock.monotonic_ms()
        if worker is None:
            return Health(self._state, os.getpid(), now_ms - self._began_ms, error=self._error)
        pulse, eyes = worker.loop.pulse, worker.sight.champion
        return Health(
            state=self._state,
            pid=os.getpid(),
            quiet_ms=now_ms - pulse.at_ms,
            frames=worker.stage.detected,
            steps=pulse.steps,
            busy_ms=pulse.busy_ms,
            oldest_ms=pulse.oldest_ms,
            assigned=pulse.assigned,
            runtime=eyes.runtime,
            model=eyes.digest,
            refused=(*eyes.refused, *filter(None, [worker.sight.refused])),
            error=self._error,
        )

    def drain(self) -> None:
        """End after the step under way, and tell the group that nobody takes this place; twice is once."""
        self._stop.set()

    def _run(self) -> None:
        try:
            with opened(
                self._settings,
                self._stop,
                self._metrics,
                index=self._slot,
                count=self._slot + 1,
                device=self._device,
            ) as self._worker:
                if self._worker is not None:
                    self._state = "running"
                    self._worker.loop.run(self._stop)
            dismiss(self._settings, self._slot)
        except Exception as error:  # noqa: BLE001 - whatever it is, the fleet has to hear of it: nobody waits for this thread
            self._error = str(error) if isinstance(error, ClassPulseError) else f"{type(error).__name__}: {error}"
            self._state = "failed"
            _log.exception("slot %d: ended", self._slot)
        else:
            self._state = "drained"


def dismiss(settings: Settings, slot: int) -> None:
    """Tell the group that nobody takes this slot. Raises BadInput, Fatal, Recoverable."""
    bus = open_bus(settings.bus_as(GROUP))
    try:
        bus.dismiss(GROUP, index=slot)
    finally:
        bus.close()
