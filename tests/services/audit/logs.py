"""Rooms aggregated for real, and their logs changed by hand."""

from collections.abc import Iterable

import msgspec

from classpulse.bus.base import Place
from classpulse.bus.memory import MemoryBus
from classpulse.codec import Outgoing, encode
from classpulse.records import Record, TimelineBucket
from classpulse.records import Told as ToldNoun
from classpulse.topics import DETECTIONS, TIMELINES, TOPICS, partition_of
from tests.services.aggregate.rig import Rig
from tests.services.aggregate.stories import CAM, ROOM, beat, dropped, frame

NOW = 1_700_000_000_000
START = NOW - 120_000
PARTITION = partition_of(ROOM, DETECTIONS.partitions)


def lesson(camera: str = CAM, *, start: int = START, epoch: int = 1, seconds: int = 60) -> list[ToldNoun]:
    """Five frames a second; of each hundred one is stale, and one is missing without a word."""
    nouns: list[ToldNoun] = []
    for i in range(5 * seconds):
        if i % 100 == 70:
            nouns.append(dropped(i, i, start + 200 * i, start + 200 * i, "stale", camera=camera, epoch=epoch))
        elif i % 100 != 80:
            nouns.append(frame(i, start + 200 * i, camera=camera, epoch=epoch))
    return nouns


def off(camera: str = CAM, *, start: int = START, epoch: int = 1, seconds: int = 60) -> Record:
    return beat(5 * seconds - 1, start + 1_000 * seconds, "off", camera=camera, epoch=epoch)


def played(rig: Rig, *nouns: Iterable[Record]) -> Rig:
    for some in nouns:
        rig.tell(some)
        rig.turn()
    return rig


def publish(rig: Rig, at: int, **changes: object) -> TimelineBucket:
    """Put another bucket in the place of a published one, as a fault of ours would; gives that one."""
    bucket = next(b for b in rig.all_of(TIMELINES, TimelineBucket) if b.start_ms == at)
    rig.write(encode(msgspec.structs.replace(bucket, **changes), topic=TIMELINES, at_ms=0))  # type: ignore[arg-type]
    return bucket


def without(rig: Rig, offset: int) -> MemoryBus:
    """A bus that holds everything but one record of the room's detections."""
    bus = MemoryBus(clock=rig.clock)
    bus.create(list(TOPICS.values()))
    for topic in (DETECTIONS, TIMELINES):
        for record in rig.bus.fetch(Place(topic.name, PARTITION), 0, max_records=10**6, max_bytes=10**9):
            if topic is TIMELINES or record.offset != offset:
                again = Outgoing(record.topic, record.partition, record.key, record.value, record.headers)
                bus.member("writer", []).commit([again], {})
    committed = rig.bus.positions("aggregate", DETECTIONS)[PARTITION] - 1
    bus.member("aggregate", [DETECTIONS]).commit([], {Place(DETECTIONS.name, PARTITION): committed})
    return bus
