"""A route of clips is over when each is played or has failed, and all that was published is aggregated."""

import pytest

from classpulse.bus.base import Place
from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock
from classpulse.codec import Outgoing, encode
from classpulse.completion import FAILED_AFTER_MS, Completion, Failure, is_clip
from classpulse.records import CameraConfig, CameraReport, CameraState, Heartbeat, IngestState, RoomConfig
from classpulse.roster import Roster
from classpulse.topics import DETECTIONS, FRAMES, INGEST_STATE, REPORTS, TOPICS

A, B = "t/s/101/a", "t/s/101/b"


class Rig:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.bus = MemoryBus(clock=self.clock)
        self.bus.create(tuple(TOPICS.values()))
        self.roster = Roster(self.bus, self.clock)
        self.roster.add_room(RoomConfig(room="t/s/101"))
        self.completion = Completion(self.bus, self.clock)

    def declare(self, camera: str, source: str = "file:///a.mp4", **changes: object) -> None:
        config = {"camera": camera, "source": source, "delivery": "complete", **changes}
        self.roster.add_camera(CameraConfig(**config), replace=True)  # type: ignore[arg-type]

    def play(self, camera: str, source: str = "file:///a.mp4", *, ended: bool = True) -> None:
        state = IngestState(
            camera=camera,
            source=source,
            epoch=0,
            next_sequence=1,
            last_ms=0,
            position_ms=0,
            started_at_ms=0,
            ended=ended,
        )
        self.bus.member("ingest", ()).commit([encode(state, topic=INGEST_STATE, at_ms=0)], {})

    def report(self, camera: str, state: CameraState, error: str = "") -> None:
        report = CameraReport(camera=camera, at_ms=0, stage="ingest", state=state, last_error=error)
        self.bus.member("reports", ()).commit([encode(report, topic=REPORTS, at_ms=0)], {})

    def fail(self, camera: str, error: str = "missing") -> None:
        self.report(camera, "silent", error)
        self.completion.ended()
        self.clock.advance(FAILED_AFTER_MS)
        self.report(camera, "silent", error)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_route_without_cameras_goes_on(rig: Rig) -> None:
    assert not rig.completion.ended()


def test_a_clip_that_plays_is_waited_for_and_one_that_is_over_is_not(rig: Rig) -> None:
    rig.declare(A)
    assert not rig.completion.ended()
    rig.play(A, ended=False)
    assert not rig.completion.ended()
    rig.play(A)
    assert rig.completion.ended()
    assert (rig.completion.told, rig.completion.failures) == ((A,), ())


def test_all_clips_are_waited_for(rig: Rig) -> None:
    rig.declare(A)
    rig.declare(B)
    rig.play(A)
    assert not rig.completion.ended()
    rig.play(B)
    assert rig.completion.ended()


def test_a_clip_that_was_replaced_since_is_waited_for(rig: Rig) -> None:
    rig.declare(A, "file:///new.mp4")
    rig.play(A, "file:///old.mp4")
    assert not rig.completion.ended()


def test_a_clip_whose_state_cannot_be_read_is_waited_for(rig: Rig) -> None:
    rig.declare(A)
    rig.play(A)
    good = next(iter(rig.bus.latest(INGEST_STATE, key=A)))
    bad = Outgoing(good.topic, good.partition, good.key, b"{}", good.headers)
    rig.bus.member("ingest", ()).commit([bad], {})
    assert not rig.completion.ended()


@pytest.mark.parametrize(
    ("source", "delivery", "clip"),
    [
        ("file:///a.mp4", "complete", True),
        ("file:///a.mp4?pace=realtime", "complete", True),
        ("file:///a.mp4?loop=1", "complete", False),
        ("file:///a.mp4", "live", True),
        ("rtsp://192.0.2.7/a", "complete", False),
    ],
)
def test_only_files_that_end_are_clips(source: str, delivery: str, *, clip: bool) -> None:
    assert is_clip(CameraConfig(camera=A, source=source, delivery=delivery)) == clip  # type: ignore[arg-type]


