"""A site file is read whole or refused with every fault at once; each message names key, value and expectation."""

from pathlib import Path
from typing import Any

import pytest

from classpulse.aggregate.rules import DEFAULT_RULES
from classpulse.errors import BadInput
from classpulse.records import CameraConfig, Lesson, RoomConfig, Rule
from classpulse.site import Site, load_site, parse_camera, parse_site
from classpulse.site_fields import CAMERA_FIELDS, ROOM_FIELDS

BASE = Path("/site")
ROOM = {"room": "t/s/101"}
CAMERA = {"camera": "t/s/101/front", "source": "rtsp://192.0.2.7/stream"}


def site(**document: Any) -> Site:
    return parse_site(document, base=BASE, environ={})


def faults(**document: Any) -> tuple[str, ...]:
    with pytest.raises(BadInput) as caught:
        site(**document)
    return caught.value.faults


def camera_fault(key: str, value: object) -> str:
    (fault,) = faults(rooms=[ROOM], cameras=[{**CAMERA, key: value}])
    return fault


def room_fault(key: str, value: object) -> str:
    (fault,) = faults(rooms=[{**ROOM, key: value}])
    return fault


def test_an_empty_file_is_a_site_without_rooms() -> None:
    empty = site()
    assert (empty.rooms, empty.cameras, empty.stated) == ((), (), frozenset())


def test_a_table_that_is_unknown_is_named_as_it_is_written() -> None:
    assert faults(camera=[CAMERA], room={"room": "t/s/1"}, data=["x"]) == (
        "[[camera]]: unknown table; nearest is cameras",
        "[room]: unknown table; nearest is rooms",
        "data = ['x']: unknown key; expected one of cameras, rooms, settings",
    )


