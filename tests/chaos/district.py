"""A school edge and its district, as people start them: what the tests of the bridge share."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from classpulse.bus.base import open_bus
from classpulse.bus.limits import unread
from classpulse.clock import SystemClock
from classpulse.records import CameraConfig, RoomConfig
from classpulse.roster import BRIDGED, Roster
from classpulse.topics import DETECTIONS, FRAMES, TOPICS
from tests.chaos.route import LIMIT_S, write_site

ROOMS = tuple(f"chaos/school/room-{number}" for number in (1, 2, 3))


def write_edge(folder: Path, district: str) -> Path:
    """The site of the chaos tests as a school edge."""
    site = write_site(folder)
    site.write_text(site.read_text().replace("[settings]\n", f'[settings]\ndistrict = "{district}"\n'))
    return site


def declare(district: str) -> None:
    """The district's operator says which rooms and cameras there are; complete, because lessons are played whole."""
    with closing(open_bus(district)) as bus:
        bus.create(tuple(TOPICS.values()))
        cameras = [CameraConfig(camera=f"{room}/front", source=BRIDGED, delivery="complete") for room in ROOMS]
        Roster(bus, SystemClock()).write([*(RoomConfig(room=room) for room in ROOMS), *cameras])


@contextmanager
def aggregating(folder: Path, district: str) -> Iterator["Aggregator"]:
    """The district's aggregate, as a process that is started again when it ends."""
    aggregator = Aggregator(folder, district)
    try:
        yield aggregator
    finally:
        aggregator.end()


class Aggregator:
    """`classpulse aggregate` under a supervisor of few words."""

    def __init__(self, folder: Path, district: str) -> None:
        self.district, self._log = district, folder / "district.log"
        self._environ = {**os.environ, "CLASSPULSE_BUS": district, "CLASSPULSE_DATA": str(folder / "district")}
        self._start()

    def _start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "classpulse.cli", "aggregate"], env=self._environ, stdout=log, stderr=log
            )

    def watch(self) -> None:
        """Start it again where it ended."""
        if self._process.poll() is not None:
            self._start()

    def finish(self) -> None:
        """Until all that crossed is aggregated."""
        clock = SystemClock()
        give_up_ms = clock.monotonic_ms() + int(1000 * LIMIT_S)
        with closing(open_bus(self.district)) as bus:
            while unread(bus, "aggregate", DETECTIONS):
                assert clock.monotonic_ms() < give_up_ms, self._log.read_text()[-4000:]
                self.watch()
                clock.sleep_ms(200)
            assert all(first == end == 0 for first, end in bus.ends(FRAMES).values()), "a picture left the school"

    def end(self) -> None:
        """End it for good."""
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
