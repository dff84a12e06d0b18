"""Which noun travels where, by which key, and how long it stays: the one source for every bus and every manifest."""

import zlib
from dataclasses import dataclass
from typing import Literal

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
MIB = 1024 * 1024


@dataclass(frozen=True)
class Topic:
    """A named, partitioned log.

    `cleanup`: `delete` keeps records for `retention_ms` and at most `retention_bytes` a partition (None: no such limit);
    `compact` keeps the latest record of each key (and drops it after `retention_ms`, where that is given).
    `partitioned_by`: what decides the partition, so that a room's input, state and output share a number.
    `written_by`, `read_by`: the stages and people (`operator`, `analyst`) who do; a broker is told to allow no one else.
    """

    name: str
    key: str
    partitioned_by: Literal["camera", "room", "key"]
    partitions: int
    cleanup: Literal["delete", "compact"]
    retention_ms: int | None
    retention_bytes: int | None
    max_record_bytes: int
    pictures: bool
    nouns: tuple[str, ...]
    written_by: tuple[str, ...] = ()
    read_by: tuple[str, ...] = ()


CAMERAS = Topic(
    "classpulse.cameras.v1",
    "camera",
    "camera",
    1,
    "compact",
    None,
    None,
    MIB,
    pictures=False,
    nouns=("CameraConfig",),
    written_by=("operator",),
    read_by=("ingest", "detect", "aggregate", "operator"),
)
ROOMS = Topic(
    "classpulse.rooms.v1",
    "room",
    "room",
    1,
    "compact",
    None,
    None,
    MIB,
    pictures=False,
    nouns=("RoomConfig",),
    written_by=("operator",),
    read_by=("ingest", "aggregate", "operator", "analyst"),
)
FRAMES = Topic(
    "classpulse.frames.v1",
    "camera",
    "camera",
    24,
    "delete",
    10 * MINUTE_MS,
    64 * MIB,
    4 * MIB,
    pictures=True,
    nouns=("Frame", "Dropped", "Heartbeat"),
    written_by=("ingest",),
    read_by=("detect",),
)
DETECTIONS = Topic(
    "classpulse.detections.v1",
    "room",
    "room",
    12,
    "delete",
    7 * DAY_MS,
    None,
    MIB,
    pictures=False,
    nouns=("FrameDetections", "Dropped", "Heartbeat", "Hole", "Idle", "RoomPlan"),
    written_by=("detect", "aggregate", "bridge", "operator"),
    read_by=("aggregate", "operator"),
)
EVENTS = Topic(
    "classpulse.events.v1",
    "room",
    "room",
    12,
    "delete",
    30 * DAY_MS,
    None,
    MIB,
    pictures=False,
    nouns=("BehaviourEvent",),
    written_by=("aggregate", "operator"),
    read_by=("operator", "analyst"),
)
TIMELINES = Topic(
    "classpulse.timelines.v1",
    "room/start_ms",
    "room",
    12,
    "compact",
    30 * DAY_MS,
    None,
    MIB,
    pictures=False,
    nouns=("TimelineBucket",),
    written_by=("aggregate", "operator"),
    read_by=("operator", "analyst"),
)
REPORTS = Topic(
    "classpulse.reports.v1",
    "camera",
    "camera",
    1,
    "delete",
    DAY_MS,
    64 * MIB,
    MIB,
    pictures=False,
    nouns=("CameraReport",),
    written_by=("ingest", "detect"),
    read_by=("operator",),
)
INGEST_STATE = Topic(
    "classpulse.ingest-state.v1",
    "camera",
    "camera",
    24,
    "compact",
    None,
    None,
    MIB,
    pictures=False,
    nouns=("IngestState",),
    written_by=("ingest",),
    read_by=("ingest", "operator"),
)
AGGREGATE_STATE = Topic(
    "classpulse.aggregate-state.v1",
    "room/name",
    "room",
    12,
    "compact",
    None,
    None,
    4 * MIB,
    pictures=False,
    nouns=("StateEntry",),
    written_by=("aggregate",),
    read_by=("aggregate", "operator"),
)
MODELS = Topic(
    "classpulse.models.v1",
    "digest or line",
    "key",
    1,
    "compact",
    None,
    None,
    MIB,
    pictures=False,
    nouns=("ModelRelease", "ModelLine"),
    written_by=("operator",),
    read_by=("detect", "operator"),
)
DEAD_LETTERS = Topic(
    "classpulse.deadletters.v1",
    "topic",
    "key",
    1,
    "delete",
    14 * DAY_MS,
    256 * MIB,
    8 * MIB,
    pictures=False,
    nouns=("DeadLetter", "Retried"),
    written_by=("detect", "aggregate", "bridge", "operator"),
    read_by=("operator",),
)

TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        CAMERAS,
        ROOMS,
        FRAMES,
        DETECTIONS,
        EVENTS,
        TIMELINES,
        REPORTS,
        INGEST_STATE,
        AGGREGATE_STATE,
        MODELS,
        DEAD_LETTERS,
    )
}


def partition_of(partition_key: str, partitions: int) -> int:
    """The partition of a camera's or room's key: CRC-32 of its UTF-8 bytes, modulo. The same on every bus."""
    return zlib.crc32(partition_key.encode()) % partitions


def topic_named(name: str) -> Topic:
    """The topic of a full or short name (`events` for `classpulse.events.v1`). Raises KeyError naming those that exist."""
    for topic in TOPICS.values():
        if name in (topic.name, short_name(topic)):
            return topic
    raise KeyError(
        f"topic {name!r} does not exist; expected one of {', '.join(short_name(t) for t in TOPICS.values())}"
    )


def short_name(topic: Topic) -> str:
    """`events` for `classpulse.events.v1`."""
    return topic.name.removeprefix("classpulse.").rsplit(".", 1)[0]
