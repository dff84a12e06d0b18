"""A supervisor that runs in a thread, and how to wait for what it does."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from classpulse.bus.base import Bus
from classpulse.clock import SystemClock
from classpulse.errors import BadInput
from classpulse.settings import Settings
from classpulse.supervisor import STAGES, Supervisor, prepare_bus
from classpulse.topics import TOPICS
from tests.services.supervisor.run_supervisor import FAKE
from tests.support import Shown

PATIENCE_MS = 20_000


def wait_until(what: Callable[[], object], within_ms: int = PATIENCE_MS) -> None:
    clock = SystemClock()
    deadline_ms = clock.monotonic_ms() + within_ms
    while not what():
        assert clock.monotonic_ms() < deadline_ms, "it did not come to pass in time"
        clock.sleep_ms(20)


def pids(data: Path, stage: str) -> list[int]:
    path = data / f"{stage}.pids"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


class Running:
    """A supervisor on a thread of its own. (Its children follow that thread: it lives until the end.)"""

    def __init__(
        self,
        data: Path,
        bus: Bus | None = None,
        *,
        retain_every_s: float = 5.0,
        keep_pictures: bool = False,
        url: str = "",
        **changes: Any,
    ) -> None:
        self.data = data
        self.settings = Settings(data=data, bus=url, **changes)
        self.bus = bus or prepare_bus(self.settings)
        self.bus.create(tuple(TOPICS.values()))
        self.metrics = Shown()
        self.supervisor = Supervisor(
            self.settings,
            self.bus,
            SystemClock(),
            command=FAKE,
            environ=os.environ,
            metrics=self.metrics,
            retain_every_s=retain_every_s,
            keep_pictures=keep_pictures,
        )
        self.stop = threading.Event()
        self.error: BadInput | None = None
        self.ended = threading.Event()
        self.settled = 0
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.supervisor.run(self.stop, self.ended.is_set, self._settle)
        except BadInput as error:
            self.error = error

    def _settle(self) -> None:
        self.settled += 1

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join(PATIENCE_MS / 1000)
        assert not self._thread.is_alive()

    def all_running(self) -> bool:
        return all(pids(self.data, stage) for stage in STAGES)

    def close(self) -> None:
        self.stop.set()
        self.join()
        self.bus.close()
