"""Noun ↔ versioned bytes: a record's value, its CloudEvents 1.0 binary headers and its place on the bus.

Frames carry their JPEG as the value and everything else in the header `classpulse`; on the frames topic a `Dropped` or a
`Heartbeat` has no value at all. Every other noun is canonical JSON (keys sorted), so equal nouns are equal bytes.
"""

from dataclasses import dataclass
from hashlib import blake2b

import msgspec

from classpulse import records
from classpulse.clock import rfc3339
from classpulse.errors import InvalidRecord
from classpulse.records import (
    BehaviourEvent,
    CameraConfig,
    CameraReport,
    DeadLetter,
    Dropped,
    Frame,
    FrameDetections,
    Heartbeat,
    Hole,
    Idle,
    IngestState,
    ModelLine,
    ModelRelease,
    Retried,
    RoomConfig,
    RoomPlan,
    StateEntry,
    TimelineBucket,
    Told,
    room_of,
)
from classpulse.topics import FRAMES, TOPICS, Topic, partition_of, short_name

NOUNS: dict[str, type[records.Record]] = {
    noun.__name__: noun
    for noun in (
        CameraConfig,
        RoomConfig,
        Frame,
        Dropped,
        Heartbeat,
        Hole,
        FrameDetections,
        RoomPlan,
        Idle,
        BehaviourEvent,
        TimelineBucket,
        CameraReport,
        IngestState,
        StateEntry,
        ModelRelease,
        ModelLine,
        DeadLetter,
        Retried,
    )
}
VERSION = 1
MAX_PIXELS = 50_000_000
"""Pictures above this many pixels are refused before anything is allocated for them."""

Headers = tuple[tuple[str, bytes], ...]

REPUBLISHED = "ce_republished"
"""An extension attribute: this record was told before, under the same `ce_id`, and only lies at another offset now."""

_META = "classpulse"
_encode_json = msgspec.json.Encoder(order="sorted").encode
_decoders = {name: msgspec.json.Decoder(noun) for name, noun in NOUNS.items()}


REPEATABLE = (CameraConfig, RoomConfig, IngestState, StateEntry, Hole)
"""Nouns that may be told again word for word (a camera switched off, on and off): their time tells them apart."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record on its way to the bus. `value` None on a compacted topic deletes the key."""

    topic: str
    partition: int
    key: str
    value: bytes | None
    headers: Headers

    @property
    def size_bytes(self) -> int:
        """What it weighs in flight."""
        return len(self.key) + len(self.value or b"") + sum(len(k) + len(v) for k, v in self.headers)


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as the bus gives it back: where it lies, when it was appended (bus time), and its bytes."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes | None
    headers: Headers
    appended_at_ms: int


def encode(noun: records.Record, *, topic: Topic, at_ms: int, trace: str | None = None) -> Outgoing:
    """The noun as a record for `topic`; `at_ms` is its event time (CloudEvents `time`).

    `trace` is the W3C trace id (32 hex digits) of the frame behind it; nouns of a camera's story know their own.
    Raises ValueError when the topic does not carry this noun.
    """
    name = type(noun).__name__
    if name not in topic.nouns:
        raise ValueError(f"topic {topic.name} carries {', '.join(topic.nouns)}; got {name}")
    key, partition_key = key_of(noun, topic)
    value, meta = _payload(noun, topic)
    told = identity(noun)
    id_ = f"{told}/{at_ms}" if isinstance(noun, REPEATABLE) else told
    headers = _cloud_event(name, id_, topic, partition_key, at_ms, trace or _trace(noun, told))
    if meta is not None:
        headers = (*headers, (_META, meta))
    return Outgoing(topic.name, partition_of(partition_key, topic.partitions), key, value, headers)


def tombstone(topic: Topic, key: str, partition_key: str) -> Outgoing:
    """The record that deletes `key` from a compacted topic."""
    return Outgoing(topic.name, partition_of(partition_key, topic.partitions), key, None, ())


def republished(record: Stored) -> Outgoing:
    """The same record at the end of its partition, marked as one that was told before."""
    headers = tuple(one for one in record.headers if one[0] != REPUBLISHED)
    return Outgoing(record.topic, record.partition, record.key, record.value, (*headers, (REPUBLISHED, b"true")))


def decode(record: Stored) -> records.Record:
    """The noun of a stored record. Raises InvalidRecord with a reason and what was found and expected."""
    name = _type_of(record)
    if record.topic in TOPICS and name not in TOPICS[record.topic].nouns:
        carried = ", ".join(TOPICS[record.topic].nouns)
        raise InvalidRecord("wrong_type", f"topic {record.topic} carries {carried}; found {name}")
    if record.topic == FRAMES.name:
        return _decode_picture_topic(record, name)
    if not record.value:
        raise InvalidRecord("empty", f"value of a {name} is empty; expected JSON")
    return _parse(name, record.value)


def header(record: Stored, name: str) -> bytes | None:
    """The value of a header, None where it is absent."""
    return next((value for key, value in record.headers if key == name), None)


def camera_of(record: Stored) -> str | None:
    """Whose story an unreadable record under a room's key belonged to, as far as its headers tell: `ce_id` begins with the camera."""
    said = header(record, "ce_id") or b""
    camera = "/".join(said.decode(errors="replace").split("/")[:4])
    try:
        return camera if room_of(camera) == record.key else None
    except ValueError:
        return None


def canonical(noun: records.Record) -> bytes:
    """Canonical JSON of a noun: keys sorted, no spaces. Two equal nouns give the same bytes."""
    return _encode_json(noun)


