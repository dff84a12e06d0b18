"""Which cameras are open: configuration, switches, timetables, partitions, deaths."""

import logging
from pathlib import Path

import pytest

from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock, SystemClock
from classpulse.errors import Fatal, Recoverable
from classpulse.ingest.capture import Capture
from classpulse.ingest.watch import AGAIN_MS, Watch
from classpulse.records import CameraConfig, Lesson, RoomConfig
from classpulse.roster import BRIDGED
from tests.services.ingest.making import (
    CAMERA,
    beats_of,
    capture_of,
    clip,
    config_of,
    frames_of,
    state_of,
    write_unreadable_state,
)
from tests.services.ingest.watching import ROOM, Place2, camera, states


@pytest.fixture
def school() -> Place2:
    return Place2()


def test_without_cameras_nothing_is_opened_and_nothing_reported(school: Place2) -> None:
    school.watch.turn()
    assert school.watch.captures == {}
    assert school.reports() == []
    assert school.watch.stop(1_000)


def test_a_declared_camera_is_opened_and_reported(school: Place2) -> None:
    school.roster.write([RoomConfig(room=ROOM), camera()])
    school.turn_until(lambda: school.reports() and school.reports()[-1].published > 2)
    report = school.reports()[-1]
    assert (report.camera, report.stage, report.state, report.last_error) == (CAMERA, "ingest", "up", "")
    assert report.node == "host"
    assert school.metrics.value("camera_state", camera=CAMERA, state="up") == 1.0
    assert school.metrics.value("cameras", state="up") == 1.0
    assert [school.metrics.value("transactions_total", result=result) for result in ("committed", "retried")] == [0, 0]
    assert school.metrics.value("camera_last_frame_timestamp_seconds", camera=CAMERA) in {
        frame.captured_at_ms / 1000 for frame in frames_of(school.bus)
    }
    assert school.watch.stop(3_000)
    assert frames_of(school.bus)


def test_a_camera_without_its_room_is_not_opened_and_that_is_said(
    school: Place2, caplog: pytest.LogCaptureFixture
) -> None:
    school.roster.write([camera()])
    with caplog.at_level(logging.ERROR, "classpulse.ingest"):
        school.watch.turn()
        school.watch.turn()
    assert school.opened == []
    assert caplog.text.count("no_room: room 'district/school/room' is not on rooms.v1; not observed") == 1
    assert (school.reports()[-1].state, school.reports()[-1].last_error) == ("off", "no_room")


@pytest.mark.parametrize("of", ["camera", "room"])
def test_switching_off_closes_and_tells_off_and_switching_on_opens_again(school: Place2, of: str) -> None:
    def switch(*, on: bool) -> None:
        if of == "camera":
            school.roster.enable_camera(CAMERA, on)
        else:
            school.roster.enable_room(ROOM, on)

    school.roster.write([RoomConfig(room=ROOM), camera()])
    school.turn_until(lambda: frames_of(school.bus))
    switch(on=False)
    school.turn_until(lambda: states(school) == ["off"])
    school.turn_until(lambda: not school.watch.captures)
    before = len(frames_of(school.bus))
    school.watch.turn()
    assert len(frames_of(school.bus)) == before
    switch(on=True)
    school.turn_until(lambda: len(frames_of(school.bus)) > before)
    assert states(school) == ["off"]
    assert [f.epoch for f in frames_of(school.bus)][-1] == 1, "a live camera begins a new epoch"
    school.watch.stop(3_000)


def test_a_camera_that_is_closed_from_the_start_is_told_off_once(school: Place2) -> None:
    school.roster.write([RoomConfig(room=ROOM), camera(enabled=False)])
    for _ in range(3):
        school.watch.turn()
    assert states(school) == ["off"]
    assert school.opened == []


def test_a_camera_whose_state_cannot_be_read_is_reported_and_disturbs_nobody(
    school: Place2, caplog: pytest.LogCaptureFixture
) -> None:
    write_unreadable_state(school.bus, CAMERA)
    school.roster.write([RoomConfig(room=ROOM), camera(enabled=False)])
    with caplog.at_level(logging.ERROR, "classpulse.ingest"):
        school.watch.turn()
        school.watch.turn()
        school.roster.remove_camera(CAMERA)
        school.watch.turn()
    assert caplog.text.count("bad_state: wrong_type: IngestState") == 1
    assert [(one.state, one.last_error) for one in school.reports()] == [("off", "bad_state")] * 2


