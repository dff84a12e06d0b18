"""The loop applies each kind of error once, and a step is committed whole or repeated."""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import pytest

from classpulse.bus.base import Place
from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock
from classpulse.codec import Outgoing, Stored, decode, encode
from classpulse.errors import UNREADABLE, Fenced, InvalidRecord, Recoverable, StorageFull
from classpulse.records import DeadLetter, Heartbeat, Hole
from classpulse.stage import ALLOWED_SKEW_MS, LAG_EVERY_MS, SKEW_FOR_MS, Loop, Pace, Step, Taken
from classpulse.topics import DEAD_LETTERS, DETECTIONS, FRAMES, TOPICS
from tests.support import Shown

CAMERA = "t/s/room/cam"


class Echo:
    """Forwards heartbeats to detections; says a hole for what it could not read."""

    name = "echo"

    def __init__(self) -> None:
        self.fail_next = 0
        self.committed_steps = 0
        self.forgotten: list[tuple[int, frozenset[Place]]] = []

    def step(self, taken: Sequence[Taken], expired: Mapping[Place, int]) -> Step:
        if self.fail_next:
            self.fail_next -= 1
            raise Recoverable("the net is away")
        step = Step()
        for item in taken:
            if isinstance(item.noun, InvalidRecord):
                hole = Hole(camera=item.stored.key, epoch=0, reason=item.noun.reason)
                step.outputs.append(encode(hole, topic=DETECTIONS, at_ms=0))
                continue
            assert isinstance(item.noun, Heartbeat)
            step.outputs.append(encode(item.noun, topic=DETECTIONS, at_ms=item.noun.at_ms))
        return step

    def forget(self, places: Collection[Place]) -> None:
        self.forgotten.append((self.committed_steps, frozenset(places)))

    def committed(self, step: Step, now_ms: int) -> None:
        self.committed_steps += 1

    def idle(self, now_ms: int) -> list[Outgoing]:
        return []


class Rig:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.bus = MemoryBus(clock=self.clock)
        self.bus.create(tuple(TOPICS.values()))
        self.stage = Echo()
        self.metrics = Shown()
        self.source = self.bus.member("source", ())
        self.loop = self.new_loop()

    def new_loop(self) -> Loop:
        return Loop(
            self.stage,
            self.bus,
            self.bus.member("echo", (FRAMES,)),
            self.clock,
            Pace(timeout_ms=0),
            metrics=self.metrics,
        )

    def beat(self, at_ms: int | None = None) -> Outgoing:
        at_ms = self.clock.now_ms() if at_ms is None else at_ms
        return encode(
            Heartbeat(camera=CAMERA, epoch=1, last_sequence=-1, at_ms=at_ms, state="up"), topic=FRAMES, at_ms=at_ms
        )

    def all_of(self, topic: str) -> list[Stored]:
        ends = self.bus.ends(TOPICS[topic])
        return [
            record
            for partition in ends
            for record in self.bus.fetch(Place(topic, partition), 0, max_records=1000, max_bytes=10**9)
        ]


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_an_empty_bus_gives_an_empty_turn(rig: Rig) -> None:
    assert rig.loop.turn() == 0
    assert rig.stage.committed_steps == 0


def test_a_record_becomes_its_output_once(rig: Rig) -> None:
    rig.source.commit([rig.beat()], {})
    assert rig.loop.turn() == 1
    assert rig.loop.turn() == 0
    assert len(rig.all_of(DETECTIONS.name)) == 1


def test_a_successor_goes_on_where_the_last_commit_ended(rig: Rig) -> None:
    rig.source.commit([rig.beat(1)], {})
    rig.loop.turn()
    rig.source.commit([rig.beat(2)], {})
    rig.new_loop().turn()
    assert [decode(r).at_ms for r in rig.all_of(DETECTIONS.name)] == [1, 2]  # type: ignore[attr-defined]


def test_what_was_handed_over_is_forgotten_before_the_next_step_and_told_once(rig: Rig) -> None:
    gone = [frozenset({Place(FRAMES.name, 3)}), frozenset[Place]()]
    rig.loop.member.handed_over = lambda: gone.pop(0)  # type: ignore[method-assign]
    rig.source.commit([rig.beat()], {})
    rig.loop.turn()
    rig.loop.turn()
    assert rig.stage.forgotten == [(0, frozenset({Place(FRAMES.name, 3)}))]
    assert rig.stage.committed_steps == 1


