"""`doctor` says what works and what is wrong, tries each camera once, and shows no secret."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from classpulse.diagnosis import TRY_MS
from classpulse.supervisor import hold
from gesturedet.card import MODEL_FILE
from tests.services.cli.conftest import Command
from tests.services.cli.site import make_clip, make_site
from tests.services.fake_release import change_a_byte


def lines(out: str) -> dict[str, str]:
    """What was looked at → its line."""
    return {line[7:].split(": ")[0]: line for line in out.splitlines()}


def test_a_sound_site_is_all_right(command: Command, tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4")
    result = command("doctor", str(make_site(tmp_path, "file://a.mp4")))
    assert (result.code, result.err) == (0, "")
    said = lines(result.out)
    assert (
        said["camera t/s/101/c0"] == f"ok     camera t/s/101/c0: file://{tmp_path}/a.mp4: 320x180, 10 frames/s, 10.0 s"
    )
    assert {"python", "av", "runtimes", "decoder", "weights", "disk", "bus", "route"} <= said.keys()
    assert "h264, hevc, mjpeg" in said["decoder"]
    assert "is the card's; loaded by onnxruntime" in said["weights"]
    assert "not there yet; the first `up` makes it" in said["bus"]
    assert not (tmp_path / "data").exists(), "doctor changed something"


def test_each_camera_that_fails_has_its_reason_and_the_exit_code_is_1(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video at all" * 100)
    sources = ("file://absent.mp4", "file://empty.mp4", "file://text.mp4", "rtsp://127.0.0.1:9/x")
    result = command("doctor", str(make_site(tmp_path, *sources)))
    assert (result.code, result.err) == (1, "4 wrong\n")
    said = lines(result.out)
    for number, reason in enumerate(("missing", "empty", "not_video", "refused")):
        assert said[f"camera t/s/101/c{number}"].startswith("WRONG")
        assert f"{reason}: " in said[f"camera t/s/101/c{number}"]


def test_weights_changed_by_a_byte_are_wrong(command: Command, tmp_path: Path) -> None:
    site = make_site(tmp_path)
    change_a_byte(tmp_path / "release" / MODEL_FILE)
    result = command("doctor", str(site))
    assert result.code == 1
    assert "digest expected" in lines(result.out)["weights"]


def test_a_data_folder_that_is_a_file_is_wrong(command: Command, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    result = command("doctor")
    assert result.code == 1
    assert lines(result.out)["disk"].startswith("WRONG")
    assert f"{tmp_path / 'data'} is no folder; expected the data folder, or nothing yet" in lines(result.out)["disk"]


def test_what_is_switched_off_is_not_opened(command: Command, tmp_path: Path) -> None:
    site = make_site(tmp_path, "file://absent.mp4")
    site.write_text(site.read_text() + "enabled = false\n")
    result = command("doctor", str(site))
    assert result.code == 0
    assert lines(result.out)["camera t/s/101/c0"] == "ok     camera t/s/101/c0: switched off; not tried"


def test_a_cameras_password_in_its_file_is_not_shown(command: Command, tmp_path: Path) -> None:
    site = make_site(tmp_path, "rtsp://127.0.0.1:9/x")
    (tmp_path / "secret").write_text("me:hush\n")
    (tmp_path / "secret").chmod(0o600)
    site.write_text(site.read_text() + 'credentials_ref = "secret"\n')
    result = command("doctor", str(site))
    assert result.code == 1
    assert "refused: rtsp://127.0.0.1:9/x" in lines(result.out)["camera t/s/101/c0"]
    assert "hush" not in result.out + result.err


def test_the_cameras_on_the_bus_are_tried_when_no_site_is_given(command: Command, tmp_path: Path) -> None:
    command("rooms", "add", "t/s/101")
    command("cameras", "add", "t/s/101/c0", f"file://{tmp_path}/absent.mp4")
    result = command("doctor")
    assert result.code == 1
    assert "missing: " in lines(result.out)["camera t/s/101/c0"]
    assert "reachable; records not read yet: detect 0, aggregate 0" in lines(result.out)["bus"]


def test_a_bus_that_is_none_is_wrong(command: Command, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "bus.sqlite").write_bytes(b"not a bus at all" * 4096)
    result = command("doctor")
    assert result.code == 1
    assert lines(result.out)["bus"].startswith("WRONG")


def test_a_running_route_is_named(command: Command, tmp_path: Path) -> None:
    with hold(tmp_path / "data", "classpulse up site.toml"):
        (tmp_path / "data" / "status.json").write_text('{"stages": [{"name": "ingest", "pid": 7, "restarts": 2}]}')
        said = lines(command("doctor").out)["route"]
        assert said.endswith("(classpulse up site.toml): ingest pid 7, 2 restarts")
        (tmp_path / "data" / "status.json").write_text('{"stages": [{"name": "detect", "pid": null, "restarts": 9}]}')
        assert lines(command("doctor").out)["route"].endswith("; down: detect")
    assert "not running" in lines(command("doctor").out)["route"]


def test_ctrl_c_ends_it_while_a_camera_says_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        site = make_site(tmp_path, f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x")
        command = [sys.executable, "-m", "classpulse.cli", "doctor", str(site)]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ) as process:
            connection, _ = silent.accept()  # it is trying now
            process.send_signal(signal.SIGINT)
            code = process.wait(0.8 * TRY_MS / 1000)  # less than a camera is given
            connection.close()
    assert code == 1


def test_a_school_is_told_whether_its_district_takes_what_it_forwards(command: Command, tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4")
    site = make_site(tmp_path, "file://a.mp4")
    for district, said in (
        (f"sqlite://{tmp_path}/district.sqlite", "ok     district: sqlite://{}/district.sqlite: reachable"),
        ("memory://", "WRONG  district: memory://: district = 'memory://': expected the bus of another place"),
    ):
        text = site.read_text().replace("[settings]\n", f'[settings]\ndistrict = "{district}"\n')
        (tmp_path / "edge.toml").write_text(text)
        found = command("doctor", str(tmp_path / "edge.toml"))
        assert lines(found.out)["district"].startswith(said.format(tmp_path))
        assert found.code == (0 if said.startswith("ok") else 1)


def test_a_bridged_camera_is_not_tried(command: Command, tmp_path: Path) -> None:
    site = make_site(tmp_path, "bridge://")
    site.write_text(site.read_text().replace("fps = 5\n", ""))
    found = command("doctor", str(site))
    assert found.code == 0, found.out
    assert lines(found.out)["camera t/s/101/c0"].endswith("bridged: its school opens it; not tried")
