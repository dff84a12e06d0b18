"""A timetable as people write it (`Mon-Fri 08:00-12:30`) ↔ Lessons, and when they are. Pure."""

import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from classpulse.errors import BadInput
from classpulse.records import Lesson, RoomConfig

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EXPECTED = "expected days and times such as 'Mon-Fri 08:00-12:30' or 'Mon,Wed 13:30-15:00'"
MINUTES_A_DAY = 24 * 60
DAY_MS = MINUTES_A_DAY * 60_000
MOST_DAYS = 7
CLOCKS_CHANGE_AT = set(range(0, MINUTES_A_DAY, 15))

_LINE = re.compile(r"([A-Za-z,\- ]+?)\s+(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")


def lessons_of(line: str) -> tuple[Lesson, ...]:
    """The lessons of one line, one per weekday. Raises ValueError saying what was expected."""
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise ValueError(EXPECTED)
    days, *times = match.groups()
    start, end = _minute(*times[:2]), _minute(*times[2:])
    if start >= end:
        raise ValueError(f"ends before it starts; {EXPECTED} (a lesson over midnight is two lines)")
    return tuple(Lesson(weekday=day, start_minute=start, end_minute=end) for day in _days(days))


def lines_of(timetable: Iterable[Lesson]) -> list[str]:
    """Lessons as a person writes them, one line for all days with the same times."""
    days: dict[tuple[int, int], set[int]] = {}
    for lesson in timetable:
        days.setdefault((lesson.start_minute, lesson.end_minute), set()).add(lesson.weekday)
    return [f"{_named(held)} {_clock(start)}-{_clock(end)}" for (start, end), held in days.items()]


def _named(days: Collection[int]) -> str:
    """`Mon-Fri`, `Mon,Wed`: three days or more in a row as the first and the last of them."""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    short = (f"{DAYS[run[0]]}-{DAYS[run[-1]]}" if len(run) > 2 else ",".join(DAYS[d] for d in run) for run in runs)
    return ",".join(short)


def in_force(room: RoomConfig, now_ms: int) -> RoomConfig:
    """What a room goes by now: itself alone, or where it is valid only later, what holds until then."""
    if room.until_then is not None and now_ms < room.valid_from_ms:
        return room.until_then
    return msgspec.structs.replace(room, until_then=None)


def due(room: RoomConfig, now_ms: int) -> bool:
    """Whether a room is to be observed: switched on, valid already, and a lesson by its own clock, on no holiday.

    Lessons are wall times: in the hour that daylight saving repeats both count, the hour that it skips does not exist.
    Raises BadInput for a time zone that does not exist.
    """
    if not room.enabled or now_ms < room.valid_from_ms:
        return False
    local = datetime.fromtimestamp(now_ms // 1000, UTC).astimezone(_zone(room.time_zone))
    if local.date().isoformat() in room.holidays:
        return False
    minute = local.hour * 60 + local.minute
    today = [lesson for lesson in room.timetable if lesson.weekday == local.weekday()]
    return not room.timetable or any(lesson.start_minute <= minute < lesson.end_minute for lesson in today)


def turns(room: RoomConfig, from_ms: int, to_ms: int) -> tuple[tuple[int, bool], ...]:
    """When a room began to be due, or ended, after `from_ms` and up to `to_ms`, and which of both. Raises BadInput as `due` does.

    Looks at the lessons of each day: days lie at most MOST_DAYS back.
    """
    zone = _zone(room.time_zone)
    from_ms = max(from_ms, to_ms - MOST_DAYS * DAY_MS)
    day = datetime.fromtimestamp(from_ms // 1000, UTC).astimezone(zone).date()
    last_day = datetime.fromtimestamp(to_ms // 1000, UTC).astimezone(zone).date()
    minutes = {0, *(one.start_minute for one in room.timetable), *(one.end_minute for one in room.timetable)}
    known = {room.valid_from_ms}
    while day <= last_day:
        midnight = datetime.combine(day, time(), zone)
        day += timedelta(days=1)
        changed = midnight.utcoffset() != datetime.combine(day, time(), zone).utcoffset()
        for minute in minutes | CLOCKS_CHANGE_AT if changed else minutes:
            for fold in (0, 1):
                wall = (midnight + timedelta(minutes=minute)).replace(fold=fold)
                known.add(int(wall.timestamp() * 1000))
    found, before = [], due(room, from_ms)
    for at_ms in sorted(one for one in known if from_ms < one <= to_ms):
        if (now := due(room, at_ms)) != before:
            found.append((at_ms, now))
        before = now
    return tuple(found)


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise BadInput([f"time_zone = {name!r}: unknown; expected an IANA name such as Europe/Berlin"]) from error


def _days(text: str) -> list[int]:
    days: list[int] = []
    for part in text.split(","):
        first, _, last = (name.strip() for name in part.partition("-"))
        start, end = _day(first), _day(last or first)
        days += [day % 7 for day in range(start, end + 1 if end >= start else end + 8)]
    return list(dict.fromkeys(days))


def _day(name: str) -> int:
    if name.capitalize() not in DAYS:
        raise ValueError(f"day {name!r} is unknown; expected one of {', '.join(DAYS)}")
    return DAYS.index(name.capitalize())


def _minute(hours: str, minutes: str) -> int:
    minute = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or minute > MINUTES_A_DAY:
        raise ValueError(f"time {hours}:{minutes} is not on the clock; expected 00:00 to 24:00")
    return minute


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
