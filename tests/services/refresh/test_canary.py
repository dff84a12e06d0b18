"""The canary and the promotion of a refresh, on told reports: what is worse, moved on or broken off is taken back."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest

pytest.importorskip("ray.train", reason="refresh trains on Ray (the trainer extra)")

from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock
from classpulse.errors import BadInput
from classpulse.lines import Lines, promoted, with_canary
from classpulse.records import CameraReport, ModelLine
from classpulse.refresh.folder import Folder, Plan
from classpulse.refresh.run import CANARY, CANDIDATE, CHAMPION, Live, Refresh, Refused
from classpulse.topics import TOPICS
from classpulse.train.on_ray import Group

OLD, NEW, OTHER = "a" * 64, "b" * 64, "c" * 64
CAMERA = "t/s/room/front"
BEGUN_MS = 1_700_000_000_000

pytestmark = pytest.mark.ray


class Rig:
    """A registered candidate and a line; each look at the reports takes a second, and shows ten pictures more."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.bus, self.folder = ManualClock(BEGUN_MS), MemoryBus(), Folder(folder)
        self.bus.create(tuple(TOPICS.values()))
        self.lines = Lines(self.bus, self.clock)
        self.lines.change("main", lambda line: promoted(line, OLD))
        plan = Plan(
            pictures=(), base=(), drawn=0, val="", exams=(), quiet=(), recipe="product", epochs=1, workers=1,
            device="cpu", margin=0.0, champion=OLD,
        )  # fmt: skip
        self.folder.begin(plan)
        for step, told in (("pictures", {}), ("train", {"epochs": 1, "from": OLD}), ("release", {})):
            self.folder.tell(step, told)
        self.folder.tell("gate", {"changes": [], "quiet": []})
        self.folder.tell(CANDIDATE, {"digest": NEW})
        self.said: list[str] = []
        self.looks = 0
        self.happens: dict[int, Callable[[], None]] = {}
        self.refused_swap = self.against = ""
        live = Live(
            self.bus, self.clock, "memory://models", "main", self.reports, lambda *_: nullcontext(lambda: self.against)
        )
        self.refresh = Refresh(self.folder, plan, live, Group(1), self.said.append)

    @property
    def line(self) -> ModelLine:
        return self.lines.lines()["main"]

    def reports(self) -> dict[str, CameraReport]:
        self.looks += 1
        self.happens.get(self.looks, lambda: None)()
        looks_with = self.line.canary or self.line.champion
        told = CameraReport(
            camera=CAMERA, at_ms=self.clock.now_ms(), stage="detect", state="up", detected=10 * self.looks,
            model=looks_with, refused_swap=self.refused_swap, capture_to_detection_ms=100,
        )  # fmt: skip
        return {CAMERA: told}

    def run(self, *cameras: str, promote: bool = False) -> None:
        self.refresh.run(canary=cameras, minutes=0.5, promote=promote)

    def told(self, step: str) -> dict[str, Any]:
        return self.folder.told(step) or {}


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "out")


def test_a_canary_that_does_well_becomes_the_champion_when_a_person_says_so(rig: Rig) -> None:
    rig.run(CAMERA)
    assert (rig.line.champion, rig.line.canary, rig.line.canary_cameras) == (OLD, NEW, (CAMERA,))
    rig.run(promote=True)
    assert (rig.line.champion, rig.line.previous, rig.line.canary) == (NEW, OLD, None)
    assert rig.told(CHAMPION) == {"digest": NEW, "line": "main", "revision": 3}


def test_a_canary_that_a_worker_refuses_is_taken_back_at_once(rig: Rig) -> None:
    rig.happens[10] = lambda: setattr(rig, "refused_swap", f"{NEW[:12]}: agrees with 10 %")
    with pytest.raises(Refused, match=r"canary: refused: t/s/room/front: b+: agrees with 10 %"):
        rig.run(CAMERA, promote=True)
    assert rig.looks == 10
    assert (rig.line.champion, rig.line.canary) == (OLD, None)
    with pytest.raises(Refused, match="canary: refused"):
        rig.run(promote=True)


def test_a_canary_that_the_champion_disagrees_with_is_taken_back_at_once(rig: Rig) -> None:
    rig.happens[10] = lambda: setattr(rig, "against", "agrees with the champion on 5 %")
    with pytest.raises(Refused, match="canary: refused: agrees with the champion on 5 %"):
        rig.run(CAMERA, promote=True)
    assert rig.looks == 10
    assert (rig.line.champion, rig.line.canary) == (OLD, None)


def test_a_worse_canary_is_taken_back_also_where_the_line_moved_on(rig: Rig) -> None:
    def others_promote() -> None:
        rig.lines.change("main", lambda line: promoted(line, OTHER))
        rig.refused_swap = f"{NEW[:12]}: too slow"

    rig.happens[10] = others_promote
    with pytest.raises(Refused):
        rig.run(CAMERA)
    assert (rig.line.champion, rig.line.canary) == (OTHER, None)


def test_a_canary_that_somebody_put_in_its_place_stays(rig: Rig) -> None:
    def others_try() -> None:
        rig.lines.change("main", lambda line: with_canary(line, OTHER, (CAMERA,)))

    rig.happens[10] = others_try
    with pytest.raises(Refused, match="it does not look any more"):
        rig.run(CAMERA)
    assert rig.line.canary == OTHER


def test_a_canary_that_nobody_watches_any_more_is_taken_back_and_goes_on_with_the_refresh(rig: Rig) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    rig.happens[10] = interrupted
    with pytest.raises(KeyboardInterrupt):
        rig.run(CAMERA)
    assert rig.line.canary is None
    rig.run()
    assert rig.told(CANARY)["cameras"] == [CAMERA]
    assert rig.line.canary == NEW


def test_a_candidate_that_was_compared_with_another_champion_does_not_look(rig: Rig) -> None:
    rig.lines.change("main", lambda line: promoted(line, OTHER))
    with pytest.raises(BadInput, match=r"its champion is c+ now; expected a+, which the candidate was compared with"):
        rig.run(CAMERA)
    assert rig.line.canary is None


def test_somebody_elses_canary_is_left_alone(rig: Rig) -> None:
    rig.lines.change("main", lambda line: with_canary(line, OTHER, (CAMERA,)))
    with pytest.raises(BadInput, match="another release is its canary; expected none"):
        rig.run(CAMERA)
    assert rig.line.canary == OTHER


def test_a_line_that_moved_on_after_the_canary_is_not_written_over(rig: Rig) -> None:
    rig.run(CAMERA)
    rig.lines.change("main", lambda line: promoted(line, OTHER))
    with pytest.raises(BadInput, match="revision 3; expected 2: it was changed meanwhile"):
        rig.run(promote=True)
    assert rig.line.champion == OTHER


def test_a_promotion_that_nobody_wrote_down_is_one(rig: Rig) -> None:
    rig.run(CAMERA)
    rig.lines.change("main", lambda line: promoted(line, NEW))
    rig.run(promote=True)
    assert rig.told(CHAMPION)["revision"] == rig.line.revision == 3


def test_a_champion_is_rolled_back_and_not_refused(rig: Rig) -> None:
    rig.run(CAMERA)
    rig.run(promote=True)
    with pytest.raises(BadInput, match="is the champion; expected `classpulse models rollback`"):
        rig.refresh.refuse("it sees ghosts")
    assert msgspec.structs.asdict(rig.line)["champion"] == NEW
