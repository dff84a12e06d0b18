"""The demo, how fast: from the capture of the frame that satisfied a rule to the moment its event could be read."""

from collections.abc import Iterable, Iterator, Sequence

from classpulse.bus.base import Bus
from classpulse.clock import from_rfc3339
from classpulse.codec import Stored, decode, header
from classpulse.errors import InvalidRecord
from classpulse.reading import stored_records
from classpulse.records import BehaviourEvent
from classpulse.topics import EVENTS, partition_of


def capture_to_event_ms(bus: Bus, rooms: Iterable[str]) -> list[int]:
    """Of every `started` event of these rooms, in the order of the log."""
    return [latency for room in rooms for latency in _latencies(bus, room)]


def latency_of(record: Stored) -> int | None:
    """Milliseconds from capture (`ce_time`) to append of a `started` event; None for any other record."""
    try:
        event = decode(record)
    except InvalidRecord:
        return None
    captured = header(record, "ce_time")
    if not isinstance(event, BehaviourEvent) or event.phase != "started" or captured is None:
        return None
    return record.appended_at_ms - from_rfc3339(captured.decode())


def percentile(values: Sequence[int], share: float) -> int | None:
    """Nearest-rank percentile (share 0..1): a value that was measured; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    rank = -(-len(ordered) * round(share * 1000) // 1000)
    return ordered[max(0, rank - 1)]


def _latencies(bus: Bus, room: str) -> Iterator[int]:
    for record in stored_records(bus, EVENTS, partition_of(room, EVENTS.partitions)):
        if record.key == room and (latency := latency_of(record)) is not None:
            yield latency