def key_of(noun: records.Record, topic: Topic) -> tuple[str, str]:
    """(record key, partition key) of a noun on a topic; the partition key is a camera's or a room's key."""
    match noun:
        case CameraConfig() | CameraReport() | IngestState():
            return noun.camera, noun.camera
        case Told() if topic.partitioned_by == "room":
            return room_of(noun.camera), room_of(noun.camera)
        case Told():
            return noun.camera, noun.camera
        case RoomPlan():
            return noun.config.room, noun.config.room
        case TimelineBucket():
            return f"{noun.room}/{noun.start_ms}", noun.room
        case StateEntry():
            return f"{noun.room}/{noun.name}", noun.room
        case RoomConfig() | Idle() | BehaviourEvent():
            return noun.room, noun.room
        case ModelRelease():
            return noun.digest, noun.digest
        case ModelLine():
            return noun.line, noun.line
        case DeadLetter() | Retried():
            return noun.topic, noun.topic
    raise ValueError(f"{type(noun).__name__} has no key; expected one of {', '.join(NOUNS)}")


def _trace(noun: records.Record, told: str) -> str:
    """W3C trace id: the same for a frame and everything found in it, so the story can be joined without a collector."""
    match noun:
        case Frame() | FrameDetections():
            return frame_trace(noun.camera, noun.epoch, noun.sequence)
        case _:
            return blake2b(f"{type(noun).__name__}/{told}".encode(), digest_size=16).hexdigest()


def frame_trace(camera: str, epoch: int, sequence: int) -> str:
    """The trace id of one frame."""
    return blake2b(f"{camera}/{epoch}/{sequence}".encode(), digest_size=16).hexdigest()


def identity(noun: records.Record) -> str:
    """What makes this record unique within its topic; deterministic, so a replay gives the same `ce_id`."""
    match noun:
        case Frame() | FrameDetections():
            return f"{noun.camera}/{noun.epoch}/{noun.sequence}"
        case Dropped():
            return f"{noun.camera}/{noun.epoch}/{noun.first_sequence}-{noun.last_sequence}/{noun.reason}"
        case Heartbeat():
            return f"{noun.camera}/{noun.epoch}/{noun.last_sequence}/{noun.at_ms}/{noun.state}"
        case BehaviourEvent():
            return f"{noun.id}/{noun.phase}"
        case TimelineBucket():
            return f"{noun.room}/{noun.start_ms}/{noun.revision}"
        case Idle():
            return f"{noun.camera}/idle/{noun.at_ms}"
        case ModelRelease():
            return noun.digest
        case ModelLine():
            return f"{noun.line}/{noun.revision}"
        case DeadLetter():
            return f"{noun.topic}/{noun.partition}/{noun.offset}/{noun.at_ms}"
        case Retried():
            return f"{noun.topic}/retried/{noun.letter}"
        case _:
            return blake2b(canonical(noun), digest_size=16).hexdigest()


def _payload(noun: records.Record, topic: Topic) -> tuple[bytes | None, bytes | None]:
    """(value, header): pictures keep their description in a header, everything else is the value."""
    if topic.name != FRAMES.name:
        return canonical(noun), None
    if isinstance(noun, Frame):
        return noun.jpeg, canonical(msgspec.structs.replace(noun, jpeg=b""))
    return None, canonical(noun)


def _cloud_event(name: str, identity_: str, topic: Topic, subject: str, at_ms: int, trace: str) -> Headers:
    span = blake2b(f"{topic.name}/{identity_}".encode(), digest_size=8).hexdigest()
    content = "image/jpeg" if name == "Frame" else "application/json"
    return (
        ("ce_specversion", b"1.0"),
        ("ce_id", identity_.encode()),
        ("ce_source", f"/classpulse/{short_name(topic)}".encode()),
        ("ce_type", f"classpulse.{name}.v{VERSION}".encode()),
        ("ce_subject", subject.encode()),
        ("ce_time", rfc3339(at_ms).encode()),
        ("content-type", content.encode()),
        ("traceparent", f"00-{trace}-{span}-00".encode()),
    )


def _type_of(record: Stored) -> str:
    kind = header(record, "ce_type")
    if kind is None:
        raise InvalidRecord("no_type", "header ce_type is absent; expected classpulse.NOUN.v1")
    prefix, _, version = kind.decode(errors="replace").rpartition(".v")
    name = prefix.removeprefix("classpulse.")
    if name not in NOUNS:
        raise InvalidRecord("unknown_type", f"ce_type {kind.decode(errors='replace')!r}; expected classpulse.NOUN.v1")
    if version != str(VERSION):
        raise InvalidRecord("unknown_version", f"schema version {version!r} of {name}; this process reads {VERSION}")
    return name


def _decode_picture_topic(record: Stored, name: str) -> records.Record:
    meta = header(record, _META)
    if meta is None:
        raise InvalidRecord("bad_headers", f"header {_META} of a {name} is absent; expected its JSON")
    noun = _parse(name, meta)
    if isinstance(noun, Told) and noun.camera != record.key:
        raise InvalidRecord("bad_headers", f"camera {noun.camera!r} under key {record.key!r}; expected the same")
    if not isinstance(noun, Frame):
        return noun
    if not record.value:
        raise InvalidRecord("empty", f"frame {identity(noun)} has no picture; expected JPEG bytes")
    if not 0 < noun.width * noun.height <= MAX_PIXELS or noun.width < 0:
        raise InvalidRecord("bad_size", f"picture of {noun.width}x{noun.height}; expected 1 to {MAX_PIXELS} pixels")
    return msgspec.structs.replace(noun, jpeg=record.value)


def _parse(name: str, data: bytes) -> records.Record:
    try:
        noun: records.Record = _decoders[name].decode(data)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise InvalidRecord("wrong_type", f"{name}: {error}") from error
    return noun
