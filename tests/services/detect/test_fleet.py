"""A fleet keeps as many workers as it was told, where there is room, whatever dies."""

import itertools

import pytest

from classpulse.detect.fleet import (
    DRAIN_MS,
    IDLE_MS,
    KEPT_MS,
    OPENING_MS,
    PROBE_AGAIN_MS,
    PROVEN_MS,
    SILENT_MS,
    STARTING_MS,
    STUCK_MS,
)
from classpulse.detect.ground import Keeper, Probe
from tests.services.detect.ground import TURN_MS, FakeGround, Rig, healthy, node


def test_without_nodes_nobody_works() -> None:
    rig = Rig().raised()
    assert (rig.states, rig.fleet.wanted, rig.fleet.capacity) == ({}, 0, 0)


def test_a_node_is_probed_once_and_then_carries_what_the_probe_found() -> None:
    rig = Rig(node("a"), workers=2)
    rig.turn()
    assert (rig.ground.asked, rig.states) == (["a"], {})
    rig.turn(3)
    assert rig.ground.asked == ["a"]
    assert rig.ground.started == [(0, "a", 1.0), (1, "a", 1.0)], "two workers share two cores"
    assert rig.states == {0: "running", 1: "running"}


def test_a_fast_node_carries_more_than_a_slow_one_and_is_filled_first() -> None:
    rig = Rig(node("fast", "gpu", 1.0), node("slow", "jetson", 1.0), most=3)
    rig.ground.carries = {
        "fast": Probe(3, (200.0, 390.0, 420.0), "tensorrt"),
        "slow": Probe(1, (40.0,), "tensorrt"),
    }
    rig.raised()
    assert [(slot, where) for slot, where, _ in rig.ground.started] == [(0, "fast"), (1, "fast"), (2, "fast")]
    assert rig.fleet.capacity == 4

    rig.fleet.order(least=None, most=None)
    rig.turn()
    assert rig.ground.working[3] == "slow"
    assert [share for _, _, share in rig.ground.started] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1.0])


def test_what_was_found_of_one_gpu_holds_for_each_of_a_node() -> None:
    rig = Rig(node("a", "gpu", 4.0), workers=3).raised()
    assert rig.fleet.capacity == 12
    assert [share for _, _, share in rig.ground.started] == pytest.approx([1 / 3] * 12)


def test_no_more_workers_than_partitions() -> None:
    rig = Rig(node("a"), node("b"), workers=4, most_workers=5).raised()
    assert len(rig.states) == 5


