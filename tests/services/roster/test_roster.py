"""The bus says what the site file says, except for what was switched at run time."""

import json
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from classpulse.bus.memory import MemoryBus, MemoryMember
from classpulse.clock import ManualClock
from classpulse.codec import Outgoing
from classpulse.errors import BadInput, Fenced
from classpulse.records import CameraConfig, RoomConfig, Rule
from classpulse.roster import Declared, Roster
from classpulse.topics import CAMERAS, ROOMS, Topic

ROOM = RoomConfig(room="t/s/101")
FRONT = CameraConfig(camera="t/s/101/front", source="rtsp://192.0.2.7/a")
BACK = CameraConfig(camera="t/s/101/back", source="rtsp://192.0.2.7/b")


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus(clock=ManualClock())


@pytest.fixture
def roster(bus: MemoryBus) -> Roster:
    return Roster(bus, ManualClock())


def latest(bus: MemoryBus) -> dict[str, object]:
    """What rooms.v1 says of the only room, without what is nothing."""
    (record,) = bus.latest(ROOMS)
    return {key: value for key, value in json.loads(record.value or b"").items() if value is not None}


def written(bus: MemoryBus) -> int:
    return bus.ends(CAMERAS)[0][1] + bus.ends(ROOMS)[0][1]


def test_an_empty_site_changes_nothing(roster: Roster, bus: MemoryBus) -> None:
    assert roster.apply([], []) == []
    assert (roster.rooms(), roster.cameras(), written(bus)) == ({}, {}, 0)


def test_a_site_is_written_and_a_second_time_nothing_is(roster: Roster, bus: MemoryBus) -> None:
    assert roster.apply([ROOM], [FRONT]) == ["wrote t/s/101", "wrote t/s/101/front"]
    assert (roster.rooms(), roster.cameras()) == ({"t/s/101": ROOM}, {"t/s/101/front": FRONT})
    assert roster.apply([ROOM], [FRONT]) == []
    assert written(bus) == 2


def test_only_what_differs_is_written(roster: Roster) -> None:
    roster.apply([ROOM], [FRONT, BACK])
    faster = CameraConfig(camera=FRONT.camera, source=FRONT.source, fps=10)
    assert roster.apply([ROOM], [faster, BACK]) == ["wrote t/s/101/front"]


def test_what_is_replaced_keeps_what_a_command_cannot_say_and_stays_off(roster: Roster) -> None:
    mask = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0))
    rules = {"sleeping": Rule(least_score=0.4, least_duration_ms=9000, longest_gap_ms=3000)}
    roster.apply(
        [replace(ROOM, rules=rules, samples_allowed=True, enabled=False)],
        [replace(FRONT, masks=(mask,), enabled=False)],
    )
    roster.add_camera(replace(FRONT, source="synth://1"), replace=True)
    roster.add_room(replace(ROOM, time_zone="Europe/Berlin"), replace=True)
    assert roster.camera(FRONT.camera) == replace(FRONT, source="synth://1", masks=(mask,), enabled=False)
    assert roster.room(ROOM.room) == replace(
        ROOM, time_zone="Europe/Berlin", rules=rules, samples_allowed=True, enabled=False
    )


def test_what_is_on_may_be_replaced_by_what_is_off(roster: Roster) -> None:
    roster.apply([ROOM], [FRONT])
    roster.add_camera(replace(FRONT, enabled=False), replace=True)
    roster.add_room(replace(ROOM, enabled=False), replace=True)
    assert (roster.camera(FRONT.camera).enabled, roster.room(ROOM.room).enabled) == (False, False)


def test_what_was_switched_off_at_run_time_stays_off(roster: Roster) -> None:
    roster.apply([ROOM], [FRONT])
    roster.enable_camera(FRONT.camera, enabled=False)
    roster.enable_room(ROOM.room, enabled=False)
    assert roster.apply([ROOM], [FRONT]) == []
    assert not roster.camera(FRONT.camera).enabled
    assert not roster.room(ROOM.room).enabled


