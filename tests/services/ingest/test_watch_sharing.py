"""Whose cameras they are: copies of a school share them, another takes one over, other schools have their own."""

import logging

import pytest

from classpulse.bus.base import Place
from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock
from classpulse.ingest.watch import AGAIN_MS, Watch
from classpulse.records import RoomConfig
from classpulse.topics import INGEST_STATE, partition_of
from tests.services.ingest.making import (
    CAMERA,
    config_of,
    frames_of,
    state_of,
)
from tests.services.ingest.watching import ROOM, Place2, camera, states


@pytest.fixture
def school() -> Place2:
    return Place2()


def test_copies_share_the_cameras_by_their_partition() -> None:
    keys = [f"{ROOM}/c{n}" for n in range(20)]
    owned = []
    for index in range(3):
        school = Place2(index=index, count=3)
        school.roster.write([RoomConfig(room=ROOM), *(config_of("synth://?fps=1", camera=key) for key in keys)])
        school.watch.turn()
        owned.append({config.camera for config in school.opened})
        assert owned[-1] == {k for k in keys if partition_of(k, INGEST_STATE.partitions) % 3 == index}
        school.watch.stop(3_000)
    assert set.union(*owned) == set(keys)
    assert sum(map(len, owned)) == len(keys)


def test_a_camera_that_another_copy_took_over_is_left_to_it_and_opened_again_if_it_stays_ours(
    school: Place2, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    school.watch = Watch(school.bus, clock, school._open, metrics=school.metrics)
    school.roster.write([RoomConfig(room=ROOM), camera()])
    school.turn_until(lambda: frames_of(school.bus))

    school.bus.member("ingest", (), slot=CAMERA)
    with caplog.at_level(logging.WARNING, "classpulse.ingest"):
        school.turn_until(lambda: not school.watch.captures)
    school.watch.turn()
    assert len(school.opened) == 1
    assert f"{CAMERA}: another copy publishes it now" in caplog.text

    clock.advance(AGAIN_MS)
    school.turn_until(lambda: {f.epoch for f in frames_of(school.bus)} == {0, 1})
    assert states(school) == []
    school.watch.stop(3_000)


def test_cameras_whose_partition_goes_to_another_copy_are_closed_without_a_word_and_opened_when_it_comes_back(
    school: Place2,
) -> None:
    group = Handed(school.bus)
    school.watch._group = group
    school.roster.write([RoomConfig(room=ROOM), camera()])
    school.turn_until(lambda: frames_of(school.bus))

    group.owned = frozenset()
    school.turn_until(lambda: not school.watch.captures and not school.watch._closing)
    before = len(school.reports())
    school.watch.turn()
    assert (states(school), len(school.reports())) == ([], before)
    assert state_of(school.bus).source != "", "its story is another's, not forgotten"
    assert school.metrics.value("camera_state", camera=CAMERA, state="up") is None

    group.owned = school.bus.member("x", [INGEST_STATE]).assignment()
    school.turn_until(lambda: {f.epoch for f in frames_of(school.bus)} == {0, 1})
    school.watch.stop(3_000)


def test_a_copy_is_ready_when_it_has_read_the_cameras_and_partitions_are_its_own(school: Place2) -> None:
    assert school.watch.missing().startswith("ingest: cameras.v1 and rooms.v1 have not been read yet")
    school.watch.turn()
    assert school.watch.missing() == ""
    school.watch._group = group = Handed(school.bus)
    group.owned = frozenset()
    assert school.watch.missing().startswith("ingest: no partition is assigned to this copy; expected one at least")


class Handed:
    """A group that hands out what the test says."""

    def __init__(self, bus: MemoryBus) -> None:
        self.owned = bus.member("all", [INGEST_STATE]).assignment()

    def poll(self, **_: int) -> list[object]:
        return []

    def assignment(self) -> frozenset[Place]:
        return self.owned


def test_only_the_cameras_of_the_school_are_opened() -> None:
    school = Place2()
    other = "district/other/room"
    school.watch = Watch(school.bus, school.clock, school._open, metrics=school.metrics, school="district/school")
    here, there = camera(), config_of("synth://?fps=20", camera=f"{other}/front")
    school.roster.write([RoomConfig(room=ROOM), RoomConfig(room=other), here, there])
    school.watch.turn()
    assert [config.camera for config in school.opened] == [CAMERA]
    assert {report.camera for report in school.reports()} == {CAMERA}
    school.watch.stop(3_000)


def test_copies_of_two_schools_do_not_disturb_each_other(school: Place2) -> None:
    other = "district/other/room"
    school.roster.write(
        [RoomConfig(room=ROOM), RoomConfig(room=other), camera(), config_of("synth://?fps=20", camera=f"{other}/front")]
    )
    watches = [
        Watch(school.bus, school.clock, school._open, metrics=school.metrics, school=name)
        for name in ("district/school", "district/other")
    ]
    for _ in range(3):
        for watch in watches:
            watch.turn()
    assert {report.camera for report in school.reports()} == {CAMERA, f"{other}/front"}
    assert all(watch.stop(3_000) for watch in watches)