def test_a_node_that_could_not_be_probed_is_tried_again_and_says_why() -> None:
    rig = Rig(node("a"))
    rig.ground.carries["a"] = Probe(0, error="runtime = 'onnxruntime': absent")
    rig.turn(3)
    assert (rig.ground.asked, rig.states, rig.fleet.orders.probes["a"].error) == (
        ["a"],
        {},
        "runtime = 'onnxruntime': absent",
    )
    rig.ground.carries["a"] = Probe(1, (10.0,), "onnxruntime")
    rig.turn(PROBE_AGAIN_MS // TURN_MS + 2)
    assert rig.states == {0: "running"}


def test_a_dead_worker_is_replaced_in_its_slot() -> None:
    rig = Rig(node("a")).raised()
    rig.ground.die(1)
    rig.turn()
    assert rig.states == {0: "running", 1: "waiting"}
    assert rig.fleet.slots[1].why == "died"
    rig.turn(2)
    assert rig.states == {0: "running", 1: "running"}
    assert rig.fleet.slots[1].restarts == 1
    assert rig.metrics.value("worker_restarts_total", node="host-a", process="detect-1") == 1
    assert rig.ground.dismissed == [], "the broker keeps its place for who comes"


def test_one_that_dies_again_and_again_is_waited_for_longer_and_longer_until_it_has_lasted() -> None:
    rig = Rig(node("a"), workers=1).raised()
    starts = []
    for _ in range(60):
        if 0 in rig.ground.working:
            starts.append(rig.clock.monotonic_ms())
            rig.ground.die(0)
        rig.turn()
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert gaps == sorted(gaps)
    assert gaps[0] <= 2 * TURN_MS
    assert gaps[-1] >= 16 * TURN_MS

    while 0 not in rig.ground.working:
        rig.turn()
    rig.turn(PROVEN_MS // TURN_MS)
    rig.ground.die(0)
    rig.turn(2)
    assert rig.states == {0: "running"}


def test_one_that_fails_says_why_and_is_ended_before_it_is_replaced() -> None:
    rig = Rig(node("a"), workers=1).raised()
    rig.ground.healths[0] = healthy(state="failed", error="model: digest expected a, found b")
    rig.turn()
    assert (rig.ground.killed, rig.fleet.slots[0].why) == ([0], "model: digest expected a, found b")
    rig.turn(2)
    assert rig.states == {0: "running"}


def test_one_that_does_not_come_round_is_stuck_but_not_one_that_builds_an_engine() -> None:
    rig = Rig(node("a")).raised()
    rig.ground.healths = {0: healthy(quiet_ms=STUCK_MS - 1), 1: healthy(state="opening", quiet_ms=OPENING_MS - 1)}
    rig.turn()
    assert rig.ground.killed == []
    rig.ground.healths = {0: healthy(quiet_ms=STUCK_MS), 1: healthy(state="opening", quiet_ms=OPENING_MS)}
    rig.turn()
    assert rig.ground.killed == [0, 1]
    assert rig.fleet.slots[0].why == "stuck: has not come round for 45 s"


def test_one_that_does_not_answer_for_a_while_is_ended() -> None:
    rig = Rig(node("a"), workers=1).raised()
    rig.turn()
    rig.ground.healths[0] = None
    rig.turn(SILENT_MS // TURN_MS - 1)
    assert rig.ground.killed == []
    rig.turn(2)
    assert rig.ground.killed == [0]


def test_one_that_was_never_heard_has_longer_to_be_placed_and_to_start() -> None:
    rig = Rig(node("a"), workers=1)
    rig.turn(2)
    rig.ground.healths[0] = None
    rig.turn(STARTING_MS // TURN_MS - 1)
    assert rig.ground.killed == []
    rig.turn(2)
    assert rig.ground.killed == [0]


def test_what_was_known_of_nodes_that_are_gone_is_forgotten_with_the_next_probe() -> None:
    rig = Rig(node("a"), node("b")).raised()
    rig.fleet.order(drained=frozenset({"a", "b"}))
    rig.ground.there = [node("b"), node("c")]
    rig.ground.carries["c"] = rig.ground.carries["b"]
    rig.turn(3)
    assert (set(rig.fleet.orders.probes), rig.fleet.orders.drained) == ({"b", "c"}, {"b"})


def test_a_drained_nodes_workers_go_where_there_is_room_and_the_others_stay() -> None:
    rig = Rig(node("a"), node("b"), most=3).raised()
    where = dict(rig.ground.working)
    rig.fleet.order(drained=frozenset({"b"}))
    rig.turn(4)
    stayed = {slot for slot, name in where.items() if name == "a"}
    assert set(rig.ground.drained) == set(where) - stayed
    assert set(rig.ground.working.values()) == {"a"}
    assert len(rig.ground.working) == rig.fleet.capacity == 2

    rig.fleet.order(drained=frozenset())
    rig.turn(2)
    assert sorted(rig.ground.working.values()).count("b") == 1


def test_one_that_does_not_end_when_drained_is_ended_and_its_place_given_up() -> None:
    rig = Rig(node("a"), workers=1).raised()
    rig.ground.stubborn = True
    rig.fleet.order(least=0, most=0)
    rig.turn(DRAIN_MS // TURN_MS)
    assert (rig.states, rig.ground.killed) == ({0: "draining"}, [])
    rig.turn(2)
    assert (rig.states, rig.ground.killed, rig.ground.dismissed) == ({}, [0], [0])


def test_fewer_are_drained_and_more_are_started_when_told() -> None:
    rig = Rig(node("a"), workers=4).raised()
    rig.fleet.order(least=2, most=2)
    rig.turn(3)
    assert (sorted(rig.ground.working), rig.ground.drained) == ([0, 1], [2, 3])
    rig.fleet.order(least=3, most=3)
    rig.turn(2)
    assert sorted(rig.ground.working) == [0, 1, 2]


def test_a_lost_nodes_workers_move_and_come_back_with_it() -> None:
    rig = Rig(node("a"), node("b"), most=2)
    rig.ground.carries["b"] = Probe(1, (1.0,), "onnxruntime")
    rig.raised()
    assert set(rig.ground.working.values()) == {"a"}
    gone = rig.ground.there.pop(0)
    for slot in list(rig.ground.working):
        rig.ground.die(slot)
    rig.turn(4)
    assert list(rig.ground.working.values()) == ["b"]
    lost = [rig.metrics.value("worker_restarts_total", node="host-a", process=f"detect-{slot}") for slot in (0, 1)]
    assert lost == [1, 1], "by the node that they were on, although it is gone"
    rig.ground.there.append(gone)
    rig.turn(4)
    assert sorted(rig.ground.working.values()) == ["a", "b"]


def test_a_fresh_supervisor_adopts_who_works_and_what_was_ordered() -> None:
    rig = Rig(node("a"), node("b"), workers=3).raised()
    rig.fleet.order(least=4, most=4)
    rig.fleet.order(drained=frozenset({"b"}))
    rig.turn(4)
    started = list(rig.ground.started)
    rig.fleet = rig.successor()
    rig.turn(3)
    assert rig.fleet.orders.drained == {"b"}
    assert (rig.ground.started, rig.ground.asked) == (started, ["a", "b"]), "nobody was started or probed again"
    assert set(rig.states.values()) == {"running"}


def test_orders_outlive_the_supervisor_and_all_workers() -> None:
    rig = Rig(node("a"), node("b")).raised()
    rig.fleet.order(drained=frozenset({"b"}))
    rig.turn(4)
    for slot in list(rig.ground.working):
        rig.ground.die(slot)
    rig.ground.started.clear()
    rig.fleet = rig.successor()
    rig.turn(3)
    assert rig.fleet.orders.drained == {"b"}
    assert {where for _, where, _ in rig.ground.started} == {"a"}
    assert rig.ground.asked == ["a", "b"], "nothing is probed again"


def test_what_cannot_be_kept_for_a_supervisor_to_come_is_not_ordered() -> None:
    rig = Rig(node("a")).raised()
    before = rig.fleet.orders
    rig.ground.forgetful = True
    with pytest.raises(ConnectionError, match="no head"):
        rig.fleet.order(least=0, most=0)
    rig.turn()
    assert (rig.fleet.orders, len(rig.states)) == (before, 2)


def test_one_that_ends_drains_everybody_and_its_orders_stay() -> None:
    rig = Rig(node("a"), least=1).raised()
    rig.fleet.end()
    rig.turn(3)
    assert (rig.states, rig.fleet.wanted, rig.fleet.orders.least) == ({}, 0, 1)


HERE, THERE = Keeper("a", 1), Keeper("b", 1)


def test_whoever_comes_first_keeps_it_as_long_as_he_is_heard() -> None:
    rig = Rig(node("a"))
    assert rig.fleet.kept(HERE) is None
    for _ in range(2 * KEPT_MS // TURN_MS):
        rig.turn()
        assert rig.fleet.kept(THERE) == TURN_MS, "another is told how long ago that was"
        assert rig.fleet.kept(None) == TURN_MS
        assert rig.fleet.kept(HERE) is None
    assert rig.fleet.orders.keeper == HERE


def test_a_keeper_that_is_silent_for_long_has_a_successor_and_is_refused_when_it_is_back() -> None:
    rig = Rig(node("a"))
    rig.fleet.kept(HERE)
    rig.turn(KEPT_MS // TURN_MS - 1)
    assert rig.fleet.kept(THERE) == KEPT_MS - TURN_MS
    rig.turn()
    assert rig.fleet.kept(THERE) is None
    assert (rig.fleet.orders.keeper, rig.fleet.kept(HERE)) == (THERE, 0)


def test_one_that_nobody_keeps_is_adopted_as_it_was_ordered_and_may_be_left_to_itself() -> None:
    rig = Rig(node("a"), least=1)
    assert rig.fleet.kept(None) is None
    assert rig.fleet.kept(HERE) is None
    assert (rig.fleet.orders.keeper, rig.fleet.orders.least) == (HERE, 1)
    rig.turn(KEPT_MS // TURN_MS)
    assert rig.fleet.kept(None) is None
    assert rig.fleet.orders.keeper is None


def test_a_keeper_that_leaves_has_a_successor_at_once_and_nobody_can_leave_for_another() -> None:
    rig = Rig(node("a"), least=1).raised()
    rig.fleet.kept(HERE)
    working = dict(rig.ground.working)
    rig.fleet.leave(THERE)
    assert rig.fleet.orders.keeper == HERE
    rig.fleet.leave(HERE)
    assert rig.fleet.orders.keeper is None
    assert rig.fleet.kept(THERE) is None
    rig.turn()
    assert rig.ground.working == working, "and nobody's work is disturbed"


def test_a_fresh_supervisor_knows_the_keeper_and_gives_it_time_to_be_heard() -> None:
    rig = Rig(node("a"))
    rig.fleet.kept(HERE)
    rig.clock.advance(KEPT_MS)
    rig.fleet = rig.successor()
    assert rig.fleet.kept(THERE) == 0
    assert rig.fleet.kept(HERE) is None


def test_more_come_while_frames_wait_and_go_when_they_are_long_not_needed() -> None:
    rig = Rig(node("a"), workers=4, least=1, most=3).raised()
    assert len(rig.ground.working) == 1
    late(rig.ground, oldest_ms=2_500)
    rig.turn(2)
    assert len(rig.ground.working) == 1, "not for a single peak"
    for _ in range(12):
        rig.turn()
        late(rig.ground, oldest_ms=2_500)
    assert len(rig.ground.working) == 3

    late(rig.ground, oldest_ms=0)
    rig.turn(IDLE_MS // TURN_MS - 1)
    assert len(rig.ground.working) == 3
    rig.turn(4)
    assert len(rig.ground.working) == 2
    rig.turn(IDLE_MS // TURN_MS + 4)
    assert len(rig.ground.working) == 1
    rig.turn(2 * IDLE_MS // TURN_MS)
    assert len(rig.ground.working) == 1


def test_where_some_may_come_one_is_there_to_see_what_waits() -> None:
    rig = Rig(node("a"), workers=4).raised()
    rig.fleet.order(least=0, most=3)
    rig.turn(3)
    assert len(rig.ground.working) == 1
    rig.fleet.order(least=0, most=0)
    rig.turn(3)
    assert rig.ground.working == {}


def test_busy_workers_stay_though_nothing_waits() -> None:
    rig = Rig(node("a"), workers=2, least=1, most=2).raised()
    late(rig.ground, oldest_ms=2_500)
    rig.turn(5)
    assert len(rig.ground.working) == 2
    for second in range(2 * IDLE_MS // TURN_MS):
        rig.ground.healths = {slot: healthy(busy_ms=700 * second, steps=second) for slot in rig.ground.working}
        rig.turn()
    assert len(rig.ground.working) == 2


def late(ground: FakeGround, *, oldest_ms: int) -> None:
    ground.healths = {slot: healthy(oldest_ms=oldest_ms) for slot in ground.working}


def test_what_people_see_are_rates_between_two_answers() -> None:
    rig = Rig(node("a"), workers=1).raised()
    rig.ground.healths[0] = healthy(frames=10, steps=2, busy_ms=100)
    rig.turn()
    rig.ground.healths[0] = healthy(frames=22, steps=5, busy_ms=400)
    rig.turn()
    (slot,) = rig.fleet.view().slots
    assert (slot.frames_per_s, slot.batch, slot.busy) == (12.0, 4.0, pytest.approx(0.3))
