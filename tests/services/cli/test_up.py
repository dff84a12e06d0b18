"""`up` for real: every stage a process. Clips are told and it ends; what is wrong is said; Ctrl-C stops it."""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from classpulse.bus.base import Bus, Place
from classpulse.clock import SystemClock
from classpulse.codec import decode
from classpulse.records import FrameDetections, Heartbeat, Record
from classpulse.settings import Settings
from classpulse.supervisor import prepare_bus
from classpulse.topics import DETECTIONS, FRAMES, partition_of
from gesturedet.card import MODEL_FILE
from tests.services.cli.conftest import Command
from tests.services.cli.site import FRAMES_IN_CLIP, log_of, make_clip, make_site, up, wait_for_log
from tests.services.fake_release import change_a_byte
from tests.services.ingest.making import faststart

PATIENCE_S = 120


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def stage_pids(folder: Path) -> list[int]:
    stages = json.loads((folder / "data" / "status.json").read_text())["stages"]
    return [stage["pid"] for stage in stages if stage["pid"]]


def told(command: Command, topic: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in command("tail", topic, "--once", "-n", "1000").out.splitlines()]


def test_every_fault_of_the_site_file_is_named_and_nothing_is_started(command: Command, tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(
        'camras = 1\n[[rooms]]\nroom = "x"\n[[cameras]]\ncamera = "t/s/r/c"\nsource = "http://x"\nfps = 0\n'
    )
    result = command("up", str(site))
    assert result.code == 2
    assert [line.split(" = ")[0] for line in result.err.splitlines()] == [
        "classpulse: camras",
        "classpulse: rooms[0].room",
        "classpulse: cameras[0].source",
        "classpulse: cameras[0].fps",
        "classpulse: cameras[0].camera",
    ]
    assert not (tmp_path / "data").exists()


def test_an_unknown_fault_point_in_the_settings_is_refused(command: Command, tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text('[settings]\nfault = "supervisor.sleeping:1"\n')
    result = command("up", str(site))
    assert (result.code, "settings.fault: fault 'supervisor.sleeping:1' is unknown" in result.err) == (2, True)


def test_a_clip_becomes_a_timeline_and_up_ends_by_itself(command: Command, tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4")
    site = make_site(tmp_path, "file://a.mp4")
    with up(site) as process:
        assert process.wait(PATIENCE_S) == 0, log_of(site)
    phases = [(event["behaviour"], event["phase"]) for event in told(command, "events")]
    assert phases == [("hand-raising", "started"), ("hand-raising", "ended")]
    (_, ended) = told(command, "events")
    assert ended["ended_at_ms"] - ended["started_at_ms"] == 3_000
    buckets = told(command, "timelines")
    assert sum(bucket["frames"] for bucket in buckets) == FRAMES_IN_CLIP // 2
    assert all(bucket["final"] for bucket in buckets)
    assert not any(map(alive, stage_pids(tmp_path)))
    assert log_of(site).count("up told to the end, and not again: t/s/101/c0") == 1
    with up(site) as process:
        assert process.wait(PATIENCE_S) == 0, log_of(site)
    assert log_of(site).count("up told to the end, and not again: t/s/101/c0") == 2, "nor does it end silently"
    command("cameras", "disable", "t/s/101/c0")
    with up(site) as process:
        wait_for_log(site, "aggregate: started", times=3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    assert '"enabled": false' in command("cameras", "list", "--format", "json").out, "a switch set at run time was lost"


BAD = {
    "missing": "missing",
    "empty": "empty",
    "not a video": "not_video",
    "cut off before its index": "not_video",
    "cut in the middle": "damaged",
}
"""What may be wrong with a clip, and the reason that is said for it."""


def make_bad_clip(path: Path, kind: str) -> None:
    if kind == "empty":
        path.touch()
    elif kind == "not a video":
        path.write_bytes(b"no video at all, only words\n" * 100)
    elif kind.startswith("cut"):
        make_clip(path)
        whole = faststart(path) if kind == "cut in the middle" else path
        path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])


def said_of(camera: str, path: Path, reason: str) -> str:
    return f"camera {camera}: source = 'file://{path}': {reason}; expected a video that can be played"


@pytest.mark.parametrize("kind", BAD)
def test_a_clip_that_cannot_be_played_is_said_and_exit_code_2_when_it_is_the_only_one(
    tmp_path: Path, kind: str
) -> None:
    make_bad_clip(tmp_path / "bad.mp4", kind)
    site = make_site(tmp_path, "file://bad.mp4")
    with up(site) as process:
        assert process.wait(PATIENCE_S) == 2
    said = said_of("t/s/101/c0", tmp_path / "bad.mp4", BAD[kind])
    assert log_of(site).splitlines()[-1] == f"classpulse: {said}"


def test_clips_that_cannot_be_played_do_not_hold_up_the_others(command: Command, tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4")
    for number, kind in enumerate(BAD, start=1):
        make_bad_clip(tmp_path / f"{number}.mp4", kind)
    site = make_site(tmp_path, "file://a.mp4", *(f"file://{n}.mp4" for n in range(1, 1 + len(BAD))), apart=True)
    with up(site) as process:
        assert process.wait(PATIENCE_S) == 1, log_of(site)
    for number, reason in enumerate(BAD.values(), start=1):
        assert said_of(f"t/s/{101 + number}/c{number}", tmp_path / f"{number}.mp4", reason) in log_of(site)
    assert [event["phase"] for event in told(command, "events") if event["room"] == "t/s/101"] == ["started", "ended"]
    buckets, frames = told(command, "timelines"), Counter[str]()
    for bucket in buckets:
        frames[bucket["room"]] += bucket["frames"]
    assert frames["t/s/101"] == FRAMES_IN_CLIP // 2
    assert all(bucket["final"] for bucket in buckets if bucket["room"] == "t/s/101")
    assert {room for room, count in frames.items() if count} == {"t/s/101", "t/s/106"}, (
        "what came before the cut counts"
    )


def test_a_clip_that_cannot_be_played_does_not_hold_up_the_other_camera_of_its_room(
    command: Command, tmp_path: Path
) -> None:
    make_clip(tmp_path / "a.mp4")
    (tmp_path / "empty.mp4").touch()
    site = make_site(tmp_path, "file://a.mp4", "file://empty.mp4")
    with up(site) as process:
        assert process.wait(PATIENCE_S) == 1, log_of(site)
    assert said_of("t/s/101/c1", tmp_path / "empty.mp4", "empty") in log_of(site)
    assert [event["phase"] for event in told(command, "events")] == ["started", "ended"]
    assert sum(bucket["frames"] for bucket in told(command, "timelines")) == FRAMES_IN_CLIP // 2


def test_weights_changed_by_a_byte_are_refused_with_both_digests(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4")
    site = make_site(tmp_path, "file://a.mp4")
    change_a_byte(tmp_path / "release" / MODEL_FILE)
    with up(site) as process:
        assert process.wait(PATIENCE_S) == 2
    said = log_of(site).splitlines()
    assert "classpulse: detect: exit code 2 3 times in a row; not started again, because:" in said
    assert "digest expected " in said[-1]
    assert ", found " in said[-1]


def test_a_second_up_is_refused_and_ctrl_c_ends_the_first_within_five_seconds(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4")
    site = make_site(tmp_path, "file://a.mp4?loop=1&pace=realtime")
    with up(site) as first:
        wait_for_detections(tmp_path)
        with up(site) as second:
            assert second.wait(PATIENCE_S) == 2
        look = f"look with `classpulse timeline ROOM --data {tmp_path / 'data'}`, Ctrl-C ends it"
        wait_for_log(site, f"INFO up running: 1 camera of 1 room; {look}")
        held = f"held by pid {first.pid} (classpulse up {site}); expected a data folder of its own"
        assert held in log_of(site)
        pids = stage_pids(tmp_path)
        assert len(pids) == 3
        began_ms = SystemClock().monotonic_ms()
        first.send_signal(signal.SIGINT)
        assert first.wait(PATIENCE_S) == 0
        assert SystemClock().monotonic_ms() - began_ms < 5_000
    assert not any(map(alive, pids))
    assert "Traceback" not in log_of(site)


def test_stages_die_with_an_up_that_is_killed_and_the_next_goes_on(command: Command, tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4")
    site = make_site(tmp_path, "file://a.mp4?pace=realtime")
    with up(site) as process:
        wait_for_detections(tmp_path)
        pids = stage_pids(tmp_path)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        clock = SystemClock()
        give_up_ms = clock.monotonic_ms() + 2_000
        while any(map(alive, pids)) and clock.monotonic_ms() < give_up_ms:
            clock.sleep_ms(10)
        assert not any(map(alive, pids))
    with up(site) as process:
        assert process.wait(PATIENCE_S) == 0, log_of(site)
    assert sum(bucket["frames"] for bucket in told(command, "timelines")) == FRAMES_IN_CLIP // 2


def test_cameras_and_rooms_come_and_go_while_it_runs_and_no_process_is_started_anew(
    command: Command, tmp_path: Path
) -> None:
    make_clip(tmp_path / "a.mp4")
    endless = "file://a.mp4?loop=1&pace=realtime"
    site, bus = make_site(tmp_path, endless), prepare_bus(Settings(data=tmp_path / "data"))
    with up(site) as process:
        wait_for_detections(tmp_path)
        pids = stage_pids(tmp_path)
        source = endless.replace("a.mp4", str(tmp_path / "a.mp4"))
        assert command("cameras", "add", "t/s/101/c1", source).code == 0
        wait_until(lambda: "t/s/101/c1" in seen_from(bus), site)
        assert command("cameras", "disable", "t/s/101/c0").code == 0
        wait_until(lambda: last_said(bus, "t/s/101/c0") == "off", site)
        after = len(bus_stories(bus))
        wait_until(lambda: "t/s/101/c1" in seen_from(bus, after), site)
        assert seen_from(bus, after) == {"t/s/101/c1"}
        assert command("cameras", "enable", "t/s/101/c0").code == 0
        wait_until(lambda: "t/s/101/c0" in seen_from(bus, after), site)
        assert command("rooms", "disable", "t/s/101").code == 0
        wait_until(lambda: {last_said(bus, f"t/s/101/c{n}") for n in (0, 1)} == {"off"}, site)
        assert stage_pids(tmp_path) == pids
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    bus.close()


def wait_until(condition: Callable[[], bool], site: Path) -> None:
    """Until something is so."""
    clock = SystemClock()
    give_up_ms = clock.monotonic_ms() + 30_000
    while not condition():
        assert clock.monotonic_ms() < give_up_ms, log_of(site)
        clock.sleep_ms(50)


def bus_stories(bus: Bus) -> list[Record]:
    """What detect has told of the room's cameras, in order."""
    place = Place(DETECTIONS.name, partition_of("t/s/101", DETECTIONS.partitions))
    return [decode(record) for record in bus.fetch(place, 0, max_records=100_000, max_bytes=1 << 30)]


def seen_from(bus: Bus, first: int = 0) -> set[str]:
    """The cameras that were looked at, from one place in the story on."""
    return {noun.camera for noun in bus_stories(bus)[first:] if isinstance(noun, FrameDetections)}


def last_said(bus: Bus, camera: str) -> str:
    """The state in a camera's last heartbeat, if nothing came after it."""
    mine = [noun for noun in bus_stories(bus) if getattr(noun, "camera", None) == camera]
    return mine[-1].state if isinstance(mine[-1], Heartbeat) else ""


def wait_for_detections(folder: Path) -> None:
    """Until the whole route is at work."""
    clock = SystemClock()
    give_up_ms = clock.monotonic_ms() + PATIENCE_S * 1000
    wait_for_log(folder / "site.toml", "aggregate: started")
    bus = prepare_bus(Settings(data=folder / "data"))
    while not bus.positions("aggregate", DETECTIONS) or not bus.positions("detect", FRAMES):
        assert clock.monotonic_ms() < give_up_ms, log_of(folder / "site.toml")
        clock.sleep_ms(50)
    bus.close()
