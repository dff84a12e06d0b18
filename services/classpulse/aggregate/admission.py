"""aggregate's door: what no rule of arithmetic could survive is refused before it reaches a room's story."""

from collections.abc import Mapping

from classpulse.errors import InvalidRecord
from classpulse.records import (
    Dropped,
    FrameDetections,
    Heartbeat,
    Idle,
    Record,
    RoomPlan,
    Told,
    room_of,
)

MOST = 2**53
"""Numbers beyond this are no milliseconds or sequences; JSON readers would round them."""

LEAST_BUCKET_MS, MOST_BUCKET_MS = 1_000, 3_600_000


def check(noun: Record, key: str) -> None:
    """Raises InvalidRecord (wrong_type) for numbers out of range, or a record of another room than its key says."""
    for camera in _cameras(noun):
        if _room_or_none(camera) != key:
            raise InvalidRecord("wrong_type", f"camera {camera!r} under key {key!r}; expected a camera of that room")
    if isinstance(noun, Idle | RoomPlan) and (noun.room if isinstance(noun, Idle) else noun.config.room) != key:
        raise InvalidRecord(
            "wrong_type", f"{type(noun).__name__} of another room under key {key!r}; expected that room"
        )
    for name, (value, least, most) in _ranges(noun).items():
        if not least <= value <= most:
            raise InvalidRecord("wrong_type", f"{name} = {value}; expected {least} to {most}")


def _cameras(noun: Record) -> tuple[str, ...]:
    match noun:
        case Told() | Idle():
            return (noun.camera,)
        case RoomPlan():
            return tuple(noun.cameras)
    raise InvalidRecord("wrong_type", f"{type(noun).__name__}; expected a Told, RoomPlan or Idle")


def _room_or_none(camera: str) -> str | None:
    try:
        return room_of(camera)
    except ValueError:
        return None


def _ranges(noun: Record) -> Mapping[str, tuple[int, int, int]]:
    """Name → (value, least, most) of every number that time or order is computed from."""
    ranges: dict[str, tuple[int, int, int]] = {}
    if isinstance(noun, Told):
        ranges["epoch"] = (noun.epoch, 0, MOST)
    match noun:
        case FrameDetections():
            ranges["sequence"] = (noun.sequence, 0, MOST)
            ranges["captured_at_ms"] = (noun.captured_at_ms, 0, MOST)
            ranges["interval_ms"] = (noun.interval_ms, 0, MOST)
        case Dropped():
            ranges["first_sequence"] = (noun.first_sequence, 0, MOST)
            ranges["last_sequence"] = (noun.last_sequence, noun.first_sequence, MOST)
            ranges["first_ms"] = (noun.first_ms, 0, MOST)
            ranges["last_ms"] = (noun.last_ms, noun.first_ms, MOST)
        case Heartbeat():
            ranges["last_sequence"] = (noun.last_sequence, -1, MOST)
            ranges["at_ms"] = (noun.at_ms, 0, MOST)
        case Idle():
            ranges["at_ms"] = (noun.at_ms, 0, MOST)
        case RoomPlan():
            ranges["at_ms"] = (noun.at_ms, 0, MOST)
            ranges["bucket_ms"] = (noun.bucket_ms, LEAST_BUCKET_MS, MOST_BUCKET_MS)
    return ranges
