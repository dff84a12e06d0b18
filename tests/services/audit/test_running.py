"""A site that runs is no fault, whatever happens between two looks, and however much of its log has expired."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classpulse.accounts import Account
from classpulse.audit import audit
from classpulse.records import Delivery, Record, RoomPlan
from classpulse.records import Told as ToldNoun
from classpulse.topics import DETECTIONS
from tests.services.aggregate.rig import Rig
from tests.services.aggregate.stories import CAM, ROOM, A, B
from tests.services.aggregate.test_promises import TURNS, interleaved, planned, rooms
from tests.services.audit.logs import NOW, PARTITION, lesson, off, played


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_what_no_final_bucket_holds_yet_is_told_apart_and_no_fault(rig: Rig) -> None:
    played(rig, lesson())
    result = audit(rig.bus)
    assert result.accounts == (Account(CAM, 300, 246, {"lost_in_crash": 2, "stale": 2}, not_yet={"not final": 50}),)
    assert result.balanced


def test_detections_that_aggregate_has_not_read_are_not_final(rig: Rig) -> None:
    rig.tell([*lesson(), off()])
    (account,) = audit(rig.bus).accounts
    assert (account.captured, account.not_yet, account.difference) == (300, {"not final": 300}, 0)


class Restless:
    """A bus on which the site goes on between any two looks."""

    def __init__(self, rig: Rig, log: list[Record], moves: list[int]) -> None:
        self.rig, self.log, self.moves, self.looks = rig, log, moves, 0

    def __getattr__(self, name: str) -> object:
        move = self.moves[self.looks % len(self.moves)] if self.moves else 0
        self.looks += 1
        some, self.log = self.log[: 4 * move], self.log[4 * move :]
        self.rig.tell(some)
        if move:
            self.rig.loop.turn()
        return getattr(self.rig.bus, name)


class Busy(Restless):
    """A bus on which a whole minute passes, and is published, before each look."""

    def __getattr__(self, name: str) -> object:
        self.rig.clock.advance(60_000)
        self.looks += 1
        self.rig.tell(lesson(start=self.rig.clock.now_ms() - 60_000, epoch=self.looks))
        self.rig.turn(after_ms=0)
        return getattr(self.rig.bus, name)


def test_what_is_published_while_it_looks_is_no_fault(rig: Rig) -> None:
    played(rig, lesson(start=NOW - 60_000, epoch=0))
    busy = Busy(rig, [], [])
    result = audit(busy, [ROOM])  # type: ignore[arg-type]
    assert result.balanced, result.faults
    (account,) = result.accounts
    assert account.not_yet.keys() == {"not final"}
    assert account.in_timelines > 10 * 294


SLOW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(
    told=rooms(),
    turns=TURNS,
    before=st.integers(0, 60),
    moves=st.lists(st.integers(0, 3), min_size=1, max_size=40),
    expected=st.booleans(),
    window=st.tuples(st.none() | st.integers(0, 60_000), st.none() | st.integers(60_001, 120_000)),
)
@SLOW
def test_a_site_that_goes_on_between_any_two_looks_never_fails(
    told: list[list[ToldNoun]],
    turns: list[int],
    before: int,
    moves: list[int],
    expected: bool,
    window: tuple[int | None, int | None],
) -> None:
    rig = Rig()
    log = [*([planned(told)] if expected else []), *interleaved(told, turns)]
    played(rig, log[:before])
    restless = Restless(rig, log[before:], moves)
    result = audit(restless, [ROOM], from_ms=window[0], to_ms=window[1])  # type: ignore[arg-type]
    assert result.balanced, result
    rig.tell(restless.log)
    rig.turn()
    assert audit(rig.bus).balanced


@given(
    told=rooms(),
    turns=TURNS,
    delivery=st.sampled_from(["live", "complete"]),
    plans=st.sets(st.integers(0, 60), max_size=3),
    cut=st.integers(1, 60),
)
@SLOW
def test_a_log_whose_beginning_has_expired_never_fails(
    told: list[list[ToldNoun]], turns: list[int], delivery: Delivery, plans: set[int], cut: int
) -> None:
    rig = Rig()
    for camera in (A, B, f"{ROOM}/c")[: len(told)]:
        rig.camera(camera, delivery)
    rig.turn()
    (first,) = rig.all_of(DETECTIONS, RoomPlan)
    for place, noun in enumerate(map(later, interleaved(told, turns))):
        rig.clock.advance(max(getattr(noun, name, 0) for name in TIMES) - rig.clock.now_ms())
        rig.tell([noun, *([first] if place in plans else [])])
        if place % 3 == 0:
            rig.loop.turn()
    rig.turn()
    rig.bus.forget(DETECTIONS, {PARTITION: cut})
    assert audit(rig.bus).balanced


TIMES = ("captured_at_ms", "first_ms", "last_ms", "at_ms")


def later(noun: Record) -> Record:
    """The same in the rig's time, a minute after it began."""
    times = {name: getattr(noun, name) + NOW + 60_000 for name in TIMES if hasattr(noun, name)}
    return msgspec.structs.replace(noun, **times)
