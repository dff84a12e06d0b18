"""Every runtime against the net in torch, on what the net says and on the boxes that come of it, within stated tolerances."""

from dataclasses import dataclass

import numpy as np
import pytest

from gesturedet.anchors import anchors_cxcywh
from gesturedet.boxes import iou_matrix
from gesturedet.detector import CLASSROOM
from gesturedet.labels import BEHAVIOURS
from gesturedet.postprocess import Detection, postprocess
from gesturedet.preprocess import preprocess, preprocess_bytes
from gesturedet.runtime.base import Floats, open_runtime
from tests.contracts.runtime.nets import Nets, Precision, cases, opened, rows
from tests.model.gesturedet.lively import LEAST_LOGIT, pictures

pytestmark = [pytest.mark.torch, pytest.mark.xdist_group("export")]

Outputs = tuple[Floats, Floats]
ANCHORS = anchors_cxcywh(CLASSROOM.input_hw, CLASSROOM.anchors)
CLEARLY = 0.1
"""A find has to be so much above the threshold of 0.5 that rounding cannot push it below."""


@dataclass(frozen=True)
class Tolerance:
    """How far a precision may be from full precision in torch.

    `most` and `mean`: difference of a logit or an offset, at one place and on average (logits reach 5 here). `found`: the
    share of clear finds that come out again, of the same behaviour, with an IoU of 0.9 and a score within `score`. With
    random weights boxes crowd, so that a little noise lets suppression choose a neighbour: hence no 1 below full precision.
    """

    most: float
    mean: float
    found: float
    score: float


FULL = Tolerance(most=1e-4, mean=5e-6, found=1.0, score=1e-4)
HALF = Tolerance(most=0.06, mean=0.003, found=0.97, score=0.005)
BRAIN = Tolerance(most=0.4, mean=0.02, found=0.9, score=0.03)
INTEGER = Tolerance(most=1.2, mean=0.06, found=0.8, score=0.08)

TOLERANCES = {("openvino-bf16", "fp32"): BRAIN, ("tensorrt-fp16", "fp32"): HALF}
"""Where the precision is not the file's."""


def tolerance(name: str, precision: str) -> Tolerance:
    return TOLERANCES.get((name, precision), INTEGER if precision == "int8" else FULL)


def boxes(outputs: Outputs, threshold: float) -> list[list[Detection]]:
    thresholds = dict.fromkeys(BEHAVIOURS, threshold)
    return [postprocess(*one, ANCHORS, thresholds=thresholds) for one in zip(*outputs, strict=True)]


def found_again(one: Detection, among: list[Detection], score: float) -> bool:
    alike = [other for other in among if other.behaviour == one.behaviour and abs(other.score - one.score) <= score]
    if not alike:
        return False
    overlaps = iou_matrix(np.array([one.box_xyxy]), np.array([other.box_xyxy for other in alike]))
    return bool(overlaps.max() >= 0.9)


def share_found(wanted: Outputs, said: Outputs, score: float) -> float:
    pairs = zip(boxes(wanted, 0.5 + CLEARLY), boxes(said, 0.5), strict=True)
    hits = [found_again(one, others, score) for clear, others in pairs for one in clear]
    assert len(hits) > 100  # a comparison of nothing proves nothing
    return sum(hits) / len(hits)


@pytest.mark.parametrize("case", cases())
def test_a_runtime_says_and_finds_what_the_net_in_torch_does(case: tuple[str, Precision], nets: Nets) -> None:
    name, precision = case
    allowed, images = tolerance(name, precision), pictures(3, CLASSROOM, seed=9)
    wanted = open_runtime("eager", nets.fp32).run(images)
    assert float(np.abs(wanted[0]).max()) > LEAST_LOGIT
    said = opened(name, nets.of(name, precision)).run(images)
    for one, other in zip(said, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=allowed.most, rtol=0)
        assert float(np.abs(one - other).mean()) <= allowed.mean
    assert share_found(wanted, said, allowed.score) >= allowed.found


@pytest.mark.parametrize("name", rows())
def test_normalising_in_the_graph_gives_what_normalising_outside_gives(name: str, nets: Nets) -> None:
    picture = np.random.default_rng(4).integers(0, 256, (400, 600, 3)).astype(np.uint8)
    size_hw = CLASSROOM.input_hw
    wanted = opened(name, nets.fp32).run(preprocess(picture, size_hw))
    runtime = opened(name, nets.fp32_bytes)
    assert runtime.input.in_bytes
    allowed = tolerance(name, "fp32")
    for one, other in zip(runtime.run(preprocess_bytes(picture, size_hw)), wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=allowed.most, rtol=0)


def test_of_a_quantised_net_too_to_the_last_bit_on_the_runtime_of_the_product(nets: Nets) -> None:
    picture = np.random.default_rng(4).integers(0, 256, (400, 600, 3)).astype(np.uint8)
    outside = open_runtime("onnxruntime", nets.int8).run(preprocess(picture, CLASSROOM.input_hw))
    inside = open_runtime("onnxruntime", nets.int8_bytes).run(preprocess_bytes(picture, CLASSROOM.input_hw))
    assert [one.tobytes() for one in inside] == [one.tobytes() for one in outside]
