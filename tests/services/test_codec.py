"""Noun ↔ bytes: what goes in comes out, and what is wrong says so."""

from dataclasses import replace

import msgspec
import pytest

from classpulse.codec import Outgoing, Stored, decode, encode, header, identity, tombstone
from classpulse.errors import InvalidRecord
from classpulse.records import (
    BehaviourEvent,
    CameraConfig,
    Detection,
    Dropped,
    Frame,
    FrameDetections,
    Heartbeat,
    Hole,
    ModelLine,
    ModelRelease,
    Record,
    RoomConfig,
    room_of,
)
from classpulse.topics import (
    CAMERAS,
    DETECTIONS,
    EVENTS,
    FRAMES,
    MODELS,
    ROOMS,
    TIMELINES,
    Topic,
    partition_of,
    topic_named,
)

CAMERA = "t/s/room/cam"
FRAME = Frame(
    camera=CAMERA,
    epoch=3,
    sequence=7,
    captured_at_ms=1_700_000_000_123,
    interval_ms=200,
    width=64,
    height=48,
    jpeg=b"\xff\xd8x",
)


def stored(outgoing: Outgoing, *, offset: int = 5) -> Stored:
    return Stored(
        outgoing.topic, outgoing.partition, offset, outgoing.key, outgoing.value, outgoing.headers, 1_700_000_001_000
    )


def kept(noun: Record, topic: Topic) -> Record:
    return decode(stored(encode(noun, topic=topic, at_ms=1)))


@pytest.mark.parametrize(
    ("noun", "topic"),
    [
        (FRAME, FRAMES),
        (Dropped(camera=CAMERA, epoch=1, first_sequence=0, last_sequence=4, first_ms=1, last_ms=9, reason="stale"), FRAMES),
        (Heartbeat(camera=CAMERA, epoch=1, last_sequence=-1, at_ms=5, state="connecting"), FRAMES),
        (Heartbeat(camera=CAMERA, epoch=1, last_sequence=2, at_ms=5, state="up"), DETECTIONS),
        (Hole(camera=CAMERA, epoch=0, reason="empty"), DETECTIONS),
        (
            FrameDetections(
                camera=CAMERA, epoch=1, sequence=0, captured_at_ms=3, interval_ms=100, model="m",
                detections=(Detection(behaviour="sleeping", score=0.5, box_xyxy=(0.0, 0.1, 0.2, 0.3)),),
            ),
            DETECTIONS,
        ),
        (BehaviourEvent(id="x", room="t/s/room", behaviour="stand-up", phase="started", started_at_ms=1, model="m"), EVENTS),
    ],
)  # fmt: skip
def test_what_goes_in_comes_out(noun: Record, topic: Topic) -> None:
    assert kept(noun, topic) == noun


def test_a_frames_value_is_its_jpeg_and_nothing_else() -> None:
    outgoing = encode(FRAME, topic=FRAMES, at_ms=FRAME.captured_at_ms)
    assert outgoing.value == FRAME.jpeg
    assert header(stored(outgoing), "ce_time") == b"2023-11-14T22:13:20.123Z"
    assert header(stored(outgoing), "content-type") == b"image/jpeg"


def test_the_same_story_is_keyed_by_camera_on_frames_and_by_room_on_detections() -> None:
    beat = Heartbeat(camera=CAMERA, epoch=1, last_sequence=2, at_ms=5, state="up")
    assert encode(beat, topic=FRAMES, at_ms=5).key == CAMERA
    on_detections = encode(beat, topic=DETECTIONS, at_ms=5)
    assert on_detections.key == "t/s/room"
    assert on_detections.partition == partition_of("t/s/room", DETECTIONS.partitions)


def test_a_room_keeps_one_partition_number_through_every_topic_under_it() -> None:
    event = BehaviourEvent(id="x", room="t/s/room", behaviour="stand-up", phase="started", started_at_ms=1, model="m")
    hole = Hole(camera=CAMERA, epoch=0, reason="empty")
    assert encode(event, topic=EVENTS, at_ms=1).partition == encode(hole, topic=DETECTIONS, at_ms=1).partition
    assert tombstone(TIMELINES, "t/s/room/0", "t/s/room").partition == encode(event, topic=EVENTS, at_ms=1).partition


def test_a_noun_on_the_wrong_topic_is_refused() -> None:
    with pytest.raises(ValueError, match=r"classpulse\.events\.v1 carries BehaviourEvent; got Frame"):
        encode(FRAME, topic=EVENTS, at_ms=1)


def with_header(record: Stored, name: str, value: bytes | None) -> Stored:
    rest = tuple((k, v) for k, v in record.headers if k != name)
    return replace(record, headers=rest if value is None else (*rest, (name, value)))


GOOD = stored(encode(FRAME, topic=FRAMES, at_ms=1))


