"""A school over a real Kafka: a broker with six drawn cameras, and copies of ingest that share them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.kafka.cluster import Cluster

from classpulse.bus.base import Bus, open_bus
from classpulse.clock import SystemClock
from classpulse.codec import decode
from classpulse.reading import stored_records
from classpulse.records import CameraConfig, Frame, Heartbeat, RoomConfig, Told
from classpulse.roster import Roster
from classpulse.topics import FRAMES, TOPICS
from tests.brokers import MORTAL

ROOM = "chaos/school/room"
CAMERAS = [f"{ROOM}/camera-{number}" for number in range(6)]
PATIENCE_S = 60.0


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

    def appended(self) -> dict[str, list[tuple[int, Told]]]:
        """What frames.v1 says of each camera, in order, and when it was appended."""
        found: dict[str, list[tuple[int, Told]]] = {}
        for partition in range(FRAMES.partitions):
            for stored in stored_records(self.bus, FRAMES, partition):
                if isinstance(noun := decode(stored), Told):
                    found.setdefault(noun.camera, []).append((stored.appended_at_ms, noun))
        return found

    def told(self) -> dict[str, list[Told]]:
        """What frames.v1 says of each camera, in order."""
        return {key: [noun for _, noun in told] for key, told in self.appended().items()}

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
    """A small drawn camera."""
    return CameraConfig(camera=key, source="synth://?fps=4&width=160&height=120", fps=2)


@contextmanager
def opened(folder: Path) -> Iterator[School]:
    """The school on one plaintext node."""
    with Cluster(folder / "kafka", 1, secure=False, wrapper=MORTAL).lasting() as cluster:
        school = School(cluster, folder)
        try:
            yield school
        finally:
            school.close()


def wait_until(so: Callable[[], bool], said: Callable[[], str]) -> None:
    """Look again and again, for PATIENCE_S; then say what was `said`."""
    give_up = time.monotonic() + PATIENCE_S
    while not so():
        assert time.monotonic() < give_up, said()
        time.sleep(0.2)


def state_of(noun: Told) -> str:
    """What a heartbeat says of its camera; nothing for anything else."""
    return noun.state if isinstance(noun, Heartbeat) else ""
