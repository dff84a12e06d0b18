"""A camera's story goes through the net in order; what cannot be seen says why, and nothing is lost."""

from collections.abc import Sequence

import pytest

from classpulse.bus.base import Place
from classpulse.codec import Outgoing, Stored, decode, encode
from classpulse.detect.pictures import Picture
from classpulse.errors import Recoverable
from classpulse.records import CameraReport, Detection, Dropped, FrameDetections, Heartbeat, Hole
from classpulse.stage import Taken
from classpulse.topics import DETECTIONS, FRAMES, REPORTS
from tests.services.detect.rig import CAMERA, FRESHNESS_MS, OTHER, FakeSight, Rig, jpeg


def heartbeat(rig: Rig, *, camera: str = CAMERA, last: int = -1) -> Heartbeat:
    return Heartbeat(camera=camera, epoch=1, last_sequence=last, at_ms=rig.clock.now_ms(), state="up")


def dropped(rig: Rig, sequence: int) -> Dropped:
    now_ms = rig.clock.now_ms()
    return Dropped(
        camera=CAMERA,
        epoch=1,
        first_sequence=sequence,
        last_sequence=sequence,
        first_ms=now_ms,
        last_ms=now_ms,
        reason="queue_full",
    )


def test_nothing_gives_nothing(rig: Rig) -> None:
    assert rig.turn() == []


def test_a_frame_becomes_detections_under_its_identity_and_the_nets_digest(rig: Rig) -> None:
    frame = rig.frame(3, picture=jpeg(255))
    rig.tell(frame)
    assert rig.turn() == [
        FrameDetections(
            camera=CAMERA,
            epoch=1,
            sequence=3,
            captured_at_ms=frame.captured_at_ms,
            interval_ms=200,
            model="fake",
            detections=(Detection(behaviour="hand-raising", score=1.0, box_xyxy=(0.0, 0.0, 1.0, 1.0)),),
        )
    ]


def test_frames_drops_and_heartbeats_keep_their_order(rig: Rig) -> None:
    rig.tell(rig.frame(0), dropped(rig, 1), rig.frame(2), heartbeat(rig, last=2), rig.frame(3))
    kinds = [type(noun).__name__ for noun in rig.turn()]
    assert kinds == ["FrameDetections", "Dropped", "FrameDetections", "Heartbeat", "FrameDetections"]


def test_each_picture_has_its_own_answer_although_the_next_is_decoded_meanwhile(rig: Rig) -> None:
    levels = [0, 255, 51, 204, 102]
    rig.tell(*(rig.frame(n, picture=jpeg(level)) for n, level in enumerate(levels)))
    scores = [noun.detections[0].score for noun in rig.turn() if isinstance(noun, FrameDetections)]
    assert scores == [0.0, 1.0, 0.2, 0.8, 0.4]


def test_an_old_frame_of_a_live_camera_is_dropped_as_stale_unseen(rig: Rig) -> None:
    rig.declare(CAMERA, "live")
    rig.tell(rig.frame(0, age_ms=FRESHNESS_MS + 1), rig.frame(1, age_ms=FRESHNESS_MS))
    stale, seen = rig.turn()
    assert isinstance(stale, Dropped)
    assert (stale.first_sequence, stale.last_sequence, stale.reason) == (0, 0, "stale")
    assert isinstance(seen, FrameDetections)
    assert len(rig.sight.sizes) == 1


def test_a_stale_frame_is_no_dead_letter(rig: Rig) -> None:
    rig.declare(CAMERA, "live")
    rig.tell(rig.frame(0, age_ms=FRESHNESS_MS + 1))
    rig.turn()
    assert rig.dead() == []


@pytest.mark.parametrize("delivery", ["complete", None])
def test_an_old_frame_of_a_complete_or_unknown_camera_is_seen(rig: Rig, delivery: str | None) -> None:
    if delivery == "complete":
        rig.declare(CAMERA, "complete")
    rig.tell(rig.frame(0, age_ms=86_400_000))
    assert [type(noun) for noun in rig.turn()] == [FrameDetections]


def test_a_delivery_changed_at_run_time_counts_within_a_second(rig: Rig) -> None:
    rig.declare(CAMERA, "complete")
    rig.tell(rig.frame(0, age_ms=60_000))
    rig.turn()
    rig.declare(CAMERA, "live")
    rig.clock.advance(1_000)
    rig.tell(rig.frame(1, age_ms=60_000))
    assert [type(noun) for noun in rig.turn()] == [FrameDetections, Dropped]


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (b"no picture at all", "corrupt_jpeg"),
        (jpeg()[:-9], "corrupt_jpeg"),
        (jpeg(width=16, height=16), "bad_size"),
        (jpeg()[: jpeg().index(b"\xff\xc0") + 5] + b"\0\0\0\0" + jpeg()[jpeg().index(b"\xff\xc0") + 9 :], "bad_size"),
    ],
)
def test_a_bad_picture_is_dropped_with_its_reason_and_put_aside(rig: Rig, picture: bytes, reason: str) -> None:
    rig.tell(rig.frame(0), rig.frame(1, picture=picture), rig.frame(2))
    seen, bad, after = rig.turn()
    assert isinstance(bad, Dropped)
    assert (bad.first_sequence, bad.last_sequence, bad.reason) == (1, 1, reason)
    assert (type(seen), type(after)) == (FrameDetections, FrameDetections)
    (letter,) = rig.dead()
    assert (letter.reason, letter.key, letter.stage) == (reason, CAMERA, "detect")


