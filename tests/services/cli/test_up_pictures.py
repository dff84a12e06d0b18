"""No picture outlives the process that applies the frames' ten minutes: `up` forgets what was looked at when it ends."""

import logging
from pathlib import Path

import pytest

from classpulse.bus.base import Bus, Place
from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock
from classpulse.codec import Outgoing
from classpulse.commands.up import _forget_pictures
from classpulse.settings import Settings
from classpulse.supervisor import prepare_bus
from classpulse.topics import FRAMES, TOPICS
from tests.services.cli.conftest import Command
from tests.services.cli.site import FRAMES_IN_CLIP, log_of, make_clip, make_site, up

JPEG = b"\xff\xd8\xff\xe0"


def opened(folder: Path) -> Bus:
    return prepare_bus(Settings(data=folder / "data"))


def test_no_picture_is_left_in_the_file_once_up_has_ended_and_its_story_is(command: Command, tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4")
    site = make_site(tmp_path, "file://a.mp4")
    with up(site) as process:
        assert process.wait(120) == 0, log_of(site)

    bus = opened(tmp_path)
    ends = bus.ends(FRAMES)
    bus.close()
    assert sum(end for _, end in ends.values()) >= FRAMES_IN_CLIP // 2
    assert all(first == end for first, end in ends.values())
    for path in (tmp_path / "data").glob("bus.sqlite*"):
        assert JPEG not in path.read_bytes(), path
    assert len(command("tail", "timelines", "--once", "-n", "1000").out.splitlines()) > 0
    assert command("replay").code == 0


def test_an_interrupted_route_removes_what_it_has_time_for_and_says_what_is_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = ManualClock()
    bus = MemoryBus(clock=clock)
    bus.create(tuple(TOPICS.values()))
    pictures = [Outgoing(FRAMES.name, partition, "t/s/r/c", JPEG, ()) for partition in (0, 1)]
    bus.member("ingest", ()).commit(pictures, {})
    bus.member("detect", [FRAMES]).commit([], {Place(FRAMES.name, partition): 1 for partition in (0, 1)})

    with caplog.at_level(logging.WARNING, "classpulse.up"):
        _forget_pictures(bus, clock, within_ms=0)
        assert "2 frames stay in the bus until the next up" in caplog.text
        caplog.clear()
        _forget_pictures(bus, clock, within_ms=None)
        assert caplog.text == ""
    assert [bus.ends(FRAMES)[partition] for partition in (0, 1)] == [(1, 1), (1, 1)]
