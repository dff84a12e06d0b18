import json
from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="a release is made from a torch checkpoint (the train extra)")
pytest.importorskip("onnx", reason="a release is exported with onnx (the train extra)")

from gesturedet.calibration import Calibration, CalibrationError, ScoreCurve  # noqa: E402
from gesturedet.card import Release, load_release  # noqa: E402
from gesturedet.data.voc import read_split  # noqa: E402
from gesturedet.detector import CLASSROOM  # noqa: E402
from gesturedet.recipes import product, recipe_of  # noqa: E402
from gesturedet.releasing import (  # noqa: E402
    Material,
    _draft,
    calibration_images,
    figures_of,
    look,
    release,
    source_of,
)
from gesturedet.training_run import start, write_checkpoint  # noqa: E402
from tests.model.gesturedet.running import runner  # noqa: E402
from tests.model.gesturedet.voc_folder import write_voc  # noqa: E402
from tests.services.fake_release import make_release  # noqa: E402

TINY = replace(product(), net=replace(CLASSROOM, input_hw=(64, 96)), batch=2)


def tiny_material(folder: Path) -> Material:
    """Four pictures for everything, and an untrained checkpoint `last.pt`."""
    torch.set_num_threads(1)
    root = write_voc(folder / "voc", {name: [("stand-up", (20, 10, 60, 80))] for name in "abcd"})
    pictures = read_split(root, "train")
    write_checkpoint(replace(start(TINY, pictures), lineage=("a champion",)), folder / "last.pt")
    sources = {split: source_of(root, split, pictures) for split in ("train", "val", "test")}
    return Material(pictures, pictures, pictures[:3], sources)


@pytest.mark.filterwarnings("default")  # the exporter and the quantiser warn about themselves
def test_a_release_carries_the_figures_of_its_own_bytes(tmp_path: Path) -> None:
    material = tiny_material(tmp_path)
    figures = release(
        tmp_path / "last.pt", TINY, material, tmp_path / "out", name="tiny", lineage=("none",), calibration_pictures=2
    )

    released = load_release(tmp_path / "out")
    (exam,) = released.card.exams
    assert set(figures) == {"fp32", "int8"}
    assert released.card.precision == "fp32"
    assert (released.card.recipe["batch"], released.card.recipe["epochs"]) == (2, 0), "what it was trained with, so far"
    assert released.card.lineage == ("a champion", "none"), "what its run began with, then what is said now"
    assert exam.pictures == 3
    assert exam.pictures_from == "voc test: 4 pictures"
    assert exam.behaviours == figures["fp32"]
    assert [row.truths for row in exam.behaviours] == [0, 3, 0]
    assert [row.threshold for row in exam.behaviours] == list(released.card.thresholds.values())
    calibration = released.card.calibration
    assert calibration is not None
    assert (tuple(calibration.curves), calibration.fitted_on) == (TINY.labels, "voc val: 4 pictures")
    assert exam.calibration_error is not None
    assert released.card.thresholds["sleeping"] == 1.0, "what the validation pictures do not show is not reported"


