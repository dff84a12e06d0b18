import re
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from gesturedet.anchors import CLASSROOM_ANCHORS, anchors_cxcywh
from gesturedet.api import Detections, Detector, as_bgr, load
from gesturedet.boxes import cxcywh_to_xyxy
from gesturedet.card import CARD_FILE, PACKAGED, load_release, write_card
from gesturedet.labels import BEHAVIOURS
from tests.services.fake_release import INPUT_HW, make_release

FIRST_BOX = cxcywh_to_xyxy(anchors_cxcywh(INPUT_HW, CLASSROOM_ANCHORS))[0].clip(0.0, 1.0)
"""Where the fake net sees a raised hand."""

SURE, UNSURE, DARK = 255, 160, 0
"""Levels of grey: a score of 1, of 0.087 (below the card's 0.5), of nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("api") / "release"
    make_release(path)
    return path


@pytest.fixture(scope="module")
def detector(folder: Path) -> Detector:
    return load(folder)


def picture(level: int, *shape: int) -> np.ndarray:
    return np.full(shape, level, dtype=np.uint8)


def test_a_picture_without_behaviour_gives_no_detections(detector: Detector) -> None:
    found = detector.detect(picture(DARK, 96, 160, 3))
    assert len(found) == 0
    assert found.labels == ()
    assert found.boxes_xyxy.shape == (0, 4)
    assert found.scores.shape == found.class_ids.shape == (0,)
    assert (found.boxes_xyxy.dtype, found.scores.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize("size_hw", [(3, 5), (96, 160), (600, 800), (900, 2100), (1080, 1920)])
def test_boxes_are_pixels_of_the_given_picture_whatever_its_size(detector: Detector, size_hw: tuple[int, int]) -> None:
    found = detector.detect(picture(SURE, *size_hw, 3))
    height, width = size_hw
    assert found.labels == ("hand-raising",)
    assert found.scores[0] > 0.99
    np.testing.assert_allclose(found.boxes_xyxy[0], FIRST_BOX * (width, height, width, height), rtol=1e-4)


@pytest.mark.parametrize("size_hw", [(1, 1000), (1000, 1), (33, 1200), (1200, 33), (1, 1)])
def test_a_picture_of_any_other_aspect_is_looked_at_and_nothing_is_found_in_its_padding(
    detector: Detector, size_hw: tuple[int, int]
) -> None:
    assert len(detector.detect(picture(SURE, *size_hw, 3))) == 0


def test_only_what_reaches_the_cards_threshold_is_found_unless_a_least_score_is_asked_for(detector: Detector) -> None:
    unsure = picture(UNSURE, 96, 160, 3)
    assert len(detector.detect(unsure)) == 0
    (score,) = detector.detect(unsure, min_score=0.05).scores
    assert score == pytest.approx(1 / (1 + np.exp(10 - 30 * (UNSURE / 127.5 - 1))), rel=1e-2)
    assert len(detector.detect(unsure, min_score=0.1)) == 0


@pytest.mark.parametrize("score", [0.0, -0.1, 1.5, float("nan"), "0.5", [0.5]])
def test_a_least_score_that_is_none_is_refused(detector: Detector, score: float) -> None:
    with pytest.raises(ValueError, match=rf"^min_score: {re.escape(repr(score))} is not a score above 0 and at most 1"):
        detector.detect(picture(DARK, 9, 9, 3), min_score=score)


@pytest.mark.parametrize("shape", [(90, 160), (90, 160, 1), (90, 160, 4)])
def test_grey_pictures_and_pictures_with_a_fourth_channel_give_what_their_colours_give(
    detector: Detector, shape: tuple[int, ...]
) -> None:
    np.testing.assert_array_equal(
        detector.detect(picture(SURE, *shape)).boxes_xyxy, detector.detect(picture(SURE, 90, 160, 3)).boxes_xyxy
    )


def test_a_fourth_channel_is_not_looked_at_and_colours_keep_their_order() -> None:
    pixels = np.arange(2 * 2 * 4, dtype=np.uint8).reshape(2, 2, 4)
    np.testing.assert_array_equal(as_bgr(pixels), pixels[..., :3])


def test_a_picture_turned_about_in_memory_is_taken_like_its_copy(detector: Detector) -> None:
    turned = picture(SURE, 90, 160, 3)[::-1, ::-1, ::-1]
    assert detector.detect(turned).labels == detector.detect(turned.copy()).labels == ("hand-raising",)


@pytest.mark.parametrize(
    "image", [np.zeros((0, 0, 3), np.uint8), np.zeros((9, 9, 3), np.float32), np.zeros((9, 9, 2), np.uint8)]
)
def test_what_is_no_picture_is_refused(detector: Detector, image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"image_bgr: shape .* is no picture, expected \(height, width\) or"):
        detector.detect(image)


def test_what_is_no_array_is_refused_with_its_likely_cause(detector: Detector) -> None:
    for given, name in ((None, "NoneType"), ("a.jpg", "str"), ([[1]], "list")):
        with pytest.raises(
            TypeError, match=f"image_bgr: {name} is no picture, expected an array .cv2.imread gives None"
        ):
            detector.detect(given)  # type: ignore[arg-type]


def test_drawing_leaves_the_picture_alone_and_marks_the_box_in_a_copy() -> None:
    blank = picture(DARK, 400, 600, 3)
    found = Detections(
        boxes_xyxy=np.array([[100, 150, 300, 350]], np.float32),
        scores=np.array([0.9], np.float32),
        labels=("sleeping",),
        names=BEHAVIOURS,
    )
    drawn = found.draw(blank)
    assert not blank.any()
    assert drawn[350, 200].any()
    assert drawn[250, 100].any()
    assert not drawn[250, 200].any()
    assert not drawn[380:].any()


@pytest.mark.parametrize("shape", [(3, 5, 3), (50, 90), (50, 90, 4)])
def test_every_picture_that_is_looked_at_can_be_drawn_on(detector: Detector, shape: tuple[int, ...]) -> None:
    shown = picture(SURE, *shape)
    drawn = detector.detect(shown).draw(shown)
    assert drawn.shape == (*shape[:2], 3)
    assert (drawn != SURE).any()


@pytest.mark.parametrize("level", [DARK, SURE])
def test_supervision_gets_boxes_scores_and_names(detector: Detector, level: int) -> None:
    found = detector.detect(picture(level, 96, 160, 3))
    given = found.to_supervision()
    np.testing.assert_array_equal(given.xyxy, found.boxes_xyxy)
    np.testing.assert_array_equal(given.confidence, found.scores)
    assert given.data["class_name"].tolist() == list(found.labels)
    assert [BEHAVIOURS[place] for place in given.class_id] == list(found.labels)


def test_without_the_package_supervision_the_error_names_it() -> None:
    code = (
        "import sys; sys.modules['supervision'] = None; import numpy; from gesturedet.api import Detections; "
        "Detections(numpy.zeros((0, 4)), numpy.zeros(0), (), ()).to_supervision()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    said = done.stderr.strip().splitlines()[-1]
    assert said == (
        "ModuleNotFoundError: to_supervision: the package supervision is not installed, "
        "expected `pip install supervision`"
    )


def test_a_released_model_is_loaded_by_its_name_and_looks() -> None:
    detector = load("classroom")
    assert detector.card == load().card == load_release(PACKAGED).card
    noise = np.random.default_rng(0).integers(0, 256, (270, 480, 3), dtype=np.uint8)
    found = detector.detect(noise, min_score=0.01)
    assert len(found) > 0
    assert set(found.labels) <= set(detector.card.published)
    assert (found.boxes_xyxy >= 0).all()
    assert (found.boxes_xyxy <= (480, 270, 480, 270)).all()


def test_a_release_is_loaded_by_its_folder_or_by_its_net_as_a_path_or_a_text(folder: Path, tmp_path: Path) -> None:
    (tmp_path / CARD_FILE).write_bytes((folder / CARD_FILE).read_bytes())
    other = tmp_path / "renamed.onnx"
    other.write_bytes((folder / "model.onnx").read_bytes())
    ways = (folder, str(folder), folder / "model.onnx", str(other))
    assert {load(way).card.name for way in ways} == {"fake"}


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        ("clasroom", r"model: 'clasroom' is none of the released models \(classroom.*\), no folder and no .onnx file"),
        (Path("classroom"), r"model: 'classroom' is none of the released models"),
        ("absent.onnx", r"absent.onnx: not there, expected a folder with absent.onnx and card.json"),
    ],
)
def test_a_model_that_is_not_there_is_named_beside_those_that_are(model: str | Path, fault: str) -> None:
    with pytest.raises(FileNotFoundError, match=fault):
        load(model)


def test_a_model_that_is_no_text_and_no_path_is_refused_by_its_name() -> None:
    with pytest.raises(
        TypeError, match=r"^model: None is no text and no path, expected one of classroom, .* or an .onnx file"
    ):
        load(None)  # type: ignore[arg-type]


def test_an_unknown_runtime_is_refused_with_the_known_ones(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"runtime: 'cake' is none of eager, onnxruntime"):
        load(folder, runtime="cake")


def test_a_runtime_that_is_not_installed_is_refused_by_name(folder: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from gesturedet.api import load; "
        f"load({str(folder)!r}, runtime='eager')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "RuntimeAbsent: runtime 'eager': " in done.stderr


def test_fewer_than_one_thread_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="threads: 0 is not a whole number of at least 1"):
        load(folder, threads=0)


def test_what_is_unpublished_is_neither_found_nor_named(folder: Path, tmp_path: Path) -> None:
    card = msgspec.structs.replace(load_release(folder).card, unpublished=("hand-raising",))
    (tmp_path / "model.onnx").write_bytes((folder / "model.onnx").read_bytes())
    (tmp_path / CARD_FILE).write_bytes(write_card(card))
    found = load(tmp_path).detect(picture(SURE, 96, 160, 3), min_score=1e-9)
    assert "hand-raising" not in found.labels
    assert found.names == ("stand-up", "sleeping")


def test_whoever_loads_a_detector_never_loads_torch() -> None:
    code = (
        "import sys; from gesturedet.api import load; load('classroom'); "
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'torch', 'onnx', 'onnxscript', 'supervision'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
