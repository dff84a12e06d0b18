"""Rounds of lessons on a bus: whose, where, with what result, and that nothing of them stays declared."""

import logging
from collections.abc import Mapping, Sequence

import pytest

from classpulse.bus.base import Place
from classpulse.bus.memory import MemoryBus, MemoryMember
from classpulse.canary.nodes import FORGOTTEN_AFTER
from classpulse.canary.rounds import Canary
from classpulse.codec import Outgoing
from classpulse.errors import Recoverable
from classpulse.records import CameraConfig, RoomConfig
from classpulse.topics import FRAMES, TOPICS, partition_of
from tests.services.canary.rig import LATE_MS, Passing, Route
from tests.services.canary.test_nodes import camera_at


@pytest.fixture
def route() -> Route:
    return Route()


def partitions(route: Route) -> list[int]:
    return [partition_of(config.camera, FRAMES.partitions) for config in route.played]


def test_without_a_camera_a_lesson_is_played_for_whoever_looks_and_names_him(route: Route) -> None:
    route.play()
    assert [config.camera for config in route.played] == ["canary/school/canary-1/0"]
    assert (route.missed("a"), route.came("a")) == (None, 2)
    route.play()
    assert (route.missed("a"), route.came("a")) == (0, 4)


def test_where_nobody_looks_at_all_it_is_none_whose_lesson_was_missed(
    route: Route, caplog: pytest.LogCaptureFixture
) -> None:
    route.node_of = lambda _: None
    route.play()
    assert route.missed("none") == 1
    assert "node none: canary lesson missed: pictures of it were captured (1) and none was looked at" in caplog.text


def test_a_lesson_is_played_in_a_school_whose_cameras_are_opened_here(route: Route) -> None:
    route.roster.apply(
        [RoomConfig(room="t/far/1"), RoomConfig(room="t/near/1")],
        [
            CameraConfig(camera="t/far/1/front", source="bridge://"),
            CameraConfig(camera="t/near/1/front", source="rtsp://x"),
        ],
    )
    route.play()
    assert [config.camera for config in route.played] == ["t/near/canary-1/0"]


def test_two_nodes_have_a_lesson_each_and_only_the_one_that_does_not_look_misses(
    route: Route, caplog: pytest.LogCaptureFixture
) -> None:
    route.report("a", camera_at(3, "t/s"))
    route.report("b", camera_at(4, "t/other"))
    route.node_of = {3: "a"}.get
    route.play()
    assert [config.camera.rpartition("/")[0] for config in route.played] == ["t/s/canary-1", "t/other/canary-2"]
    assert partitions(route) == [3, 4]
    assert (route.missed("a"), route.came("a")) == (0, 2)
    assert (route.missed("b"), route.came("b")) == (1, None)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "node b: canary lesson missed: pictures of it were captured (1) and none was looked at"
    ]


def test_each_round_takes_another_of_the_node_s_partitions_and_another_source(route: Route) -> None:
    route.report("a", camera_at(3))
    route.report("a", camera_at(8))
    for _ in range(3):
        route.play()
    assert partitions(route) == [3, 8, 3]
    first, second, third = route.played
    assert first.camera == third.camera != second.camera
    assert len({config.source for config in route.played}) == 3
    assert route.missed("a") == 0


def test_a_frozen_node_misses_round_after_round_until_another_has_what_it_had(route: Route) -> None:
    route.report("a", camera_at(3))
    route.node_of = lambda _: None
    for _ in range(2 * FORGOTTEN_AFTER):
        route.play()
    assert route.missed("a") == 2 * FORGOTTEN_AFTER
    route.node_of = lambda _: "b"
    route.play()
    assert (route.missed("a"), route.missed("b"), route.came("b")) == (2 * FORGOTTEN_AFTER, None, 2)
    route.play()
    assert (route.missed("a"), route.missed("b"), route.came("b")) == (None, 0, 4), "its figures go with it"


def test_reports_are_heard_once_so_that_a_silent_node_is_not_taken_for_one_that_speaks(route: Route) -> None:
    for partition in range(2 * FORGOTTEN_AFTER):
        route.report("a", camera_at(partition))
    route.node_of = lambda _: "b"
    for _ in range(FORGOTTEN_AFTER):
        route.play(pause_ms=0)
    assert route.missed("a") == 0
    route.play(pause_ms=0)
    assert route.missed("a") is None, "half of its partitions are nobody's, and it did not speak"


def test_events_that_come_late_are_seen_as_that(route: Route, caplog: pytest.LogCaptureFixture) -> None:
    route.report("a", camera_at(3))
    route.delay_ms = LATE_MS + 2_000
    route.play()
    assert (route.missed("a"), route.came("a")) == (1, 1)
    assert "node a: canary lesson missed: an event came 2." in caplog.text


def test_a_dead_ingest_and_a_dead_aggregate_are_told_apart(route: Route, caplog: pytest.LogCaptureFixture) -> None:
    route.report("a", camera_at(3))
    route.ingest = False
    route.play()
    assert "node a: canary lesson missed: no picture of it was captured" in caplog.text
    route.ingest, route.aggregate = True, False
    route.play()
    assert "and no stand-up became an event" in caplog.text
    assert route.missed("a") == 2


def test_between_rounds_nothing_is_declared_and_what_a_dead_canary_left_is_taken_away(route: Route) -> None:
    real = CameraConfig(camera="t/s/1/front", source="rtsp://x")
    route.roster.apply([RoomConfig(room="t/s/1")], [real])
    route.play()
    assert (set(route.roster.rooms()), route.roster.cameras()) == ({"t/s/1"}, {real.camera: real})
    left = CameraConfig(camera="t/s/canary-9/0", source="file:///x")
    route.roster.write([RoomConfig(room="t/s/canary-9"), left])
    route.canary.clear()
    assert (set(route.roster.rooms()), route.roster.cameras()) == ({"t/s/1"}, {real.camera: real})


def test_a_round_that_is_stopped_says_nothing_and_leaves_nothing(route: Route) -> None:
    route.report("a", camera_at(3))
    stop = Passing(route.clock, route.work)
    stop.set()
    route.canary.play(stop)
    assert (route.missed("a"), route.came("a"), route.roster.cameras()) == (0, None, {})


class Locked(MemoryBus):
    """A bus whose writers are refused while it is locked."""

    locked = False

    def apply(self, member: MemoryMember, outputs: Sequence[Outgoing], positions: Mapping[Place, int]) -> None:
        if self.locked:
            raise Recoverable("database is locked")
        super().apply(member, outputs, positions)


def test_a_bus_that_takes_nothing_is_a_missed_lesson_of_every_node(
    route: Route, caplog: pytest.LogCaptureFixture
) -> None:
    bus = Locked(clock=route.clock)
    bus.create(tuple(TOPICS.values()))
    canary = Canary(bus, route.clock, metrics=route.metrics, late_ms=LATE_MS)
    bus.locked = True
    canary.play(Passing(route.clock, lambda: None))
    assert route.missed("none") == 1
    assert "node none: canary lesson missed: the bus does not answer: database is locked" in caplog.text
