"""detect's composition root: settings → bus, net, worker, loop."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import cv2

from classpulse.bus.base import open_bus
from classpulse.clock import SystemClock
from classpulse.detect.deliveries import Deliveries
from classpulse.detect.devices import Device
from classpulse.detect.opening import first_eyes, opener
from classpulse.detect.sight import LineSight
from classpulse.detect.worker import Detect
from classpulse.faults import arm
from classpulse.health import Health, served
from classpulse.process import node
from classpulse.settings import Settings
from classpulse.stage import Loop, Pace
from classpulse.telemetry import Metrics, start_logging
from classpulse.topics import FRAMES, TOPICS
from classpulse.tracing import tracing

GROUP = "detect"
FRAME_MS = 12
"""About what decoding and looking at one frame takes on one core: turns `commit_ms` into records a step."""

_log = logging.getLogger("classpulse.detect")


def run(settings: Settings, *, index: int, count: int, stop: threading.Event) -> None:
    """Detect as copy `index` of `count` until `stop` is set. Raises BadInput for a wrong release or runtime, Fatal."""
    start_logging("detect" if count == 1 else f"detect-{index}", settings.log_level)
    _log.info("settings: %s", settings.describe())
    if settings.fault:
        arm(settings.fault)
    health = Health(SystemClock())
    with (
        served(settings, health) as metrics,
        opened(settings, stop, metrics, index=index, count=count) as worker,
    ):
        if worker is not None:
            health.follow(lambda: worker.loop.pulse.at_ms, worker.loop.missing)
            worker.loop.run(stop)


class Worker(NamedTuple):
    """What looks, the stage, and its loop."""

    sight: LineSight
    stage: Detect
    loop: Loop


@contextmanager
def opened(
    settings: Settings,
    stop: threading.Event,
    metrics: Metrics,
    *,
    index: int,
    count: int,
    device: Device | None = None,
) -> Iterator[Worker | None]:
    """Copy `index` of `count`, a member of its group for as long as this lasts; None when `stop` was set before it could look.

    Raises BadInput, Fatal.
    """
    cv2.setNumThreads(1)
    clock = SystemClock()
    bus = open_bus(settings.bus_as(GROUP))
    try:
        bus.create(tuple(TOPICS.values()))
        eyes = first_eyes(settings, bus, clock, device, stop)
        if eyes is None:
            yield None
            return
        sight = LineSight(bus, clock, settings.line, opener(settings, device), eyes, metrics=metrics)
        member = bus.member(GROUP, [FRAMES], index=index, count=count)
        pace = Pace(max_records=max(1, settings.commit_ms // FRAME_MS, 2 * eyes.at_once if eyes.at_once > 1 else 0))
        deliveries = Deliveries(bus, clock)
        stage = Detect(
            sight,
            deliveries,
            clock,
            metrics=metrics,
            freshness_ms=settings.freshness_ms,
            node=node(),
            decoders=1 if eyes.at_once == 1 else settings.runtime_threads,
        )
        with stage, tracing(settings, GROUP) as tracer:
            yield Worker(sight, stage, Loop(stage, bus, member, clock, pace, metrics=metrics, tracer=tracer))
            member.close()
    finally:
        bus.close()
