"""Killed at its named fault points, a complete camera loses no frame and tells none twice."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from classpulse.bus.base import open_bus
from classpulse.clock import SystemClock
from classpulse.records import Frame, RoomConfig
from classpulse.roster import Roster
from classpulse.settings import Settings
from classpulse.topics import INGEST_STATE, TOPICS
from tests.services.ingest.making import CAMERA, beats_of, clip, config_of, count_of, frames_of, state_of
from tests.support import ROOT

KILLED = -9


class Stage:
    """The process, its folder and its bus. Its clip begins when it was first opened, whoever was killed since."""

    def __init__(self, folder: Path, source: Path | str, *, fps: float) -> None:
        self.settings = Settings(data=folder, log_level="WARNING")
        folder.mkdir(exist_ok=True)
        self.bus = open_bus(self.settings.bus)
        self.bus.create(tuple(TOPICS.values()))
        config = config_of(source, fps=fps, delivery="complete")
        Roster(self.bus, SystemClock()).write([RoomConfig(room="district/school/room"), config])

    def start(self, fault: str = "") -> subprocess.Popen[bytes]:
        """Start it, with a fault point armed."""
        environ = {**os.environ, **self.settings.to_env(), "CLASSPULSE_FAULT": fault}
        return subprocess.Popen([sys.executable, "-m", "tests.services.ingest.worker"], cwd=ROOT, env=environ)

    def killed_at(self, fault: str) -> bool:
        """Run it until it is killed there; False if the clip ended before."""
        process, clock = self.start(fault), SystemClock()
        until_ms = clock.monotonic_ms() + 40_000
        try:
            while process.poll() is None and not self.ended():
                assert clock.monotonic_ms() < until_ms, "neither killed nor over in time"
                clock.sleep_ms(20)
            if process.poll() is not None:
                assert process.returncode == KILLED
                return True
            process.terminate()
            assert process.wait(5) == 0
            return False
        finally:
            process.kill()
            process.wait()

    def ended(self) -> bool:
        """Whether the camera has told that its clip is over."""
        return any(True for _ in self.bus.latest(INGEST_STATE, key=CAMERA)) and state_of(self.bus).ended

    def frames(self) -> list[Frame]:
        """What it has published."""
        return frames_of(self.bus)


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    return clip(tmp_path / "lesson.mp4", frames=60, b_frames=2, gop=12)


@pytest.mark.chaos
@pytest.mark.parametrize("point", ["ingest.decoded", "ingest.encoded", "ingest.published"])
def test_kills_at_a_fault_point_cost_no_frame_and_repeat_none(tmp_path: Path, lesson: Path, point: str) -> None:
    reference = Stage(tmp_path / "whole", lesson, fps=30)
    assert not reference.killed_at("")
    stage = Stage(tmp_path / "killed", lesson, fps=30)
    counts = (
        (1, 2, 3, 2, 1) if point == "ingest.published" else (1, 2, 7, 19, 1)
    )  # several frames are published at once
    kills = sum(stage.killed_at(f"{point}:{count}") for count in counts)
    assert kills == 5
    assert not stage.killed_at("")
    frames = stage.frames()
    assert len(frames) == count_of(lesson) == 60
    assert [(f.epoch, f.sequence) for f in frames] == [(0, n) for n in range(60)]
    assert {b.captured_at_ms - a.captured_at_ms for a, b in pairwise(frames)} == {100}
    assert [f.jpeg for f in frames] == [f.jpeg for f in reference.frames()], "the same pictures, byte for byte"
    assert [beat.state for beat in beats_of(stage.bus)] == ["off"]


@pytest.mark.chaos
def test_kills_inside_the_transaction_keep_frame_and_state_together(tmp_path: Path, lesson: Path) -> None:
    stage = Stage(tmp_path / "killed", lesson, fps=30)
    # the stage's own reports pass these points too, so each run is killed somewhere in its first commits
    for point in ("bus.begun", "bus.outputs_written", "bus.positions_written"):
        for count in (3, 5):
            assert stage.killed_at(f"{point}:{count}")
            assert state_matches(stage)
    assert not stage.killed_at("")
    assert [(f.epoch, f.sequence) for f in stage.frames()] == [(0, n) for n in range(60)]


def state_matches(stage: Stage) -> bool:
    """Whether the state says exactly what the frames say."""
    frames = stage.frames()
    if not frames:
        return not any(True for _ in stage.bus.latest(INGEST_STATE, key=CAMERA))
    state = state_of(stage.bus)
    return (state.next_sequence, state.last_ms) == (frames[-1].sequence + 1, frames[-1].captured_at_ms)
