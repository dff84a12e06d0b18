"""A camera in trouble, to the bus: detect behind, a full disk, an unreadable state, a rival, and being stopped."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from classpulse.bus.base import Place
from classpulse.bus.memory import MemoryBus, MemoryMember
from classpulse.clock import ManualClock, SystemClock
from classpulse.codec import Outgoing
from classpulse.errors import StorageFull
from classpulse.ingest import pressure
from classpulse.ingest.capture import Capture, tell_off
from classpulse.ingest.handover import MOST_PICTURES
from classpulse.ingest.pressure import Pressure
from classpulse.topics import FRAMES, TOPICS, partition_of
from tests.services.ingest.making import (
    CAMERA,
    ScriptedSource,
    StillPicture,
    beats_of,
    capture_of,
    clip,
    config_of,
    drops_of,
    frames_of,
    new_bus,
    play,
    state_of,
    stopped,
    told,
    wait_for,
    write_unreadable_state,
)
from tests.support import Shown

PARTITION = partition_of(CAMERA, FRAMES.partitions)


def test_a_complete_camera_waits_while_detect_is_behind_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pressure, "LOOK_EVERY_MS", 0)
    bus, clock = new_bus(), SystemClock()
    config = config_of(clip(tmp_path / "clip.mp4"), fps=30, delivery="complete")
    capture = capture_of(config, bus, clock, pressure=Pressure(bus, clock, most_records=10))
    capture.start()
    wait_for(lambda: len(frames_of(bus)) > 10)
    clock.sleep_ms(300)
    assert 10 < len(frames_of(bus)) <= 10 + MOST_PICTURES, "it goes on until the lag is above what may be"
    detect = bus.member("detect", [FRAMES])
    while not capture.ended:
        polled = detect.poll(max_records=5, max_bytes=1 << 30, timeout_ms=50)
        detect.commit([], {Place(r.topic, r.partition): r.offset + 1 for r in polled})
        assert capture.error is None
    assert [f.sequence for f in frames_of(bus)] == list(range(40))


class Full(MemoryBus):
    """A bus whose disk can be full."""

    full = False

    def apply(self, member: MemoryMember, outputs: Sequence[Outgoing], positions: Mapping[Place, int]) -> None:
        if self.full:
            raise StorageFull("no room; expected some")
        super().apply(member, outputs, positions)


def test_a_full_disk_stops_a_complete_camera_until_there_is_room(tmp_path: Path) -> None:
    bus, config = Full(), config_of(clip(tmp_path / "clip.mp4"), fps=30, delivery="complete")
    bus.create(tuple(TOPICS.values()))
    capture = capture_of(config, bus, ManualClock())
    capture.start()
    wait_for(lambda: len(frames_of(bus)) >= 5)
    bus.full = True
    wait_for(lambda: capture.report(0).last_error == "disk_full" or not capture.alive)
    SystemClock().sleep_ms(100)
    held = capture.report(0).captured - capture.report(0).published
    assert held <= 2 * MOST_PICTURES, "what is tried, and as many that wait"
    bus.full = False
    assert capture.join(30)
    assert [f.sequence for f in frames_of(bus)] == list(range(40))
    assert capture.report(0).last_error == ""


def test_a_full_disk_costs_a_live_camera_the_pictures_of_that_time_and_says_so() -> None:
    clock = ManualClock()
    bus, stay = Full(), threading.Event()
    bus.create(tuple(TOPICS.values()))
    capture: Capture

    def fill() -> None:
        wait_for(lambda: len(frames_of(bus)) == 1)
        bus.full = True

    def noticed() -> None:
        wait_for(lambda: capture.report(0).last_error == "disk_full")

    def make_room() -> None:
        bus.full = False

    first, *more = (StillPicture(pts_ms) for pts_ms in (0, 200, 400, 600, 800))

    def later() -> None:
        clock.advance(200)

    script = [first, fill, later, more[0], noticed, later, more[1], later, more[2], make_room, later, more[3]]
    source = ScriptedSource([*script, lambda: stay.wait(10) and None])
    capture = capture_of(config_of("rtsp://c/s"), bus, clock, source=source)
    capture.start()
    wait_for(lambda: any(f.sequence >= 3 for f in frames_of(bus)))
    capture.stop()
    stay.set()
    assert capture.join(3)
    sequences = [f.sequence for f in frames_of(bus)]
    gone = [n for d in drops_of(bus) for n in range(d.first_sequence, d.last_sequence + 1)]
    assert sorted(sequences + gone) == list(range(max(sequences) + 1))
    assert 1 in gone
    assert {d.reason for d in drops_of(bus)} <= {"disk_full", "queue_full"}
    assert drops_of(bus)[0].reason == "disk_full"


def test_stopping_says_nothing_about_the_camera(tmp_path: Path) -> None:
    bus = new_bus()
    config = config_of(f"file://{clip(tmp_path / 'clip.mp4')}?pace=realtime", delivery="complete")
    capture = capture_of(config, bus, SystemClock())
    capture.start()
    wait_for(lambda: frames_of(bus))
    stopped(capture)
    assert beats_of(bus) == []


def test_closing_tells_that_nobody_is_to_be_observed(tmp_path: Path) -> None:
    bus = new_bus()
    config = config_of(f"file://{clip(tmp_path / 'clip.mp4')}?pace=realtime", delivery="live")
    capture = capture_of(config, bus, SystemClock())
    capture.start()
    wait_for(lambda: frames_of(bus))
    stopped(capture, off=True)
    (end,) = beats_of(bus)
    assert end.state == "off"
    assert end.at_ms >= frames_of(bus)[-1].captured_at_ms
    assert told(bus)[-1] == end
    assert capture.told_off


def test_a_camera_that_is_not_open_can_be_told_off_and_forgotten(tmp_path: Path) -> None:
    bus, clock, config = new_bus(), ManualClock(), config_of(clip(tmp_path / "clip.mp4"), delivery="complete")
    play(config, bus, clock)
    assert tell_off(config, bus, clock, Shown())
    assert len(beats_of(bus)) == 1, "that it is over was told already"
    assert tell_off(config, bus, clock, Shown(), forget=True)
    assert not state_of(bus).ended
    play(config, bus, clock)
    assert {f.epoch for f in frames_of(bus)} == {0, 1}, "added again, it is played again"


def test_an_unreadable_state_stops_the_camera_instead_of_starting_its_epochs_anew() -> None:
    bus = new_bus()
    write_unreadable_state(bus, CAMERA)
    capture = capture_of(config_of("synth://"), bus, ManualClock())
    capture.start()
    assert capture.join(5)
    assert str(capture.error).startswith("wrong_type: IngestState")
    assert told(bus) == []


def test_a_camera_that_was_fenced_ends_with_that_error(tmp_path: Path) -> None:
    from classpulse.errors import Fenced

    bus = new_bus()
    config = config_of(f"file://{clip(tmp_path / 'clip.mp4')}?pace=realtime")
    first = capture_of(config, bus, SystemClock())
    first.start()
    wait_for(lambda: frames_of(bus))
    second = capture_of(config, bus, SystemClock())
    second.start()
    assert first.join(10)
    assert isinstance(first.error, Fenced)
    stopped(second)
    assert len({(f.epoch, f.sequence) for f in frames_of(bus)}) == len(frames_of(bus))
