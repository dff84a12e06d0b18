"""A refresh from pictures to a registered candidate, with a tiny net: each step is written down, gone on from, and can refuse."""

import json
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

pytest.importorskip("ray.train", reason="refresh trains on Ray (the trainer extra)")

import torch

from classpulse.clock import SystemClock
from classpulse.errors import BadInput, Recoverable
from classpulse.lines import Lines, promoted, with_canary
from classpulse.refresh import run as module
from classpulse.refresh.folder import CHAMPION_FOLDER, Folder, Plan
from classpulse.refresh.run import BEGINNING_FOLDER, Live, Refresh, Refused, keep_release
from classpulse.settings import Settings
from classpulse.supervisor import prepare_bus
from classpulse.train.on_ray import Group
from gesturedet import recipes
from gesturedet.card import load_release
from gesturedet.data.voc import read_split
from gesturedet.parallel import ALONE
from gesturedet.releasing import export_release
from gesturedet.training_job import TrainJob
from gesturedet.training_run import start, write_checkpoint
from tests.model.gesturedet.test_releasing import TINY
from tests.model.gesturedet.voc_folder import write_voc

RECIPE = replace(TINY, name="tiny", epochs=1)
Box = tuple[int, int, int, int]
BOXES: dict[str, Box] = {"hand-raising": (10, 10, 40, 40), "stand-up": (50, 10, 90, 80), "sleeping": (100, 40, 150, 80)}

pytestmark = [
    pytest.mark.ray,
    pytest.mark.xdist_group("refresh"),
    pytest.mark.filterwarnings("default"),  # the exporter and the quantiser warn about themselves
]


def voc(root: Path, split: str, first: int, count: int, boxes: dict[str, Box] | None = None) -> Path:
    """Pictures that no other folder has: each is a little larger than the one before."""
    for number in range(first, first + count):
        write_voc(root, {f"p{number}": list((boxes or BOXES).items())}, split=split, size_hw=(90, 160 + number))
    names = "".join(f"p{number}\n" for number in range(first, first + count))
    (root / "ImageSets" / "Main" / f"{split}.txt").write_text(names)
    return root


