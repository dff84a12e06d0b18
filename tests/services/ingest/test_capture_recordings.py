"""A recording from its file to the bus: every sampled frame once, and what cannot be read is said."""

import itertools
from pathlib import Path

import pytest

from classpulse.bus.base import Place
from classpulse.clock import ManualClock
from classpulse.records import Frame, Heartbeat
from classpulse.topics import FRAMES, partition_of
from tests.services.ingest.making import (
    CAMERA,
    ScriptedSource,
    beats_of,
    capture_of,
    clip,
    config_of,
    count_of,
    faststart,
    frames_of,
    new_bus,
    play,
    state_of,
    stopped,
    told,
    wait_for,
)

PARTITION = partition_of(CAMERA, FRAMES.partitions)


def test_a_recording_without_pictures_is_over_at_once() -> None:
    bus = new_bus()
    play(config_of("synth://x", delivery="complete"), bus, source=ScriptedSource([], recorded=True))
    (end,) = told(bus)
    assert isinstance(end, Heartbeat)
    assert (end.state, end.last_sequence) == ("off", -1)


@pytest.mark.parametrize("fps", [1.0, 5.0, 10.0, 30.0])
def test_a_clip_becomes_its_sampled_frames_and_the_end_is_told(tmp_path: Path, fps: float) -> None:
    bus, clock, path = new_bus(), ManualClock(), clip(tmp_path / "clip.mp4")
    began_ms = clock.now_ms()
    capture = play(config_of(path, fps=fps, delivery="complete"), bus, clock)
    step_ms = max(100, round(1000 / fps))
    frames = frames_of(bus)
    assert [f.captured_at_ms - (began_ms - 4_000) for f in frames] == list(range(0, 4_000, step_ms))
    assert [f.sequence for f in frames] == list(range(len(frames)))
    assert {(f.epoch, f.interval_ms, f.width, f.height) for f in frames} == {(0, step_ms, 320, 180)}
    (end,) = beats_of(bus)
    assert (end.state, end.at_ms, end.last_sequence) == ("off", began_ms, len(frames) - 1)
    assert state_of(bus).ended
    assert capture.ended
    report = capture.report(clock.now_ms())
    assert (report.captured, report.published, report.dropped, report.state) == (len(frames), len(frames), {}, "off")


def test_every_frame_of_a_clip_is_published_when_asked_for(tmp_path: Path) -> None:
    bus, path = new_bus(), clip(tmp_path / "clip.mp4", b_frames=2)
    play(config_of(path, fps=30, delivery="complete"), bus)
    assert len(frames_of(bus)) == count_of(path) == 40


def test_an_ended_clip_is_not_played_again_after_a_restart(tmp_path: Path) -> None:
    bus, config = new_bus(), config_of(clip(tmp_path / "clip.mp4"), delivery="complete")
    play(config, bus)
    before = told(bus)
    play(config, bus)
    assert told(bus) == before


def test_a_stopped_complete_clip_goes_on_without_loss_or_repetition(tmp_path: Path) -> None:
    bus, clock, config = new_bus(), ManualClock(), config_of(clip(tmp_path / "c.mp4"), fps=30, delivery="complete")
    for _ in range(6):
        capture = capture_of(config, bus, clock)
        before = len(frames_of(bus))
        capture.start()
        wait_for(lambda before=before, capture=capture: len(frames_of(bus)) >= before + 5 or not capture.alive)
        stopped(capture)
        clock.advance(5_000)
    play(config, bus, clock)
    frames = frames_of(bus)
    assert [(f.epoch, f.sequence) for f in frames] == [(0, n) for n in range(40)]
    assert {b.captured_at_ms - a.captured_at_ms for a, b in itertools.pairwise(frames)} == {100}


