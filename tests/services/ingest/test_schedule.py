"""When a room is observed, by its own clock."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from classpulse.errors import BadInput
from classpulse.ingest.schedule import observed
from classpulse.records import CameraConfig, Lesson, RoomConfig
from classpulse.timetable import due

BERLIN = "Europe/Berlin"


def at(text: str, zone: str = BERLIN, *, fold: int = 0) -> int:
    """Milliseconds of a local wall time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)


def room(*lessons: tuple[int, int, int], **more: object) -> RoomConfig:
    timetable = tuple(Lesson(weekday=d, start_minute=s, end_minute=e) for d, s, e in lessons)
    return RoomConfig(room="d/s/r", time_zone=BERLIN, timetable=timetable, **more)  # type: ignore[arg-type]


def camera(*, enabled: bool = True) -> CameraConfig:
    return CameraConfig(camera="d/s/r/c", source="synth://", enabled=enabled)


def test_a_room_without_a_timetable_is_always_observed() -> None:
    assert due(room(), at("2026-03-02T03:00"))


def test_a_camera_without_a_room_is_not_observed() -> None:
    assert not observed(camera(), None, at("2026-03-02T09:00"))


def test_the_off_switches_of_camera_and_room_are_obeyed() -> None:
    now_ms = at("2026-03-02T09:00")
    assert observed(camera(), room(), now_ms)
    assert not observed(camera(enabled=False), room(), now_ms)
    assert not observed(camera(), room(enabled=False), now_ms)


def test_a_lesson_is_half_open() -> None:
    monday = room((0, 8 * 60, 9 * 60))
    assert not due(monday, at("2026-03-02T07:59:59.999"))
    assert due(monday, at("2026-03-02T08:00"))
    assert due(monday, at("2026-03-02T08:59:59.999"))
    assert not due(monday, at("2026-03-02T09:00"))
    assert not due(monday, at("2026-03-03T08:30")), "that is a Tuesday"


def test_a_lesson_may_last_until_midnight() -> None:
    evening = room((0, 23 * 60, 24 * 60))
    assert due(evening, at("2026-03-02T23:59:59.999"))
    assert not due(evening, at("2026-03-03T00:00"))


def test_a_holiday_is_a_local_date() -> None:
    one = room((0, 0, 24 * 60), (1, 0, 24 * 60), holidays=("2026-03-02",))
    assert not due(one, at("2026-03-02T00:00"))
    assert not due(one, at("2026-03-02T23:59"))
    assert due(one, at("2026-03-03T00:00")), "still 2 March in UTC"


def test_a_configuration_that_is_not_valid_yet_observes_nobody() -> None:
    later = room(valid_from_ms=at("2026-03-02T08:00"))
    assert not due(later, at("2026-03-02T08:00") - 1)
    assert due(later, at("2026-03-02T08:00"))


def test_lessons_keep_their_wall_time_across_daylight_saving() -> None:
    lesson = room((0, 8 * 60, 9 * 60))
    winter, summer = at("2026-03-23T08:00"), at("2026-03-30T08:00")
    assert due(lesson, winter)
    assert due(lesson, summer)
    assert summer - winter == 7 * 86_400_000 - 3_600_000
    assert not due(lesson, winter + 7 * 86_400_000), "a week later to the second it is nine o'clock"


def test_the_hour_that_daylight_saving_skips_does_not_exist() -> None:
    night = room((6, 2 * 60, 3 * 60))
    before_ms = at("2026-03-29T01:59")
    assert not due(night, before_ms)
    assert not due(night, before_ms + 60_000), "the next minute is three o'clock"


def test_the_hour_that_daylight_saving_repeats_counts_twice() -> None:
    night = room((6, 2 * 60 + 30, 3 * 60))
    first, second = at("2026-10-25T02:45"), at("2026-10-25T02:45", fold=1)
    assert second - first == 3_600_000
    assert due(night, first)
    assert due(night, second)
    assert not due(night, at("2026-10-25T02:15", fold=1)), "between them it is not yet half past two again"


def test_an_unknown_time_zone_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match=r"time_zone = 'Europe/Nowhere': unknown; expected an IANA name"):
        due(RoomConfig(room="d/s/r", time_zone="Europe/Nowhere"), 0)
