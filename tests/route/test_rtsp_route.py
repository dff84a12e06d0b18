"""A lesson over real RTSP through every stage; the camera dies mid-lesson and comes back, and the timeline shows the hole."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from classpulse.bus.base import open_bus
from classpulse.clock import SystemClock
from classpulse.codec import decode
from classpulse.reading import RoomTimeline, read_room, stored_records
from classpulse.records import FrameDetections
from classpulse.topics import DETECTIONS, partition_of
from tests.rtsp import require_server, serving
from tests.services.ingest.making import epochs_of
from tests.support import ROOT

pytestmark = [pytest.mark.rtsp, pytest.mark.xdist_group("rtsp")]

LESSON = ROOT / "services/classpulse/demo/lessons/lesson-1.mp4"
ROOM = "district/school/room-1"
HOLE_MS = 6_000
SITE = """
[settings]
data = "data"
bucket_ms = 2000

[[rooms]]
room = "{room}"

[[cameras]]
camera = "{room}/front"
source = "rtsp://127.0.0.1:{port}/stream"
"""


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 90.0) -> None:
    clock = SystemClock()
    until_ms = clock.monotonic_ms() + int(1000 * timeout_s)
    while not condition():
        assert clock.monotonic_ms() < until_ms, f"not in time: {what}"
        clock.sleep_ms(200)


def frames_of(data: Path) -> list[FrameDetections]:
    if not (data / "bus.sqlite").exists():
        return []
    bus = open_bus(f"sqlite://{data}/bus.sqlite")
    try:
        records = stored_records(bus, DETECTIONS, partition_of(ROOM, DETECTIONS.partitions))
        return [noun for noun in map(decode, records) if isinstance(noun, FrameDetections)]
    finally:
        bus.close()


def timeline_of(data: Path) -> RoomTimeline:
    bus = open_bus(f"sqlite://{data}/bus.sqlite")
    try:
        return read_room(bus, ROOM)
    finally:
        bus.close()


def test_a_lesson_whose_camera_dies_and_comes_back_is_a_timeline_with_a_hole(tmp_path: Path) -> None:
    require_server()
    site, data, clock = tmp_path / "site.toml", tmp_path / "data", SystemClock()
    with serving("--clip", str(LESSON)) as (server, port):
        site.write_text(SITE.format(room=ROOM, port=port))
        command = [sys.executable, "-m", "classpulse.cli", "up", str(site)]
        environ = {**os.environ, "OMP_NUM_THREADS": "1"}
        with (tmp_path / "up.log").open("wb") as log:
            up = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=log, stderr=log)
        try:
            wait_for(lambda: len(frames_of(data)) >= 40, "frames before the hole")
            server.kill()
            server.wait()
            before = len(frames_of(data))
            clock.sleep_ms(HOLE_MS)
            with serving("--clip", str(LESSON), port=port):
                wait_for(lambda: len(frames_of(data)) >= before + 20, "frames after the hole")
                clock.sleep_ms(5_000)
        finally:
            up.send_signal(signal.SIGINT)
            assert up.wait(10) == 0, (tmp_path / "up.log").read_text()

    frames, timeline = frames_of(data), timeline_of(data)
    assert set(epochs_of(frames)) == {0, 1}
    hole = max(pairwise(frame.captured_at_ms for frame in frames), key=lambda pair: pair[1] - pair[0])
    assert hole[1] - hole[0] >= HOLE_MS - 500
    inside = [c for c in timeline.cells if hole[0] + 1_500 <= c.start_ms and c.end_ms <= hole[1]]
    assert inside, "buckets of 2 s fit into the hole"
    assert all(cell.due_ms > 0 and cell.observed_ms == 0 for cell in inside), "somebody was to be seen, nobody was"
    assert any(cell.observed_ms == cell.due_ms > 0 for cell in timeline.cells if cell.end_ms <= hole[0])
    assert any(cell.observed_ms == cell.due_ms > 0 for cell in timeline.cells if cell.start_ms >= hole[1])
    assert timeline.coverage is not None
    assert timeline.coverage < 1
    assert json.loads((data / "status.json").read_text())["stages"]
