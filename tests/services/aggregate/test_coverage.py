"""What operators see of the rooms: how much of the time that was due was observed, and how many rooms are seen now."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from classpulse.aggregate.coverage import LATE_MS
from classpulse.records import Hole, Lesson, Record, RoomConfig, TimelineBucket, room_of
from classpulse.topics import TIMELINES
from tests.services.aggregate.rig import Rig
from tests.services.aggregate.stories import CAM, beat, frames
from tests.support import Shown

NOW = 1_700_000_000_000
OTHER = "t/s/other/cam"
HIDDEN = "t/s/canary-1/cam"


@pytest.fixture
def rig() -> Rig:
    return Rig()


def rooms(metrics: Shown) -> tuple[float | None, ...]:
    return tuple(metrics.value("rooms", state=state) for state in ("seen", "unseen", "not_due"))


def seconds(metrics: Shown) -> tuple[float, float]:
    due, observed = (metrics.value(f"{what}_seconds_total") for what in ("due", "observed"))
    assert due is not None
    assert observed is not None
    return round(due, 3), round(observed, 3)


def seen(camera: str = CAM, *, for_ms: int = 25_000) -> list[Record]:
    return [*frames(NOW - 60_000, NOW - 60_000 + for_ms, camera=camera)]


def told(camera: str = CAM) -> list[Record]:
    """A story of 25 s, seen but for 5 s of it, to its end."""
    return [
        *seen(camera, for_ms=15_000),
        beat(75, NOW - 40_000, "silent", camera=camera),
        *frames(NOW - 39_800, NOW - 35_000, first=76, camera=camera),
        beat(100, NOW - 35_000, "off", camera=camera),
    ]


def test_without_rooms_nothing_is_due_and_nothing_seen(rig: Rig) -> None:
    rig.turn()
    assert (rooms(rig.metrics), seconds(rig.metrics)) == ((0, 0, 0), (0, 0))


def test_time_that_was_due_and_time_that_was_observed_are_those_of_the_final_buckets(rig: Rig) -> None:
    rig.tell(told())
    rig.turn()
    finals = [bucket for bucket in rig.all_of(TIMELINES, TimelineBucket) if bucket.final]
    due_s, observed_s = (sum(getattr(b, what) for b in finals) / 1000 for what in ("due_ms", "observed_ms"))
    assert 0 < observed_s < due_s
    assert seconds(rig.metrics) == (due_s, observed_s)


def test_every_final_bucket_is_counted_once_however_the_process_ends(rig: Rig) -> None:
    rig.tell(told())
    rig.turn()
    total = seconds(rig.metrics)
    for every in (1, 7):
        other = Rig()
        other.tell(told())
        other.start(max_records=every)
        while polled := other.loop.member.poll(max_records=every, max_bytes=10**6, timeout_ms=0):
            other.loop._step(polled)  # its process ends before it commits
            other.start(max_records=every)
            other.loop.turn()
            other.start(max_records=every)
        assert seconds(other.metrics) == total


def test_hidden_rooms_are_not_counted(rig: Rig) -> None:
    rig.camera(HIDDEN)
    rig.room(RoomConfig(room=room_of(HIDDEN)))
    rig.tell(told(HIDDEN))
    rig.turn()
    rig.turn()
    assert (rooms(rig.metrics), seconds(rig.metrics)) == ((0, 0, 0), (0, 0))


def test_a_room_is_seen_while_its_buckets_are_and_unseen_when_none_comes(rig: Rig) -> None:
    rig.camera(CAM, "live")
    rig.turn()
    rig.turn()
    assert rooms(rig.metrics) == (0, 1, 0), "due, and nothing came yet"
    rig.tell(seen())
    rig.turn()
    rig.turn()
    assert rooms(rig.metrics) == (1, 0, 0)
    rig.start()
    rig.turn(after_ms=LATE_MS)
    rig.turn(after_ms=12_000)
    assert rooms(rig.metrics) == (0, 1, 0)


def test_a_room_whose_camera_is_silent_is_unseen_with_its_next_bucket(rig: Rig) -> None:
    rig.camera(CAM, "live")
    rig.tell(seen())
    rig.turn()
    rig.turn()
    assert rooms(rig.metrics) == (1, 0, 0)
    rig.tell([beat(125, NOW - 35_000 + at_ms, "silent") for at_ms in range(1_000, 30_000, 1_000)])
    rig.turn()
    rig.turn()
    assert rooms(rig.metrics) == (0, 1, 0)


def test_by_its_timetable_a_room_is_not_due_whatever_came_and_due_although_its_ingest_is_dead(rig: Rig) -> None:
    today = datetime.fromtimestamp(rig.clock.now_ms() / 1000, UTC)
    minute = today.hour * 60 + today.minute
    rig.camera(CAM, "live")
    rig.room(
        RoomConfig(
            room=room_of(CAM),
            timetable=(Lesson(weekday=today.weekday(), start_minute=minute + 10, end_minute=minute + 20),),
        )
    )
    rig.tell([beat(-1, NOW - 1_000, "off")])
    rig.turn()
    rig.turn()
    assert rooms(rig.metrics) == (0, 0, 1)
    rig.turn(after_ms=10 * 60_000)
    rig.turn()
    assert rooms(rig.metrics) == (0, 1, 0), "its camera is off as it was told last, and the lesson has begun"


def test_a_recording_that_is_over_is_due_no_longer(rig: Rig) -> None:
    rig.camera(CAM, "complete")
    rig.tell(told())
    rig.turn()
    rig.turn()
    assert rooms(rig.metrics) == (0, 0, 1)


def test_rooms_that_are_another_members_now_are_not_shown(rig: Rig) -> None:
    rig.camera(CAM, "live")
    rig.camera(OTHER, "live")
    rig.turn()
    rig.turn()
    assert rooms(rig.metrics) == (0, 2, 0)
    gone = list(rig.loop.member.assignment())
    rig.stage.forget(gone)
    rig.stage._assignment = frozenset
    rig.turn()
    assert rooms(rig.metrics) == (0, 0, 0)


def test_frames_that_are_missing_in_final_buckets_are_told_by_reason(rig: Rig) -> None:
    assert [rig.metrics.value("missing_frames_total", reason=why) for why in ("expired", "lost_in_crash")] == [0, 0]
    story = told()
    rig.tell([*story[:10], *story[12:20], Hole(camera=CAM, epoch=1, reason="expired"), *story[25:]])
    rig.turn()
    missing = Counter[str]()
    for bucket in rig.all_of(TIMELINES, TimelineBucket):
        missing.update(bucket.missing if bucket.final else {})
    assert missing == {"lost_in_crash": 2, "expired": 5}
    assert {why: rig.metrics.value("missing_frames_total", reason=why) for why in missing} == missing
