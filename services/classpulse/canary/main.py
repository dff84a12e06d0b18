"""canary's composition root: settings → bus, rounds. Proves that the route lives and how late it is, not how well it sees."""

import logging
import threading
from contextlib import closing

from classpulse.bus.base import open_bus
from classpulse.canary.rounds import Canary
from classpulse.clock import SystemClock
from classpulse.health import Health, served
from classpulse.settings import Settings
from classpulse.telemetry import start_logging
from classpulse.topics import TOPICS

FIRST_MS = 30_000
"""What was started at the same time has so long to come up: a net is opened, cameras are."""

_log = logging.getLogger("classpulse.canary")


def run(settings: Settings, *, every_s: int, late_s: int, stop: threading.Event) -> None:
    """Play a round every so often until `stop` is set. Raises BadInput for a wrong bus, Fatal."""
    start_logging("canary", settings.log_level)
    _log.info("settings: %s every=%d late=%d", settings.describe(), every_s, late_s)
    clock = SystemClock()
    health = Health(clock)
    with served(settings, health) as metrics, closing(open_bus(settings.bus_as("operator"))) as bus:
        bus.create(tuple(TOPICS.values()))
        canary = Canary(bus, clock, metrics=metrics, late_ms=1000 * late_s)
        health.follow(lambda: canary.alive_ms, lambda: "")
        canary.clear()
        due_ms = clock.monotonic_ms() + min(FIRST_MS, 1000 * every_s)
        while not canary.rest(due_ms, stop):
            due_ms = clock.monotonic_ms() + 1000 * every_s
            canary.play(stop)
