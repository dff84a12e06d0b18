"""A topic as Kafka keeps it: our limits in the broker's words, and back.

Kafka counts a batch, we count a record: the broker's limit leaves room for a batch beside the largest record. A topic that
is limited by bytes is kept uncompressed, so that the limit means what a reader gets.
"""

from collections.abc import Mapping
from typing import Literal

from classpulse.bus.limits import TOMBSTONE_MS
from classpulse.topics import DAY_MS, MIB, MINUTE_MS, Topic

BATCH_BYTES = 256 * 1024
OVERHEAD_BYTES = 16 * 1024
"""What record and batch headers may add to our own count of a record."""

COMPACTED_SEGMENT_MS = 10 * MINUTE_MS
COMPACTED_SEGMENT_BYTES = 8 * MIB
COMPACTED_WITHIN_MS = DAY_MS
"""A superseded or deleted record becomes due for compaction no later than this, however quiet its partition is."""

UNLIMITED = "-1"


def configs_of(topic: Topic) -> dict[str, str]:
    """The broker's configuration of a topic."""
    retention = UNLIMITED if topic.retention_ms is None else str(topic.retention_ms)
    limit = UNLIMITED if topic.retention_bytes is None else str(topic.retention_bytes)
    configs = {
        "cleanup.policy": _cleanup(topic),
        "retention.ms": retention,
        "retention.bytes": limit,
        "max.message.bytes": str(topic.max_record_bytes + BATCH_BYTES + OVERHEAD_BYTES),
        "message.timestamp.type": "LogAppendTime",
        "compression.type": "producer"
        if topic.pictures
        else "lz4"
        if topic.retention_bytes is None
        else "uncompressed",
        "segment.ms": str(_segment_ms(topic)),
        "segment.bytes": str(_segment_bytes(topic)),
    }
    if topic.cleanup == "compact":
        configs |= {"delete.retention.ms": str(TOMBSTONE_MS), "min.cleanable.dirty.ratio": "0.2"}
        configs["max.compaction.lag.ms"] = str(COMPACTED_WITHIN_MS)
    return configs


def topic_from(name: str, partitions: int, configs: Mapping[str, str]) -> Topic:
    """A topic that is not one of topics.py, as the broker describes it."""
    cleanup: Literal["delete", "compact"] = "compact" if "compact" in configs["cleanup.policy"] else "delete"
    return Topic(
        name=name,
        key="",
        partitioned_by="key",
        partitions=partitions,
        cleanup=cleanup,
        retention_ms=_limit(configs["retention.ms"]),
        retention_bytes=_limit(configs["retention.bytes"]),
        max_record_bytes=int(configs["max.message.bytes"]) - BATCH_BYTES - OVERHEAD_BYTES,
        pictures=False,
        nouns=(),
    )


def _cleanup(topic: Topic) -> str:
    if topic.cleanup == "compact":
        return "compact" if topic.retention_ms is None else "compact,delete"
    return "delete"


def _segment_ms(topic: Topic) -> int:
    """The broker removes whole segments only: they are a tenth of what is to be kept, and a day at most.

    It compacts closed segments only, and whoever restores a state reads all that is not compacted: there they are short.
    """
    if topic.cleanup == "compact":
        return COMPACTED_SEGMENT_MS
    return max(MINUTE_MS, min(24 * 60 * MINUTE_MS, (topic.retention_ms or 600 * MINUTE_MS) // 10))


def _segment_bytes(topic: Topic) -> int:
    if topic.cleanup == "compact":
        return COMPACTED_SEGMENT_BYTES
    return max(8 * MIB, min(256 * MIB, (topic.retention_bytes or 2_560 * MIB) // 8))


def _limit(value: str) -> int | None:
    return None if value == UNLIMITED else int(value)
