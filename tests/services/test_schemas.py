"""The committed schemas are the code's, stay readable by old readers, and can hold nothing personal."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from classpulse.codec import NOUNS, canonical
from classpulse.errors import BadInput
from classpulse.records import BehaviourEvent, BehaviourTotals, Detection, FrameDetections, TimelineBucket
from classpulse.schemas import generate, incompatibilities, schema_of, write
from tests.support import ROOT

COMMITTED = ROOT / "schemas"
PERSONAL = (
    "face",
    "embedding",
    "person_id",
    "track",
    "pixel",
    "image",
    "attention",
    "engagement",
    "mood",
    "name_of",
    "identity",
)
BYTES_ALLOWED = {"Frame.jpeg", "StateEntry.payload", "DeadLetter.payload"}


def test_committed_schemas_are_what_the_code_generates() -> None:
    assert {path.name: path.read_bytes() for path in COMMITTED.glob("*.json")} == generate()


def properties(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (type_name, field, shape)
        for type_name, body in schema["$defs"].items()
        for field, shape in body.get("properties", {}).items()
    ]


@pytest.mark.parametrize("name", sorted(NOUNS))
def test_only_frames_can_hold_pictures_and_nothing_can_hold_a_person(name: str) -> None:
    for type_name, field, shape in properties(schema_of(NOUNS[name])):
        assert not any(word in field.lower() for word in PERSONAL), f"{type_name}.{field}"
        holds_bytes = "base64" in str(shape)
        assert not holds_bytes or f"{type_name}.{field}" in BYTES_ALLOWED, f"{type_name}.{field} can hold bytes"


def test_events_hold_no_box() -> None:
    assert not any("box" in field for _, field, _ in properties(schema_of(BehaviourEvent)))


def test_records_validate_against_their_schema() -> None:
    detection = Detection(behaviour="stand-up", score=0.9, box_xyxy=(0.1, 0.2, 0.3, 0.4))
    found = FrameDetections(
        camera="t/s/r/c", epoch=1, sequence=0, captured_at_ms=5, interval_ms=200, model="m", detections=(detection,)
    )
    totals = {"stand-up": BehaviourTotals(events=1, person_ms=10, peak=1)}
    bucket = TimelineBucket(
        room="t/s/r",
        start_ms=0,
        end_ms=10,
        behaviours=totals,
        due_ms=10,
        observed_ms=10,
        frames=1,
        missing={},
        models=("m",),
        revision=0,
        final=True,
    )
    for noun in (found, bucket):
        jsonschema.validate(msgspec.json.decode(canonical(noun)), schema_of(type(noun)))
    with pytest.raises(jsonschema.ValidationError, match="epoch"):
        jsonschema.validate({**msgspec.json.decode(canonical(found)), "epoch": "one"}, schema_of(FrameDetections))


def test_the_same_schema_is_compatible_with_itself() -> None:
    schema = schema_of(TimelineBucket)
    assert incompatibilities(schema, schema) == []


def test_a_new_field_with_a_default_is_compatible() -> None:
    new = deepcopy(schema_of(BehaviourEvent))
    new["$defs"]["BehaviourEvent"]["properties"]["weather"] = {"type": "string", "default": ""}
    assert incompatibilities(schema_of(BehaviourEvent), new) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["properties"].pop("room"), r"BehaviourEvent.room is gone; expected it to stay"),
        (
            lambda d: d["properties"].update(room={"type": "integer"}),
            r"BehaviourEvent.room was .*string.*; found .*integer",
        ),
        (
            lambda d: d["required"].append("ended_at_ms"),
            r"BehaviourEvent.ended_at_ms is newly required; expected a default",
        ),
    ],
)
def test_changes_that_old_readers_cannot_follow_are_refused(change: Any, message: str) -> None:
    older = deepcopy(schema_of(BehaviourEvent))
    newer = deepcopy(older)
    change(newer["$defs"]["BehaviourEvent"])
    with pytest.raises(AssertionError, match=message):
        assert incompatibilities(older, newer) == []


def test_writing_refuses_an_incompatible_change_and_leaves_the_files(tmp_path: Path) -> None:
    write(tmp_path)
    committed = tmp_path / "BehaviourEvent.v1.json"
    older = msgspec.json.decode(committed.read_bytes())
    older["$defs"]["BehaviourEvent"]["properties"]["mark"] = {"type": "string"}
    text = msgspec.json.encode(older)
    committed.write_bytes(text)
    with pytest.raises(BadInput, match=r"BehaviourEvent.mark is gone"):
        write(tmp_path)
    assert committed.read_bytes() == text
