"""Rooms and cameras are listed, added, removed and switched at run time; what is wrong is refused whole."""

import json
from pathlib import Path

from classpulse.clock import SystemClock
from classpulse.codec import encode
from classpulse.records import CameraConfig, CameraReport, CameraState, RoomConfig
from classpulse.roster import Roster
from classpulse.settings import Settings
from classpulse.supervisor import prepare_bus
from classpulse.topics import REPORTS
from tests.services.cli.conftest import Command

CAMERA = "t/s/101/front"


def declare(command: Command) -> None:
    assert command("rooms", "add", "t/s/101", "--timetable", "Mon-Tue 08:00-09:00").code == 0
    assert command("cameras", "add", CAMERA, "rtsp://192.0.2.7/stream", "--fps", "2").code == 0


def test_what_is_announced_is_listed_with_its_moment_under_what_holds(command: Command, tmp_path: Path) -> None:
    declare(command)
    (listed_before,) = listed(command, "rooms")
    bus, moment_ms = prepare_bus(Settings(data=tmp_path / "data")), 32_503_680_000_000
    Roster(bus, SystemClock()).write([RoomConfig(room="t/s/101", views="disjoint", valid_from_ms=moment_ms)])
    bus.close()
    assert command("rooms", "list").out.splitlines() == [
        "room     switch  views        time zone  timetable",
        "t/s/101  on      overlapping  UTC        Mon,Tue 08:00-09:00",
        "t/s/101 from 3000-01-01T00:00:00.000Z: on, disjoint, UTC, always",
    ]
    (written,) = listed(command, "rooms")
    assert (written["views"], written["valid_from_ms"]) == ("disjoint", moment_ms)
    assert written["until_then"] == listed_before | {"until_then": None}


def test_switching_on_says_where_what_is_announced_is_off(command: Command, tmp_path: Path) -> None:
    declare(command)
    bus = prepare_bus(Settings(data=tmp_path / "data"))
    later = RoomConfig(room="t/s/101", enabled=False, valid_from_ms=32_503_680_000_000)
    Roster(bus, SystemClock()).write([later])
    bus.close()
    told = command("rooms", "enable", "101").out
    assert told == "enabled t/s/101; from 3000-01-01T00:00:00.000Z on it is off, as announced\n"


def listed(command: Command, what: str = "cameras") -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(command(what, "list", "--format", "json").out)
    return rows


def test_nothing_declared_lists_nothing(command: Command, tmp_path: Path) -> None:
    prepare_bus(Settings(data=tmp_path / "data")).close()
    assert command("cameras", "list") == (0, "", "")
    assert command("rooms", "list") == (0, "", "")
    assert listed(command) == []


def test_what_is_added_is_listed(command: Command) -> None:
    declare(command)
    assert command("rooms", "list").out.splitlines() == [
        "room     switch  views        time zone  timetable",
        "t/s/101  on      overlapping  UTC        Mon,Tue 08:00-09:00",
    ]
    assert command("cameras", "list").out.splitlines() == [
        "camera         switch  state      delivery  fps  source                   last error",
        "t/s/101/front  on      no report  live      2    rtsp://192.0.2.7/stream",
    ]


def test_a_camera_s_state_is_that_of_its_last_report_unless_that_is_old(command: Command, tmp_path: Path) -> None:
    declare(command)
    bus, now_ms = prepare_bus(Settings(data=tmp_path / "data")), SystemClock().now_ms()
    member = bus.member("reporter", [])

    def report(at_ms: int, state: CameraState, error: str = "") -> None:
        told = CameraReport(camera=CAMERA, at_ms=at_ms, stage="ingest", state=state, last_error=error)
        detects = CameraReport(camera=CAMERA, at_ms=at_ms, stage="detect", state="up")
        member.commit([encode(one, topic=REPORTS, at_ms=at_ms) for one in (told, detects)], {})

    report(now_ms - 60_000, "up")
    assert listed(command)[0]["state"] is None
    report(now_ms, "up")
    report(now_ms, "connecting", "unauthorized")
    bus.close()
    (row,) = listed(command)
    assert (row["state"], row["last_error"]) == ("connecting", "unauthorized")
    assert command("cameras", "list").out.splitlines()[1].split()[1:3] == ["on", "connecting"]
    assert command("cameras", "list").out.endswith("unauthorized\n")


