"""What a record of a camera's story tells of: when it began and ended, and which sequences it accounts for."""

from classpulse.records import Dropped, FrameDetections, Heartbeat, Told


def first_ms(noun: Told) -> int:
    """When what a record tells of began."""
    match noun:
        case FrameDetections():
            return noun.captured_at_ms
        case Dropped():
            return noun.first_ms
        case Heartbeat():
            return noun.at_ms
    raise TypeError(f"{type(noun).__name__} has no time; expected FrameDetections, Dropped or Heartbeat")


def last_ms(noun: Told) -> int:
    """When what a record tells of ended."""
    return noun.last_ms if isinstance(noun, Dropped) else first_ms(noun)


def sequences(noun: Told) -> tuple[int, int]:
    """The sequences a record accounts for, first and last; for a heartbeat none, behind the last it knows of."""
    match noun:
        case FrameDetections():
            return noun.sequence, noun.sequence
        case Dropped():
            return noun.first_sequence, noun.last_sequence
        case Heartbeat():
            return noun.last_sequence + 1, noun.last_sequence
    raise TypeError(f"{type(noun).__name__} has no sequence; expected FrameDetections, Dropped or Heartbeat")