def test_another_change_of_the_file_keeps_the_switch(roster: Roster) -> None:
    roster.apply([ROOM], [FRONT])
    roster.enable_camera(FRONT.camera, enabled=False)
    roster.apply([ROOM], [CameraConfig(camera=FRONT.camera, source=FRONT.source, fps=10)])
    assert (roster.camera(FRONT.camera).fps, roster.camera(FRONT.camera).enabled) == (10, False)


def test_a_file_that_states_the_switch_wins(roster: Roster) -> None:
    roster.apply([ROOM], [FRONT])
    roster.enable_camera(FRONT.camera, enabled=False)
    assert roster.apply([ROOM], [FRONT], stated={FRONT.camera}) == ["wrote t/s/101/front"]
    assert roster.camera(FRONT.camera).enabled


def test_what_the_file_no_longer_declares_is_removed_and_what_was_added_at_run_time_stays(roster: Roster) -> None:
    roster.apply([ROOM], [FRONT])
    roster.add_camera(BACK)
    before = Declared(rooms=(ROOM.room,), cameras=(FRONT.camera,))
    assert roster.apply([ROOM], [], before=before) == ["removed t/s/101/front, no longer declared"]
    assert set(roster.cameras()) == {BACK.camera}
    assert roster.apply([], [], before=before) == ["removed t/s/101, no longer declared"]
    assert roster.rooms() == {}


def test_an_unreadable_configuration_is_ignored_and_said(
    roster: Roster, bus: MemoryBus, caplog: pytest.LogCaptureFixture
) -> None:
    roster.apply([ROOM], [FRONT])
    bus.member("x", ()).commit(
        [Outgoing(CAMERAS.name, 0, "t/s/101/odd", b"{}", (("ce_type", b"classpulse.CameraConfig.v9"),))], {}
    )
    assert set(roster.cameras()) == {FRONT.camera}
    assert "(t/s/101/odd): unknown_version: " in caplog.text


class ContestedBus(MemoryBus):
    """Another operator joins right behind each of the first few members."""

    others = 0

    def member(
        self, group: str, topics: Sequence[Topic], *, index: int = 0, count: int = 1, slot: str = ""
    ) -> MemoryMember:
        mine = super().member(group, topics, index=index, count=count, slot=slot)
        if self.others:
            self.others -= 1
            super().member(group, topics, index=index, count=count, slot=slot)
        return mine


def test_an_operator_whom_another_overtook_tries_again() -> None:
    bus = ContestedBus(clock=ManualClock())
    roster = Roster(bus, ManualClock())
    bus.others = 2
    roster.add_room(ROOM)
    assert set(roster.rooms()) == {ROOM.room}
    bus.others = 3
    with pytest.raises(Fenced, match="a later member owns this place"):
        roster.write([FRONT])


def test_an_unknown_key_is_answered_with_the_nearest(roster: Roster) -> None:
    with pytest.raises(BadInput, match="camera = 't/s/101/front': unknown; expected one of none"):
        roster.camera(FRONT.camera)
    roster.apply([ROOM], [FRONT])
    with pytest.raises(BadInput, match="camera = 't/s/101/fron': unknown; nearest is t/s/101/front"):
        roster.enable_camera("t/s/101/fron", enabled=True)


def test_what_is_announced_leaves_a_room_as_it_is_until_then(bus: MemoryBus) -> None:
    clock = ManualClock()
    roster, moment_ms = Roster(bus, clock), clock.now_ms() + 60_000
    later = replace(ROOM, views="disjoint", valid_from_ms=moment_ms)
    roster.apply([ROOM], [FRONT])
    assert roster.apply([later], [FRONT]) == ["wrote t/s/101"]
    assert roster.apply([later], [FRONT]) == []
    for reader in (roster, Roster(bus, clock)):
        assert reader.rooms() == {"t/s/101": ROOM}, "also for who starts in between"
        assert reader.announced() == {"t/s/101": replace(later, until_then=ROOM)}
    clock.advance(60_000)
    assert (roster.rooms(), roster.announced()) == ({"t/s/101": later}, {})
    assert roster.apply([later], [FRONT]) == ["wrote t/s/101"], "what held before is forgotten"
    assert roster.apply([later], [FRONT]) == []
    assert "until_then" not in latest(bus)