def test_a_camera_of_a_room_that_is_off_is_not_on(command: Command) -> None:
    declare(command)
    command("rooms", "disable", "101")
    assert "t/s/101/front  room off  no report" in command("cameras", "list").out
    assert listed(command)[0]["room_enabled"] is False


def test_cameras_and_rooms_are_switched_off_and_on(command: Command) -> None:
    declare(command)
    for what, key in (("cameras", CAMERA), ("rooms", "t/s/101")):
        assert command(what, "disable", key).out == f"disabled {key}\n"
        assert listed(command, what)[0]["enabled"] is False
        assert command(what, "enable", key).out == f"enabled {key}\n"
        assert listed(command, what)[0]["enabled"] is True


def test_a_camera_may_be_declared_switched_off(command: Command) -> None:
    declare(command)
    command("cameras", "add", "t/s/101/back", "synth://1", "--disabled", "--delivery", "complete")
    assert listed(command)[0] == {
        "camera": "t/s/101/back",
        "enabled": False,
        "room_enabled": True,
        "state": None,
        "delivery": "complete",
        "fps": 5.0,
        "source": "synth://1",
        "last_error": "",
    }


def test_what_is_removed_is_gone(command: Command) -> None:
    declare(command)
    assert command("cameras", "remove", CAMERA).out == f"removed {CAMERA}\n"
    assert command("rooms", "remove", "t/s/101").code == 0
    assert (listed(command), listed(command, "rooms")) == ([], [])


def test_a_room_with_cameras_is_not_removed(command: Command) -> None:
    declare(command)
    result = command("rooms", "remove", "t/s/101")
    assert (result.code, result.err) == (
        2,
        "classpulse: room = 't/s/101': has cameras t/s/101/front; expected them to be removed first\n",
    )


def test_a_second_camera_of_the_same_key_needs_replace(command: Command) -> None:
    declare(command)
    again = ("cameras", "add", CAMERA, "synth://1")
    assert command(*again).err == f"classpulse: camera = '{CAMERA}': exists; expected a new key, or --replace\n"
    assert command(*again, "--replace").code == 0
    assert listed(command)[0]["source"] == "synth://1"
    assert (
        command("rooms", "add", "t/s/101").err
        == "classpulse: room = 't/s/101': exists; expected a new key, or --replace\n"
    )


def test_a_camera_of_an_unknown_room_is_answered_with_the_nearest(command: Command) -> None:
    declare(command)
    result = command("cameras", "add", "t/s/110/front", "synth://1")
    assert (result.code, result.err) == (2, "classpulse: room = 't/s/110': unknown; nearest is t/s/101\n")


def test_an_unknown_camera_is_answered_with_the_nearest(command: Command) -> None:
    declare(command)
    for verb in ("enable", "disable", "remove"):
        result = command("cameras", verb, "t/s/101/fromt")
        assert (result.code, result.err) == (
            2,
            "classpulse: camera = 't/s/101/fromt': unknown; nearest is t/s/101/front\n",
        )


def test_the_end_of_a_key_is_enough_where_no_other_key_ends_so(command: Command) -> None:
    declare(command)
    assert command("rooms", "disable", "101").out == "disabled t/s/101\n"
    assert command("cameras", "disable", "101/front").out == "disabled t/s/101/front\n"
    command("rooms", "add", "t/s/102")
    command("cameras", "add", "t/s/102/front", "synth://1")
    said = command("cameras", "remove", "front")
    assert said.code == 2
    assert said.err == "classpulse: camera = 'front': several end so; expected one of t/s/101/front, t/s/102/front\n"
    assert command("cameras", "remove", "102/front").out == "removed t/s/102/front\n"
    assert command("rooms", "remove", "102").out == "removed t/s/102\n"
    assert [row["camera"] for row in listed(command)] == [CAMERA]
    assert command("rooms", "remove", "1").err == "classpulse: room = '1': unknown; expected one of t/s/101\n"


