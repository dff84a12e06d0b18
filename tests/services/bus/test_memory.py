"""What is particular to the bus in memory: whose clock it uses, and that every bus is its own."""

import pytest

from classpulse.bus.base import Place, open_bus
from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock
from classpulse.codec import Outgoing
from classpulse.errors import BadInput, Fatal
from tests.services.bus.sqlite_worker import SOURCE, STATE


def test_two_buses_share_nothing() -> None:
    one, other = open_bus("memory://"), open_bus("memory://")
    one.create([SOURCE])

    with pytest.raises(Fatal, match="topic 'source' does not exist on this bus; expected one of \\(none\\)"):
        other.ends(SOURCE)


def test_an_unknown_scheme_is_refused_with_those_there_are() -> None:
    with pytest.raises(BadInput, match="unknown scheme 'redis'; expected one of memory://, sqlite://"):
        open_bus("redis://")


def test_records_carry_the_time_of_the_bus_clock_and_waiting_moves_it() -> None:
    clock = ManualClock(1000)
    bus = MemoryBus(clock=clock)
    bus.create([SOURCE])
    member = bus.member("g", [SOURCE])

    assert member.poll(max_records=1, max_bytes=1, timeout_ms=0) == []
    assert clock.now_ms() == 1000
    assert member.poll(max_records=1, max_bytes=1, timeout_ms=200) == []
    assert clock.now_ms() == 1200
    member.commit([Outgoing(SOURCE.name, 0, "k", b"v", ())], {})
    (record,) = member.poll(max_records=1, max_bytes=1, timeout_ms=200)
    assert record.appended_at_ms == clock.now_ms() == 1200


def test_deletions_are_forgotten_after_their_time() -> None:
    bus = MemoryBus(clock=ManualClock(0))
    bus.create([STATE])
    member = bus.member("g", [])
    member.commit([Outgoing(STATE.name, 0, "k", b"v", ()), Outgoing(STATE.name, 0, "k", None, ())], {})

    assert bus.retain(3_600_000) == 0
    assert bus.retain(3_600_001) == 1
    assert bus.fetch(Place(STATE.name, 0), 0, max_records=9, max_bytes=9) == []


def test_a_closed_bus_says_so() -> None:
    bus = MemoryBus()
    bus.close()

    with pytest.raises(Fatal, match="memory bus is closed; expected an open one"):
        bus.create([SOURCE])