def test_an_unreadable_record_is_put_aside_and_the_rest_goes_on(rig: Rig) -> None:
    good = rig.beat()
    bad = Outgoing(good.topic, good.partition, CAMERA, None, (("ce_type", b"classpulse.Heartbeat.v9"),))
    rig.source.commit([good, bad, rig.beat(5)], {})
    rig.loop.turn()
    outputs = [type(decode(r)).__name__ for r in rig.all_of(DETECTIONS.name)]
    assert sorted(outputs) == ["Heartbeat", "Heartbeat", "Hole"]
    (letter,) = [decode(r) for r in rig.all_of(DEAD_LETTERS.name)]
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.key, letter.stage) == ("unknown_version", CAMERA, "echo")
    assert letter.payload is None, "a topic with pictures never has its payload copied"


def test_a_record_from_the_future_is_put_aside(rig: Rig) -> None:
    late = rig.clock.now_ms() + ALLOWED_SKEW_MS
    rig.source.commit([rig.beat(late), rig.beat(late + 1)], {})
    rig.loop.turn()
    (letter,) = [decode(r) for r in rig.all_of(DEAD_LETTERS.name)]
    assert isinstance(letter, DeadLetter)
    assert letter.reason == "from_the_future"
    assert f"captured at {late + 1} ms" in letter.detail


def test_a_recoverable_step_is_tried_again_with_nothing_lost(rig: Rig) -> None:
    rig.source.commit([rig.beat(1), rig.beat(2)], {})
    rig.stage.fail_next = 3
    stop = threading.Event()
    committed = rig.stage.committed

    def then_stop(step: Step, now_ms: int) -> None:
        committed(step, now_ms)
        stop.set()

    rig.stage.committed = then_stop  # type: ignore[method-assign]
    rig.loop.run(stop)
    assert [decode(r).at_ms for r in rig.all_of(DETECTIONS.name)] == [1, 2]  # type: ignore[attr-defined]


