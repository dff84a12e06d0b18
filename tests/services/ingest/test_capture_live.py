"""A live stream to the bus, on a manual clock: reconnecting, freshness, silence, pictures that are refused."""

import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence

import pytest

from classpulse.bus.base import Place
from classpulse.bus.memory import MemoryBus, MemoryMember
from classpulse.clock import ManualClock
from classpulse.codec import Outgoing
from classpulse.ingest.capture import Capture
from classpulse.ingest.pressure import Pressure
from classpulse.ingest.sources.base import SourceError
from classpulse.records import Dropped, Frame, Heartbeat
from classpulse.topics import FRAMES, TOPICS, partition_of
from tests.services.ingest.making import (
    CAMERA,
    ScriptedSource,
    StillPicture,
    beats_of,
    capture_of,
    config_of,
    drops_of,
    epochs_of,
    frames_of,
    new_bus,
    play,
    stopped,
    told,
    wait_for,
)
from tests.support import Shown

PARTITION = partition_of(CAMERA, FRAMES.partitions)


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
        metrics=Shown(),
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
    assert epochs_of(frames_of(bus)) == [0, 0, 1]
    assert [f.sequence for f in frames_of(bus)] == [0, 1, 0]
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
    assert epochs_of(frames_of(bus)) == [0, 1]


def test_a_stream_that_falls_behind_is_left_for_a_fresh_connection() -> None:
    clock, stay = ManualClock(), threading.Event()
    begun = clock.now_ms() // 1000
    late: list[StillPicture | Callable[[], None]] = [StillPicture(0), lambda: clock.advance(7_000), StillPicture(200)]
    bus = new_bus()
    source = ScriptedSource(late, [StillPicture(0), lambda: stay.wait(10) and None])
    capture = capture_of(config_of("rtsp://c/s"), bus, clock, source=source)
    capture.start()
    wait_for(lambda: any(f.epoch == begun + 1 for f in frames_of(bus)))
    capture.stop()
    stay.set()
    assert capture.join(3)
    assert ("silent", "behind") in {(b.state, b.detail) for b in beats_of(bus)}
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
