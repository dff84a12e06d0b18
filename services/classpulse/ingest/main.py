"""ingest's composition root: settings → bus, cameras; cameras → frames.v1."""

import logging
import re
import threading
from contextlib import ExitStack, closing
from functools import partial

import cv2

from classpulse.bus.base import open_bus
from classpulse.clock import SystemClock
from classpulse.errors import BadInput
from classpulse.faults import arm
from classpulse.health import Health, served
from classpulse.ingest.capture import Capture
from classpulse.ingest.pressure import Pressure
from classpulse.ingest.watch import Watch
from classpulse.process import node
from classpulse.settings import Settings
from classpulse.telemetry import start_logging
from classpulse.topics import TOPICS
from classpulse.tracing import tracing

LOOK_EVERY_S = 1.0
STOP_WITHIN_MS = 2_500

_log = logging.getLogger("classpulse.ingest")


def run(settings: Settings, *, index: int, count: int, stop: threading.Event) -> None:
    """Watch the cameras of copy `index` of `count` until `stop` is set. Raises BadInput for a wrong bus or school, Fatal."""
    if settings.school and not re.fullmatch(r"[^/\s]+/[^/\s]+", settings.school):
        raise BadInput(
            [f"CLASSPULSE_SCHOOL = {settings.school!r}: expected TENANT/SCHOOL, or nothing for every school"]
        )
    start_logging("ingest" if count == 1 else f"ingest-{index}", settings.log_level)
    _log.info("settings: %s", settings.describe())
    if settings.fault:
        arm(settings.fault)
    cv2.setNumThreads(1)
    clock = SystemClock()
    health = Health(clock)
    with ExitStack() as ending:
        metrics = ending.enter_context(served(settings, health))
        bus = ending.enter_context(closing(open_bus(settings.bus_as("ingest"))))
        tracer = ending.enter_context(tracing(settings, "ingest"))
        bus.create(tuple(TOPICS.values()))
        pressure = Pressure(bus, clock)
        open_camera = partial(Capture, bus=bus, clock=clock, pressure=pressure, metrics=metrics, tracer=tracer)
        watch = Watch(
            bus,
            clock,
            open_camera,
            metrics=metrics,
            index=index,
            count=count,
            school=settings.school,
            node=node(),
            camera_series=settings.camera_series,
        )
        health.follow(lambda: watch.turned_ms, watch.missing)
        try:
            while not stop.is_set():
                watch.turn()
                stop.wait(LOOK_EVERY_S)
        finally:
            if not watch.stop(STOP_WITHIN_MS):
                _log.warning("not every camera had finished after %d ms", STOP_WITHIN_MS)
