import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from classpulse.bus.base import open_bus
from classpulse.cli import app
from classpulse.codec import encode
from classpulse.errors import BadInput
from classpulse.settings import Settings
from classpulse.supervisor import prepare_bus
from classpulse.topics import TOPICS
from tests.services.reading.stories import EIGHT_MS, ROOM, a_bucket, a_room, an_event


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with one room: a hand at eight, ten quiet seconds, ten that nobody saw."""
    bus = open_bus(f"sqlite://{tmp_path}/bus.sqlite")
    bus.create(list(TOPICS.values()))
    told = [a_room(), a_bucket(0, hands=(1, 2500, 1)), a_bucket(1), a_bucket(2, observed_ms=0), an_event(1000, 3500)]
    bus.member("writer", []).commit([encode(noun, topic=topic, at_ms=EIGHT_MS) for topic, noun in told], {})
    bus.close()
    return tmp_path


def said(*arguments: str, data: Path) -> str:
    """What a command prints; its errors are raised as they are."""
    result = CliRunner().invoke(app, [*arguments, "--data", str(data)], catch_exceptions=True, env={"COLUMNS": "160"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0
    return result.stdout


def test_a_data_folder_without_rooms_says_so(tmp_path: Path) -> None:
    prepare_bus(Settings(data=tmp_path)).close()
    with pytest.raises(BadInput, match="room = 'room-1': there are no rooms on this bus"):
        said("timeline", "room-1", data=tmp_path)


def test_a_timeline_is_a_table_unless_asked_otherwise(data: Path) -> None:
    text = said("timeline", "room-1", data=data)
    assert "08:00:00 + 10.0 s" in text
    assert "Monday, 02 March 2026 (Europe/Berlin)" in text
    assert "not seen" in text


def test_a_timeline_as_json_csv_and_html_tells_the_same(data: Path) -> None:
    told = json.loads(said("timeline", ROOM, "--format", "json", data=data))
    rows = list(csv.DictReader(said("timeline", ROOM, "--format", "csv", data=data).splitlines()))
    page = said("timeline", ROOM, "--format", "html", data=data)
    assert [bucket["state"] for bucket in told["buckets"]] == [row["state"] for row in rows]
    assert [row["state"] for row in rows] == ["active", "quiet", "not seen"]
    assert page.startswith("<!doctype html>")
    assert "hand-raising: found" in page


def test_events_are_listed_in_every_format(data: Path) -> None:
    assert "2.5 s" in said("events", "room-1", data=data)
    assert json.loads(said("events", ROOM, "--format", "json", data=data))["events"][0]["camera"] == f"{ROOM}/cam-1"
    assert len(said("events", ROOM, "--format", "csv", data=data).splitlines()) == 2
    assert said("events", ROOM, "--format", "html", data=data).startswith("<!doctype html>")


def test_limits_choose_what_is_shown(data: Path) -> None:
    limits = ("--from", "2026-03-02T08:00:10+01:00", "--to", "2026-03-02T08:00:20+01:00")
    told = json.loads(said("timeline", ROOM, *limits, "--format", "json", data=data))
    assert [bucket["state"] for bucket in told["buckets"]] == ["quiet"]
    assert json.loads(said("events", ROOM, *limits, "--format", "json", data=data))["events"] == []


def test_a_limit_that_is_none_is_named(data: Path) -> None:
    with pytest.raises(BadInput, match="--from = 'noon': expected RFC 3339 such as"):
        said("timeline", ROOM, "--from", "noon", data=data)


def test_an_end_before_its_beginning_is_named(data: Path) -> None:
    with pytest.raises(BadInput, match=r"--to = '07:00': not after --from = '08:00'; expected a later moment"):
        said("events", ROOM, "--from", "08:00", "--to", "07:00", data=data)


def test_an_unknown_room_is_one_line_and_exit_code_two(data: Path) -> None:
    command = [sys.executable, "-m", "classpulse.cli", "timeline", "rom-1", "--data", str(data)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert (
        done.stderr
        == f"classpulse: room = 'rom-1': no such room; expected tenant/school/room; the nearest is '{ROOM}'\n"
    )


def test_a_replay_of_nothing_is_not_called_equal(tmp_path: Path) -> None:
    prepare_bus(Settings(data=tmp_path)).close()
    result = CliRunner().invoke(app, ["replay", "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert "nothing to compare: no ended event and no final bucket yet" in result.output
    assert "equal" not in result.output


@pytest.mark.parametrize("command", [("timeline", "r"), ("events", "r"), ("replay",)])
def test_looking_where_no_bus_is_says_so_and_makes_nothing(command: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"bus = 'sqlite://.*absent/bus.sqlite': not there; expected the data folder"):
        said(*command, data=tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def test_a_replay_of_what_no_detection_explains_is_not_equal_and_exits_with_one(data: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["replay", "--data", str(data), "--out", str(tmp_path / "again")])
    assert result.exit_code == 1
    assert "NOT equal: demo/school/room-1/" in result.stdout
    assert (tmp_path / "again" / "events.jsonl").read_bytes() == b""
    with pytest.raises(BadInput, match=r"--out = '.*again': .*events.jsonl exists; expected a folder of its own"):
        said("replay", "--out", str(tmp_path / "again"), data=data)


def test_a_replay_s_help_says_how_its_files_differ_from_a_demo_s() -> None:
    told = " ".join(CliRunner().invoke(app, ["replay", "--help"]).stdout.replace("\u2502", " ").split())
    assert "ended events only and final buckets, in canonical JSON without `revision`" in told
    assert "the start of each event too, and buckets with their revision" in told


def test_a_replay_into_a_folder_that_cannot_be_is_named(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"--out = '.*file': .*; expected a folder that can be written"):
        said("replay", "--out", str(tmp_path / "file"), data=data)


def test_a_hidden_room_is_shown_to_who_names_it_in_full_and_to_nobody_else(data: Path) -> None:
    hidden = "demo/school/canary-1"
    bus = open_bus(f"sqlite://{data}/bus.sqlite")
    told = [a_bucket(0, room=hidden), an_event(1000, 3500, room=hidden)]
    bus.member("writer", []).commit([encode(noun, topic=topic, at_ms=EIGHT_MS) for topic, noun in told], {})
    bus.close()
    assert json.loads(said("timeline", hidden, "--format", "json", data=data))["room"] == hidden
    with pytest.raises(BadInput, match=f"room = 'canary-1': no such room; expected .*; the nearest is '{ROOM}'"):
        said("events", "canary-1", data=data)
