import subprocess
import sys

import msgspec
import numpy as np
import pytest

from gesturedet.anchors import anchors_cxcywh
from gesturedet.boxes import cxcywh_to_xyxy, encode
from gesturedet.calibration import ScoreCurve
from gesturedet.card import Release
from gesturedet.predictor import Predictor
from gesturedet.preprocess import filled_hw
from gesturedet.runtime.base import RUNTIMES, Floats, Images, NetInput
from tests.model.gesturedet.cards import CALIBRATION, card_for

INPUT_HW = (96, 160)
CARD = card_for(INPUT_HW)
ANCHORS = anchors_cxcywh(INPUT_HW, CARD.anchors)


class FindsRed:
    """A runtime that says `stand-up` about one default box when the picture is red, and nothing otherwise."""

    def __init__(self, *, in_bytes: bool = False, place: int = 700) -> None:
        self.input, self.at_once = NetInput("images", INPUT_HW, in_bytes), 1
        self.place = place

    def run(self, images: Images) -> tuple[Floats, Floats]:
        if self.input.in_bytes:
            assert images.dtype == np.uint8
            images = (images[..., ::-1].transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32)
        images_BCHW = images
        assert images_BCHW.shape[1:] == (3, *INPUT_HW)
        logits = np.zeros((len(images_BCHW), len(ANCHORS), 4), dtype=np.float32)
        logits[..., 0] = 9.0
        red = (images_BCHW[:, 0] > 0.9).all(axis=(1, 2)) & (images_BCHW[:, 2] < -0.9).all(axis=(1, 2))
        logits[red, self.place, 2] = 15.0
        return logits, np.zeros((len(images_BCHW), len(ANCHORS), 4), dtype=np.float32)


class FindsWhite:
    """A runtime that says `stand-up` about the white part of a picture, to the pixel of what it is given."""

    input = NetInput("images", INPUT_HW, in_bytes=True)

    def run(self, images: Images) -> tuple[Floats, Floats]:
        rows, columns = np.nonzero((images[0] > 200).all(axis=2))
        height, width = INPUT_HW
        box = (columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height)
        logits, offsets = np.zeros((1, len(ANCHORS), 4), np.float32), np.zeros((1, len(ANCHORS), 4), np.float32)
        logits[..., 0] = 9.0
        logits[0, 700, 2] = 15.0
        offsets[0, 700] = encode(np.array([box]), ANCHORS[700:701])[0]
        return logits, offsets


PREDICTOR = Predictor(Release(CARD, b""), FindsRed())
RED = np.zeros((360, 640, 3), dtype=np.uint8)
RED[..., 2] = 255  # OpenCV's order: blue, green, red
BLUE = RED[..., ::-1].copy()


def test_a_picture_without_behaviour_shows_nothing() -> None:
    assert PREDICTOR.predict(BLUE) == []


def test_pictures_of_several_sizes_together_show_what_each_shows_alone() -> None:
    pictures = [RED, BLUE, np.ascontiguousarray(RED[:300, :300]), RED[:90].copy()]
    together = PREDICTOR.predict_all(pictures)
    assert together == [PREDICTOR.predict(picture) for picture in pictures]
    assert together[0] != together[2], "a box is in fractions of its own picture"
    assert PREDICTOR.predict_all([]) == []


def test_a_find_comes_out_by_name_with_its_box_in_fractions() -> None:
    (found,) = PREDICTOR.predict(RED)
    assert found.behaviour == "stand-up"
    assert found.box_xyxy == pytest.approx(tuple(cxcywh_to_xyxy(ANCHORS[700]).tolist()))