def test_a_dead_letter_of_a_picture_holds_no_picture(rig: Rig) -> None:
    rig.tell(rig.frame(0, picture=b"no picture at all"))
    rig.turn()
    assert [letter.payload for letter in rig.dead()] == [None]


def tampered(rig: Rig, name: str, value: bytes) -> Outgoing:
    whole = encode(rig.frame(0), topic=FRAMES, at_ms=0)
    headers = tuple((key, value if key == name else old) for key, old in whole.headers)
    return Outgoing(whole.topic, whole.partition, whole.key, whole.value, headers)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("ce_type", b"classpulse.Frame.v2", "unknown_version"),
        ("ce_type", b"classpulse.RoomConfig.v1", "wrong_type"),
        ("classpulse", b"{}", "wrong_type"),
    ],
)
def test_an_unreadable_record_is_a_hole_with_its_reason_and_the_rest_goes_on(
    rig: Rig, name: str, value: bytes, reason: str
) -> None:
    rig.publish(tampered(rig, name, value))
    rig.tell(rig.frame(1))
    hole, seen = rig.turn()
    assert hole == Hole(camera=CAMERA, epoch=0, reason=reason)
    assert isinstance(seen, FrameDetections)
    assert [letter.reason for letter in rig.dead()] == [reason]
    assert rig.bus.lag("detect", FRAMES) == (0, 0)


def test_an_empty_record_is_a_hole(rig: Rig) -> None:
    whole = encode(rig.frame(0), topic=FRAMES, at_ms=0)
    rig.publish(Outgoing(whole.topic, whole.partition, whole.key, b"", whole.headers))
    assert rig.turn() == [Hole(camera=CAMERA, epoch=0, reason="empty")]


def test_a_record_from_the_future_is_a_hole(rig: Rig) -> None:
    rig.tell(rig.frame(0, age_ms=-3_600_000))
    assert rig.turn() == [Hole(camera=CAMERA, epoch=0, reason="from_the_future")]


def test_a_record_under_a_key_that_is_no_camera_is_put_aside_alone(rig: Rig) -> None:
    whole = encode(rig.frame(0, camera="nobody"), topic=FRAMES, at_ms=0)
    rig.publish(whole, Outgoing(FRAMES.name, whole.partition, "nobody", b"", ()))
    rig.tell(rig.frame(1))
    assert [type(noun) for noun in rig.turn()] == [FrameDetections]
    assert {letter.reason for letter in rig.dead()} == {"no_type", "bad_headers"}


def test_what_retention_took_unread_is_a_hole_before_each_cameras_next_record(rig: Rig) -> None:
    first = encode(rig.frame(0), topic=FRAMES, at_ms=0)
    same = next(c for c in (f"t/s/room/c{n}" for n in range(200)) if _partition(rig, c) == first.partition)
    rig.tell(rig.frame(0), rig.frame(0, camera=same))
    rig.turn()
    rig.tell(rig.frame(1), rig.frame(1, camera=same))
    rig.clock.advance(FRAMES.retention_ms or 0)
    rig.clock.advance(1)
    rig.bus.retain(rig.clock.now_ms())
    rig.tell(rig.frame(2), rig.frame(3), rig.frame(2, camera=same))
    told = rig.turn()[2:]
    assert [(type(n).__name__, n.camera) for n in told if isinstance(n, Hole | FrameDetections)] == [
        ("Hole", CAMERA),
        ("FrameDetections", CAMERA),
        ("FrameDetections", CAMERA),
        ("Hole", same),
        ("FrameDetections", same),
    ]
    assert {n.reason for n in told if isinstance(n, Hole)} == {"expired"}


def _partition(rig: Rig, camera: str) -> int:
    return encode(rig.frame(0, camera=camera), topic=FRAMES, at_ms=0).partition


def test_a_record_polled_before_retention_came_has_no_hole_before_it(rig: Rig) -> None:
    rig.tell(rig.frame(0), rig.frame(1))
    polled = [Taken(record, decode(record)) for record in rig.stored(FRAMES)]
    step = rig.stage.step(polled, {Place(FRAMES.name, polled[0].stored.partition): 1})
    told = [decode(Stored(o.topic, o.partition, 0, o.key, o.value, o.headers, 0)) for o in step.outputs]
    assert [type(noun) for noun in told] == [FrameDetections, Hole, FrameDetections]


