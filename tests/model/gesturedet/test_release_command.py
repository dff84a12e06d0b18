"""`gesturedet release`, really run: an untrained net and pictures of which some are damaged."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="a release is made from a torch checkpoint (the train extra)")
pytest.importorskip("onnx", reason="a release is exported with onnx (the train extra)")

from gesturedet.card import load_release  # noqa: E402
from gesturedet.recipes import paper, recipe_of, with_labels  # noqa: E402
from gesturedet.training_run import start, write_checkpoint  # noqa: E402
from tests.model.gesturedet.running import Run  # noqa: E402
from tests.model.gesturedet.voc_folder import write_voc  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.xdist_group("export"),
    pytest.mark.filterwarnings("default"),  # the exporter and the quantiser warn about themselves
]

SPLITS = ("train", "val", "test")


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Three pictures in each split, and beside them a checkpoint `last.pt`."""
    write_checkpoint(start(paper(), []), tmp_path / "last.pt")
    for split in SPLITS:
        names = [f"{split}{number}" for number in range(3)]
        write_voc(tmp_path / "voc", {name: [("stand-up", (20, 10, 60, 80))] for name in names}, split=split)
    return tmp_path / "voc"


def arguments(voc: Path) -> list[object]:
    folders = ["--train", voc, "--val", voc, "--test", voc]
    return ["release", voc.with_name("last.pt"), *folders, "--recipe", "paper", "--out", voc.with_name("out")]


def damage(voc: Path, *names: str) -> None:
    for name in names:
        (voc / "JPEGImages" / f"{name}.jpg").write_bytes(b"damaged")


def test_pictures_that_cannot_be_read_are_named_counted_and_left_out(run: Run, voc: Path) -> None:
    damage(voc, "train1", "val2", "test0")
    ran = run(*arguments(voc))
    assert ran.code == 0, ran.err
    said = " ".join(ran.out.split())
    for name in ("train1", "val2", "test0"):
        assert f"skipped 1 of 3 pictures that cannot be read: {name}" in said
    card = load_release(voc.with_name("out")).card
    assert card.data_seeds == {split: f"voc {split}: 2 pictures" for split in SPLITS}
    (exam,) = card.exams
    assert (exam.pictures, [row.truths for row in exam.behaviours]) == (2, [0, 2, 0])


def test_an_exam_of_no_pictures_is_refused(run: Run, voc: Path) -> None:
    (voc / "ImageSets" / "Main" / "test.txt").write_text("")
    ran = run(*arguments(voc))
    assert (ran.code, ran.err) == (
        2,
        f"error: pictures: split 'test' of {voc} names no picture, expected at least one\n",
    )
    assert not voc.with_name("out").exists()


def test_a_release_is_written_where_it_is_told_and_nowhere_else(run: Run, voc: Path) -> None:
    before = load_release().card
    ran = run(*arguments(voc)[:-2])
    assert ran.code == 2
    assert "--out" in ran.err
    assert load_release().card == before


def test_an_export_knows_the_recipe_and_the_classes_of_its_checkpoint(run: Run, tmp_path: Path) -> None:
    write_checkpoint(start(with_labels(recipe_of("voc_small"), ("cat", "dog")), []), tmp_path / "last.pt")
    ran = run("export", tmp_path / "last.pt", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    card = load_release(tmp_path / "out").card
    assert (card.labels, card.input_hw, card.recipe["name"]) == (("cat", "dog"), (300, 300), "voc_small")


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_without_a_readable_picture_is_refused(run: Run, voc: Path, split: str) -> None:
    damage(voc, *(f"{split}{number}" for number in range(3)))
    ran = run(*arguments(voc))
    assert (ran.code, ran.err) == (
        2,
        f"error: pictures: none of split '{split}' of {voc} can be read, expected at least one\n",
    )
    assert not voc.with_name("out").exists()
