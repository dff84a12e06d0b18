"""Every record is a CloudEvent in binary mode, as the official SDK reads one from Kafka."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat

from classpulse.codec import NOUNS, Outgoing, encode
from classpulse.records import (
    BehaviourEvent,
    BehaviourTotals,
    CameraConfig,
    CameraReport,
    DeadLetter,
    Detection,
    Dropped,
    Frame,
    FrameDetections,
    Heartbeat,
    Hole,
    Idle,
    IngestState,
    ModelLine,
    ModelRelease,
    Record,
    Retried,
    RoomConfig,
    RoomPlan,
    StateEntry,
    TimelineBucket,
)
from classpulse.topics import FRAMES, TOPICS, Topic

ROOM = "t/s/räum"
CAMERA = f"{ROOM}/cam"
AT_MS = 1_772_434_800_123
NOTHING = BehaviourTotals(events=0, person_ms=0, peak=0)
SEEN = Detection(behaviour="sleeping", score=0.5, box_xyxy=(0.0, 0.1, 0.2, 0.3))

EXAMPLES: tuple[Record, ...] = (
    CameraConfig(camera=CAMERA, source="file:///clip.mp4"),
    RoomConfig(room=ROOM),
    Frame(camera=CAMERA, epoch=0, sequence=0, captured_at_ms=1, interval_ms=200, width=1, height=1, jpeg=b"\xff\xd8"),
    Dropped(camera=CAMERA, epoch=0, first_sequence=0, last_sequence=1, first_ms=1, last_ms=2, reason="stale"),
    Heartbeat(camera=CAMERA, epoch=0, last_sequence=-1, at_ms=1, state="up"),
    Hole(camera=CAMERA, epoch=0, reason="empty"),
    FrameDetections(
        camera=CAMERA, epoch=0, sequence=0, captured_at_ms=1, interval_ms=9, model="m", detections=(SEEN,)
    ),
    RoomPlan(config=RoomConfig(room=ROOM), cameras={CAMERA: "live"}, at_ms=1),
    Idle(room=ROOM, camera=CAMERA, at_ms=1),
    BehaviourEvent(id=f"{CAMERA}/0/sleeping/1/0", room=ROOM, behaviour="sleeping", phase="started", started_at_ms=1, model="m"),
    TimelineBucket(
        room=ROOM, start_ms=0, end_ms=10, behaviours={"sleeping": NOTHING}, due_ms=10, observed_ms=10, frames=1,
        missing={}, models=("m",), revision=0, final=True,
    ),
    CameraReport(camera=CAMERA, at_ms=1, stage="ingest", state="up"),
    IngestState(camera=CAMERA, source="", epoch=0, next_sequence=0, last_ms=0, position_ms=0, started_at_ms=0),
    StateEntry(room=ROOM, name="plan", payload=b"\x80"),
    ModelRelease(digest="d", name="n", labels=(), input_hw=(1, 1), figures=(), lineage=(), artefact="file:///x"),
    ModelLine(line="main", champion="d"),
    DeadLetter(topic="x", partition=0, offset=0, key="k", reason="empty", detail="", at_ms=1, stage="detect"),
    Retried(letter=0, topic="x", at_ms=1),
)  # fmt: skip
CARRIED = [(noun, topic) for noun in EXAMPLES for topic in TOPICS.values() if type(noun).__name__ in topic.nouns]


def read(record: Outgoing) -> BaseCloudEvent:
    """The record as the SDK reads it; the headers as kafka-python and librdkafka give them."""
    return from_binary(KafkaMessage(dict(record.headers), record.key.encode(), record.value or b""), JSONFormat())


def test_every_noun_is_tried() -> None:
    assert {type(noun).__name__ for noun, _ in CARRIED} == NOUNS.keys()


@pytest.mark.parametrize(
    ("noun", "topic"), CARRIED, ids=[f"{type(noun).__name__}-{topic.name}" for noun, topic in CARRIED]
)
def test_a_record_is_a_cloud_event_of_its_noun(noun: Record, topic: Topic) -> None:
    record = encode(noun, topic=topic, at_ms=AT_MS)
    event = read(record)

    assert dict(record.headers)["ce_specversion"] == b"1.0"  # the SDK takes it for granted
    assert event.get_type() == f"classpulse.{type(noun).__name__}.v1"
    assert event.get_source() == f"/classpulse/{topic.name.split('.')[1]}"
    assert event.get_time() == datetime.fromtimestamp(AT_MS // 1000, UTC).replace(microsecond=123_000)
    assert event.get_subject() in (CAMERA, ROOM, record.key)
    assert event.get_id() == dict(record.headers)["ce_id"].decode()
    assert event.get_extension("partitionkey") == record.key


@pytest.mark.parametrize(
    ("noun", "topic"), CARRIED, ids=[f"{type(noun).__name__}-{topic.name}" for noun, topic in CARRIED]
)
def test_its_data_is_what_its_content_type_says(noun: Record, topic: Topic) -> None:
    record = encode(noun, topic=topic, at_ms=AT_MS)
    event = read(record)
    expected: Any = record.value
    if isinstance(noun, Frame):
        assert event.get_datacontenttype() == "image/jpeg"
    else:
        assert event.get_datacontenttype() == "application/json"
        expected = json.loads(record.value) if record.value else None
    assert (event.get_data() or None) == expected
    assert (record.value is None) == (topic is FRAMES and not isinstance(noun, Frame))
