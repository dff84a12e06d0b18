import subprocess
import sys

import msgspec
import numpy as np
import pytest

from gesturedet.anchors import anchors_cxcywh
from gesturedet.boxes import cxcywh_to_xyxy
from gesturedet.calibration import ScoreCurve
from gesturedet.card import Release
from gesturedet.predictor import Predictor
from gesturedet.runtime.base import RUNTIMES, Floats, Images, NetInput
from tests.model.gesturedet.cards import CALIBRATION, card_for

INPUT_HW = (96, 160)
CARD = card_for(INPUT_HW)
ANCHORS = anchors_cxcywh(INPUT_HW, CARD.anchors)


class FindsRed:
    """A runtime that says `stand-up` about one default box when the picture is red, and nothing otherwise."""

    def __init__(self, *, in_bytes: bool = False) -> None:
        self.input = NetInput("images", INPUT_HW, in_bytes)

    def run(self, images: Images) -> tuple[Floats, Floats]:
        if self.input.in_bytes:
            assert images.dtype == np.uint8
            images = (images[..., ::-1].transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32)
        images_BCHW = images
        assert images_BCHW.shape[1:] == (3, *INPUT_HW)
        logits = np.zeros((len(images_BCHW), len(ANCHORS), 4), dtype=np.float32)
        logits[..., 0] = 9.0
        red = (images_BCHW[:, 0] > 0.9).all(axis=(1, 2)) & (images_BCHW[:, 2] < -0.9).all(axis=(1, 2))
        logits[red, 700, 2] = 15.0
        return logits, np.zeros((len(images_BCHW), len(ANCHORS), 4), dtype=np.float32)


PREDICTOR = Predictor(Release(CARD, b""), FindsRed())
RED = np.zeros((360, 640, 3), dtype=np.uint8)
RED[..., 2] = 255  # OpenCV's order: blue, green, red
BLUE = RED[..., ::-1].copy()


def test_a_picture_without_behaviour_shows_nothing() -> None:
    assert PREDICTOR.predict(BLUE) == []


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
    assert PREDICTOR.finish(logits[0], offsets[0]) == PREDICTOR.predict(BLUE)
    assert PREDICTOR.finish(logits[1], offsets[1]) == PREDICTOR.predict(RED)


def test_a_net_that_normalises_its_pictures_itself_gets_them_in_bytes() -> None:
    inside = Predictor(Release(CARD, b""), FindsRed(in_bytes=True))
    assert inside.prepare(RED).shape == (1, *INPUT_HW, 3)
    assert inside.predict(RED) == PREDICTOR.predict(RED) != []
    assert inside.predict(BLUE) == []


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