def test_a_full_file_becomes_records(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text("""
        [settings]
        data = "data"
        detect_workers = 2
        [[rooms]]
        room = "t/s/101"
        time_zone = "Europe/Berlin"
        timetable = ["Mon,Wed 08:00-09:30", "Fri 13:00-24:00"]
        holidays = [2026-12-24, "2026-12-25"]
        views = "disjoint"
        enabled = false
        [rooms.rules.sleeping]
        least_duration_ms = 30000
        [[cameras]]
        camera = "t/s/101/front"
        source = "file://clips/a.mp4?pace=realtime"
        credentials_ref = "secrets/front"
        fps = 2
        frame_width = 640
        masks = [[[0, 0], [0.5, 0], [0.5, 0.5]]]
        delivery = "complete"
    """)
    read = load_site(path, {"CLASSPULSE_COMMIT_MS": "100"})
    assert read.settings.data == tmp_path / "data"
    assert (read.settings.detect_workers, read.settings.commit_ms) == (2, 100)
    assert read.rooms == (
        RoomConfig(
            room="t/s/101",
            time_zone="Europe/Berlin",
            timetable=(
                Lesson(weekday=0, start_minute=480, end_minute=570),
                Lesson(weekday=2, start_minute=480, end_minute=570),
                Lesson(weekday=4, start_minute=780, end_minute=1440),
            ),
            holidays=("2026-12-24", "2026-12-25"),
            views="disjoint",
            rules={
                "sleeping": Rule(
                    least_score=DEFAULT_RULES["sleeping"].least_score, least_duration_ms=30_000, longest_gap_ms=10_000
                )
            },
            enabled=False,
        ),
    )
    assert read.cameras == (
        CameraConfig(
            camera="t/s/101/front",
            source=f"file://{tmp_path}/clips/a.mp4?pace=realtime",
            credentials_ref=str(tmp_path / "secrets/front"),
            fps=2.0,
            frame_width=640,
            masks=(((0.0, 0.0), (0.5, 0.0), (0.5, 0.5)),),
            delivery="complete",
        ),
    )
    assert read.stated == {"t/s/101"}


def test_all_faults_are_named_at_once_in_the_files_order() -> None:
    found = faults(
        camras=[],
        settings={"bucket_ms": "soon"},
        rooms=[ROOM, ROOM, {"room": "nowhere", "timetabel": []}],
        cameras=[{**CAMERA, "fps": 0, "source": "http://x"}, {"camera": "t/s/102/back", "source": "synth://1"}],
    )
    assert [fault.split(":")[0] for fault in found] == [
        "camras = []",
        "settings.bucket_ms = 'soon'",
        "rooms[2].room = 'nowhere'",
        "rooms[2].timetabel = []",
        "cameras[0].source = 'http",
        "cameras[0].fps = 0",
        "rooms[1].room = 't/s/101'",
        "cameras[1].camera = 't/s/102/back'",
    ]


RULE_FIELDS_EXPECTED = "least_score (0..1), least_duration_ms and longest_gap_ms (whole numbers from 0 to 3600000)"


def test_all_faults_of_one_value_are_named_at_once() -> None:
    room = {
        **ROOM,
        "timetable": ["Mon 08:00-09:00", "Mon 25:00-26:00", "Tuesday"],
        "holidays": ["2026-02-30", "2026-03-01", "soon"],
        "rules": {"hand-raising": {"least_score": 2, "longest": 1}, "yawning": []},
    }
    assert [fault.split(": ", 1)[1].split(";")[0] for fault in faults(rooms=[room])] == [
        "'Mon 25:00-26:00': time 25:00 is not on the clock",
        "'Tuesday': expected days and times such as 'Mon-Fri 08:00-12:30' or 'Mon,Wed 13:30-15:00'",
        "'2026-02-30' is no date",
        "'soon' is no date",
        "{'least_score': 2, 'longest': 1}, 'yawning': []}: hand-raising.least_score = 2",
        "{'least_score': 2, 'longest': 1}, 'yawning': []}: hand-raising.longest: unknown key",
        "{'least_score': 2, 'longest': 1}, 'yawning': []}: yawning: expected a table with " + RULE_FIELDS_EXPECTED,
    ]


def test_an_unknown_table_is_answered_with_the_nearest() -> None:
    assert faults(camras=[]) == ("camras = []: unknown key; nearest is cameras",)


def test_an_unknown_key_is_answered_with_the_nearest() -> None:
    assert camera_fault("sorce", "x") == "cameras[0].sorce = 'x': unknown key; nearest is source"
    assert room_fault("timezone", "UTC") == "rooms[0].timezone = 'UTC': unknown key; nearest is time_zone"


def test_a_missing_key_is_named_with_what_is_expected() -> None:
    assert faults(rooms=[{}]) == ("rooms[0].room: missing; expected TENANT/SCHOOL/ROOM",)
    (fault,) = faults(rooms=[ROOM], cameras=[{"camera": "t/s/101/front"}])
    assert fault.startswith("cameras[0].source: missing; expected a URL such as rtsp://")


def test_duplicates_are_named_with_the_first_of_them() -> None:
    (fault,) = faults(rooms=[ROOM], cameras=[CAMERA, CAMERA])
    assert fault == "cameras[1].camera = 't/s/101/front': duplicate of cameras[0]; expected one of each"
    (fault,) = faults(rooms=[ROOM, ROOM])
    assert fault == "rooms[1].room = 't/s/101': duplicate of rooms[0]; expected one of each"


def test_a_camera_of_an_undeclared_room_is_answered_with_the_nearest_room() -> None:
    (fault,) = faults(rooms=[ROOM], cameras=[{**CAMERA, "camera": "t/s/110/front"}])
    assert fault == "cameras[0].camera = 't/s/110/front': room 't/s/110' is not declared; nearest is t/s/101"


@pytest.mark.parametrize("value", ["front", "t/s/101", "t/s//front", "t/s/101/front/x", "t/s/101/fr ont", 7, "-/s/r/c"])
def test_a_camera_key_has_four_names(value: object) -> None:
    assert camera_fault("camera", value).endswith(
        "expected TENANT/SCHOOL/ROOM/CAMERA, each of letters, digits, '.', '_' or '-'"
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", "expected a URL with one of the schemes device://, file://, rtsp://, rtsps://, synth://"),
        ("/clip.mp4", "expected a URL with one of the schemes"),
        ("http://x/y", "unknown scheme 'http'; expected a URL with one of the schemes"),
        ("file://", "says no place after file://"),
        ("rtsp:///stream", "no host; expected rtsp://HOST[:PORT]/PATH"),
        ("rtsp://host:abc/stream", "expected rtsp://HOST[:PORT]/PATH"),
        ("rtsp://host:99999/stream", "expected rtsp://HOST[:PORT]/PATH"),
        ("file:///a.mp4?speed=2", "unknown option 'speed'; expected one of loop, pace, start"),
        ("file:///a.mp4?start=monday", "start = 'monday'; expected a time with its offset, like 2026-03-02T08:00:00Z"),
        ("synth://?fps=0", "fps = '0'; expected a whole number from 1 to 240"),
        ("device:///etc/passwd", "is no device; expected one such as device:///dev/video0"),
        (5, "expected a URL"),
    ],
)
def test_a_bad_url_is_refused(value: object, expected: str) -> None:
    assert expected in camera_fault("source", value)


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://user:hush@host/stream",
        "rtsp://user:hush/x@host/stream",
        "rtsp://user:4711/hush@host/stream",
        "rtsp://host/stream?password=hush",
    ],
)
def test_a_password_in_a_url_is_refused_and_not_shown(url: str) -> None:
    fault = camera_fault("source", url)
    assert "holds a password; expected it in a file named by credentials_ref" in fault
    assert "hush" not in fault
    assert "4711" not in fault


