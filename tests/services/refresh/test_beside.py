"""The champion beside a canary: what both say of the same pictures, as far as those are there."""

import pytest

from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock
from classpulse.codec import encode
from classpulse.records import Detection, Frame
from classpulse.refresh.beside import JUDGED_BOXES, Beside
from classpulse.topics import DETECTIONS, FRAMES
from tests.services.aggregate.stories import CAM, at, frame
from tests.services.detect.rig import jpeg
from tests.services.detect.test_swap import FakeEyes

NEW = "b" * 64
OTHER_CAMERA = "t/s/elsewhere/front"


class Rig:
    """A canary's camera, and the champion, which always sees somebody in the same place."""

    def __init__(self) -> None:
        self.clock = ManualClock(1_000_000)
        self.bus = MemoryBus(clock=self.clock)
        self.bus.create([FRAMES, DETECTIONS])
        self._source, self._worker = self.bus.member("source", ()), self.bus.member("worker", ())
        self.told(0, at(9))  # before: nobody asked yet
        self.beside = Beside(self.bus, FakeEyes("champion", self.clock, [at(1)]), NEW, [CAM])

    def told(self, sequence: int, *seen: Detection, model: str = NEW, camera: str = CAM, shown: bool = True) -> None:
        """A picture, and what was told of it."""
        self.clock.advance(200)
        now_ms = self.clock.now_ms()
        picture = Frame(
            camera=camera, epoch=1, sequence=sequence, captured_at_ms=now_ms, interval_ms=200, width=32, height=24, jpeg=jpeg()
        )  # fmt: skip
        if shown:
            self._source.commit([encode(picture, topic=FRAMES, at_ms=now_ms)], {})
        noun = frame(sequence, now_ms, *seen, model=model, camera=camera)
        self._worker.commit([encode(noun, topic=DETECTIONS, at_ms=now_ms)], {})

    def looked(self, count: int, *seen: Detection) -> str:
        """So many pictures, each looked at when it was told of; gives what speaks against the canary then."""
        against = ""
        for sequence in range(1, count + 1):
            self.told(sequence, *seen)
            against = self.beside.look()
        return against


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_canary_that_sees_the_same_has_nothing_against_it(rig: Rig) -> None:
    assert rig.looked(20, at(1)) == ""
    assert (rig.beside.pictures, rig.beside.boxes, rig.beside.matched) == (20, 40, 40)


def test_a_blind_one_is_told_once_enough_boxes_were_compared(rig: Rig) -> None:
    assert rig.looked(JUDGED_BOXES - 1) == ""
    rig.told(JUDGED_BOXES)
    assert rig.beside.look() == ("agrees with the champion on 0% of 30 boxes in 30 pictures; expected 30%")


def test_one_that_sees_somebody_elsewhere_is_told(rig: Rig) -> None:
    assert rig.looked(JUDGED_BOXES, at(5)).startswith("agrees with the champion on 0% of 60 boxes")


def test_one_that_sees_twice_as_much_is_not_worse(rig: Rig) -> None:
    assert rig.looked(JUDGED_BOXES, at(1), at(5)) == ""


def test_of_many_pictures_since_the_last_look_the_newest_is_compared(rig: Rig) -> None:
    for sequence in (1, 2, 3):
        rig.told(sequence, at(1))
    rig.beside.look()
    assert rig.beside.pictures == 1
    rig.beside.look()
    assert rig.beside.pictures == 1, "and no picture twice"


def test_pictures_that_are_gone_and_what_others_told_say_nothing(rig: Rig) -> None:
    rig.told(1, shown=False)
    rig.beside.look()
    rig.told(2, model="champion")
    rig.beside.look()
    rig.told(3, camera=OTHER_CAMERA)
    rig.beside.look()
    assert rig.beside.pictures == 0