def test_every_fault_of_a_camera_is_named_and_nothing_is_written(command: Command) -> None:
    declare(command)
    result = command("cameras", "add", "t/s/101", "rtsp://me:hush@host/x", "--fps", "0", "--delivery", "some")
    assert result.code == 2
    assert [line.split(" = ")[0] for line in result.err.splitlines()] == [
        "classpulse: camera.camera",
        "classpulse: camera.source",
        "classpulse: camera.fps",
        "classpulse: camera.delivery",
    ]
    assert "hush" not in result.err
    assert len(listed(command)) == 1


def test_a_bad_timetable_is_refused(command: Command) -> None:
    result = command("rooms", "add", "t/s/101", "--timetable", "Monday")
    assert result.code == 2
    assert "room.timetable = ['Monday']: 'Monday': expected days and times such as" in result.err


def test_a_data_folder_that_cannot_be_made_is_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    result = command("cameras", "list")
    assert result.code in (1, 2)
    assert result.err.startswith("classpulse: bus")


def test_a_camera_that_its_school_forwards_is_listed_as_bridged(command: Command) -> None:
    assert command("rooms", "add", "t/s/101").code == 0
    assert command("cameras", "add", CAMERA, "bridge://").code == 0
    assert command("cameras", "list").out.splitlines()[1].split() == [CAMERA, "on", "bridged", "live", "-", "bridge://"]
    refused = command("cameras", "add", CAMERA, "bridge://", "--fps", "2", "--replace")
    assert refused.code == 2
    assert "camera.fps = 2.0: nothing obeys it here" in refused.err


def test_hidden_rooms_and_their_cameras_are_not_listed(command: Command, tmp_path: Path) -> None:
    declare(command)
    bus = prepare_bus(Settings(data=tmp_path / "data"))
    hidden = CameraConfig(camera="t/s/canary-1/0", source="file:///lesson.mp4?pace=realtime")
    Roster(bus, SystemClock()).write([RoomConfig(room="t/s/canary-1"), hidden])
    bus.close()
    assert [row["camera"] for row in listed(command)] == [CAMERA]
    assert [row["room"] for row in listed(command, "rooms")] == ["t/s/101"]
    assert "canary" not in command("doctor").out
    assert command("cameras", "remove", hidden.camera).code == 0


SITE = """
[[rooms]]
room = "t/s/{room}"

[[cameras]]
camera = "t/s/{room}/front"
source = "rtsp://192.0.2.7/stream"
"""


def test_a_site_file_is_applied_as_up_does_and_what_it_no_longer_declares_goes(
    command: Command, tmp_path: Path
) -> None:
    declare(command)
    site = tmp_path / "site.toml"
    site.write_text(SITE.format(room="102"))

    assert command("cameras", "apply", str(site)).out == "wrote t/s/102\nwrote t/s/102/front\n"
    assert command("cameras", "disable", "102/front").code == 0
    assert command("cameras", "apply", str(site)) == (0, "", "nothing to change\n")
    site.write_text(SITE.format(room="103"))
    assert command("cameras", "apply", str(site)).out.splitlines()[2:] == [
        "removed t/s/102/front, no longer declared",
        "removed t/s/102, no longer declared",
    ]
    assert [row["camera"] for row in listed(command)] == [CAMERA, "t/s/103/front"]


def test_a_site_file_with_a_fault_changes_nothing(command: Command, tmp_path: Path) -> None:
    declare(command)
    site = tmp_path / "site.toml"
    site.write_text(SITE.format(room="102").replace("source", "sauce"))

    refused = command("cameras", "apply", str(site))

    assert refused.code == 2
    assert "cameras[0].sauce = 'rtsp://192.0.2.7/stream': unknown key; nearest is source" in refused.err
    assert [row["camera"] for row in listed(command)] == [CAMERA]