def test_cameras_of_other_partitions_know_nothing_of_it(rig: Rig) -> None:
    assert _partition(rig, CAMERA) != _partition(rig, OTHER)
    rig.tell(rig.frame(0))
    rig.clock.advance((FRAMES.retention_ms or 0) + 1)
    rig.bus.retain(rig.clock.now_ms())
    rig.tell(rig.frame(1), rig.frame(0, camera=OTHER))
    holes = [noun.camera for noun in rig.turn() if isinstance(noun, Hole)]
    assert holes == [CAMERA]


def test_a_net_that_fails_for_a_while_loses_nothing(rig: Rig) -> None:
    class Blinking(FakeSight):
        blinks = 1

        def see(self, pictures: Sequence[tuple[str, Picture]]) -> list[tuple[str, list[Detection]]]:
            self.blinks -= 1
            if self.blinks == 0:
                raise Recoverable("the accelerator is away")
            return [("fake", [])] * len(pictures)

    rig.stage._sight = Blinking()
    rig.tell(rig.frame(0), rig.frame(1))
    with pytest.raises(Recoverable, match="the accelerator is away"):
        rig.loop.turn()
    rig.loop.member.rewind()
    assert [noun.sequence for noun in rig.turn() if isinstance(noun, FrameDetections)] == [0, 1]


def test_people_get_a_report_of_what_was_seen_and_dropped(rig: Rig) -> None:
    rig.declare(CAMERA, "live")
    rig.tell(rig.frame(0, age_ms=300), rig.frame(1, picture=b"broken"), heartbeat(rig, last=1))
    rig.turn()
    rig.clock.advance(5_000)
    rig.loop.turn()
    (report,) = rig.found(REPORTS)
    assert isinstance(report, CameraReport)
    assert (report.camera, report.stage, report.state, report.model) == (CAMERA, "detect", "up", "fake")
    assert (report.detected, report.dropped, report.last_error) == (1, {"corrupt_jpeg": 1}, "corrupt_jpeg")
    assert (report.capture_to_detection_ms, report.node) == (300, "host")


def test_what_is_on_the_bus_is_counted(rig: Rig) -> None:
    def dropped(reason: str) -> float | None:
        return rig.metrics.value("frames_dropped_total", stage="detect", reason=reason)

    assert [rig.metrics.value(name) for name in ("frames_detected_total", "capture_to_detection_seconds_count")] == [
        0,
        0,
    ]
    assert [dropped(reason) for reason in ("stale", "corrupt_jpeg", "bad_size")] == [0, 0, 0]
    rig.declare(CAMERA, "live")
    stale = rig.frame(2, age_ms=FRESHNESS_MS + 1)
    rig.tell(rig.frame(0, age_ms=300), rig.frame(1, picture=b"broken"), stale, rig.frame(3), heartbeat(rig, last=3))
    polled = rig.loop.member.poll(max_records=64, max_bytes=1 << 30, timeout_ms=0)
    rig.loop._step(polled)
    assert rig.metrics.value("frames_detected_total") == 0, "seen, and not on the bus yet"
    rig.loop.member.rewind()
    rig.turn()
    assert rig.metrics.value("frames_detected_total") == 2
    assert (dropped("corrupt_jpeg"), dropped("stale")) == (1, 1)
    assert (rig.metrics.value("batch_frames_count"), rig.metrics.value("batch_frames_sum")) == (1, 2)
    assert rig.metrics.value("capture_to_detection_seconds_count") == 2
    assert rig.metrics.value("capture_to_detection_seconds_sum") == pytest.approx(0.3)
    assert rig.metrics.value("deadletters_total", reason="corrupt_jpeg") == 1


def test_what_ingest_has_dropped_is_counted_there(rig: Rig) -> None:
    too_large = Dropped(
        camera=CAMERA, epoch=1, first_sequence=0, last_sequence=0, first_ms=0, last_ms=0, reason="bad_size"
    )
    rig.tell(too_large)
    assert rig.turn() == [too_large]
    assert rig.metrics.value("frames_dropped_total", stage="detect", reason="bad_size") == 0


def test_what_looks_may_change_between_two_steps_and_only_there(rig: Rig) -> None:
    rig.clock.advance(1_000)
    rig.loop.turn()
    assert rig.sight.followed == 1
    rig.tell(*(rig.frame(n) for n in range(8)))
    rig.clock.advance(1_000)
    rig.turn()
    assert (rig.sight.followed, len(rig.sight.sizes)) == (2, 8)