def test_one_live_camera_makes_it_go_on(rig: Rig) -> None:
    rig.declare(A)
    rig.play(A)
    rig.declare(B, "rtsp://192.0.2.7/b", delivery="live")
    assert not rig.completion.ended()


def test_a_camera_that_is_switched_off_is_not_waited_for(rig: Rig) -> None:
    rig.declare(A)
    rig.play(A)
    rig.declare(B, "rtsp://192.0.2.7/b", delivery="live", enabled=False)
    assert rig.completion.ended()


def test_what_is_not_detected_or_not_aggregated_yet_is_waited_for(rig: Rig) -> None:
    rig.declare(A)
    rig.play(A)
    beat = Heartbeat(camera=A, epoch=0, last_sequence=0, at_ms=0, state="off")
    rig.bus.member("x", ()).commit([encode(beat, topic=FRAMES, at_ms=0)], {})
    assert not rig.completion.ended()
    for stage, topic in (("detect", FRAMES), ("aggregate", DETECTIONS)):
        member = rig.bus.member(stage, [topic])
        (record,) = member.poll(max_records=9, max_bytes=9999, timeout_ms=0)
        (place,) = [p for p in member.assignment() if p.partition == record.partition]
        outputs = [encode(beat, topic=DETECTIONS, at_ms=0)] if stage == "detect" else []
        member.commit(outputs, {place: 1})
        assert rig.completion.ended() == (stage == "aggregate")


def test_a_clip_that_fails_for_a_while_is_given_up_with_its_reason(rig: Rig) -> None:
    rig.declare(A)
    rig.report(A, "silent", "missing")
    assert not rig.completion.ended()
    rig.clock.advance(FAILED_AFTER_MS - 1)
    assert not rig.completion.ended()
    rig.clock.advance(1)
    assert rig.completion.ended()
    assert rig.completion.failures == (Failure(A, "file:///a.mp4", "missing"),)
    assert rig.completion.told == ()


def test_a_clip_that_recovers_is_not_given_up(rig: Rig) -> None:
    rig.declare(A)
    rig.fail(A)
    rig.report(A, "up")
    assert not rig.completion.ended()


def test_the_others_are_waited_for_when_one_fails(rig: Rig) -> None:
    rig.declare(A)
    rig.declare(B)
    rig.fail(A, "damaged")
    assert not rig.completion.ended()
    rig.play(B)
    assert rig.completion.ended()
    assert (rig.completion.told, [f.reason for f in rig.completion.failures]) == ((B,), ["damaged"])


def test_reports_from_before_this_start_count_for_nothing(rig: Rig) -> None:
    rig.declare(A)
    rig.report(A, "silent", "missing")
    later = Completion(rig.bus, rig.clock)
    later.ended()
    rig.clock.advance(FAILED_AFTER_MS)
    assert not later.ended()


def test_a_school_that_forwards_waits_for_its_bridge_and_for_no_aggregate(rig: Rig) -> None:
    completion = Completion(rig.bus, rig.clock, "bridge")
    rig.declare(A)
    rig.play(A)
    beat = Heartbeat(camera=A, epoch=0, last_sequence=0, at_ms=0, state="off")
    rig.bus.member("x", ()).commit([encode(beat, topic=DETECTIONS, at_ms=0)], {})
    assert not completion.ended()
    member = rig.bus.member("bridge", [DETECTIONS])
    (record,) = member.poll(max_records=9, max_bytes=9999, timeout_ms=0)
    member.commit([], {Place(DETECTIONS.name, record.partition): 1})
    assert completion.ended()


def test_a_hidden_camera_neither_holds_a_route_nor_ends_it(rig: Rig) -> None:
    rig.roster.add_room(RoomConfig(room="t/s/canary-1"))
    hidden = "t/s/canary-1/0"
    rig.declare(hidden)
    rig.play(hidden)
    assert not rig.completion.ended(), "there is no camera but the hidden one"
    rig.play(hidden, ended=False)
    rig.declare(A)
    rig.play(A)
    assert rig.completion.ended()
    assert rig.completion.told == (A,)
