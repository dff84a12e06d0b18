"""The audit for people and for programs: a line a camera, what is wrong in one, and an exit code."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from classpulse.bus.base import Bus, Place
from classpulse.codec import encode
from classpulse.records import RoomConfig, TimelineBucket
from classpulse.settings import Settings
from classpulse.supervisor import prepare_bus
from classpulse.topics import DETECTIONS, ROOMS, TIMELINES, partition_of
from tests.services.aggregate.stories import CAM, ROOM, beat, dropped, frames
from tests.services.cli.conftest import Command

START = 1_772_434_800_000  # 2026-03-02T07:00:00Z
BALANCED = "it adds up: every captured frame is in a timeline, is counted as missing, or is not final yet\n"


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    bus = prepare_bus(Settings(data=tmp_path / "data"))
    yield bus
    bus.close()


def bucket(index: int, frames: int, **missing: int) -> TimelineBucket:
    return TimelineBucket(
        room=ROOM,
        start_ms=START + 10_000 * index,
        end_ms=START + 10_000 * (index + 1),
        behaviours={},
        due_ms=10_000,
        observed_ms=10_000,
        frames=frames,
        missing=missing,
        models=("digest-1",),
        revision=1,
        final=True,
    )


def played(bus: Bus, *buckets: TimelineBucket) -> None:
    """Twenty seconds at one frame a second, of which the last was dropped; and what was published of them."""
    told = [*frames(START, START + 18_000, step_ms=1_000), dropped(19, 19, START + 19_000, START + 19_000, "stale")]
    told.append(beat(19, START + 19_500, "off"))
    outputs = [encode(noun, topic=DETECTIONS, at_ms=START) for noun in told]
    outputs.append(encode(RoomConfig(room=ROOM, time_zone="Europe/Berlin"), topic=ROOMS, at_ms=START))
    outputs += [encode(one, topic=TIMELINES, at_ms=START) for one in buckets]
    partition = partition_of(ROOM, DETECTIONS.partitions)
    bus.member("aggregate", [DETECTIONS]).commit(outputs, {Place(DETECTIONS.name, partition): len(told)})


def test_where_nothing_was_told_there_is_nothing_wrong(command: Command, bus: Bus) -> None:
    assert command("audit") == (0, "no camera told of anything\n", "")


def test_what_adds_up_is_a_line_a_camera(command: Command, bus: Bus) -> None:
    played(bus, bucket(0, 10), bucket(1, 9, stale=1))
    assert command("audit") == (
        0,
        (
            "camera        captured  in timelines  dropped  not yet  difference\n"
            f"{CAM}  20        19            1 stale  0        0\n{BALANCED}"
        ),
        "",
    )


def test_a_room_that_does_not_add_up_is_named_with_both_numbers_and_exits_with_one(command: Command, bus: Bus) -> None:
    played(bus, bucket(0, 9), bucket(1, 9))
    code, out, _ = command("audit", "room")
    assert code == 1
    assert out.splitlines()[1:] == [
        f"{CAM}  20        18            0        0        2",
        (
            f"{ROOM}: bucket 2026-03-02T07:00:00.000Z: published 9 frames, missing none; its detections give 10 frames,"
            " missing none; 1 more of its buckets differ"
        ),
        "it does NOT add up",
    ]


def test_a_window_is_said_in_whole_buckets(command: Command, bus: Bus) -> None:
    played(bus, bucket(0, 10), bucket(1, 5))
    window = ("--from", "2026-03-02T08:00:01+01:00", "--to", "2026-03-02T08:00:02+01:00")
    code, out, _ = command("audit", *window)
    assert code == 0
    assert out.splitlines()[1:3] == [
        f"{CAM}  10        10            0        0        0",
        "in whole buckets: from 2026-03-02T07:00:00.000Z to 2026-03-02T07:00:10.000Z",
    ]
    assert command("audit", "--from", "2026-03-02T08:00:10+01:00").code == 1


def test_detections_that_have_expired_are_said(command: Command, bus: Bus) -> None:
    played(bus, bucket(0, 10), bucket(1, 9, stale=1))
    bus.forget(DETECTIONS, {partition_of(ROOM, DETECTIONS.partitions): 5})
    out = command("audit").out
    assert (
        out
        == f"{ROOM}: its oldest detections are gone (expired, or erased); compared nowhere yet\nno camera told of anything\n"
    )


def test_as_json_it_is_one_document(command: Command, bus: Bus) -> None:
    played(bus, bucket(0, 9), bucket(1, 9, stale=1))
    code, out, _ = command("audit", "--format", "json")
    told = json.loads(out)
    assert (code, told["balanced"], told["from"], told["to"], told["compared_from"]) == (
        1,
        False,
        "2026-03-02T07:00:00.000Z",
        "2026-03-02T07:00:20.000Z",
        {},
    )
    assert told["cameras"] == [
        {
            "camera": CAM,
            "captured": 20,
            "in_timelines": 18,
            "dropped": {"stale": 1},
            "not_yet": {},
            "difference": 1,
        }
    ]
    (fault,) = told["faults"]
    assert (fault["room"], fault["bucket"], fault["published"]["frames"], fault["detections"]["frames"]) == (
        ROOM,
        "2026-03-02T07:00:00.000Z",
        9,
        10,
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "room = 'nowhere': no such room; expected tenant/school/room; the nearest is 't/s/room'"),
        (("--from", "noon"), "--from = 'noon': expected RFC 3339 such as"),
        (("--from", "09:00", "--to", "08:00"), "--to = '08:00': not after --from = '09:00'; expected a later moment"),
    ],
)
def test_what_is_asked_wrongly_is_named(command: Command, bus: Bus, words: tuple[str, ...], said: str) -> None:
    played(bus)
    result = command("audit", *words)
    assert result.code == 2
    assert result.err.startswith(f"classpulse: {said}")