@pytest.mark.parametrize(
    ("more", "delivery"),
    [
        ({"source": "file:///a.mp4"}, "complete"),
        ({"source": "file:///a.mp4?pace=realtime"}, "live"),
        ({"source": "file:///a.mp4", "delivery": "live"}, "live"),
        ({"source": "rtsp://192.0.2.7/a"}, "live"),
        ({"source": "rtsp://192.0.2.7/a", "delivery": "complete"}, "complete"),
    ],
)
def test_a_recording_without_a_pace_is_told_whole_unless_the_file_says_otherwise(
    more: dict[str, object], delivery: str
) -> None:
    (camera,) = site(rooms=[ROOM], cameras=[{**CAMERA, **more}]).cameras
    assert camera.delivery == delivery


def test_a_port_that_cannot_be_read_is_not_repeated() -> None:
    assert camera_fault("source", "rtsp://user:hush").endswith(
        "host or port cannot be read; expected rtsp://HOST[:PORT]/PATH"
    )


@pytest.mark.parametrize("value", [0, -1, 60.1, float("nan"), float("inf"), "5", True])
def test_fps_is_above_0_and_at_most_60(value: object) -> None:
    assert camera_fault("fps", value).endswith("expected a number above 0 and at most 60")


@pytest.mark.parametrize("value", [0, 63, 7681, 640.0, "640"])
def test_a_frame_width_is_a_whole_number_of_pixels(value: object) -> None:
    assert camera_fault("frame_width", value).endswith("expected a whole number from 64 to 7680")


@pytest.mark.parametrize(
    "value",
    [
        [[[0, 0], [1, 1]]],
        [[[0, 0], [1, 1], [2, 0]]],
        [[[0, 0], [1, 1], [0.5, 0.5]]],
        [[[0, 0], [1, 1], [1]]],
        [[0, 0, 1]],
        ["all"],
    ],
)
def test_a_mask_is_a_polygon_with_an_area_in_the_picture(value: object) -> None:
    expected = "polygon 0: expected 3 or more points [x, y], fractions 0..1 of the picture, enclosing an area"
    assert camera_fault("masks", value).endswith(expected)


def test_delivery_is_one_of_two_words() -> None:
    assert camera_fault("delivery", "all").endswith("= 'all': expected one of live, complete")


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_enabled_is_true_or_false(value: object) -> None:
    assert camera_fault("enabled", value).endswith("expected true or false")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", "expected days and times such as 'Mon-Fri 08:00-12:30'"),
        ("Mon-Fri", "expected days and times such as"),
        ("Mon 08:00", "expected days and times such as"),
        ("Mon-Fry 08:00-12:30", "day 'Fry' is unknown; expected one of Mon, Tue, Wed, Thu, Fri, Sat, Sun"),
        ("Mon 12:30-08:00", "ends before it starts"),
        ("Mon 08:00-08:00", "ends before it starts"),
        ("Mon 08:00-24:01", "time 24:01 is not on the clock; expected 00:00 to 24:00"),
        ("Mon 08:60-09:00", "time 08:60 is not on the clock"),
    ],
)
def test_a_bad_timetable_is_refused(line: str, expected: str) -> None:
    assert expected in room_fault("timetable", [line])


def test_days_may_be_listed_joined_and_go_over_the_weekend() -> None:
    (room,) = site(rooms=[{**ROOM, "timetable": "Mon,Fri-Sun , mon 8:00 - 9:00"}]).rooms
    assert [lesson.weekday for lesson in room.timetable] == [0, 4, 5, 6]
    (room,) = site(rooms=[{**ROOM, "timetable": ["Sat-Tue 08:00-09:00"]}]).rooms
    assert [lesson.weekday for lesson in room.timetable] == [5, 6, 0, 1]


def test_an_unknown_time_zone_is_answered_with_the_nearest() -> None:
    assert room_fault("time_zone", "Europe/Berln").endswith("unknown time zone; nearest is Europe/Berlin")
    assert room_fault("time_zone", "../../etc/passwd").endswith(
        "unknown time zone; expected an IANA name such as Europe/Berlin"
    )
    assert "unknown time zone" in room_fault("time_zone", 1)


