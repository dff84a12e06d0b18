"""A candidate on live cameras: one that does as well is promoted, one that sees other things is taken back. The route goes on."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("ray.train", reason="refresh trains on Ray (the trainer extra)")

from classpulse.audit import audit
from classpulse.bus.base import Bus, open_bus
from classpulse.clock import SystemClock
from classpulse.commands.refresh import beside
from classpulse.commands.reports import looks_now
from classpulse.lines import Lines, promoted
from classpulse.records import ModelLine
from classpulse.refresh.folder import CHAMPION_FOLDER, Folder, Plan
from classpulse.refresh.run import CANARY, CANDIDATE, CHAMPION, Live, Refresh, Refused, keep_release
from classpulse.registry import put
from classpulse.settings import Settings
from classpulse.train.on_ray import Group
from gesturedet.card import find_release, load_release
from tests.chaos.route import LESSONS, up, wait_until
from tests.services.fake_release import make_release

pytestmark = [pytest.mark.chaos, pytest.mark.ray, pytest.mark.xdist_group("kafka-fleet")]

ROOMS = (1, 2)
CAMERA = "live/school/room-1/front"
BEFORE = find_release("classroom-640").card.digest
PLAN = Plan(
    pictures=(), base=(), drawn=0, val="", exams=(), quiet=(), recipe="product", epochs=1, workers=1, device="cpu", margin=0.0,
    champion=BEFORE,
)  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two live cameras that play a lesson each, again for as long as the test takes."""
    lines = ["[settings]", f'data = "{tmp_path}/data"', 'model = "classroom-640"', ""]
    for number in ROOMS:
        lines += ["[[rooms]]", f'room = "live/school/room-{number}"', "", "[[cameras]]"]
        lines += [f'camera = "live/school/room-{number}/front"', "fps = 3.0"]
        lines += [f'source = "file://{LESSONS}/lesson-{number}.mp4?loop=1"', ""]
    path = tmp_path / "site.toml"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def bus(site: Path, tmp_path: Path) -> Iterator[Bus]:
    """The bus of the site while it runs, its champion promoted and looking."""
    process = up(site)
    try:
        wait_until((tmp_path / "data" / "bus.sqlite").exists, site)
        with closing(open_bus(f"sqlite://{tmp_path}/data/bus.sqlite")) as opened:
            lines = Lines(opened, SystemClock())
            lines.register(put(find_release("classroom-640"), str(tmp_path / "models")))
            lines.change("main", lambda line: promoted(line, BEFORE))
            wait_until(lambda: len(looks_now(opened)) == len(ROOMS), site)
            yield opened
    finally:
        process.terminate()
        process.wait()


def line_of(bus: Bus) -> ModelLine:
    return Lines(bus, SystemClock()).lines()["main"]


def refresh(bus: Bus, folder: Path, candidate: Path | str, plan: Plan = PLAN) -> Refresh:
    """One whose candidate is registered, so that only what is live remains."""
    release = load_release(candidate) if isinstance(candidate, Path) else find_release(candidate)
    registered = put(release, str(folder.parent / "models"))
    Lines(bus, SystemClock()).register(registered)
    kept = Folder(folder)
    kept.begin(plan)
    done = {"pictures": {}, "train": {"epochs": 1, "from": BEFORE}, "release": {}, "gate": {"changes": [], "quiet": []}}
    for step, told in done.items():
        kept.tell(step, told)
    kept.tell(CANDIDATE, {"digest": registered.digest})
    keep_release(find_release("classroom-640" if plan is PLAN else "classroom"), folder / CHAMPION_FOLDER)
    settings = Settings(data=folder.parent / "data")
    looks = partial(looks_now, bus), partial(beside, settings, folder)
    live = Live(bus, SystemClock(), str(folder.parent / "models"), "main", *looks)
    return Refresh(kept, plan, live, Group(1), print)


def test_a_candidate_that_does_as_well_is_promoted_and_one_that_sees_other_things_is_taken_back(
    bus: Bus, tmp_path: Path
) -> None:
    good = refresh(bus, tmp_path / "good", "classroom")
    good.run(canary=(CAMERA,), minutes=1.0, promote=True)
    assert (good.folder.told(CANARY) or {})["looked_at"] > 20
    assert good.folder.told(CHAMPION) is not None
    assert line_of(bus).champion == find_release("classroom").card.digest

    make_release(tmp_path / "fake")
    plan = msgspec.structs.replace(PLAN, champion=find_release("classroom").card.digest)
    worse = refresh(bus, tmp_path / "worse", tmp_path / "fake", plan)
    with pytest.raises(Refused, match=r"canary: refused: .*agrees"):
        worse.run(canary=(CAMERA,), minutes=3.0, promote=True)
    assert line_of(bus).canary is None
    assert line_of(bus).champion == find_release("classroom").card.digest
    assert worse.folder.told(CHAMPION) is None
    assert audit(bus).balanced