def test_a_paced_clip_is_published_when_its_time_has_come(tmp_path: Path) -> None:
    clock = ManualClock()
    bus, began_ms = new_bus(clock), clock.now_ms()
    path = clip(tmp_path / "clip.mp4")
    play(config_of(f"file://{path}?pace=realtime", delivery="complete"), bus, clock)
    frames = frames_of(bus)
    assert [f.captured_at_ms - began_ms for f in frames] == list(range(0, 4_000, 200))
    records = bus.fetch(Place(FRAMES.name, PARTITION), 0, max_records=999, max_bytes=1 << 30)
    assert all(r.appended_at_ms >= f.captured_at_ms for r, f in zip(records, frames, strict=False))
    assert clock.now_ms() == began_ms + 4_000


def test_a_looped_clip_begins_again_in_a_new_epoch(tmp_path: Path) -> None:
    bus, clock = new_bus(), ManualClock()
    path = clip(tmp_path / "clip.mp4", frames=10)
    capture = capture_of(config_of(f"file://{path}?loop=1", delivery="complete"), bus, clock)
    capture.start()
    wait_for(lambda: len({f.epoch for f in frames_of(bus)}) >= 3)
    stopped(capture)
    frames = [f for f in frames_of(bus) if f.epoch < 2]
    assert [(f.epoch, f.sequence) for f in frames] == [(e, n) for e in (0, 1) for n in range(5)]
    assert [f.captured_at_ms for f in frames] == sorted(f.captured_at_ms for f in frames)


def test_what_decodes_of_a_cut_clip_is_published_and_then_the_camera_is_silent_with_the_reason(tmp_path: Path) -> None:
    whole = faststart(clip(tmp_path / "clip.mp4", frames=100))
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    bus, clock = new_bus(), ManualClock()
    capture = capture_of(config_of(cut, fps=10, delivery="complete"), bus, clock)
    capture.start()
    wait_for(lambda: len(beats_of(bus)) > 3)
    stopped(capture)
    frames, beats = frames_of(bus), beats_of(bus)
    assert 30 < len(frames) < 60
    assert [f.sequence for f in frames] == list(range(len(frames)))
    assert {(beat.state, beat.detail, beat.last_sequence) for beat in beats} == {("silent", "damaged", len(frames) - 1)}
    assert capture.report(0).last_error == "damaged"


@pytest.mark.parametrize(("content", "reason"), [(None, "missing"), (b"", "empty"), (b"no video" * 99, "not_video")])
def test_a_file_that_cannot_be_read_makes_its_camera_silent_with_the_reason(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    bus = new_bus()
    capture = capture_of(config_of(path, delivery="complete"), bus, ManualClock())
    capture.start()
    wait_for(lambda: beats_of(bus))
    stopped(capture)
    assert {(beat.state, beat.detail) for beat in beats_of(bus)} == {("silent", reason)}
    report = capture.report(0)
    assert (report.state, report.last_error, report.captured) == ("silent", reason, 0)


def test_a_file_that_appears_later_is_played_and_never_before_the_time_that_was_told(tmp_path: Path) -> None:
    bus, clock, path = new_bus(), ManualClock(), tmp_path / "clip.mp4"
    capture = capture_of(config_of(path, delivery="complete"), bus, clock)
    capture.start()
    wait_for(lambda: beats_of(bus))
    clip(tmp_path / "new.mp4").rename(path)
    assert capture.join(30)
    times = [noun.captured_at_ms if isinstance(noun, Frame) else noun.at_ms for noun in told(bus)]  # type: ignore[attr-defined]
    assert times == sorted(times)
    assert len(frames_of(bus)) == 20


def test_a_source_that_is_no_address_is_silent_and_says_so() -> None:
    bus = new_bus()
    capture = capture_of(config_of("ftp://10.0.0.7/stream"), bus, ManualClock())
    capture.start()
    wait_for(lambda: beats_of(bus))
    stopped(capture)
    assert {(beat.state, beat.detail) for beat in beats_of(bus)} == {("silent", "bad_source")}
