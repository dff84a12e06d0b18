"""Copies of ingest share a school's cameras over a real Kafka: one joins, one is killed, one is frozen past its session.

A camera's frames are counted as every reader downstream counts them: the first record of a higher epoch supersedes all lower
ones, so that what two copies published of one camera never counts twice.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deploy.local.kafka.cluster import Cluster

from classpulse.bus.base import Bus, open_bus
from classpulse.clock import SystemClock
from classpulse.codec import decode
from classpulse.reading import stored_records
from classpulse.records import CameraConfig, Frame, Heartbeat, RoomConfig, Told
from classpulse.roster import Roster
from classpulse.topics import FRAMES, TOPICS
from tests.brokers import MORTAL, require_kafka

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.xdist_group("kafka-chaos")]

ROOM = "chaos/school/room"
CAMERAS = [f"{ROOM}/camera-{number}" for number in range(6)]
PATIENCE_S = 60.0
FROZEN_S = 16.0
"""Longer than the group's session and any transaction."""


class School:
    """A broker with six drawn cameras, and the copies of ingest that a test starts."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.bus: Bus = open_bus(cluster.url())
        self.bus.create(tuple(TOPICS.values()))
        self.roster = Roster(self.bus, SystemClock())
        self.roster.write([RoomConfig(room=ROOM), *map(camera, CAMERAS)])
        self._url, self._folder = cluster.url(), folder
        self.copies: list[subprocess.Popen[bytes]] = []

    def start(self) -> "subprocess.Popen[bytes]":
        """One more copy."""
        number = len(self.copies)
        environ = {**os.environ, "CLASSPULSE_BUS": self._url, "CLASSPULSE_SCHOOL": "chaos/school"}
        command = [sys.executable, "-m", "classpulse.cli", "ingest", "--index", str(number), "--count", str(number + 1)]
        with (self._folder / f"ingest-{number}.log").open("wb") as log:
            self.copies.append(subprocess.Popen(command, env=environ, stdout=log, stderr=log))
        return self.copies[-1]

    def told(self) -> dict[str, list[Told]]:
        """What frames.v1 says of each camera, in order."""
        found: dict[str, list[Told]] = {}
        for partition in range(FRAMES.partitions):
            for stored in stored_records(self.bus, FRAMES, partition):
                if isinstance(noun := decode(stored), Told):
                    found.setdefault(noun.camera, []).append(noun)
        return found

    def frames(self) -> dict[str, list[Frame]]:
        """Every camera's frames, in order."""
        return {key: [noun for noun in told if isinstance(noun, Frame)] for key, told in self.told().items()}

    def all_seen_anew(self, cameras: list[str]) -> None:
        """Wait until each of these cameras has published after now."""
        before = {key: len(frames) for key, frames in self.frames().items()}
        wait_until(lambda: all(len(self.frames().get(key, ())) > before.get(key, 0) for key in cameras), self.logs)

    def opened(self, copy: int) -> bool:
        """Whether a copy has opened a camera."""
        return ": opened" in self.log(copy)

    def log(self, copy: int) -> str:
        """What a copy said."""
        return (self._folder / f"ingest-{copy}.log").read_text()

    def logs(self) -> str:
        """The end of what each copy said."""
        return "\n".join(self.log(number)[-1_500:] for number in range(len(self.copies)))

    def close(self) -> None:
        """End what was started."""
        for copy in self.copies:
            copy.kill()
            copy.wait()
        self.bus.close()


def camera(key: str) -> CameraConfig:
    return CameraConfig(camera=key, source="synth://?fps=4&width=160&height=120", fps=2)


@pytest.fixture
def school(tmp_path: Path) -> Iterator[School]:
    require_kafka()
    with Cluster(tmp_path / "kafka", 1, secure=False, wrapper=MORTAL).lasting() as cluster:
        school = School(cluster, tmp_path)
        yield school
        school.close()


def wait_until(so: Callable[[], bool], said: Callable[[], str]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not so():
        assert time.monotonic() < give_up, said()
        time.sleep(0.2)


def state_of(noun: Told) -> str:
    return noun.state if isinstance(noun, Heartbeat) else ""


def check_counted_once(frames: dict[str, list[Frame]]) -> None:
    """Within an epoch sequences rise without a repeat, and time never goes back; after a higher epoch no lower one counts."""
    for told in frames.values():
        latest: dict[int, Frame] = {}
        for frame in told:
            before = latest.get(frame.epoch)
            assert before is None or frame.sequence > before.sequence, (frame.camera, frame.epoch, frame.sequence)
            latest[frame.epoch] = frame
        assert [frame.epoch for frame in told] == sorted(frame.epoch for frame in told), "a fenced copy wrote on"


def test_copies_that_join_die_and_freeze_share_the_cameras_and_count_them_once(school: School) -> None:
    first = school.start()
    school.all_seen_anew(CAMERAS)

    second = school.start()
    wait_until(lambda: school.opened(1) and ": left to another copy" in school.log(0), school.logs)
    school.all_seen_anew(CAMERAS)

    second.kill()
    second.wait()
    school.all_seen_anew(CAMERAS)

    third = school.start()
    wait_until(lambda: school.opened(2), school.logs)
    third.send_signal(signal.SIGSTOP)
    school.all_seen_anew(CAMERAS)
    time.sleep(FROZEN_S)
    third.send_signal(signal.SIGCONT)
    school.all_seen_anew(CAMERAS)

    frames = school.frames()
    assert set(frames) == set(CAMERAS)
    check_counted_once(frames)
    assert first.poll() is None


def test_a_camera_that_is_added_changed_or_removed_is_so_without_a_restart(school: School) -> None:
    school.start()
    school.all_seen_anew(CAMERAS)
    added = f"{ROOM}/added"

    school.roster.write([camera(added)])
    school.all_seen_anew([added])
    school.roster.remove_camera(added)
    wait_until(lambda: state_of(school.told()[added][-1]) == "off", school.logs)
    school.all_seen_anew(CAMERAS)
