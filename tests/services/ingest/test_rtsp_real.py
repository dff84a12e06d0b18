"""Network cameras for real: GStreamer's RTSP server plays, refuses, falls silent, dies and comes back."""

import itertools
import json
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from classpulse.bus.memory import MemoryBus
from classpulse.clock import SystemClock
from classpulse.ingest.capture import Capture, Limits
from classpulse.records import CameraConfig
from tests.rtsp import require_server, serving
from tests.services.ingest.making import beats_of, capture_of, clip, config_of, epochs_of, frames_of, new_bus, told

LIMITS = Limits(open_ms=2_000, silence_ms=2_000, grain_ms=50)

pytestmark = [pytest.mark.rtsp, pytest.mark.xdist_group("rtsp")]


@pytest.fixture(scope="module", autouse=True)
def server_is_installed() -> None:
    require_server()


@pytest.fixture(scope="module")
def minute(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of one minute with a keyframe a second."""
    return clip(tmp_path_factory.mktemp("rtsp") / "minute.mp4", frames=600)


@contextmanager
def watching(config: CameraConfig, bus: MemoryBus) -> Iterator[Capture]:
    """A capture at work."""
    capture = capture_of(config, bus, SystemClock(), limits=LIMITS)
    capture.start()
    try:
        yield capture
    finally:
        capture.stop()
        capture.join(6)
        assert capture.error is None


def wait_for(condition: Callable[[], object], timeout_s: float = 25.0) -> None:
    clock = SystemClock()
    until_ms = clock.monotonic_ms() + int(1000 * timeout_s)
    while not condition():
        assert clock.monotonic_ms() < until_ms, "it did not happen in time"
        clock.sleep_ms(20)


def camera(port: int, **more: object) -> CameraConfig:
    return config_of(f"rtsp://127.0.0.1:{port}/stream", fps=5, **more)  # type: ignore[arg-type]


def reasons(bus: MemoryBus) -> set[str]:
    return {beat.detail for beat in beats_of(bus) if beat.state == "silent"}


def test_a_camera_is_seen_in_real_time(minute: Path) -> None:
    bus, clock = new_bus(), SystemClock()
    with serving("--clip", str(minute)) as (_, port), watching(camera(port), bus) as capture:
        wait_for(lambda: len(frames_of(bus)) >= 15)
        frames, now_ms = frames_of(bus), clock.now_ms()
        assert capture.report(now_ms).state == "up"
    steady = frames[3:]
    assert set(epochs_of(frames)) == {0}
    assert [f.sequence for f in frames] == list(range(len(frames)))
    assert {b.captured_at_ms - a.captured_at_ms for a, b in itertools.pairwise(steady)} <= set(range(150, 260))
    assert 0 <= now_ms - frames[-1].captured_at_ms < 2_000
    assert {(f.width, f.height, f.interval_ms) for f in steady} == {(320, 180, 200)}


def test_a_server_that_dies_and_comes_back_is_found_again_in_a_new_epoch(minute: Path) -> None:
    bus = new_bus()
    with serving("--clip", str(minute)) as (server, port), watching(camera(port), bus):
        wait_for(lambda: len(frames_of(bus)) >= 8)
        server.kill()
        wait_for(lambda: "refused" in reasons(bus))
        before = len(frames_of(bus))
        with serving("--clip", str(minute), port=port):
            wait_for(lambda: len(frames_of(bus)) >= before + 8)
    frames = frames_of(bus)
    assert set(epochs_of(frames)) == {0, 1}
    first = [f for f in frames if f.epoch == frames[0].epoch]
    second = [f for f in frames if f.epoch > frames[0].epoch]
    assert [f.sequence for f in second] == list(range(len(second)))
    assert reasons(bus) >= {"ended", "refused"}
    times = [getattr(noun, "captured_at_ms", None) or getattr(noun, "at_ms", 0) for noun in told(bus)]
    assert times == sorted(times)
    hole = [b.at_ms for b in beats_of(bus) if b.state != "up" and first[-1].captured_at_ms < b.at_ms]
    edges = [first[-1].captured_at_ms, *hole, second[0].captured_at_ms]
    assert max(b - a for a, b in itertools.pairwise(edges)) < 3_000, "the hole is told as it lasts"


def test_a_stream_that_stops_sending_is_silent_and_goes_on_when_it_does(minute: Path) -> None:
    bus = new_bus()
    with serving("--clip", str(minute)) as (server, port), watching(camera(port), bus):
        wait_for(lambda: len(frames_of(bus)) >= 5)
        server.send_signal(19)  # SIGSTOP: the connection stays, nothing comes
        wait_for(lambda: reasons(bus) & {"timeout"})
        before = len(frames_of(bus))
        server.send_signal(18)
        wait_for(lambda: len(frames_of(bus)) >= before + 5)
    assert epochs_of(frames_of(bus))[-1] >= 1


def test_a_pause_shorter_than_the_limit_is_no_failure(minute: Path) -> None:
    bus = new_bus()
    with serving("--clip", str(minute)) as (server, port), watching(camera(port), bus):
        wait_for(lambda: len(frames_of(bus)) >= 5)
        server.send_signal(19)
        SystemClock().sleep_ms(1_300)
        server.send_signal(18)
        before = len(frames_of(bus))
        wait_for(lambda: len(frames_of(bus)) >= before + 8)
    assert set(epochs_of(frames_of(bus))) == {0}
    assert reasons(bus) == set()


def test_a_wrong_password_is_unauthorised_and_the_right_one_works_and_neither_is_ever_said(
    minute: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    secret, wrong, ref = "s3cret/w:rd@%", "wr0ng-w0rd", tmp_path / "door.credentials"
    ref.write_text(f"viewer:{wrong}\n")
    ref.chmod(0o600)
    bus = new_bus()
    caplog.set_level(logging.DEBUG, "classpulse")
    options = ("--clip", str(minute), "--user", "viewer", "--password", secret)
    with serving(*options) as (_, port), watching(camera(port, credentials_ref=str(ref)), bus) as capture:
        wait_for(lambda: "unauthorised" in reasons(bus))
        assert capture.report(0).last_error == "unauthorised"
        ref.write_text(f"viewer:{secret}\n")
        wait_for(lambda: frames_of(bus))
        report = capture.report(0)
    printed = capfd.readouterr()
    everything = (
        caplog.text + printed.out + printed.err + str([n for n in told(bus) if n not in frames_of(bus)]) + str(report)
    )
    assert "unauthorised: rtsp://127.0.0.1" in caplog.text
    for word in (secret, wrong, "s3cret", "wr0ng"):
        assert word not in everything
    assert report.last_error == ""


def test_a_stream_that_does_not_exist_is_not_found(minute: Path) -> None:
    bus = new_bus()
    with serving("--clip", str(minute)) as (_, port), watching(config_of(f"rtsp://127.0.0.1:{port}/other", fps=5), bus):
        wait_for(lambda: reasons(bus))
    assert reasons(bus) == {"not_found"}


def test_a_peer_that_accepts_and_says_nothing_is_a_timeout_in_time() -> None:
    bus, clock = new_bus(), SystemClock()
    with socket.socket() as peer:
        peer.bind(("127.0.0.1", 0))
        peer.listen()
        began_ms = clock.monotonic_ms()
        with watching(camera(peer.getsockname()[1]), bus):
            wait_for(lambda: reasons(bus))
            took_ms = clock.monotonic_ms() - began_ms
            assert beats_of(bus)[0].state == "connecting"
            assert len([b for b in beats_of(bus) if b.state == "connecting"]) >= 2, "it is told while it is tried"
    assert reasons(bus) == {"timeout"}
    assert LIMITS.open_ms - 100 <= took_ms < LIMITS.open_ms + 2_000


def test_a_size_that_changes_in_mid_stream_is_followed_in_the_same_epoch(caplog: pytest.LogCaptureFixture) -> None:
    bus = new_bus()
    caplog.set_level(logging.WARNING, "classpulse")
    with serving("--sizes", "320x240,640x360", "--change-after-s", "2") as (_, port), watching(camera(port), bus):
        wait_for(lambda: len([f for f in frames_of(bus) if f.width == 640]) >= 3)
    assert {(f.width, f.height) for f in frames_of(bus)} == {(320, 240), (640, 360)}
    assert set(epochs_of(frames_of(bus))) == {0}
    assert "picture size changed from 320x240 to 640x360" in caplog.text


def test_rare_sampling_decodes_keyframes_alone(minute: Path) -> None:
    from classpulse.ingest.sources.base import source_of
    from classpulse.ingest.sources.container import AvSource

    with serving("--clip", str(minute)) as (_, port):
        source = source_of(config_of(f"rtsp://127.0.0.1:{port}/stream", fps=0.5))
        assert isinstance(source, AvSource)
        source.open(after_ms=-1, timeout_ms=5_000)
        times = []
        while not times or times[-1] < 8_000:
            if (picture := source.read()) is not None:
                times.append(picture.pts_ms)
        source.close()
    assert source._keyframes.alone
    late = [t for t in times if t > 5_000]
    assert {b - a for a, b in itertools.pairwise(late)} == {1_000}, json.dumps(times)


@pytest.mark.parametrize("peer", ["playing", "silent"])
def test_stopping_takes_less_than_three_seconds(minute: Path, peer: str) -> None:
    bus, clock = new_bus(), SystemClock()
    with socket.socket() as deaf, serving("--clip", str(minute)) as (_, port):
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        config = camera(port if peer == "playing" else deaf.getsockname()[1])
        capture = capture_of(config, bus, clock, limits=Limits(open_ms=2_500))
        capture.start()
        wait_for(lambda: told(bus))
        began_ms = clock.monotonic_ms()
        capture.stop(off=True)
        assert capture.join(3)
        assert clock.monotonic_ms() - began_ms < 3_000
    assert beats_of(bus)[-1].state == "off"
