"""A camera from its source to the bus: routes on the memory bus, with a manual clock or short limits."""

import itertools
import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from classpulse.bus.base import Place
from classpulse.bus.memory import MemoryBus, MemoryMember
from classpulse.clock import ManualClock, SystemClock
from classpulse.codec import Outgoing, encode
from classpulse.errors import StorageFull
from classpulse.ingest import pressure
from classpulse.ingest.capture import Capture, tell_off
from classpulse.ingest.pressure import Pressure
from classpulse.ingest.sources.base import SourceError
from classpulse.records import Dropped, Frame, Heartbeat, IngestState
from classpulse.topics import FRAMES, INGEST_STATE, TOPICS, partition_of
from tests.services.ingest.making import (
    CAMERA,
    ScriptedSource,
    StillPicture,
    beats_of,
    capture_of,
    clip,
    config_of,
    count_of,
    drops_of,
    faststart,
    frames_of,
    new_bus,
    play,
    state_of,
    told,
)

PARTITION = partition_of(CAMERA, FRAMES.partitions)


def wait_for(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Until something is so."""
    clock = SystemClock()
    until_ms = clock.monotonic_ms() + int(1000 * timeout_s)
    while not condition():
        assert clock.monotonic_ms() < until_ms, "it did not happen in time"
        clock.sleep_ms(5)


def stopped(capture: Capture, *, off: bool = False) -> None:
    capture.stop(off=off)
    assert capture.join(3)
    assert capture.error is None


# recordings


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


# live streams


def pictures(*times_ms: int, clock: ManualClock, from_ms: int) -> list[StillPicture | Callable[[], None]]:
    """Pictures that arrive when they were captured: each act moves the clock on to its picture."""
    acts: list[StillPicture | Callable[[], None]] = []
    for pts_ms in times_ms:
        acts.append(lambda pts_ms=pts_ms: clock.advance(from_ms + pts_ms - clock.now_ms()))  # type: ignore[misc]
        acts.append(StillPicture(pts_ms))
    return acts


def test_a_live_stream_reconnects_in_a_new_epoch_after_growing_waits() -> None:
    clock = ManualClock()
    start_ms = clock.now_ms()
    hold = threading.Event()
    failures = [[SourceError("refused", "no")] for _ in range(6)]
    source = ScriptedSource(
        [*pictures(0, 200, clock=clock, from_ms=start_ms), SourceError("ended", "gone")],
        *failures,
        [StillPicture(0), lambda: hold.wait(10) and None],
    )
    bus = new_bus()
    capture = Capture(
        config_of("rtsp://c/s", delivery="complete"),
        bus,
        clock,
        pressure=Pressure(bus, clock),
        rng=random.Random(1),
        source_of=lambda _: source,
    )
    capture.start()
    wait_for(lambda: len(frames_of(bus)) == 3)
    waited_ms = clock.now_ms() - start_ms - 200
    assert len(source.opened) == 8
    assert source.closed == 7
    whole_ms = 500 + 1_000 + 2_000 + 4_000 + 8_000 + 16_000 + 30_000
    assert whole_ms // 2 <= waited_ms <= whole_ms
    assert capture._backoff.next_ms() <= 500, "the first failure after a picture starts anew"
    capture.stop()
    hold.set()
    assert capture.join(3)
    assert [(f.epoch, f.sequence) for f in frames_of(bus)] == [(0, 0), (0, 1), (1, 0)]
    details = {(b.state, b.detail) for b in beats_of(bus)}
    assert {("silent", "ended"), ("silent", "refused"), ("connecting", "")} <= details


def test_while_the_bus_stands_still_the_newest_live_picture_wins_and_the_others_are_told() -> None:
    clock, gate = ManualClock(), threading.Event()
    start_ms, held = clock.now_ms(), threading.Event()

    class Gated(MemoryBus):
        """Its second frame waits in the bus until the gate opens."""

        def apply(self, member: MemoryMember, outputs: Sequence[Outgoing], positions: Mapping[Place, int]) -> None:
            if any(o.value is not None and o.topic == FRAMES.name for o in outputs):
                held.set()
                gate.wait(10)
            super().apply(member, outputs, positions)

    bus = Gated()
    bus.create(tuple(TOPICS.values()))
    acts = pictures(*range(0, 2_000, 200), clock=clock, from_ms=start_ms)
    acts.insert(2, lambda: held.wait(10) and None)
    stay = threading.Event()
    source = ScriptedSource([*acts, gate.set, lambda: stay.wait(10) and None])
    capture = capture_of(config_of("rtsp://c/s"), bus, clock, source=source)
    capture.start()
    wait_for(lambda: len(frames_of(bus)) == 2)
    report = capture.report(0)
    capture.stop()
    stay.set()
    assert capture.join(3)
    kinds = [type(noun) for noun in told(bus)]
    assert kinds == [Heartbeat, Frame, Dropped, Frame]
    (dropped,) = drops_of(bus)
    assert (dropped.first_sequence, dropped.last_sequence, dropped.reason) == (1, 8, "queue_full")
    assert (dropped.first_ms, dropped.last_ms) == (start_ms + 200, start_ms + 1_600)
    assert (report.captured, report.published, report.dropped) == (10, 2, {"queue_full": 8})


def test_pictures_that_are_not_sampled_are_not_converted() -> None:
    clock = ManualClock()
    shots = [StillPicture(100 * n) for n in range(20)]
    source = ScriptedSource(list(shots), recorded=True, paced=False, duration_ms=2_000)
    play(config_of("synth://x", fps=1, delivery="complete"), new_bus(), clock, source=source)
    assert [shot.pts_ms for shot in shots if shot.converted] == [0, 1_000]


def test_a_stream_that_goes_quiet_is_silent_and_connected_to_again() -> None:
    clock = ManualClock()

    def quiet() -> None:
        clock.advance(1_000)

    silence = [act for _ in range(9) for act in (quiet, None)]
    stay = threading.Event()
    source = ScriptedSource([StillPicture(0), *silence], [StillPicture(0), lambda: stay.wait(10) and None])
    bus = new_bus()
    capture = capture_of(config_of("rtsp://c/s", delivery="complete"), bus, clock, source=source)
    capture.start()
    wait_for(lambda: len(frames_of(bus)) == 2)
    capture.stop()
    stay.set()
    assert capture.join(3)
    assert ("silent", "timeout") in {(b.state, b.detail) for b in beats_of(bus)}
    assert [f.epoch for f in frames_of(bus)] == [0, 1]


def test_a_stream_that_falls_behind_is_left_for_a_fresh_connection() -> None:
    clock, stay = ManualClock(), threading.Event()
    late: list[StillPicture | Callable[[], None]] = [StillPicture(0), lambda: clock.advance(7_000), StillPicture(200)]
    bus = new_bus()
    source = ScriptedSource(late, [StillPicture(0), lambda: stay.wait(10) and None])
    capture = capture_of(config_of("rtsp://c/s"), bus, clock, source=source)
    capture.start()
    wait_for(lambda: any(f.epoch == 1 for f in frames_of(bus)))
    capture.stop()
    stay.set()
    assert capture.join(3)
    assert ("silent", "behind") in {(b.state, b.detail) for b in beats_of(bus)} or capture._last_error == ""
    assert len(source.opened) == 2


def test_pictures_of_no_or_too_many_pixels_are_told_as_dropped_and_the_others_go_on() -> None:
    shots = [StillPicture(0), StillPicture(200, 0, 0), StillPicture(400, 12_000, 9_000), StillPicture(600)]
    source = ScriptedSource(shots, recorded=True, paced=False, duration_ms=800)
    bus = new_bus()
    play(config_of("synth://x", delivery="complete"), bus, source=source)
    assert [f.sequence for f in frames_of(bus)] == [0, 3]
    assert [(d.first_sequence, d.last_sequence, d.reason) for d in drops_of(bus)] == [
        (1, 1, "bad_size"),
        (2, 2, "bad_size"),
    ]
    assert not shots[2].converted


def test_a_change_of_size_is_said_and_frames_follow_it(caplog: pytest.LogCaptureFixture) -> None:
    source = ScriptedSource([StillPicture(0), StillPicture(200, 128, 96)], recorded=True, paced=False, duration_ms=400)
    bus = new_bus()
    with caplog.at_level(logging.WARNING, "classpulse.ingest"):
        play(config_of("synth://x", delivery="complete"), bus, source=source)
    assert "picture size changed from 64x48 to 128x96" in caplog.text
    assert [(f.width, f.height) for f in frames_of(bus)] == [(64, 48), (128, 96)]


def test_an_error_nobody_thought_of_makes_one_camera_silent_and_says_no_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = ScriptedSource([RuntimeError("rtsp://viewer:hunter2@c/s broke")], [StillPicture(0)])
    bus = new_bus()
    with caplog.at_level(logging.WARNING, "classpulse.ingest"):
        capture = capture_of(config_of("rtsp://c/s", delivery="complete"), bus, ManualClock(), source=source)
        capture.start()
        wait_for(lambda: frames_of(bus))
        stopped(capture)
    assert ("silent", "failed") in {(b.state, b.detail) for b in beats_of(bus)}
    assert "RuntimeError: rtsp://viewer:***@c/s broke" in caplog.text
    assert "hunter2" not in caplog.text


# back-pressure and trouble


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
    assert len(frames_of(bus)) == 11, "it goes on until the lag is above what may be"
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
    before = capture.report(0).captured
    SystemClock().sleep_ms(100)
    assert capture.report(0).captured <= before + 1, "it takes no more input"
    bus.full = False
    assert capture.join(30)
    assert [f.sequence for f in frames_of(bus)] == list(range(40))
    assert capture.report(0).last_error == ""


def test_a_full_disk_costs_a_live_camera_the_pictures_of_that_time_and_says_so() -> None:
    clock = ManualClock()
    bus, stay, start_ms = Full(), threading.Event(), clock.now_ms()
    bus.create(tuple(TOPICS.values()))
    capture: Capture

    def fill() -> None:
        wait_for(lambda: len(frames_of(bus)) == 1)
        bus.full = True

    def noticed() -> None:
        wait_for(lambda: capture.report(0).last_error == "disk_full")

    def make_room() -> None:
        bus.full = False

    first, *more = pictures(0, 200, 400, 600, 800, clock=clock, from_ms=start_ms)[1::2]

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


# stopping


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
    assert tell_off(config, bus, clock)
    assert len(beats_of(bus)) == 1, "that it is over was told already"
    assert tell_off(config, bus, clock, forget=True)
    assert not state_of(bus).ended
    play(config, bus, clock)
    assert {f.epoch for f in frames_of(bus)} == {0, 1}, "added again, it is played again"


def test_an_unreadable_state_stops_the_camera_instead_of_starting_its_epochs_anew() -> None:
    bus = new_bus()
    state = IngestState(camera=CAMERA, source="x", epoch=7, next_sequence=1, last_ms=0, position_ms=0, started_at_ms=0)
    good = encode(state, topic=INGEST_STATE, at_ms=0)
    bad = Outgoing(good.topic, good.partition, good.key, b"{}", good.headers)
    bus.member("ingest", (), slot="x").commit([bad], {})
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
