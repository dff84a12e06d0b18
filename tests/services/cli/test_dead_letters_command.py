"""Dead letters for people: a list, one in full, and another turn."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from classpulse.bus.base import Bus, Place
from classpulse.codec import Outgoing, encode
from classpulse.records import DeadLetter
from classpulse.settings import Settings
from classpulse.supervisor import prepare_bus
from classpulse.topics import DEAD_LETTERS, DETECTIONS, FRAMES
from tests.services.cli.conftest import Command

ROOM = "t/s/101"
AT_MS = 1_772_434_800_000


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    bus = prepare_bus(Settings(data=tmp_path / "data"))
    yield bus
    bus.close()


def put_aside(bus: Bus, payload: bytes | None, *, topic: str = DETECTIONS.name, detail: str = "odd") -> None:
    """A record and its letter."""
    member, headers = bus.member("test", ()), (("ce_type", b"classpulse.FrameDetections.v9"),)
    offset = bus.ends(DETECTIONS)[3][1]
    if topic == DETECTIONS.name:
        member.commit([Outgoing(topic, 3, ROOM, payload, headers)], {})
    letter = DeadLetter(
        topic=topic,
        partition=3,
        offset=offset,
        key=ROOM,
        reason="unknown_version",
        detail=detail,
        at_ms=AT_MS,
        stage="aggregate",
        payload=payload,
    )
    member.commit([encode(letter, topic=DEAD_LETTERS, at_ms=AT_MS)], {})


def test_where_there_are_none_it_says_so(command: Command, bus: Bus) -> None:
    assert command("dead-letters", "list") == (0, "no dead letters\n", "")
    assert command("dead-letters", "list", "--format", "json") == (0, "", "no dead letters\n")
    assert command("dead-letters", "retry", "--all") == (0, "no dead letters to retry\n", "")


def test_the_list_has_one_line_each_newest_last(command: Command, bus: Bus) -> None:
    put_aside(bus, b"{}")
    put_aside(bus, None, topic=FRAMES.name, detail="x" * 200)
    header, first, second = command("dead-letters", "list").out.splitlines()
    assert header.split() == ["id", "time", "stage", "where", "key", "reason", "retried", "detail"]
    assert first.split() == (
        f"0 2026-03-02T07:00:00.000Z aggregate classpulse.detections.v1/3@0 {ROOM} unknown_version odd".split()
    )
    assert second.startswith("1   2026")
    assert second.endswith(f" {'x' * 100}…")
    assert len(command("dead-letters", "list", "--topic", "frames").out.splitlines()) == 2
    assert command("dead-letters", "list", "--reason", "empty").out == "no dead letters\n"


def test_as_json_it_is_one_line_each_without_payload(command: Command, bus: Bus) -> None:
    put_aside(bus, b'{"secret":1}')
    (line,) = command("dead-letters", "list", "--format", "json").out.splitlines()
    assert json.loads(line) == {
        "id": 0,
        "time": "2026-03-02T07:00:00.000Z",
        "stage": "aggregate",
        "topic": DETECTIONS.name,
        "partition": 3,
        "offset": 0,
        "key": ROOM,
        "reason": "unknown_version",
        "detail": "odd",
        "retried": None,
    }


def test_one_is_shown_with_its_payload_as_json(command: Command, bus: Bus) -> None:
    put_aside(bus, b'{"camera":"t/s/101/c","epoch":[1]}')
    out = command("dead-letters", "show", "0").out
    assert "where           classpulse.detections.v1/3@0\n" in out
    assert "record          still there\n" in out
    assert "header ce_type  classpulse.FrameDetections.v9\n" in out
    assert 'payload, 34 bytes of JSON:\n{\n  "camera": "t/s/101/c",\n  "epoch": [\n    1\n  ]\n}\n' in out


@pytest.mark.parametrize("payload", [bytes(range(256)) * 2, b"[" * 512])
def test_a_payload_that_is_no_json_is_the_beginning_of_its_bytes(command: Command, bus: Bus, payload: bytes) -> None:
    put_aside(bus, payload)
    lines = command("dead-letters", "show", "0").out.splitlines()
    begin = lines.index("payload, 512 bytes, no JSON:")
    assert lines[begin + 1].startswith(f"00000000  {payload[:16].hex(' ')}  ")
    assert len(lines) - begin == 1 + 16 + 1
    assert lines[-1] == "… 256 bytes more"


def test_of_pictures_it_says_that_no_payload_is_kept(command: Command, bus: Bus) -> None:
    put_aside(bus, None, topic=FRAMES.name)
    assert command("dead-letters", "show", "0").out.endswith("\npayload not kept: its topic holds pictures\n")


def test_what_somebody_else_wrote_neither_moves_a_terminal_nor_tells_a_password(command: Command, bus: Bus) -> None:
    payload = json.dumps({"a": "\x9b2J\ud800", "b": "rtsp://me:hush@host/x"}).encode()
    put_aside(bus, payload, detail="\x1b[2Jone\ntwo rtsp://me:hush@host/x")
    for out in (command("dead-letters", "list").out, command("dead-letters", "show", "0").out):
        assert "\\x1b[2Jone\\ntwo rtsp://me:***@host/x" in out
        assert "hush" not in out
        assert "\x9b" not in out


def test_a_retry_says_what_was_done_and_what_not_and_the_list_tells_it(command: Command, bus: Bus) -> None:
    put_aside(bus, b"{}")
    put_aside(bus, None, topic=FRAMES.name)
    code, out, err = command("dead-letters", "retry", "--all", "--reason", "unknown_version")
    assert (code, out) == (1, "retried 0: classpulse.detections.v1/3@0\n")
    assert err == (
        "refused 1: classpulse.frames.v1/3@1: classpulse.frames.v1 holds pictures,"
        " of which nothing is kept or published again\n"
    )
    first, second = bus.fetch(Place(DETECTIONS.name, 3), 0, max_records=9, max_bytes=10**6)
    assert (first.key, first.value, first.headers) == (second.key, second.value, second.headers)
    lines = command("dead-letters", "list", "--format", "json").out.splitlines()
    assert [json.loads(line)["retried"] is not None for line in lines] == [True, False]
    assert command("dead-letters", "retry", "0").code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("retry",), "ids = [] without --all: expected either ids or --all"),
        (("retry", "1", "--all"), "ids = [1] with --all: expected either ids or --all"),
        (("retry", "1", "--reason", "x"), "--reason = 'x' without --all: expected both, or ids alone"),
        (("retry", "7", "8"), "id = 7: no dead letter; expected one that `list` shows"),
        (("show", "7"), "id = 7: no dead letter; expected one that `list` shows"),
        (("list", "--topic", "lessons"), "--topic: topic 'lessons' does not exist; expected one of cameras,"),
    ],
)
def test_what_is_asked_wrongly_is_named(command: Command, bus: Bus, words: tuple[str, ...], said: str) -> None:
    result = command("dead-letters", *words)
    assert result.code == 2
    assert result.err.startswith(f"classpulse: {said}")
