"""detect's composition root: settings → bus, net, worker, loop."""

import logging
import threading

import cv2

from classpulse.bus.base import open_bus
from classpulse.clock import SystemClock
from classpulse.detect.deliveries import Deliveries
from classpulse.detect.eyes import open_eyes
from classpulse.detect.worker import Detect
from classpulse.faults import arm
from classpulse.settings import Settings
from classpulse.stage import Loop, Pace
from classpulse.telemetry import MODEL_INFO, serve_metrics, start_logging
from classpulse.topics import FRAMES, TOPICS

FRAME_MS = 12
"""About what decoding and looking at one frame takes on one core: turns `commit_ms` into records a step."""

_log = logging.getLogger("classpulse.detect")


def run(settings: Settings, *, index: int, count: int, stop: threading.Event) -> None:
    """Detect as copy `index` of `count` until `stop` is set. Raises BadInput for a wrong release or runtime, Fatal."""
    start_logging("detect" if count == 1 else f"detect-{index}", settings.log_level)
    _log.info("settings: %s", settings.describe())
    if settings.fault:
        arm(settings.fault)
    cv2.setNumThreads(1)
    serve_metrics(settings.metrics_port)
    eyes = open_eyes(settings)
    MODEL_INFO.labels(eyes.digest).set(1)
    clock = SystemClock()
    bus = open_bus(settings.bus_as("detect"))
    try:
        bus.create(tuple(TOPICS.values()))
        member = bus.member("detect", [FRAMES], index=index, count=count)
        pace = Pace(max_records=max(1, settings.commit_ms // FRAME_MS))
        with Detect(eyes, Deliveries(bus, clock), clock, freshness_ms=settings.freshness_ms) as stage:
            Loop(stage, bus, member, clock, pace).run(stop)
        member.close()
    finally:
        bus.close()