def test_a_timetable_opens_and_closes_by_the_rooms_clock() -> None:
    clock = ManualClock(1_772_434_800_000 - 60_000)  # Monday 2 March 2026, 07:59 in Berlin
    school = Place2(clock=clock)
    lesson = Lesson(weekday=0, start_minute=8 * 60, end_minute=9 * 60)
    room = RoomConfig(room=ROOM, time_zone="Europe/Berlin", timetable=(lesson,))
    school.roster.write([room, camera()])
    school.watch.turn()
    assert (school.opened, states(school)) == ([], ["off"])
    clock.advance(60_000)
    school.watch.turn()
    assert len(school.opened) == 1
    clock.advance(3_600_000)
    school.turn_until(lambda: not school.watch.captures and states(school)[-1] == "off")
    school.watch.stop(3_000)


def test_an_announced_configuration_closes_no_camera_before_its_moment() -> None:
    clock = ManualClock()
    school = Place2(clock=clock)
    school.roster.write([RoomConfig(room=ROOM), camera()])
    off = RoomConfig(room=ROOM, enabled=False, valid_from_ms=clock.now_ms() + 60_000)
    school.roster.write([off])
    school.watch.turn()
    assert len(school.opened) == 1
    clock.advance(60_000)
    school.turn_until(lambda: not school.watch.captures and states(school)[-1:] == ["off"])
    school.watch.stop(3_000)


def test_a_changed_configuration_restarts_the_camera_without_a_word(school: Place2) -> None:
    school.roster.write([RoomConfig(room=ROOM), camera()])
    school.turn_until(lambda: frames_of(school.bus))
    school.roster.write([camera(frame_width=320)])
    school.turn_until(lambda: any(f.width == 320 for f in frames_of(school.bus)))
    assert len(school.opened) == 2
    assert states(school) == []
    school.watch.stop(3_000)


def test_a_removed_camera_is_told_off_and_no_longer_reported(school: Place2) -> None:
    school.roster.write([RoomConfig(room=ROOM), camera()])
    school.turn_until(lambda: frames_of(school.bus))
    school.roster.remove_camera(CAMERA)
    school.turn_until(lambda: states(school) == ["off"])
    before = len(school.reports())
    school.watch.turn()
    assert len(school.reports()) == before
    assert school.metrics.value("camera_state", camera=CAMERA, state="off") is None
    assert school.metrics.value("camera_last_frame_timestamp_seconds", camera=CAMERA) is None
    assert school.metrics.value("cameras", state="off") == 0
    assert state_of(school.bus).source == ""


def test_a_finished_clip_stays_finished_until_it_is_removed_and_added_again(school: Place2, tmp_path: Path) -> None:
    config = config_of(clip(tmp_path / "clip.mp4", frames=10), delivery="complete")
    school.roster.write([RoomConfig(room=ROOM), config])
    school.turn_until(lambda: states(school) == ["off"])
    for _ in range(5):
        school.watch.turn()
    assert (len(school.opened), school.reports()[-1].state) == (1, "off")
    school.roster.remove_camera(CAMERA)
    school.turn_until(lambda: state_of(school.bus).source == "")
    school.roster.write([config])
    school.turn_until(lambda: {f.epoch for f in frames_of(school.bus)} == {0, 1})
    school.watch.stop(3_000)


def test_a_broken_camera_does_not_disturb_the_others_and_is_said(school: Place2, tmp_path: Path) -> None:
    bad = config_of(tmp_path / "none.mp4", camera=f"{ROOM}/bad", delivery="complete")
    school.roster.write([RoomConfig(room=ROOM), bad, camera()])
    school.turn_until(lambda: {r.last_error for r in school.reports() if r.camera == bad.camera} >= {"missing"})
    school.turn_until(lambda: len(frames_of(school.bus)) > 3)
    assert {beat.state for beat in beats_of(school.bus, bad.camera)} == {"silent"}
    school.watch.stop(3_000)


