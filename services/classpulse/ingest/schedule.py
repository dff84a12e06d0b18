"""rooms.v1 + time → whether anybody is to be observed. Pure."""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from classpulse.errors import BadInput
from classpulse.records import CameraConfig, RoomConfig


def observed(camera: CameraConfig, room: RoomConfig | None, now_ms: int) -> bool:
    """Whether a camera is to be open now. A camera whose room is not known is not: nobody said it may be.

    Raises BadInput for a room whose time zone does not exist.
    """
    return camera.enabled and room is not None and due(room, now_ms)


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


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise BadInput([f"time_zone = {name!r}: unknown; expected an IANA name such as Europe/Berlin"]) from error
