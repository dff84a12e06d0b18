"""Two rooms that share a partition, each with a minute of lesson, told, aggregated and ended; and what is readable of it."""

from collections.abc import Iterable
from pathlib import Path

from classpulse.bus.base import Bus, Place
from classpulse.bus.sqlite import SqliteBus
from classpulse.clock import rfc3339
from classpulse.codec import Stored, decode, encode, header
from classpulse.records import BehaviourEvent, DeadLetter, Record, TimelineBucket
from classpulse.topics import DEAD_LETTERS, DETECTIONS, EVENTS, TIMELINES, TOPICS, Topic, partition_of
from tests.services.aggregate.rig import Rig
from tests.services.aggregate.stories import ROOM, at, beat, frame

START = 1_699_999_880_000
PARTITION = partition_of(ROOM, DETECTIONS.partitions)
NEIGHBOUR = next(
    room for room in (f"t/s/next-{n}" for n in range(999)) if partition_of(room, DETECTIONS.partitions) == PARTITION
)
MINUTE = range(300)


def moment(second: float) -> str:
    """So many seconds after the lesson's start, for a command line."""
    return rfc3339(START + int(1000 * second))


def lesson(room: str, start: int = START, epoch: int = 1) -> list[Record]:
    """A minute at five frames a second: each ten seconds begin with a hand that is up for more than two."""
    return [
        frame(i, start + 200 * i, *([at(1 + i // 50 % 3)] if i % 50 < 12 else []), camera=f"{room}/cam", epoch=epoch)
        for i in MINUTE
    ]


def ended(room: str, start: int = START, epoch: int = 1) -> Record:
    return beat(299, start + 60_000, "off", camera=f"{room}/cam", epoch=epoch)


def rig_on(bus: Bus) -> Rig:
    rig = Rig(bus)  # type: ignore[arg-type]
    for room in (ROOM, NEIGHBOUR):
        rig.camera(f"{room}/cam")
    rig.turn()
    return rig


def played(data: Path, *, end: bool = True) -> None:
    """Both lessons, second by second side by side; without an end the last bucket stays open."""
    data.mkdir()
    bus = SqliteBus(data / "bus.sqlite")
    bus.create(tuple(TOPICS.values()))
    play(bus, end=end)
    bus.close()


def play(bus: Bus, *, end: bool = True) -> None:
    rig = rig_on(bus)
    for mine, other in zip(lesson(ROOM), lesson(NEIGHBOUR), strict=True):
        rig.tell([mine, other])
    letters = [
        DeadLetter(topic=DETECTIONS.name, partition=PARTITION, offset=n, key=room, reason="empty", detail="", at_ms=1, stage="aggregate")
        for n, room in enumerate((NEIGHBOUR, ROOM, NEIGHBOUR))
    ]  # fmt: skip
    rig.write(*(encode(letter, topic=DEAD_LETTERS, at_ms=1) for letter in letters))
    rig.turn()
    if end:
        rig.tell([ended(ROOM), ended(NEIGHBOUR)])
        rig.turn()


def records(bus: Bus, topic: Topic, partition: int = PARTITION) -> list[Stored]:
    return bus.fetch(Place(topic.name, partition), 0, max_records=10**6, max_bytes=10**9)


def events(bus: Bus, room: str) -> list[tuple[str, str, int]]:
    """(ce_id, phase, seconds after the lesson's start) of the room's events, in the log's order."""
    found = []
    for record in records(bus, EVENTS):
        noun = decode(record)
        assert isinstance(noun, BehaviourEvent)
        if noun.room == room:
            id_ = (header(record, "ce_id") or b"").decode()
            found.append((id_, noun.phase, (noun.started_at_ms - START) // 1000))
    return found


def buckets(bus: Bus, room: str) -> list[int]:
    """Starts of the room's final buckets, in seconds after the lesson's start."""
    nouns: Iterable[Record] = map(decode, bus.latest(TIMELINES, partition=PARTITION))
    mine = [noun for noun in nouns if isinstance(noun, TimelineBucket) and noun.room == room and noun.final]
    return sorted((noun.start_ms - START) // 1000 for noun in mine)