def test_a_machine_that_looks_too_slowly_says_so_once_a_minute(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.declare(CAMERA, "live")
    rig.tell(rig.frame(0, age_ms=FRESHNESS_MS))
    rig.turn()
    rig.clock.advance(500)
    rig.loop.turn()
    assert "falling behind" not in caplog.text, "nothing was too old"

    for minute in range(2):
        rig.tell(*(rig.frame(1 + 3 * minute + n, age_ms=FRESHNESS_MS + 1) for n in range(3)))
        rig.turn()
        for _ in range(3):
            rig.clock.advance(500)
            rig.loop.turn()
        assert [record.message.split(";")[0] for record in caplog.records].count(
            "falling behind: 3 live frames were older than freshness_ms = 5000 when their turn came, and dropped"
        ) == 1 + minute
        rig.clock.advance(60_000)


def test_a_successor_sees_every_frame_once(rig: Rig) -> None:
    rig.tell(*(rig.frame(n) for n in range(3)))
    rig.turn()
    rig.tell(*(rig.frame(n) for n in range(3, 5)))
    rig.loop.member = rig.bus.member("detect", (FRAMES,))
    assert [noun.sequence for noun in rig.turn() if isinstance(noun, FrameDetections)] == [0, 1, 2, 3, 4]


def test_everything_of_a_room_lies_in_one_partition(rig: Rig) -> None:
    rig.tell(rig.frame(0), rig.frame(0, camera=OTHER))
    rig.turn()
    places = {Place(record.topic, record.partition) for record in rig.stored(DETECTIONS)}
    assert len(places) == 1


@pytest.mark.parametrize("at_once", [3, 4, 16])
def test_looking_at_several_cameras_at_once_tells_what_looking_at_each_alone_does(at_once: int) -> None:
    def told(at_once: int) -> tuple[Rig, list[bytes | None]]:
        rig = Rig()
        rig.sight.at_once = at_once
        rig.declare(OTHER, "live")
        rig.tell(
            rig.frame(0, picture=jpeg(50)),
            rig.frame(0, camera=OTHER, picture=jpeg(250)),
            dropped(rig, 1),
            rig.frame(1, camera=OTHER, age_ms=FRESHNESS_MS + 1),
            rig.frame(2, picture=b"broken"),
            rig.frame(2, camera=OTHER, picture=jpeg(100)),
            rig.frame(0, camera="nobody"),
            heartbeat(rig, last=2),
            rig.frame(3, picture=jpeg(200)),
        )
        for _ in range(4):
            rig.turn()
        assert {letter.reason for letter in rig.dead()} == {"corrupt_jpeg", "bad_headers"}
        return rig, [record.value for record in rig.stored(DETECTIONS)]

    rig, several = told(at_once)
    assert several == told(1)[1]
    assert max(map(len, rig.sight.looks)) > 1
    assert sum(map(len, rig.sight.looks)) == 4, "what is stale, broken or nobody's is not looked at"


def test_what_is_looked_at_next_is_decoded_meanwhile_and_nothing_behind_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    at_look: list[tuple[int, int]] = []

    class Watching(FakeSight):
        def see(self, pictures: Sequence[tuple[str, Picture]]) -> list[tuple[str, list[Detection]]]:
            at_look.append((len(pictures), len(begun)))
            return super().see(pictures)

    submit = rig.stage._pool.submit
    monkeypatch.setattr(rig.stage._pool, "submit", lambda *what: (begun.append(1), submit(*what))[1])
    rig.stage._sight = Watching()
    rig.stage._sight.at_once = 2
    rig.tell(*(rig.frame(number) for number in range(7)))
    rig.turn()
    assert at_look == [(2, 4), (2, 6), (2, 7), (1, 7)]


def test_large_pictures_are_looked_at_in_smaller_company(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classpulse.detect.worker.RUN_PIXELS", 3 * 32 * 24)
    rig.sight.at_once = 16
    rig.tell(*(rig.frame(number) for number in range(7)))
    rig.turn()
    assert list(map(len, rig.sight.looks)) == [3, 3, 1]


def test_a_net_that_fails_in_a_later_look_loses_nothing_and_tells_nothing_twice(rig: Rig) -> None:
    class Blinking(FakeSight):
        blinks = 2

        def see(self, pictures: Sequence[tuple[str, Picture]]) -> list[tuple[str, list[Detection]]]:
            self.blinks -= 1
            if self.blinks == 0:
                raise Recoverable("the accelerator is away")
            return super().see(pictures)

    rig.stage._sight = Blinking()
    rig.stage._sight.at_once = 2
    rig.tell(*(rig.frame(number) for number in range(5)))
    with pytest.raises(Recoverable, match="the accelerator is away"):
        rig.loop.turn()
    rig.loop.member.rewind()
    assert [noun.sequence for noun in rig.turn() if isinstance(noun, FrameDetections)] == [0, 1, 2, 3, 4]
