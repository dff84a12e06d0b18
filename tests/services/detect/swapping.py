"""Eyes that see what they are told to, and a line on which releases come in: what the tests of a swap share."""

from collections.abc import Sequence

import numpy as np

from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock
from classpulse.detect.pictures import Picture
from classpulse.detect.sight import BUSY_OVER_MS, LOOK_EVERY_MS, LineSight
from classpulse.detect.swap import Eyes
from classpulse.lines import Lines, promoted, with_canary
from classpulse.records import Detection, ModelRelease
from classpulse.topics import MODELS
from tests.services.supervisor.running import wait_until
from tests.support import Shown

CAMERA, OTHER = "t/s/r/front", "t/s/r/back"
PICTURE = np.zeros((9, 16, 3), np.uint8)


def box(x: float = 0.1, *, behaviour: str = "hand-raising", score: float = 0.9) -> Detection:
    return Detection(behaviour=behaviour, score=score, box_xyxy=(x, 0.1, x + 0.2, 0.3))


class FakeEyes:
    """Sees what it is told to, takes as long as it is told to, and breaks when it is told to."""

    def __init__(self, digest: str, clock: ManualClock, seen: list[Detection] | None = None, took_ms: int = 10) -> None:
        self.digest, self.labels = digest, ("hand-raising", "sleeping")
        self.runtime, self.refused = "fake", ()
        self.clock, self.seen, self.took_ms = clock, [box()] if seen is None else seen, took_ms
        self.looks = 0
        self.at_once = 1
        self.breaks_at: int | None = None

    def see(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        self.looks += 1
        if self.breaks_at is not None and self.looks >= self.breaks_at:
            raise ValueError("CUDA: cudaErrorIllegalAddress, expected cudaSuccess")
        self.clock.advance(self.took_ms)
        return [self.seen] * len(pictures)


class Rig:
    """A sight on a line, with releases that are opened when they are wanted."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.bus = MemoryBus(clock=self.clock)
        self.bus.create([MODELS])
        self.lines = Lines(self.bus, self.clock)
        self.there: dict[str, FakeEyes | Exception] = {}
        self.opened: list[str] = []
        self.own = FakeEyes("own", self.clock)
        self.metrics = Shown()
        self.sight = LineSight(self.bus, self.clock, "main", self.open, self.own, metrics=self.metrics)

    def open(self, release: ModelRelease) -> Eyes:
        self.opened.append(release.digest)
        found = self.there[release.digest]
        if isinstance(found, Exception):
            raise found
        return found

    def register(self, digest: str, eyes: FakeEyes | Exception | None = None) -> FakeEyes | Exception:
        self.there[digest] = found = FakeEyes(digest, self.clock) if eyes is None else eyes
        self.lines.register(
            ModelRelease(
                digest=digest,
                name=digest,
                labels=("hand-raising",),
                input_hw=(1, 1),
                figures=(),
                lineage=(),
                artefact="",
            )
        )
        return found

    def see(self, camera: str) -> tuple[str, list[Detection]]:
        (seen,) = self.sight.see([(camera, PICTURE)])
        return seen

    def promote(self, digest: str) -> None:
        self.lines.change("main", lambda before: promoted(before, digest))

    def turn(self) -> None:
        self.clock.advance(LOOK_EVERY_MS)
        self.sight.follow()

    def bring_in(self) -> None:
        """Follow the line until what it wants has come in, or was refused."""
        self.turn()
        self.shadowed()
        self.turn()

    def shadowed(self) -> None:
        """Look on until what is on its way has seen enough, or was refused."""

        def done() -> bool:
            swaps = [role.swap for role in (self.sight._champion, self.sight._canary) if role.swap is not None]
            if any(swap.wants for swap in swaps):
                self.clock.advance(BUSY_OVER_MS // 20)
                for camera in (CAMERA, OTHER):
                    self.see(camera)
            return all(swap.refused is not None or swap.ready is not None for swap in swaps)

        wait_until(done)

    def name_canary(self, canary: FakeEyes | None = None, cameras: tuple[str, ...] = (OTHER,)) -> FakeEyes:
        """Register a canary that is to look at these cameras, beside the champion that the line has."""
        canary = canary or FakeEyes("canary", self.clock)
        self.register(canary.digest, canary)
        self.lines.change("main", lambda before: with_canary(before, canary.digest, cameras))
        return canary

    def bring_in_canary(self) -> FakeEyes:
        """A canary that looks at OTHER; the champion is `own`."""
        self.promote("own")
        canary = self.name_canary()
        self.bring_in()
        assert self.sight.digest(OTHER) == "canary"
        return canary
