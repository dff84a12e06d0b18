"""aggregate's composition root: settings → bus, member, stage, loop."""

import logging
import threading
from contextlib import closing
from dataclasses import replace

from classpulse.aggregate.aggregate import Aggregate
from classpulse.bus.base import open_bus
from classpulse.clock import SystemClock
from classpulse.faults import arm
from classpulse.health import Health, served
from classpulse.settings import Settings
from classpulse.stage import Loop, Pace
from classpulse.telemetry import start_logging
from classpulse.topics import DETECTIONS, TOPICS
from classpulse.tracing import tracing

PACE = Pace(max_records=3_000, max_bytes=4 * 1024 * 1024, idle_every_ms=1_000)
"""A full step of many rooms changes most of them more than once, and writes each room's state once: the more records, the fewer
writes a record. It takes less than a second, and its outputs stay far below what a step may hold. Between steps it looks at the
rooms' plans and at silent cameras; what it finds there is seconds old anyway."""

_log = logging.getLogger("classpulse.aggregate")


def run(settings: Settings, *, index: int, count: int, stop: threading.Event) -> None:
    """Aggregate as copy `index` of `count` until `stop` is set. Raises BadInput for a wrong bus, Fatal."""
    start_logging("aggregate" if count == 1 else f"aggregate-{index}", settings.log_level)
    _log.info("settings: %s", settings.describe())
    if settings.fault:
        arm(settings.fault)
    clock = SystemClock()
    health = Health(clock)
    with served(settings, health) as metrics, closing(open_bus(settings.bus_as("aggregate"))) as bus:
        bus.create(tuple(TOPICS.values()))
        member = bus.member(Aggregate.name, [DETECTIONS], index=index, count=count)
        stage = Aggregate(
            bus,
            clock,
            member.assignment,
            metrics=metrics,
            bucket_ms=settings.bucket_ms,
            on_its_way_ms=settings.freshness_ms,
        )
        pace = replace(PACE, timeout_ms=settings.commit_ms)
        with tracing(settings, Aggregate.name) as tracer:
            loop = Loop(stage, bus, member, clock, pace, metrics=metrics, tracer=tracer)
            health.follow(lambda: loop.pulse.at_ms, loop.missing)
            loop.run(stop)
            member.close()  # first: what is left of traces may have to wait for who takes it
