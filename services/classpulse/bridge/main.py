"""bridge's composition root: settings → the school's bus, the district's, member, stage, loop."""

import logging
import threading
from contextlib import closing
from functools import partial
from pathlib import Path

from classpulse import files
from classpulse.bridge.crossing import Crossing
from classpulse.bridge.forward import Bridge
from classpulse.bus.base import Bus, Member, check_bus, open_bus
from classpulse.clock import SystemClock
from classpulse.errors import BadInput, ClassPulseError
from classpulse.faults import arm
from classpulse.health import Health, served
from classpulse.roster import Roster
from classpulse.settings import Settings
from classpulse.stage import Loop, Pace
from classpulse.telemetry import start_logging
from classpulse.topics import DETECTIONS, TOPICS
from classpulse.tracing import tracing

BATCH_RECORDS = 1_024
BATCH_BYTES = 1024 * 1024
"""So much crosses at once: it bounds the bridge's memory, and what is sent twice after a kill."""

IDENTITY_FILE = "bridge.id"

_log = logging.getLogger("classpulse.bridge")


def run(settings: Settings, *, index: int, count: int, stop: threading.Event) -> None:
    """Forward as copy `index` of `count` until `stop` is set. Raises BadInput for a wrong bus or no district, Fatal."""
    start_logging("bridge" if count == 1 else f"bridge-{index}", settings.log_level)
    _log.info("settings: %s", settings.describe())
    if settings.fault:
        arm(settings.fault)
    district = settings.district_bus()
    check_bus(district, key="district")
    logging.getLogger("kafka").addHandler(logging.NullHandler())  # away for hours, it says so several times a second
    clock = SystemClock()
    health = Health(clock)
    with served(settings, health) as metrics, closing(open_bus(settings.bus_as("bridge"))) as bus:
        bus.create(tuple(TOPICS.values()))
        local = bus.member(Bridge.name, [DETECTIONS], index=index, count=count)
        dial = partial(take_place, district, identity(settings.data), index)
        crossing = Crossing(local, dial, clock, pause_ms=settings.commit_ms)
        pace = Pace(max_records=BATCH_RECORDS, max_bytes=BATCH_BYTES, timeout_ms=settings.commit_ms)
        stage = Bridge(Roster(bus, clock).cameras, clock)
        with tracing(settings, Bridge.name) as tracer:
            loop = Loop(stage, bus, crossing, clock, pace, metrics=metrics, tracer=tracer)
            health.follow(lambda: loop.pulse.at_ms, loop.missing)
            loop.run(stop)
            crossing.close()


def take_place(url: str, site: str, index: int) -> tuple[Bus, Member]:
    """The place of a site's bridge on the district's bus; who held it before can write no more. Raises ClassPulseError."""
    bus = open_bus(url)
    try:
        bus.create([DETECTIONS])
        return bus, bus.member(Bridge.name, [], index=index, slot=site)
    except ClassPulseError:
        bus.close()
        raise


def identity(data: Path) -> str:
    """What tells this data folder's bridge from those of other schools; made once. Raises BadInput where it cannot be kept."""
    try:
        return files.identity(data / IDENTITY_FILE)
    except OSError as error:
        raise BadInput([f"data = {str(data)!r}: {error.strerror}; expected a folder that can be written"]) from error
