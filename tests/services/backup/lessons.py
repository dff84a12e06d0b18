"""Two rooms' lessons as detect writes them, what aggregate makes of them undisturbed, and what a bus holds of that."""

from classpulse.bus.base import Bus
from classpulse.codec import Outgoing, decode, encode
from classpulse.reading import stored_records
from classpulse.records import CameraConfig, Record
from classpulse.replay import kept
from classpulse.topics import CAMERAS, DETECTIONS, EVENTS, TIMELINES
from tests.services.aggregate.rig import Rig
from tests.services.aggregate.stories import ROOM
from tests.services.erase.lessons import NEIGHBOUR, ended, lesson

ROOMS = (ROOM, NEIGHBOUR)


def declared() -> list[Outgoing]:
    """Their cameras."""
    configs = [CameraConfig(camera=f"{room}/cam", source="file:///x", delivery="complete") for room in ROOMS]
    return [encode(config, topic=CAMERAS, at_ms=0) for config in configs]


def halves() -> tuple[list[Outgoing], list[Outgoing]]:
    """Both lessons side by side: a first part, and the rest with its end."""
    nouns: list[Record] = [noun for pair in zip(*map(lesson, ROOMS), strict=True) for noun in pair]
    nouns += [ended(room) for room in ROOMS]
    outputs = [encode(noun, topic=DETECTIONS, at_ms=0) for noun in nouns]
    return outputs[:333], outputs[333:]


def undisturbed() -> list[bytes]:
    """What comes of the whole."""
    rig = Rig()
    rig.write(*declared())
    rig.turn()
    for part in halves():
        rig.write(*part)
        rig.turn()
    return rig.bytes()


def said(bus: Bus) -> list[bytes]:
    """Ended events and final buckets, as far as they can be compared."""
    records = [
        record
        for topic in (EVENTS, TIMELINES)
        for partition in range(topic.partitions)
        for record in stored_records(bus, topic, partition)
    ]
    found = [kept(decode(record)) for record in records if record.value is not None]
    return [one.body for one in sorted(one for one in found if one is not None)]
