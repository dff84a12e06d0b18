"""A topic is told line by line; pictures never."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from classpulse.bus.base import Bus
from classpulse.clock import SystemClock
from classpulse.codec import Outgoing, encode, tombstone
from classpulse.records import CameraConfig, Frame, Heartbeat
from classpulse.settings import Settings
from classpulse.supervisor import prepare_bus
from classpulse.topics import CAMERAS, FRAMES
from tests.services.cli.conftest import Command

CAMERA = "t/s/101/front"


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    bus = prepare_bus(Settings(data=tmp_path / "data"))
    yield bus
    bus.close()


def publish(bus: Bus, *outputs: Outgoing) -> None:
    bus.member("test", ()).commit(outputs, {})


def beat(sequence: int, camera: str = CAMERA) -> Outgoing:
    noun = Heartbeat(camera=camera, epoch=1, last_sequence=sequence, at_ms=0, state="up")
    return encode(noun, topic=FRAMES, at_ms=0)


def told(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_an_empty_topic_gives_no_line(command: Command, bus: Bus) -> None:
    assert command("tail", "events", "--once") == (0, "", "")


def test_an_unknown_topic_is_refused_with_those_there_are(command: Command) -> None:
    result = command("tail", "event", "--once")
    assert result.code == 2
    assert "classpulse: topic 'event' does not exist; expected one of cameras, rooms, frames," in result.err


def test_a_record_is_one_line_of_json_with_where_it_lies(command: Command, bus: Bus) -> None:
    publish(bus, beat(3))
    (line,) = told(command("tail", "frames", "--once").out)
    assert (line["key"], line["offset"], line["type"], line["last_sequence"]) == (CAMERA, 0, "Heartbeat", 3)
    assert line["appended"].endswith("Z")


def test_a_picture_is_never_printed(command: Command, bus: Bus) -> None:
    picture = b"\xff\xd8" + b"pixels" * 1000
    frame = Frame(
        camera=CAMERA, epoch=1, sequence=0, captured_at_ms=0, interval_ms=200, width=8, height=8, jpeg=picture
    )
    publish(bus, encode(frame, topic=FRAMES, at_ms=0))
    (line,) = told(command("tail", "frames", "--once").out)
    assert line["jpeg"] == "6002 bytes"


def test_the_last_lines_of_all_partitions_come_in_order_of_time(command: Command, bus: Bus) -> None:
    for n in range(7):
        publish(bus, beat(n, camera=f"t/s/101/c{n % 3}"))
        SystemClock().sleep_ms(3)  # so that no two were appended in the same millisecond
    lines = told(command("tail", "frames", "--once", "-n", "4").out)
    assert [line["last_sequence"] for line in lines] == [3, 4, 5, 6]
    assert command("tail", "frames", "--once", "-n", "0").out == ""


def test_a_deleted_key_and_an_unreadable_record_say_so(command: Command, bus: Bus) -> None:
    publish(bus, tombstone(CAMERAS, CAMERA, CAMERA), Outgoing(CAMERAS.name, 0, "x", b"?", (("ce_type", b"odd"),)))
    deleted, unreadable = told(command("tail", "cameras", "--once").out)
    assert deleted["deleted"] is True
    assert unreadable["unreadable"] == "unknown_type"


def test_a_password_on_the_bus_is_masked(command: Command, bus: Bus) -> None:
    config = CameraConfig(camera=CAMERA, source="rtsp://me:hush@host/x")
    publish(bus, encode(config, topic=CAMERAS, at_ms=0))
    out = command("tail", "cameras", "--once").out
    assert "hush" not in out
    assert told(out)[0]["source"] == "rtsp://me:***@host/x"


def test_it_follows_until_ctrl_c(bus: Bus, tmp_path: Path) -> None:
    publish(bus, beat(1))
    arguments = [sys.executable, "-u", "-m", "classpulse.cli", "tail", "frames", "--data", str(tmp_path / "data")]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["last_sequence"] == 1
        publish(bus, beat(2))
        assert json.loads(process.stdout.readline())["last_sequence"] == 2
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 0
        assert process.stderr.read() == ""


def test_nothing_of_hidden_rooms_is_told(command: Command, bus: Bus) -> None:
    publish(bus, beat(1), beat(2, camera="t/s/canary-1/0"), beat(3))
    assert [line["last_sequence"] for line in told(command("tail", "frames", "--once").out)] == [1, 3]
