"""rooms.v1 + time → whether a camera is to be open. Pure."""

from classpulse.records import CameraConfig, RoomConfig
from classpulse.timetable import due


def observed(camera: CameraConfig, room: RoomConfig | None, now_ms: int) -> bool:
    """Whether a camera is to be open now. A camera whose room is not known is not: nobody said it may be.

    Raises BadInput for a room whose time zone does not exist.
    """
    return camera.enabled and room is not None and due(room, now_ms)
