import os
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock
from classpulse.codec import encode
from classpulse.demo.bundled import bundled_lessons
from classpulse.demo.following import Follower
from classpulse.demo.measuring import refusals
from classpulse.demo.route import Route
from classpulse.demo.run import MARK, Ending, Middle, emptied, watch
from classpulse.errors import BadInput, Recoverable
from classpulse.lines import Lines
from classpulse.records import CameraReport
from classpulse.registry import fetch
from classpulse.supervisor import hold
from classpulse.topics import MODELS, REPORTS
from gesturedet.card import find_release
from tests.services.demo.log import ROOM, START_MS, a_played_lesson


class PretendRoute:
    """Ends with an exit code after so many looks."""

    def __init__(self, looks: int, exit_code: int) -> None:
        self.looks, self._exit_code = looks, exit_code

    @property
    def exit_code(self) -> int | None:
        self.looks -= 1
        return self._exit_code if self.looks < 0 else None


class PretendScreen:
    """Remembers what was shown; each look takes a second of the clock."""

    def __init__(self, clock: ManualClock) -> None:
        self.shown: list[float] = []
        self._clock = clock

    def show(self, _: Follower, elapsed_s: float) -> None:
        self.shown.append(elapsed_s)
        self._clock.advance(1000)


class AtOnce(threading.Event):
    """An event that is never waited for."""

    def wait(self, _: float | None = None) -> bool:
        return self.is_set()


def watched(
    route: PretendRoute, follower: Follower | None = None, *, cut_s: float | None = None, stop: bool = False
) -> Ending:
    clock, event = ManualClock(START_MS), AtOnce()
    if stop:
        event.set()
    log = a_played_lesson()
    told, middle = follower or Follower(log.bus, [ROOM]), Middle(log.bus, clock, "", None, bundled_lessons())
    screen = PretendScreen(clock)
    return watch(route, told, screen, event, clock, cut_s=cut_s, give_up_s=50.0, middle=middle)  # type: ignore[arg-type]


def test_a_release_is_promoted_once_when_half_the_lessons_were_played(tmp_path: Path) -> None:
    bus, clock, lessons = MemoryBus(), ManualClock(), bundled_lessons()
    bus.create([MODELS])
    release = find_release("classroom-640")
    middle = Middle(bus, clock, str(tmp_path), release, lessons)
    half_s = max(lesson.truth.duration_ms for lesson in lessons) / 2000
    middle.pass_by(half_s - 0.1)
    assert Lines(bus, clock).lines() == {}
    for _ in range(2):
        middle.pass_by(half_s)
        line = Lines(bus, clock).lines()["main"]
        assert (line.champion, line.revision) == (release.card.digest, 1)
    assert fetch(Lines(bus, clock).release(line.champion)) == release


def test_what_stood_in_the_way_of_a_release_is_told_once_however_often_it_was_reported() -> None:
    bus = MemoryBus()
    bus.create([REPORTS])
    told = [("", 1), ("ab12: too slow", 2), ("ab12: too slow", 3)]
    reports = [
        CameraReport(camera=f"{ROOM}/front", at_ms=at_ms, stage="detect", state="up", refused_swap=why)
        for why, at_ms in told
    ]
    with closing(bus.member("detect", ())) as member:
        member.commit([encode(report, topic=REPORTS, at_ms=report.at_ms) for report in reports], {})
    assert refusals(bus) == ["ab12: too slow"]


def test_a_new_folder_becomes_a_demos(tmp_path: Path) -> None:
    data = emptied(tmp_path / "demo-out")
    assert data.is_dir()
    assert (tmp_path / "demo-out" / MARK).exists()


def test_a_demos_folder_is_emptied(tmp_path: Path) -> None:
    data = emptied(tmp_path)
    (data / "bus.sqlite").write_bytes(b"old")
    (tmp_path / "report.json").write_text("old")
    emptied(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [MARK, "data"]
    assert list(data.iterdir()) == []


def test_a_folder_with_anything_no_demo_made_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(
        BadInput, match=r"--out = '.*': holds files that no demo made; expected an empty or a new folder"
    ):
        emptied(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(BadInput, match=r"--out = '.*out': is a file; expected a folder"):
        emptied(tmp_path / "out")


def test_a_folder_in_which_a_demo_is_at_work_is_refused(tmp_path: Path) -> None:
    data = emptied(tmp_path)
    with hold(data, "classpulse up site.toml"), pytest.raises(BadInput, match=r"held by pid \d+ \(classpulse up site"):
        emptied(tmp_path)
    emptied(tmp_path)


def test_a_route_that_ends_with_everything_told_was_played() -> None:
    assert watched(PretendRoute(3, 0)) is Ending.PLAYED


def test_a_route_that_ends_before_a_room_is_told_has_failed() -> None:
    log = a_played_lesson()
    assert watched(PretendRoute(3, 0), Follower(log.bus, [ROOM, "demo/school/room-2"])) is Ending.FAILED


def test_a_route_that_ends_with_an_error_has_failed_whatever_was_told() -> None:
    assert watched(PretendRoute(3, 1)) is Ending.FAILED


def test_a_demo_ends_by_hand_after_the_time_asked_for_and_long_after_it_should() -> None:
    assert watched(PretendRoute(99, 0), stop=True) is Ending.STOPPED
    assert watched(PretendRoute(99, 0), cut_s=5) is Ending.CUT
    assert watched(PretendRoute(99, 0)) is Ending.OVERDUE


class BusyFollower(Follower):
    """Finds the bus locked the first two times."""

    busy = 2

    def look(self) -> int:
        if self.busy:
            self.busy -= 1
            raise Recoverable("database is locked")
        return super().look()


def test_a_busy_bus_is_looked_at_again() -> None:
    assert watched(PretendRoute(5, 0), BusyFollower(a_played_lesson().bus, [ROOM])) is Ending.PLAYED


def a_site(folder: Path) -> Path:
    site = folder / "site.toml"
    site.write_text('[[rooms]]\nroom = "a/b/c"\n')
    return site


def test_a_route_that_refuses_its_site_gives_its_last_words(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text("[settings]\nfreshness = 3\n")
    route = Route(site, tmp_path / "data", tmp_path / "up.log", os.environ)
    try:
        assert route._process.wait(timeout=30) == 2
        assert "unknown setting; nearest is freshness_ms" in route.last_words
    finally:
        route.stop()


def test_a_demo_never_leads_into_somebodys_data_folder(tmp_path: Path) -> None:
    own = {
        **os.environ,
        "CLASSPULSE_DATA": str(tmp_path / "real"),
        "CLASSPULSE_BUS": f"sqlite://{tmp_path}/real.sqlite",
    }
    route = Route(a_site(tmp_path), tmp_path / "data", tmp_path / "up.log", own)
    try:
        wait_for((tmp_path / "data" / "bus.sqlite").exists)
    finally:
        route.stop()
    assert not (tmp_path / "real").exists()
    assert not (tmp_path / "real.sqlite").exists()


def test_a_running_route_stops_within_five_seconds(tmp_path: Path) -> None:
    route = Route(a_site(tmp_path), tmp_path / "data", tmp_path / "up.log", os.environ)
    wait_for((tmp_path / "data" / "status.json").exists)
    began = time.monotonic()
    route.stop()
    assert time.monotonic() - began < 5
    assert route.exit_code is not None


def wait_for(ready: object, limit_s: float = 30.0) -> None:
    end = time.monotonic() + limit_s
    while not ready():  # type: ignore[operator]
        assert time.monotonic() < end, "took too long"
        time.sleep(0.05)