@pytest.mark.filterwarnings("default")  # as above
def test_released_by_the_command_it_tells_a_script_where_it_is_and_both_exams(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = recipe_of("voc_small")
    write_checkpoint(start(recipe, []), tmp_path / "last.pt")
    for split in ("train", "val", "test"):
        write_voc(tmp_path / "voc", {f"{split}{i}": [("dog", (20, 10, 60, 80))] for i in range(2)}, split=split)
    folders = [word for use in ("--train", "--val", "--test") for word in (use, tmp_path / "voc")]
    out = tmp_path / "out"

    ran = runner(capsys)("release", tmp_path / "last.pt", *folders, "--recipe", "voc_small", "--out", out, "--json")

    assert (ran.code, ran.err) == (0, "")
    told, released = json.loads(ran.out), load_release(out)
    assert (told["out"], told["digest"]) == (str(out), released.card.digest)
    assert (told["precision"], told["bytes"]) == ("fp32", len(released.onnx_bytes))
    assert told["pictures_from"] == "voc test: 2 pictures"
    assert list(told["exams"]) == ["fp32", "int8"]
    assert told["exams"]["fp32"]["behaviours"] == json.loads(msgspec.json.encode(released.card.exams[0].behaviours))
    assert {row["behaviour"]: row["truths"] for row in told["exams"]["int8"]["behaviours"]}["dog"] == 2


def test_calibration_pictures_are_spread_over_the_training_pictures(tmp_path: Path) -> None:
    pictures = read_split(write_voc(tmp_path, {name: [] for name in "abcde"}), "train")

    assert calibration_images((), TINY, 200) == []
    assert len(calibration_images(pictures, TINY, 3)) == 3
    assert len(calibration_images(pictures, TINY, 200)) == 5
    assert calibration_images(pictures, TINY, 1)[0].shape == (1, 3, 64, 96)


def test_the_source_of_drawn_pictures_names_their_seeds(tmp_path: Path) -> None:
    write_voc(tmp_path, {"a": [], "b": []})
    (tmp_path / "manifest.json").write_text(
        '{"recipe": 1, "width": 960, "height": 540, "pictures": [{"name": "a", "seed": 7}, {"name": "b", "seed": 9}]}'
    )

    source = source_of(tmp_path, "train", read_split(tmp_path, "train"))

    assert source == "synthroom recipe 1, split train, 960 x 540: 2 pictures of 2 rooms, seeds 7 to 9"


def test_an_exam_has_no_figures_of_what_is_unpublished(tmp_path: Path) -> None:
    make_release(tmp_path / "release")
    drafted = load_release(tmp_path / "release")
    hushed = Release(msgspec.structs.replace(drafted.card, unpublished=("stand-up",)), drafted.onnx_bytes)
    root = write_voc(tmp_path / "voc", {"a": [("stand-up", (20, 10, 60, 80)), ("sleeping", (90, 10, 150, 80))]})
    seen = look(hushed, read_split(root, "train"))
    rows = figures_of(hushed.card, seen, {"hand-raising": 0.5, "sleeping": 0.5})
    assert [(row.behaviour, row.truths) for row in rows] == [("hand-raising", 0), ("sleeping", 1)]


@pytest.mark.parametrize(("name", "width"), [("paper", 640), ("product", 640), ("product_960", 960)])
def test_pictures_are_sent_as_wide_as_the_net_looks(name: str, width: int) -> None:
    card = _draft(recipe_of(name), {}, {}, name="any", lineage=(), precision="int8")
    assert card.frame_width == width


def test_figures_are_in_the_cards_scores_and_average_precision_does_not_change(tmp_path: Path) -> None:
    make_release(tmp_path / "release")
    drafted = load_release(tmp_path / "release")
    curve = ScoreCurve(bend=0.5, there=0.2, below=2.0, above=0.5)
    calibration = Calibration(
        curves={"hand-raising": curve}, fitted_on="voc", error=CalibrationError(before=None, after=None)
    )
    told = msgspec.structs.replace(drafted.card, calibration=calibration)
    root = write_voc(tmp_path / "voc", {"a": [("hand-raising", (3, 2, 5, 6))]})
    cv2.imwrite(str(root / "JPEGImages" / "a.jpg"), np.full((90, 160, 3), 180, np.uint8))
    seen = look(Release(told, drafted.onnx_bytes), read_split(root, "train"))
    (score,) = seen[0].scores.tolist()
    assert 0.5 < score < 1.0
    before, after = (figures_of(card, seen)[0] for card in (drafted.card, told))
    assert before.threshold == pytest.approx(score, abs=2e-4)
    assert after.threshold == pytest.approx(float(curve.calibrated(np.array(score))), abs=2e-4)
    assert abs(before.threshold - after.threshold) > 0.1
    assert (before.ap50, before.right, before.wrong) == (after.ap50, after.right, after.wrong)