def test_a_camera_whose_thread_died_is_opened_again_after_a_while() -> None:
    clock = ManualClock()
    school = Place2(clock=clock)
    dead: list[Capture] = []

    def open_dead(config: CameraConfig) -> Capture:
        capture = capture_of(config, Deaf(), SystemClock())
        dead.append(capture)
        return capture

    school.watch = Watch(school.bus, clock, open_dead, metrics=school.metrics)
    school.roster.write([RoomConfig(room=ROOM), camera()])
    school.watch.turn()
    assert dead[0].join(5)
    school.watch.turn()
    school.watch.turn()
    assert len(dead) == 1
    assert (school.reports()[-1].state, school.reports()[-1].last_error) == ("off", "failed")
    clock.advance(AGAIN_MS)
    school.watch.turn()
    assert len(dead) == 2
    school.watch.stop(3_000)


class Deaf(MemoryBus):
    """A bus that nobody can join."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self._error = error or Recoverable("locked; expected an answer")

    def member(self, *args: object, **more: object) -> object:  # type: ignore[override]
        raise self._error


def test_reports_that_nobody_takes_cost_no_camera(school: Place2, caplog: pytest.LogCaptureFixture) -> None:
    class Lost:
        """A place whose broker does not say whether it took them."""

        def commit(self, outputs: object, positions: object) -> None:
            raise Fatal("not known to be committed; expected an answer")

        def close(self) -> None:
            """Nothing."""

    school.roster.write([RoomConfig(room=ROOM), camera()])
    school.turn_until(school.reports)
    school.watch._member = Lost()  # type: ignore[assignment]
    with caplog.at_level(logging.WARNING, "classpulse.ingest"):
        school.watch.turn()
    before = len(school.reports())
    school.watch.turn()
    assert "reports: not known to be committed" in caplog.text
    assert (len(school.reports()), list(school.watch.captures)) == (before + 1, [CAMERA])
    school.watch.stop(3_000)


def test_a_camera_that_fails_for_good_is_said_and_opened_again_later() -> None:
    clock = ManualClock()
    school = Place2(clock=clock)
    dead: list[Capture] = []

    def open_fatal(config: CameraConfig) -> Capture:
        dead.append(capture_of(config, Deaf(Fatal("not known to be committed")), SystemClock()))
        return dead[-1]

    school.watch = Watch(school.bus, clock, open_fatal, metrics=school.metrics)
    school.roster.write([RoomConfig(room=ROOM), camera()])
    school.watch.turn()
    assert dead[0].join(5)
    school.watch.turn()
    clock.advance(AGAIN_MS)
    school.watch.turn()
    assert len(dead) == 2
    school.watch.stop(3_000)


def test_a_bus_in_trouble_is_looked_at_again(school: Place2, caplog: pytest.LogCaptureFixture) -> None:
    class Sulking:
        """A roster whose bus does not answer."""

        def rooms(self) -> dict[str, RoomConfig]:
            raise Recoverable("locked; expected an answer")

    school.watch._roster = Sulking()  # type: ignore[assignment]
    with caplog.at_level(logging.WARNING, "classpulse.ingest"):
        school.watch.turn()
    assert "locked; expected an answer; looking again soon" in caplog.text


def test_a_camera_that_its_school_forwards_is_not_opened_and_not_spoken_of(school: Place2) -> None:
    school.roster.write([RoomConfig(room=ROOM), config_of(BRIDGED)])
    for _ in range(3):
        school.watch.turn()
    assert (school.opened, school.reports(), beats_of(school.bus)) == ([], [], [])


def test_a_camera_that_becomes_its_schools_own_is_closed_here(school: Place2) -> None:
    school.roster.write([RoomConfig(room=ROOM), camera()])
    school.turn_until(lambda: frames_of(school.bus))
    school.roster.write([config_of(BRIDGED)])
    school.turn_until(lambda: states(school)[-1:] == ["off"])
    assert len(school.opened) == 1
