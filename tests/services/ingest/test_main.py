"""The composition root: settings in, frames out, and a quick end."""

import threading
from pathlib import Path

import pytest

from classpulse.bus.base import open_bus
from classpulse.clock import SystemClock
from classpulse.errors import BadInput
from classpulse.ingest.main import run
from classpulse.records import RoomConfig
from classpulse.roster import Roster
from classpulse.settings import Settings
from classpulse.topics import TOPICS
from tests.services.ingest.making import config_of, frames_of

ROOM = "district/school/room"


def test_a_bus_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="bus = 'carrier://pigeon': unknown scheme"):
        run(Settings(data=tmp_path, bus="carrier://pigeon"), index=0, count=1, stop=threading.Event())


def test_several_cameras_run_until_they_are_told_to_stop_and_then_all_threads_end(tmp_path: Path) -> None:
    settings, clock = Settings(data=tmp_path, log_level="WARNING"), SystemClock()
    bus = open_bus(settings.bus)
    bus.create(tuple(TOPICS.values()))
    keys = [f"{ROOM}/c{n}" for n in range(6)]
    cameras = [config_of("synth://?fps=10", camera=key, fps=5) for key in keys]
    Roster(bus, clock).write([RoomConfig(room=ROOM), *cameras])
    before, stop = threading.active_count(), threading.Event()
    stage = threading.Thread(target=run, args=(settings,), kwargs={"index": 0, "count": 1, "stop": stop})
    stage.start()
    until_ms = clock.monotonic_ms() + 20_000
    while any(len(frames_of(bus, key)) < 3 for key in keys) and clock.monotonic_ms() < until_ms:
        clock.sleep_ms(20)
    asked_ms = clock.monotonic_ms()
    stop.set()
    stage.join(10)
    assert clock.monotonic_ms() - asked_ms < 3_000
    assert threading.active_count() == before
    for key in keys:
        frames = frames_of(bus, key)
        assert [f.sequence for f in frames] == list(range(len(frames)))
        assert len(frames) >= 3
