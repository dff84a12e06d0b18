"""A candidate and the pictures that are there: which frames are remembered, and what becomes of each."""

import pytest

from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock
from classpulse.codec import encode
from classpulse.records import Frame
from classpulse.second_look import SecondLook
from classpulse.topics import FRAMES
from tests.services.aggregate.stories import CAM, HAND, at, frame
from tests.services.detect.rig import jpeg
from tests.services.detect.test_swap import FakeEyes

BEGAN_MS = 1_000_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(BEGAN_MS)


@pytest.fixture
def bus(clock: ManualClock) -> MemoryBus:
    bus = MemoryBus(clock=clock)
    bus.create([FRAMES])
    return bus


def shown(bus: MemoryBus, *pictures: bytes) -> None:
    """These pictures, from sequence 0 on."""
    frames = [
        Frame(camera=CAM, epoch=1, sequence=n, captured_at_ms=n, interval_ms=1, width=32, height=24, jpeg=picture)
        for n, picture in enumerate(pictures)
    ]
    bus.member("source", ()).commit([encode(one, topic=FRAMES, at_ms=0) for one in frames], {})


def look_at(bus: MemoryBus, clock: ManualClock) -> SecondLook:
    return SecondLook(bus, FakeEyes("candidate", clock, [at(1)]))


def test_where_nothing_was_told_nothing_is_looked_at(bus: MemoryBus, clock: ManualClock) -> None:
    shown(bus, jpeg())
    look = look_at(bus, clock)
    assert (len(look), list(look.found()), look.gone, look.labels) == (0, [], 0, {HAND, "sleeping"})


def test_only_frames_whose_pictures_may_be_there_are_remembered(bus: MemoryBus, clock: ManualClock) -> None:
    shown(bus, jpeg())
    look = look_at(bus, clock)
    look.told(frame(7, 0), BEGAN_MS - 1)
    look.told(frame(0, 0, model="candidate"), BEGAN_MS)
    assert len(look) == 0
    look.told(frame(0, 0), BEGAN_MS)
    assert (len(look), look.own, look.others) == (1, 1, 2)
    assert [(told.sequence, seen) for told, seen in look.found()] == [(0, [at(1)])]
    assert (look.compared, look.gone) == (1, 1)


def test_without_any_picture_nothing_is_remembered(bus: MemoryBus, clock: ManualClock) -> None:
    look = look_at(bus, clock)
    look.told(frame(0, 0), BEGAN_MS)
    assert (len(look), list(look.found()), look.gone) == (0, [], 1)


def test_a_picture_that_cannot_be_read_is_as_good_as_gone(bus: MemoryBus, clock: ManualClock) -> None:
    shown(bus, jpeg()[:-2], jpeg())
    look = look_at(bus, clock)
    for n in range(2):
        look.told(frame(n, 0), BEGAN_MS)
    assert [told.sequence for told, _ in look.found()] == [1]
    assert look.gone == 1