class FullDisk:
    """A member of which the first commits find no room."""

    def __init__(self, inner: object, refusals: int) -> None:
        self.inner, self.refusals, self.polls = inner, refusals, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def commit(self, outputs: Sequence[Outgoing], positions: Mapping[Place, int]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise StorageFull("no room on the disk")
        self.inner.commit(outputs, positions)  # type: ignore[attr-defined]


def test_a_full_disk_stops_input_until_there_is_room_and_loses_nothing(rig: Rig) -> None:
    rig.source.commit([rig.beat(1)], {})
    member = FullDisk(rig.bus.member("echo", (FRAMES,)), refusals=4)
    loop = Loop(rig.stage, rig.bus, member, rig.clock, Pace(timeout_ms=0), metrics=rig.metrics)  # type: ignore[arg-type]
    before = rig.clock.now_ms()
    assert loop.turn() == 1
    assert rig.clock.now_ms() > before, "it waited between the tries"
    assert len(rig.all_of(DETECTIONS.name)) == 1


def test_who_waits_for_a_disk_comes_round_and_who_waits_for_a_net_does_not(rig: Rig) -> None:
    signs: list[int] = []

    class Watched(FullDisk):
        def commit(self, outputs: Sequence[Outgoing], positions: Mapping[Place, int]) -> None:
            signs.append(loop.pulse.at_ms)
            super().commit(outputs, positions)

    member = Watched(rig.bus.member("echo", (FRAMES,)), refusals=3)
    loop = Loop(rig.stage, rig.bus, member, rig.clock, Pace(timeout_ms=0), metrics=rig.metrics)  # type: ignore[arg-type]
    rig.source.commit([rig.beat()], {})
    rig.clock.advance(1)
    loop.turn()
    assert len({*signs}) == len(signs) == 4, "each try is a sign of life"
    assert loop.pulse.steps == 1

    before = loop.pulse
    rig.source.commit([rig.beat()], {})
    rig.stage.fail_next = 1
    with pytest.raises(Recoverable):
        loop.turn()
    assert loop.pulse == before


def test_a_fenced_loop_exits_and_writes_nothing(rig: Rig) -> None:
    rig.source.commit([rig.beat(1)], {})
    rig.new_loop()
    with pytest.raises(Fenced):
        rig.loop.run(threading.Event())
    assert rig.all_of(DETECTIONS.name) == []


def test_an_output_too_large_fails_alone(rig: Rig) -> None:
    class Shouter(Echo):
        def step(self, taken: Sequence[Taken], expired: Mapping[Place, int]) -> Step:
            step = super().step(taken, expired)
            huge = step.outputs[0]
            too_much = b"x" * (DETECTIONS.max_record_bytes + 1)
            step.outputs.append(Outgoing(huge.topic, huge.partition, huge.key, too_much, huge.headers))
            return step

    rig.stage = Shouter()
    rig.source.commit([rig.beat(1)], {})
    assert rig.new_loop().turn() == 1
    assert len(rig.all_of(DETECTIONS.name)) == 1


def test_what_may_be_counted_is_shown_at_zero_before_it_is(rig: Rig) -> None:
    assert {reason: rig.metrics.value("deadletters_total", reason=reason) for reason in UNREADABLE} == dict.fromkeys(
        UNREADABLE, 0
    )
    assert [rig.metrics.value("transactions_total", result=r) for r in ("committed", "retried", "too_large")] == [
        0,
        0,
        0,
    ]


def test_dead_letters_and_transactions_are_counted_by_what_became_of_them(rig: Rig) -> None:
    rig.source.commit([replace(rig.beat(), headers=())], {})
    member = FullDisk(rig.bus.member("echo", (FRAMES,)), refusals=2)
    loop = Loop(rig.stage, rig.bus, member, rig.clock, Pace(timeout_ms=0), metrics=rig.metrics)  # type: ignore[arg-type]
    loop.turn()
    assert rig.metrics.value("deadletters_total", reason="no_type") == 1
    assert [rig.metrics.value("transactions_total", result=r) for r in ("committed", "retried")] == [1, 2]
    assert [rig.metrics.value("stage_duration_seconds_count", stage="echo", step=s) for s in ("step", "commit")] == [
        1,
        1,
    ]


def test_how_far_clocks_are_ahead_is_told_for_some_minutes(rig: Rig) -> None:
    def skew_after(*ahead_ms: int) -> float | None:
        rig.source.commit([rig.beat(rig.clock.now_ms() + one) for one in ahead_ms], {})
        rig.loop.turn()
        rig.clock.advance(2_000)
        rig.loop.turn()
        return rig.metrics.value("clock_skew_seconds", stage="echo")

    assert skew_after() == 0
    assert skew_after(-5_000) == 0, "a record that waited says nothing of clocks"
    assert skew_after(1_500, 3_000, 500) == 3
    assert skew_after(ALLOWED_SKEW_MS + 1_000) == 11, "what is refused for it is told, too"
    rig.clock.advance(SKEW_FOR_MS // 2 - 10_000)
    assert skew_after(1_000) == 11
    rig.clock.advance(SKEW_FOR_MS // 2)
    assert skew_after(1_000) == 1
    rig.clock.advance(SKEW_FOR_MS)
    assert skew_after() == 0


def test_the_pulse_tells_how_many_partitions_are_ours(rig: Rig) -> None:
    assert rig.loop.pulse.assigned == 0
    rig.loop.turn()
    assert rig.loop.pulse.assigned == FRAMES.partitions
    rig.source.commit([rig.beat()], {})
    rig.loop.turn()
    assert rig.loop.pulse.assigned == FRAMES.partitions


def test_lag_and_the_age_of_the_oldest_unprocessed_record_are_told(rig: Rig) -> None:
    def told() -> tuple[float, float]:
        names = ("reader_lag_records", "oldest_unprocessed_seconds")
        return tuple(rig.metrics.value(name, stage="echo") for name in names)  # type: ignore[return-value]

    rig.loop.turn()
    assert told() == (0, 0)
    rig.source.commit([rig.beat()], {})
    rig.clock.advance(3_000)
    rig.source.commit([rig.beat()], {})
    rig.stage.fail_next = 1
    with pytest.raises(Recoverable):
        rig.loop.turn()
    assert told() == (2, 3)
    rig.loop.member.rewind()
    rig.clock.advance(1_000)
    rig.loop.turn()
    assert told() == (2, 4), "what is polled and not committed is still waiting"
    rig.clock.advance(1_000)
    rig.loop.turn()
    assert told() == (0, 0)


def test_since_when_there_are_records_is_told_a_partition_at_a_time(rig: Rig) -> None:
    def told() -> float | None:
        return rig.metrics.value("oldest_record_timestamp_seconds", topic="frames")

    def look(times: int) -> None:
        for _ in range(times):
            rig.clock.advance(LAG_EVERY_MS)
            rig.loop.turn()

    look(FRAMES.partitions)
    assert told() == 0, "there are none"
    first_ms = rig.clock.now_ms()
    rig.source.commit([rig.beat()], {})
    rig.clock.advance(60_000)
    rig.source.commit([rig.beat()], {})
    look(FRAMES.partitions)
    assert told() == first_ms / 1000, "of what was read, too: it can still be read"
    rig.bus.forget(FRAMES, dict.fromkeys(range(FRAMES.partitions), 1))
    look(FRAMES.partitions)
    assert told() == (first_ms + 60_000) / 1000
    rig.bus.forget(FRAMES, dict.fromkeys(range(FRAMES.partitions), 2))
    look(FRAMES.partitions)
    assert told() == 0