def test_a_holiday_is_a_date() -> None:
    assert room_fault("holidays", ["24.12.2026"]).endswith("'24.12.2026' is no date; expected YYYY-MM-DD")


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (5, "expected tables such as [rooms.rules.hand-raising]"),
        ({"hand-rasing": {}}, "hand-rasing: unknown behaviour; nearest is hand-raising"),
        ({"Hand": {}}, "'Hand' is no behaviour"),
        ({"sleeping": 5}, "sleeping: expected a table with least_score"),
        ({"sleeping": {"score": 0.5}}, "sleeping.score: unknown key; nearest is least_score"),
        ({"sleeping": {"least_score": 2}}, "sleeping.least_score = 2; expected least_score (0..1)"),
        ({"sleeping": {"longest_gap_ms": 0.5}}, "sleeping.longest_gap_ms = 0.5; expected"),
        ({"writing": {"least_score": 0.5}}, "writing: least_duration_ms, longest_gap_ms missing"),
    ],
)
def test_a_bad_rule_is_refused(rules: object, expected: str) -> None:
    assert expected in room_fault("rules", rules)


@pytest.mark.parametrize("table", [5, "x", [1], {"a": 1}])
def test_rooms_and_cameras_are_tables(table: object) -> None:
    assert any("expected tables [[rooms]]" in fault for fault in faults(rooms=table))


def test_settings_are_a_table() -> None:
    assert faults(settings=[1]) == ("settings = [1]: expected a table [settings]",)


def test_a_file_that_is_absent_or_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"site = '.*absent.toml': No such file or directory; expected a readable TOML"):
        load_site(tmp_path / "absent.toml", {})
    with pytest.raises(BadInput, match="Is a directory"):
        load_site(tmp_path, {})
    (tmp_path / "bad.toml").write_text("a = 1\nrooms = [}")
    with pytest.raises(BadInput, match=r"bad.toml': .*line 2.*; expected TOML"):
        load_site(tmp_path / "bad.toml", {})
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe4'")
    with pytest.raises(BadInput, match="expected TOML"):
        load_site(tmp_path / "latin.toml", {})


def test_a_long_value_is_shown_short() -> None:
    assert len(camera_fault("source", "x" * 9999)) < 300


def test_a_camera_added_at_run_time_is_read_by_the_same_rules() -> None:
    with pytest.raises(BadInput, match=r"camera.fps = 0: expected a number above 0"):
        parse_camera({**CAMERA, "fps": 0}, base=BASE)
    assert parse_camera({**CAMERA, "source": "file://a b/c%20d.mp4"}, base=Path("/x y")).source == (
        "file:///x%20y/a b/c%20d.mp4"
    )


def test_every_field_of_the_records_is_a_key_of_the_file() -> None:
    assert set(ROOM_FIELDS) == set(RoomConfig.__struct_fields__) - {"until_then"}, "that is for who writes the topic"
    assert set(CAMERA_FIELDS) == set(CameraConfig.__struct_fields__)


BRIDGED = {"camera": "t/s/101/front", "source": "bridge://"}


def test_a_bridged_camera_is_live_unless_it_is_said_otherwise() -> None:
    assert site(rooms=[ROOM], cameras=[BRIDGED]).cameras[0].delivery == "live"
    assert site(rooms=[ROOM], cameras=[{**BRIDGED, "delivery": "complete"}]).cameras[0].delivery == "complete"


def test_what_nothing_obeys_of_a_bridged_camera_is_refused() -> None:
    told = {"credentials_ref": "file", "fps": 5, "frame_width": 640, "masks": [[[0.0, 0.0], [0.5, 0.0], [0.5, 0.5]]]}
    found = faults(rooms=[ROOM], cameras=[{**BRIDGED, **told}])
    assert [fault.partition(" = ")[0] for fault in found] == [f"cameras[0].{key}" for key in told]
    assert all(fault.endswith("nothing obeys it here; expected it in the school's own site file") for fault in found)


def test_a_place_after_bridge_is_refused() -> None:
    assert "unknown scheme 'bridge'" in camera_fault("source", "bridge://school")
    assert camera_fault("source", "bridge://school").endswith("or bridge:// alone")


def test_a_school_that_forwards_has_cameras_of_its_own_only() -> None:
    (fault,) = faults(settings={"district": "kafka://one:9092"}, rooms=[ROOM], cameras=[BRIDGED])
    expected = "this site forwards to settings.district; expected a camera of its own"
    assert fault == f"cameras[0].source = 'bridge://': {expected}"
