"""What every bus refuses before it writes anything, and the words it refuses with."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from classpulse.bus.base import MAX_IN_FLIGHT_BYTES, Bus, Place
from classpulse.codec import Outgoing, Stored
from classpulse.errors import BadInput, Fatal, RecordTooLarge
from classpulse.topics import Topic, topic_named

EVERYTHING = "nobody"
"""A group that has read nothing: its lag is all that a topic holds."""

REMOVED_AT_ONCE = 64
TOMBSTONE_MS = 60 * 60 * 1000
"""How long a deletion stays readable on a compacted topic: a reader further behind may miss it."""


def check_outputs(outputs: Sequence[Outgoing], topic_of: Callable[[str], Topic]) -> None:
    """Refuse outputs that cannot be committed together.

    Raises Fatal for a topic or partition that does not exist, RecordTooLarge, or BadInput above MAX_IN_FLIGHT_BYTES.
    """
    total_bytes = 0
    for number, record in enumerate(outputs):
        topic = topic_of(record.topic)
        check_partition(topic, record.partition)
        size_bytes = record.size_bytes
        if size_bytes > topic.max_record_bytes:
            raise RecordTooLarge(
                f"output {number}, key {record.key!r} for {topic.name}: {size_bytes} bytes;"
                f" expected at most {topic.max_record_bytes}"
            )
        total_bytes += size_bytes
    if total_bytes > MAX_IN_FLIGHT_BYTES:
        raise BadInput(
            [f"commit of {len(outputs)} outputs: {total_bytes} bytes in flight; expected at most {MAX_IN_FLIGHT_BYTES}"]
        )


def check_partition(topic: Topic, partition: int) -> None:
    """Raises Fatal for a partition the topic does not have."""
    if not 0 <= partition < topic.partitions:
        raise Fatal(f"{topic.name}: partition {partition} does not exist; expected 0 to {topic.partitions - 1}")


def check_compacted(topic: Topic) -> None:
    """Raises Fatal where latest-by-key has no meaning."""
    if topic.cleanup != "compact":
        raise Fatal(f"latest({topic.name}): cleanup is {topic.cleanup!r}; expected 'compact'")


def check_owned(positions: Mapping[Place, int], owned: frozenset[Place], who: str) -> None:
    """Raises Fatal naming the places that are not this member's."""
    foreign = sorted(positions.keys() - owned)
    if foreign:
        named = ", ".join(f"{place.topic}/{place.partition}" for place in foreign)
        raise Fatal(f"{who}: position for {named}; expected only partitions it owns")


def check_place_in_group(group: str, index: int, count: int) -> None:
    """Raises BadInput unless 0 <= index < count."""
    if not 0 <= index < count:
        raise BadInput([f"member of group {group!r}: index = {index} of count = {count}; expected 0 <= index < count"])


def check_same_shape(found: Topic, wanted: Topic) -> str | None:
    """What keeps `wanted` from being the topic that exists already; None when nothing does."""
    if found.partitions != wanted.partitions:
        return (
            f"topic {wanted.name}: partitions = {wanted.partitions}; it exists with {found.partitions},"
            " and changing the number would break the order of its keys"
        )
    if found.cleanup != wanted.cleanup:
        return f"topic {wanted.name}: cleanup = {wanted.cleanup!r}; it exists with {found.cleanup!r}"
    return None


def unknown_topic(name: str, existing: Iterable[str]) -> Fatal:
    """The error for a topic nobody created."""
    named = ", ".join(sorted(existing)) or "(none)"
    return Fatal(f"topic {name!r} does not exist on this bus; expected one of {named}")


def owned_places(topics: Sequence[Topic], index: int, count: int) -> frozenset[Place]:
    """The partitions p with p % count == index."""
    return frozenset(Place(t.name, p) for t in topics for p in range(t.partitions) if p % count == index)


def unread(bus: Bus, group: str, topic: Topic) -> int:
    """How many offsets lie between a group's committed positions and the ends; nothing is read for that."""
    return sum(unread_by_partition(bus, group, topic).values())


def unread_by_partition(bus: Bus, group: str, topic: Topic) -> dict[int, int]:
    """`unread` of each partition."""
    done = bus.positions(group, topic)
    return {p: max(0, end - max(first, done.get(p, first))) for p, (first, end) in bus.ends(topic).items()}


def first_of(bus: Bus, place: Place) -> list[Stored]:
    """The oldest record of a partition that can still be read; empty where there is none."""
    first, end = bus.ends(topic_named(place.topic))[place.partition]
    return bus.fetch(place, first, max_records=1, max_bytes=1) if first < end else []


def keep_within(bus: Bus, topic: Topic, most_bytes: int) -> int:
    """Remove a topic's oldest records, whoever read them, until it holds at most so many bytes; gives how many went."""
    removed = 0
    while bus.lag(EVERYTHING, topic)[1] > most_bytes and (gone := bus.forget(topic, _oldest(bus, topic))):
        removed += gone
    return removed


def _oldest(bus: Bus, topic: Topic) -> dict[int, int]:
    """The partition whose first record is the oldest, and an offset a few records behind it."""
    heads = [
        (record.appended_at_ms, partition, min(end, record.offset + REMOVED_AT_ONCE))
        for partition, (first, end) in bus.ends(topic).items()
        for record in bus.fetch(Place(topic.name, partition), first, max_records=1, max_bytes=1)
    ]
    return {partition: before for _, partition, before in sorted(heads)[:1]}


def stored_bytes(record: Stored) -> int:
    """What a stored record weighs: the same sum as `Outgoing.size_bytes`."""
    return len(record.key) + len(record.value or b"") + sum(len(k) + len(v) for k, v in record.headers)


def within(records: Iterator[Stored], max_records: int, max_bytes: int) -> list[Stored]:
    """The first records that fit both limits; at least one where there is one and `max_records` allows it."""
    taken: list[Stored] = []
    total_bytes = 0
    if max_records < 1:
        return taken
    for record in records:
        total_bytes += stored_bytes(record)
        if taken and total_bytes > max_bytes:
            break
        taken.append(record)
        if len(taken) == max_records:
            break
    return taken
