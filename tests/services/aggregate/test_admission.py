"""What cannot be true is refused with one clear sentence, and its hole gets the reason."""

import pytest

from classpulse.aggregate.admission import check
from classpulse.aggregate.rooms import Rooms
from classpulse.codec import Stored, camera_of
from classpulse.errors import InvalidRecord
from classpulse.records import CameraConfig, Hole, Idle, Record
from tests.services.aggregate.stories import CAM, ROOM, A, beat, dropped, frame, plan, told


def test_what_is_in_order_passes() -> None:
    for noun in (
        frame(0, 0),
        beat(-1, 0),
        dropped(3, 3, 5, 5),
        Hole(camera=CAM, epoch=0, reason="x"),
        Idle(room=ROOM, camera=CAM, at_ms=0),
        plan(),
        plan(A, bucket_ms=1_000),
    ):
        check(noun, ROOM)


@pytest.mark.parametrize(
    ("noun", "expected"),
    [
        (frame(-1, 0), "sequence = -1; expected 0 to 9007199254740992"),
        (frame(0, -5), "captured_at_ms = -5; expected 0"),
        (frame(0, 2**60), "captured_at_ms = 1152921504606846976; expected 0 to 9007199254740992"),
        (frame(0, 0, interval_ms=-1), "interval_ms = -1; expected 0"),
        (frame(0, 0, epoch=-1), "epoch = -1; expected 0"),
        (beat(-2, 0), "last_sequence = -2; expected -1"),
        (dropped(5, 4, 0, 0), "last_sequence = 4; expected 5"),
        (dropped(4, 5, 9, 8), "last_ms = 8; expected 9"),
        (plan(bucket_ms=0), "bucket_ms = 0; expected 1000 to 3600000"),
        (plan("t/s/other/cam"), "camera 't/s/other/cam' under key 't/s/room'; expected a camera of that room"),
        (frame(0, 0, camera="cam"), "camera 'cam' under key 't/s/room'"),
        (Idle(room="t/s/x", camera=CAM, at_ms=0), "Idle of another room under key 't/s/room'; expected that room"),
        (CameraConfig(camera=CAM, source="x"), "CameraConfig; expected a Told, RoomPlan or Idle"),
    ],
)
def test_what_cannot_be_true_is_refused(noun: Record, expected: str) -> None:
    with pytest.raises(InvalidRecord, match=f"wrong_type: .*{expected}") as caught:
        check(noun, ROOM)
    assert caught.value.reason == "wrong_type"


def test_an_unreadable_record_says_whose_it_was_by_its_headers() -> None:
    for noun in (frame(3, 0), dropped(1, 2, 0, 0), beat(4, 0), Idle(room=ROOM, camera=CAM, at_ms=1)):
        assert camera_of(told(noun)) == CAM
    assert camera_of(told(plan(CAM))) is None
    assert camera_of(Stored("t", 0, 0, ROOM, b"", (), 0)) is None
    assert camera_of(Stored("t", 0, 0, ROOM, b"", (("ce_id", b"\xff/a/b/c/0"),), 0)) is None
    assert camera_of(Stored("t", 0, 0, ROOM, b"", (("ce_id", b"t/s/other/cam/1/0"),), 0)) is None


def test_the_hole_of_a_refused_record_has_its_reason() -> None:
    rooms = Rooms()
    bad = frame(1, 0, interval_ms=-1)
    rooms.take(told(frame(0, 0)), frame(0, 0))
    with pytest.raises(InvalidRecord):
        rooms.take(told(bad), bad)
    rooms.take(told(frame(2, 400)), frame(2, 400))
    assert rooms.rooms()[ROOM].parts[0][CAM].missing == {"wrong_type": 1}


def test_an_unreadable_record_of_nobody_explains_the_next_hole_of_anybody() -> None:
    rooms = Rooms()
    rooms.unread(Stored("t", 0, 0, "t/s/unknown", b"", (), 0), InvalidRecord("no_type", "x"))
    assert rooms.rooms() == {}
    rooms.take(told(frame(0, 0)), frame(0, 0))
    rooms.unread(Stored("t", 0, 1, ROOM, b"", (), 0), InvalidRecord("no_type", "x"))
    rooms.take(told(frame(2, 400)), frame(2, 400))
    assert rooms.rooms()[ROOM].parts[0][CAM].missing == {"no_type": 1}


def test_what_retention_took_is_expired() -> None:
    rooms = Rooms()
    rooms.take(told(frame(0, 0)), frame(0, 0))
    rooms.expire()
    rooms.take(told(frame(5, 1_000)), frame(5, 1_000))
    assert rooms.rooms()[ROOM].parts[0][CAM].missing == {"expired": 4}