def clip(path: Path) -> Path:
    """A second of grey in which nobody is."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 5.0, (160, 90))
    for _ in range(5):
        writer.write(np.full((90, 160, 3), 96, np.uint8))
    writer.release()
    return path


class Rig:
    """A refresh whose training runs in this process; what a person sees is in `said`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out, self.said, self.trained = folder, folder / "out", list[str](), 0
        self.first: list[str] = []
        self.bus = prepare_bus(Settings(data=folder / "data"))
        self.lines, self.registry = Lines(self.bus, SystemClock()), str(folder / "models")
        self.new = voc(folder / "new", "train", 0, 4)
        self.exam = voc(folder / "exam", "test", 20, 10)
        write_checkpoint(start(RECIPE, read_split(self.new, "train")), folder / "old.pt")
        half = dict.fromkeys(RECIPE.labels, 0.5)
        champion = export_release(
            folder / "old.pt", RECIPE, folder / "champion", name="tiny", thresholds=half, lineage=()
        )
        for name in (CHAMPION_FOLDER, BEGINNING_FOLDER):
            keep_release(champion, self.out / name)
        self.champion = champion.card.digest
        self.plan = Plan(
            pictures=(str(self.new),),
            base=(),
            drawn=0,
            val=str(voc(folder / "val", "val", 10, 4)),
            exams=(str(self.exam),),
            quiet=(str(clip(folder / "quiet.mp4")),),
            recipe="tiny",
            epochs=1,
            workers=1,
            device="cpu",
            margin=1.0,
            champion=self.champion,
        )

    def train(self, job: TrainJob, out: str, *_: Any) -> None:
        self.trained += 1
        replace(job, out=Path(out))(ALONE)

    def refresh(self, out: Path | None = None, **changed: Any) -> Refresh:
        folder, plan = Folder(out or self.out), msgspec.structs.replace(self.plan, **changed)
        folder.begin(plan)
        live = Live(self.bus, SystemClock(), self.registry, "main", dict, lambda *_: nullcontext(str))
        return Refresh(folder, plan, live, Group(1), self.said.append)

    def run(self, out: Path | None = None, *, promote: bool = False, **changed: Any) -> list[str]:
        """Go through the steps; gives what was said."""
        self.said.clear()
        self.refresh(out, **changed).run(canary=(), minutes=0.1, promote=promote)
        return list(self.said)

    def told(self, step: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / f"{step}.json").read_text())
        return found

    def aside(self, name: str, *without: str) -> Path:
        """A copy of this refresh in which these steps, and what was asked for, are not written down."""
        shutil.copytree(self.out, self.folder / name)
        for step in (*without, "plan"):
            (self.folder / name / f"{step}.json").unlink()
        return self.folder / name


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A refresh that has come to its candidate. The store was full when it came there, and it went on."""
    torch.set_num_threads(1)
    made = Rig(tmp_path_factory.mktemp("refresh"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(recipes.RECIPES, "tiny", lambda: RECIPE)
        patch.setattr(module, "train", made.train)
        with patch.context() as full:
            full.setattr(module, "put", refuse_to_write)
            with pytest.raises(Recoverable, match="no room"):
                made.run()
        made.first = made.run()
        yield made
    made.bus.close()


def refuse_to_write(*_: Any) -> None:
    raise Recoverable("no room")


def test_pictures_become_a_registered_candidate_with_its_descent_and_figures(rig: Rig) -> None:
    candidate = rig.told("candidate")
    card = load_release(Path(rig.registry) / candidate["fp32"]).card
    assert candidate["digest"] == candidate["fp32"], "the champion's precision"
    assert set(rig.lines.releases()) == {candidate["fp32"], candidate["int8"]}
    assert card.lineage[0] == f"tiny {rig.champion} (fp32)"
    assert card.lineage[-1].startswith("refreshed by classpulse ")
    assert f"sha256 {rig.told('pictures')['train']['sha256']}" in card.data_seeds["train"]
    assert card.recipe["name"] == "tiny"
    assert [(exam.pictures_from, exam.pictures) for exam in card.exams] == [("exam test: 10 pictures", 10)]
    assert "main" not in rig.lines.lines(), "nothing looks with it until a person says so"


def test_the_gate_judges_both_precisions_on_every_exam_and_the_empty_lessons(rig: Rig) -> None:
    gate = rig.told("gate")
    assert {(one["precision"], one["behaviour"]) for one in gate["changes"]} == {
        (kind, behaviour) for kind in ("fp32", "int8") for behaviour in BOXES
    }
    assert [(one["precision"], one["hours"]) for one in gate["quiet"]] == [("fp32", 0.0003), ("int8", 0.0003)]


def test_a_refresh_that_broke_off_goes_on_at_the_same_step(rig: Rig) -> None:
    assert rig.trained == 1
    assert [line.split(":")[0] for line in rig.first] == [
        *(f"{number}/7 {step} (before)" for number, step in enumerate(("pictures", "train", "release", "gate"), 1)),
        "5/7 candidate …",
        "5/7 candidate",
    ]
    assert rig.run()[-1] == f"5/7 candidate (before): {rig.told('candidate')['digest'][:12]} is registered"


def test_an_exam_that_is_trained_on_is_named_before_anything_is_trained(rig: Rig) -> None:
    leaky = voc(rig.folder / "leaky", "test", 30, 2)
    (leaky / "JPEGImages" / "p30.jpg").write_bytes((rig.new / "JPEGImages" / "p0.jpg").read_bytes())
    with pytest.raises(BadInput, match=r"leaky: .*p30.jpg is the picture .*p0.jpg of train"):
        rig.run(rig.aside("leaking", "pictures"), exams=(str(leaky),))
    assert rig.trained == 1


def test_a_candidate_that_is_not_shown_to_be_as_good_is_refused_and_not_registered_and_stays_so(rig: Rig) -> None:
    few = voc(rig.folder / "few", "test", 40, 9)
    out = rig.aside("refused", "pictures", "gate", "candidate")
    for _ in range(2):
        with pytest.raises(
            Refused, match=r"gate: refused: fp32: hand-raising on few: in 9 rooms; expected 10 at least"
        ):
            rig.run(out, exams=(str(few),))
    assert rig.said[-1].startswith("4/7 gate (before): ")
    assert not (out / "candidate.json").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"exams": ("a/exam", "b/exam")}, r"--exam = \['exam', 'exam'\]: expected folders of different names"),
        ({"exams": ("a/train",)}, "none of them train, val, quiet"),
        ({"quiet": ("{folder}/exam/ImageSets/Main/test.txt",)}, "--quiet: .*test.txt: .*; expected a clip"),
        ({"exams": ("{folder}/hands",)}, "--exam: stand-up, sleeping on none; expected each behaviour"),
    ],
)
def test_what_would_only_be_found_out_after_the_training_is_found_out_before(
    changed: dict[str, Any], said: str, rig: Rig
) -> None:
    voc(rig.folder / "hands", "test", 60, 2, {"hand-raising": BOXES["hand-raising"]})
    given = {key: tuple(path.format(folder=rig.folder) for path in paths) for key, paths in changed.items()}
    with pytest.raises(BadInput, match=said):
        rig.run(rig.aside(f"wrong-{len(said)}", "pictures"), **given)
    assert rig.trained == 1


def test_pictures_that_changed_since_they_were_proved_to_be_apart_are_noticed(rig: Rig) -> None:
    out = rig.aside("changed", "gate", "candidate")
    picture = rig.exam / "JPEGImages" / "p20.jpg"
    before = picture.read_bytes()
    picture.write_bytes(before + b"x")
    try:
        with pytest.raises(BadInput, match="exam: not what it was when this refresh began; expected another --out"):
            rig.run(out)
    finally:
        picture.write_bytes(before)


def test_what_has_looked_nowhere_is_not_promoted(rig: Rig) -> None:
    with pytest.raises(BadInput, match="--promote: the candidate has looked nowhere yet; expected --canary CAMERA"):
        rig.run(promote=True)


def test_a_person_refuses_and_no_step_follows(rig: Rig) -> None:
    candidate = rig.told("candidate")
    rig.lines.change("main", lambda line: promoted(line, candidate["int8"]))
    rig.lines.change("main", lambda line: with_canary(line, candidate["digest"], ("t/s/room/front",)))
    out = rig.aside("by-hand")
    rig.refresh(out).refuse("the pictures were labelled wrongly")
    assert rig.lines.lines()["main"].canary is None
    with pytest.raises(Refused, match="refused: the pictures were labelled wrongly"):
        rig.run(out, promote=True)