def test_a_card_that_says_what_scores_mean_changes_the_score_and_what_reaches_the_threshold() -> None:
    (raw,) = PREDICTOR.predict(RED)
    curve = ScoreCurve(bend=0.9, there=0.2, below=1.0, above=0.5)
    means = float(curve.calibrated(np.array(raw.score)))
    assert 0.5 < means < raw.score - 0.1
    calibration = msgspec.structs.replace(CALIBRATION, curves={"stand-up": curve})
    told = Predictor(Release(msgspec.structs.replace(CARD, calibration=calibration), b""), FindsRed())
    (found,) = told.predict(RED)
    assert found == msgspec.structs.replace(raw, score=pytest.approx(means))
    assert len(told.predict(RED, min_score=means - 1e-4)) == 1
    assert told.predict(RED, min_score=means + 1e-4) == []


def test_preparing_and_finishing_apart_gives_the_same_as_predicting() -> None:
    prepared = np.concatenate([PREDICTOR.prepare(BLUE), PREDICTOR.prepare(RED)])
    logits, offsets = PREDICTOR.runtime.run(prepared)
    assert PREDICTOR.finish(logits[0], offsets[0], (360, 640)) == PREDICTOR.predict(BLUE)
    assert PREDICTOR.finish(logits[1], offsets[1], (360, 640)) == PREDICTOR.predict(RED)


def test_a_net_that_normalises_its_pictures_itself_gets_them_in_bytes() -> None:
    inside = Predictor(Release(CARD, b""), FindsRed(in_bytes=True))
    assert inside.prepare(RED).shape == (1, *INPUT_HW, 3)
    assert inside.predict(RED) == PREDICTOR.predict(RED) != []
    assert inside.predict(BLUE) == []


@pytest.mark.parametrize(
    "size_hw", [(360, 640), (480, 640), (500, 500), (640, 480), (1600, 500), (360, 840), (300, 1600), (90, 1600)]
)
def test_a_find_lies_where_it_is_in_the_given_picture_whatever_its_aspect(size_hw: tuple[int, int]) -> None:
    height, width = size_hw
    picture = np.full((height, width, 3), 60, dtype=np.uint8)
    picture[height // 4 : height // 2, width // 5 : width // 2] = 255
    (found,) = Predictor(Release(CARD, b""), FindsWhite()).predict(picture)
    net_pixel = 1 / min(filled_hw(size_hw, INPUT_HW))
    assert found.box_xyxy == pytest.approx((1 / 5, 1 / 4, 1 / 2, 1 / 2), abs=2 * net_pixel)


@pytest.mark.parametrize("size_hw", [(640, 320), (1000, 1), (100, 800), (1, 1000)])
def test_what_lies_wholly_in_the_padding_is_not_found(size_hw: tuple[int, int]) -> None:
    corner = Predictor(Release(CARD, b""), FindsRed(place=0))
    assert len(corner.predict(RED)) == 1
    assert corner.predict(np.full((*size_hw, 3), (0, 0, 255), dtype=np.uint8)) == []


@pytest.mark.parametrize("size_hw", [(640, 320), (1000, 1), (100, 800), (1, 1000)])
def test_of_a_find_at_the_edge_of_the_padding_only_what_is_in_the_picture_is_told(size_hw: tuple[int, int]) -> None:
    largest = Predictor(Release(CARD, b""), FindsRed(place=len(ANCHORS) - 1))
    (found,) = largest.predict(np.full((*size_hw, 3), (0, 0, 255), dtype=np.uint8))
    x0, y0, x1, y1 = found.box_xyxy
    assert 0 <= x0 < x1 <= 1
    assert 0 <= y0 < y1 <= 1


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match=r"image_HWC: shape \(0, 0, 3\) of uint8 is no picture"):
        PREDICTOR.predict(np.zeros((0, 0, 3), dtype=np.uint8))


def test_whoever_only_runs_the_detector_never_loads_torch() -> None:
    module = RUNTIMES["onnxruntime"].partition(":")[0]
    code = (
        "import sys, gesturedet.labels, gesturedet.boxes, gesturedet.anchors, gesturedet.preprocess, "
        f"gesturedet.postprocess, gesturedet.card, gesturedet.predictor, {module}; "
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'torch', 'onnx', 'onnxscript'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