def test_what_is_announced_anew_replaces_what_was_announced_not_what_holds(bus: MemoryBus) -> None:
    clock = ManualClock()
    roster, now_ms = Roster(bus, clock), clock.now_ms()
    first = replace(ROOM, views="disjoint", valid_from_ms=now_ms + 60_000)
    second = replace(ROOM, time_zone="Europe/Berlin", valid_from_ms=now_ms + 120_000)
    for written in (ROOM, first, second):
        roster.write([written])
    assert roster.rooms() == {"t/s/101": ROOM}
    clock.advance(119_999)
    assert roster.rooms() == {"t/s/101": ROOM}
    clock.advance(1)
    assert roster.rooms() == {"t/s/101": second}


def test_a_room_whose_first_configuration_is_announced_has_none_before(bus: MemoryBus) -> None:
    clock = ManualClock()
    roster = Roster(bus, clock)
    for minutes in (1, 2):
        roster.write([replace(ROOM, valid_from_ms=clock.now_ms() + 60_000 * minutes)])
    assert roster.announced()["t/s/101"].until_then is None


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def announcing(bus: MemoryBus, clock: ManualClock) -> Roster:
    """A room that is on, overlapping, and from in a minute off and disjoint, as its file states."""
    roster = Roster(bus, clock)
    roster.apply([ROOM], [])
    later = replace(ROOM, views="disjoint", enabled=False, valid_from_ms=clock.now_ms() + 60_000)
    roster.apply([later], [], stated={ROOM.room})
    return roster


def test_switching_a_room_off_switches_off_what_holds_and_what_is_announced(bus: MemoryBus, clock: ManualClock) -> None:
    roster = Roster(bus, clock)
    roster.write([ROOM])
    roster.write([replace(ROOM, views="disjoint", valid_from_ms=clock.now_ms() + 60_000)])
    roster.enable_room("t/s/101", enabled=False)
    assert not roster.rooms()["t/s/101"].enabled
    clock.advance(60_000)
    assert (roster.rooms()["t/s/101"].enabled, roster.rooms()["t/s/101"].views) == (False, "disjoint")
    roster.enable_room("101", enabled=True)
    assert roster.rooms()["t/s/101"].enabled


def test_switching_a_room_on_undoes_no_announced_closing(announcing: Roster, clock: ManualClock) -> None:
    announcing.enable_room("t/s/101", enabled=False)
    announcing.enable_room("t/s/101", enabled=True)
    assert announcing.rooms()["t/s/101"].enabled
    clock.advance(60_000)
    assert not announcing.rooms()["t/s/101"].enabled


def test_what_is_taken_back_before_its_moment_leaves_the_room_as_it_is(announcing: Roster) -> None:
    announcing.apply([ROOM], [])
    assert announcing.rooms() == {"t/s/101": ROOM}


def test_a_room_that_is_off_is_not_opened_by_taking_back_its_announced_opening(
    bus: MemoryBus, clock: ManualClock
) -> None:
    roster = Roster(bus, clock)
    roster.apply([replace(ROOM, enabled=False)], [], stated={ROOM.room})
    roster.apply([replace(ROOM, valid_from_ms=clock.now_ms() + 60_000)], [], stated={ROOM.room})
    roster.apply([ROOM], [])
    assert not roster.rooms()["t/s/101"].enabled


def test_what_replaces_a_room_holds_until_what_is_announced(announcing: Roster, clock: ManualClock) -> None:
    announcing.add_room(replace(ROOM, time_zone="Europe/Berlin"), replace=True)
    assert announcing.rooms()["t/s/101"].time_zone == "Europe/Berlin"
    clock.advance(60_000)
    assert (announcing.rooms()["t/s/101"].views, announcing.rooms()["t/s/101"].enabled) == ("disjoint", False)
