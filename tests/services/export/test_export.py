"""An export holds every final bucket and ended event once, whatever happens between and in its runs."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from classpulse.codec import tombstone
from classpulse.export.folder import Selection, opened
from classpulse.export.run import export, prepare
from classpulse.faults import POINTS
from classpulse.topics import TIMELINES
from tests.services.cli.conftest import Command
from tests.services.export.school import FAR, OTHER, append, bus_in, retain, rows, run, tell
from tests.services.reading.stories import EIGHT_MS, ROOM, a_bucket, a_room, an_event

KILLED = -9


@pytest.fixture
def data(tmp_path: Path) -> Path:
    tell(tmp_path / "data", a_room())
    return tmp_path / "data"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out"


def starts(folder: Path, room: str = ROOM) -> list[int]:
    """Which buckets after eight are there, each as often as it is."""
    found = rows(folder, "timelines", "start_ms", f"room = '{room}' AND behaviour = 'hand-raising'")
    return [(start_ms - EIGHT_MS) // 10_000 for (start_ms,) in found]


def test_a_bus_without_a_timeline_gives_a_folder_without_rows(command: Command, data: Path, folder: Path) -> None:
    done = command("export", "--parquet", str(folder))
    assert (done.code, done.err) == (0, "")
    assert done.out == "exported 0 final buckets and 0 ended events into 0 new files\n"
    assert not list(folder.rglob("*.parquet"))
    assert json.loads((folder / "manifest.json").read_text())["positions"]


def test_what_is_final_and_what_has_ended_is_exported_and_nothing_else(
    command: Command, data: Path, folder: Path
) -> None:
    tell(data, a_bucket(0, hands=(1, 2500, 1)), a_bucket(1, final=False), an_event(1000), an_event(1000, 3500))
    tell(data, an_event(9000))
    assert command("export", "--parquet", str(folder)).code == 0
    assert starts(folder) == [0]
    found = rows(
        folder, "events", "id, room, camera, behaviour, duration_ms, start_local::VARCHAR, school, day::VARCHAR"
    )
    id_ = f"{ROOM}/cam-1/0/hand-raising/{EIGHT_MS + 1000}/0"
    local = "2026-03-02 08:00:01"
    assert found == [(id_, ROOM, f"{ROOM}/cam-1", "hand-raising", 2500, local, "demo/school", "2026-03-02")]


def test_nothing_happened_nothing_seen_and_nobody_due_never_look_alike(
    command: Command, data: Path, folder: Path
) -> None:
    tell(data, a_bucket(0, hands=(1, 2500, 1)), a_bucket(1), a_bucket(2, observed_ms=0, missing={"stale": 3}))
    tell(data, a_bucket(3, due_ms=0, observed_ms=0), a_bucket(4, observed_ms=4000))
    command("export", "--parquet", str(folder))
    columns = "events, person_ms, peak, seen, due_ms, observed_ms, missing_frames"
    found = [rows(folder, "timelines", columns, f"behaviour = 'hand-raising' AND start_ms = {at}") for at in at_each(5)]
    assert found == [
        [(1, 2500, 1, "all", 10_000, 10_000, 0)],
        [(0, 0, 0, "all", 10_000, 10_000, 0)],
        [(None, None, None, "nothing", 10_000, 0, 3)],
        [(None, None, None, "nobody due", 0, 0, 0)],
        [(0, 0, 0, "part", 10_000, 4000, 0)],
    ]
    assert rows(folder, "timelines", "count(*), count(DISTINCT behaviour)") == [(15, 3)]


def at_each(count: int) -> list[int]:
    return [EIGHT_MS + 10_000 * index for index in range(count)]


def test_the_day_is_the_rooms_own_and_the_school_keeps_its_tenant(command: Command, data: Path, folder: Path) -> None:
    midnight = (
        16 * 360 + 1
    )  # 2026-03-03T00:00:10 in Berlin: the second bucket of the day there, still the second of March in UTC
    tell(data, a_room(room=FAR, time_zone="Asia/Tokyo"), a_bucket(midnight), a_bucket(midnight, room=FAR))
    command("export", "--parquet", str(folder))
    columns = "DISTINCT school, day::VARCHAR, start_local::VARCHAR, start_utc::VARCHAR"
    assert rows(folder, "timelines", columns) == [
        ("demo/school", "2026-03-03", "2026-03-03 00:00:10", "2026-03-02 23:00:10"),
        ("tokyo/school 2", "2026-03-03", "2026-03-03 08:00:10", "2026-03-02 23:00:10"),
    ]


def test_a_second_run_adds_only_what_is_new(command: Command, data: Path, folder: Path) -> None:
    tell(data, a_bucket(0), an_event(1000, 3500))
    command("export", "--parquet", str(folder))
    before = {path: path.read_bytes() for path in folder.rglob("*.parquet")}
    tell(data, a_bucket(1), a_bucket(0, room=OTHER))
    assert command("export", "--parquet", str(folder)).out.startswith("exported 2 final buckets and 0 ended events")
    assert command("export", "--parquet", str(folder)).out.startswith("exported 0 final buckets and 0 ended events")
    assert (starts(folder), starts(folder, OTHER), len(rows(folder, "events", "id"))) == ([0, 1], [0], 1)
    assert {path: path.read_bytes() for path in before} == before


def test_rooms_and_limits_choose_what_a_folder_holds(command: Command, data: Path, folder: Path) -> None:
    tell(
        data, a_bucket(0), a_bucket(1), a_bucket(2), a_bucket(1, room=OTHER), an_event(0, 500), an_event(10_500, 11_000)
    )
    limits = ("--from", "2026-03-02T08:00:10+01:00", "--to", "2026-03-02T08:00:20+01:00")
    assert command("export", "--parquet", str(folder), *limits, "room-1").code == 0
    assert (starts(folder), starts(folder, OTHER), len(rows(folder, "events", "id"))) == ([1], [], 1)


def test_a_folder_stays_what_it_was_begun_as(command: Command, data: Path, folder: Path, tmp_path: Path) -> None:
    tell(data, a_bucket(0))
    command("export", "--parquet", str(folder), "room-1")
    refused = command("export", "--parquet", str(folder))
    assert refused.code == 2
    assert f"it is an export of {ROOM}; found all rooms; expected the same, or another folder" in refused.err
    tell(tmp_path / "other", a_room(), a_bucket(0))
    stranger = command("export", "--parquet", str(folder), "room-1", "--data", str(tmp_path / "other"), data=False)
    assert stranger.code == 2
    assert "it is an export of bus = 'sqlite://" in stranger.err
    assert starts(folder) == [0]


def test_wrong_folders_limits_and_manifests_are_named(command: Command, data: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    taken = command("export", "--parquet", str(folder))
    assert (taken.code, "holds 'thesis.txt' and no manifest.json" in taken.err) == (2, True)
    limit = command("export", "--parquet", str(folder), "--from", "08:00")
    assert (limit.code, "--from = '08:00': expected RFC 3339" in limit.err) == (2, True)
    (folder / "manifest.json").write_text("{}")
    broken = command("export", "--parquet", str(folder))
    assert (broken.code, "manifest.json: Object missing required field" in broken.err) == (2, True)
    unknown = command("export", "--parquet", str(folder), "room-9")
    assert (unknown.code, "room = 'room-9': no such room" in unknown.err) == (2, True)


def test_a_bus_that_was_begun_anew_is_refused(command: Command, data: Path, folder: Path) -> None:
    tell(data, a_bucket(0), a_bucket(1))
    command("export", "--parquet", str(folder))
    for file in data.iterdir():
        file.unlink()
    tell(data, a_room(), a_bucket(0))
    refused = command("export", "--parquet", str(folder))
    assert refused.code == 2
    assert "is exported up to offset 2 and ends at 1; expected the bus that the folder was begun with" in refused.err


def test_what_expired_between_two_runs_is_told_once(command: Command, data: Path, folder: Path) -> None:
    command("export", "--parquet", str(folder))
    tell(data, a_bucket(0), an_event(1000, 3500))
    now_ms = 2**45
    retain(data, now_ms)
    tell(data, a_bucket(1))
    told = command("export", "--parquet", str(folder))
    assert told.code == 1
    assert "classpulse.events.v1/" in told.err
    assert ": offsets 0 to 0 were removed before they were exported (retention, or an erasure)" in told.err
    again = command("export", "--parquet", str(folder))
    assert (again.code, again.err, starts(folder)) == (0, "", [1])


def test_a_bucket_that_was_erased_from_the_log_leaves_the_files_too(command: Command, data: Path, folder: Path) -> None:
    tell(data, a_bucket(0), a_bucket(1))
    command("export", "--parquet", str(folder))
    append(data, tombstone(TIMELINES, f"{ROOM}/{EIGHT_MS}", ROOM))
    command("export", "--parquet", str(folder))
    assert starts(folder) == [1]


PASSES = {"export.planned": 3, "export.written": 4, "export.shown": 4, "export.recorded": 3}
"""How often a run passes each point: three ranges (two rooms share a partition), four files."""


def test_every_point_of_an_export_is_killed_here() -> None:
    assert set(PASSES) == {point for point in POINTS if point.startswith("export.")}


@pytest.mark.parametrize("fault", [f"{point}:{nth + 1}" for point, count in PASSES.items() for nth in range(count)])
def test_a_run_killed_at_any_point_and_run_again_gives_every_row_once(fault: str, data: Path, folder: Path) -> None:
    tell(data, a_room(room=FAR, time_zone="Asia/Tokyo"))
    tell(data, *(a_bucket(index, room=room) for room in (ROOM, OTHER, FAR) for index in range(3)), an_event(0, 500))
    assert run(data, "export", "--parquet", str(folder), fault=fault).returncode == KILLED
    tell(data, a_bucket(3), an_event(30_000, 30_500), a_room(time_zone="Pacific/Auckland"))
    assert run(data, "export", "--parquet", str(folder)).returncode == 0
    assert [starts(folder, room) for room in (ROOM, OTHER, FAR)] == [[0, 1, 2, 3], [0, 1, 2], [0, 1, 2]]
    assert len(rows(folder, "events", "id")) == 2
    assert not list(folder.rglob(".*.draft"))


def test_many_ranges_hold_what_one_does(data: Path, folder: Path) -> None:
    tell(data, *(a_bucket(index) for index in range(7)))
    with bus_in(data) as bus, opened(folder, bus="a test's", selection=Selection()) as held:
        done = export(bus, held, prepare(bus, held), range_nouns=2)
    assert (done.buckets, done.files) == (7, 4)
    assert starts(folder) == list(range(7))


def test_two_runs_at_once_do_not_meet_in_a_folder(command: Command, data: Path, folder: Path) -> None:
    command("export", "--parquet", str(folder))
    held = os.open(folder / ".lock", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    refused = command("export", "--parquet", str(folder))
    os.close(held)
    assert (refused.code, "another command is writing in it" in refused.err) == (2, True)


def test_without_the_extra_the_error_says_what_to_install(data: Path, folder: Path) -> None:
    words = ["export", "--parquet", str(folder), "--data", str(data)]
    script = f"import sys; sys.modules['pyarrow'] = None; from classpulse.cli import main; main({words!r})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "expected what the extra 'export' brings: pip install '.[export]'" in done.stderr
    assert not folder.exists()


def test_hidden_rooms_are_exported_only_where_they_are_named(command: Command, data: Path, folder: Path) -> None:
    hidden = "demo/school/canary-1"
    tell(data, a_bucket(0), a_bucket(0, room=hidden), an_event(1000, 3500, room=hidden))
    assert command("export", "--parquet", str(folder)).code == 0
    assert (starts(folder), starts(folder, hidden), rows(folder, "events", "id")) == ([0], [], [])
    assert command("export", hidden, "--parquet", f"{folder}-2").code == 0
    assert starts(folder.with_name(f"{folder.name}-2"), hidden) == [0]
