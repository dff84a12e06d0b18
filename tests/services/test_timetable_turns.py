"""When a room begins to be due and ends, by the clock on its wall."""

from datetime import UTC, datetime

import pytest

from classpulse.errors import BadInput
from classpulse.records import RoomConfig
from classpulse.timetable import MOST_DAYS, due, lessons_of, turns


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def room(*lines: str, zone: str = "UTC", holidays: tuple[str, ...] = (), valid_from_ms: int = 0) -> RoomConfig:
    lessons = tuple(lesson for line in lines for lesson in lessons_of(line))
    return RoomConfig(room="t/s/r", timetable=lessons, time_zone=zone, holidays=holidays, valid_from_ms=valid_from_ms)


def told(config: RoomConfig, begin: str, end: str) -> list[tuple[str, bool]]:
    found = turns(config, ms(begin), ms(end))
    assert all(due(config, at_ms) is now and due(config, at_ms - 1) is not now for at_ms, now in found)
    return [(datetime.fromtimestamp(at_ms // 1000, UTC).isoformat()[5:16], now) for at_ms, now in found]


def test_each_lesson_turns_twice_and_lessons_without_a_break_are_one() -> None:
    monday = room("Mon 08:00-09:00", "Mon 09:00-10:00", "Mon 11:00-12:00")
    expected = [("03-02T08:00", True), ("03-02T10:00", False), ("03-02T11:00", True), ("03-02T12:00", False)]
    assert told(monday, "2026-03-02T00:00", "2026-03-03T00:00") == expected
    assert told(monday, "2026-03-02T08:00", "2026-03-02T10:00") == expected[1:2], "what was at the beginning is known"
    assert told(monday, "2026-03-02T10:30", "2026-03-02T10:40") == []


def test_a_room_without_a_timetable_turns_for_holidays_and_when_it_becomes_valid() -> None:
    always = room(holidays=("2026-03-04",), valid_from_ms=ms("2026-03-02T06:30"))
    expected = [("03-02T06:30", True), ("03-04T00:00", False), ("03-05T00:00", True)]
    assert told(always, "2026-03-01T00:00", "2026-03-06T00:00") == expected


def test_lessons_are_wall_times_also_when_clocks_change() -> None:
    berlin = room("Sun 01:30-02:30", zone="Europe/Berlin")
    spring = [("03-29T00:30", True), ("03-29T01:00", False)]
    assert told(berlin, "2026-03-28T20:00", "2026-03-29T12:00") == spring, "after 01:59 comes 03:00"
    autumn = [("10-24T23:30", True), ("10-25T00:30", False), ("10-25T01:00", True), ("10-25T01:30", False)]
    assert told(berlin, "2026-10-24T20:00", "2026-10-25T12:00") == autumn, "the hour from 02:00 is there twice"


def test_no_further_back_than_some_days() -> None:
    daily = room("Mon-Sun 08:00-09:00")
    assert len(turns(daily, 0, ms("2026-03-02T12:00"))) == 2 * MOST_DAYS


def test_a_time_zone_that_is_unknown_is_refused() -> None:
    with pytest.raises(BadInput, match="Mars/Base"):
        turns(room(zone="Mars/Base"), 0, 1)