@pytest.mark.parametrize(
    ("record", "reason", "message"),
    [
        (with_header(GOOD, "ce_type", None), "no_type", "ce_type is absent; expected classpulse.NOUN.v1"),
        (
            with_header(GOOD, "ce_type", b"classpulse.Frame.v9"),
            "unknown_version",
            "schema version '9' of Frame; this process reads 1",
        ),
        (
            with_header(GOOD, "ce_type", b"other.Thing.v1"),
            "unknown_type",
            "'other.Thing.v1'; expected classpulse.NOUN.v1",
        ),
        (
            with_header(GOOD, "ce_type", b"classpulse.BehaviourEvent.v1"),
            "wrong_type",
            "carries Frame, Dropped, Heartbeat; found",
        ),
        (with_header(GOOD, "classpulse", None), "bad_headers", "header classpulse of a Frame is absent"),
        (with_header(GOOD, "classpulse", b"{}"), "wrong_type", "missing required field"),
        (with_header(GOOD, "classpulse", b"\x00"), "wrong_type", "Frame: JSON is malformed"),
        (replace(GOOD, value=b""), "empty", "has no picture; expected JPEG bytes"),
        (replace(GOOD, value=None), "empty", "has no picture; expected JPEG bytes"),
        (replace(GOOD, key="t/s/room/other"), "bad_headers", "under key 't/s/room/other'; expected the same"),
    ],
)
def test_an_unreadable_record_says_what_was_found_and_expected(record: Stored, reason: str, message: str) -> None:
    with pytest.raises(InvalidRecord, match=message) as caught:
        decode(record)
    assert caught.value.reason == reason


@pytest.mark.parametrize(("width", "height"), [(0, 0), (0, 48), (-8, -8), (10_000, 10_000)])
def test_an_impossible_picture_is_refused_by_its_claim_alone(width: int, height: int) -> None:
    frame = msgspec.structs.replace(FRAME, width=width, height=height)
    with pytest.raises(InvalidRecord, match=f"picture of {width}x{height}; expected 1 to 50000000 pixels"):
        kept(frame, FRAMES)


def test_an_empty_json_record_is_refused() -> None:
    empty = replace(stored(encode(Hole(camera=CAMERA, epoch=0, reason="x"), topic=DETECTIONS, at_ms=1)), value=b"")
    with pytest.raises(InvalidRecord, match="value of a Hole is empty; expected JSON"):
        decode(empty)


def test_a_reader_ignores_fields_of_a_newer_writer() -> None:
    record = stored(encode(Hole(camera=CAMERA, epoch=0, reason="x"), topic=DETECTIONS, at_ms=1))
    newer = replace(record, value=(record.value or b"")[:-1] + b',"later":1}')
    assert decode(newer) == Hole(camera=CAMERA, epoch=0, reason="x")


def test_equal_nouns_are_equal_bytes_and_identities_differ_by_place_in_the_story() -> None:
    assert encode(FRAME, topic=FRAMES, at_ms=1) == encode(FRAME, topic=FRAMES, at_ms=1)
    assert identity(FRAME) != identity(msgspec.structs.replace(FRAME, sequence=8))


@pytest.mark.parametrize(
    ("noun", "topic"),
    [
        (CameraConfig(camera=CAMERA, source="synth://"), CAMERAS),
        (RoomConfig(room="t/s/room"), ROOMS),
        (Hole(camera=CAMERA, epoch=0, reason="x"), DETECTIONS),
    ],
)
def test_what_is_told_again_word_for_word_later_is_another_record(noun: Record, topic: Topic) -> None:
    first, second = (dict(encode(noun, topic=topic, at_ms=at_ms).headers)["ce_id"] for at_ms in (1, 2))
    assert first != second


def test_releases_lie_under_their_digest_and_lines_under_their_name() -> None:
    release = ModelRelease(
        digest="ab12", name="n", labels=("stand-up",), input_hw=(256, 448), figures=(), lineage=(), artefact="file:///m"
    )
    line = ModelLine(line="district", champion="ab12", revision=3)
    made = [encode(noun, topic=MODELS, at_ms=0) for noun in (release, line)]
    assert [one.key for one in made] == ["ab12", "district"]
    assert [dict(one.headers)["ce_id"] for one in made] == [b"ab12", b"district/3"]
    assert [decode(stored(one)) for one in made] == [release, line]


def test_a_camera_key_has_four_parts() -> None:
    assert room_of(CAMERA) == "t/s/room"
    with pytest.raises(ValueError, match=r"camera 'a/b' is no camera key; expected tenant/school/room/camera"):
        room_of("a/b")


def test_topics_are_found_by_short_name() -> None:
    assert topic_named("events") is EVENTS
    with pytest.raises(KeyError, match="topic 'evens' does not exist; expected one of cameras, rooms, frames"):
        topic_named("evens")
