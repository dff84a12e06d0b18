"""A release whose net is a formula: the brighter the picture, the surer a raised hand. Real file, card and runtime."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gesturedet.anchors import CLASSROOM_ANCHORS, anchors_cxcywh
from gesturedet.card import CARD_FILE, MODEL_FILE, ModelCard, digest_of, write_card
from gesturedet.labels import BEHAVIOURS

INPUT_HW = (96, 160)


def make_release(folder: Path, *, slope: float = 30.0) -> ModelCard:
    """Write model.onnx and card.json into a folder; gives the card. Another `slope` is another net."""
    folder.mkdir(parents=True, exist_ok=True)
    model = _model(len(anchors_cxcywh(INPUT_HW, CLASSROOM_ANCHORS)), 1 + len(BEHAVIOURS), slope)
    card = ModelCard(
        name="fake",
        digest=digest_of(model),
        precision="fp32",
        labels=tuple(BEHAVIOURS),
        input_hw=INPUT_HW,
        frame_width=320,
        thresholds=dict.fromkeys(BEHAVIOURS, 0.5),
        nms_iou=0.45,
        anchors=CLASSROOM_ANCHORS,
        data_seeds={},
        recipe={},
        lineage=(),
        exams=(),
    )
    (folder / MODEL_FILE).write_bytes(model)
    (folder / CARD_FILE).write_bytes(write_card(card))
    return card


def change_a_byte(path: Path) -> None:
    """Turn one bit of a file around."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def _model(anchors: int, classes: int, steepness: float) -> bytes:
    """Logits of one default box rise with the mean of the net's input (-1 black, 1 white); all others say background."""
    base = np.zeros((1, anchors, classes), np.float32)
    base[:, :, 0] = 10.0
    slope = np.zeros((1, anchors, classes), np.float32)
    slope[0, 0, 1] = steepness
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "axes"], ["level"]),
        helper.make_node("Mul", ["level", "slope"], ["raised"]),
        helper.make_node("Add", ["raised", "base"], ["logits"]),
        helper.make_node("Mul", ["level", "nothing"], ["offsets"]),
    ]
    constants = {
        "axes": np.array([1, 2], np.int64),
        "slope": slope,
        "base": base,
        "nothing": np.zeros((1, anchors, 4), np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "fake",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["pictures", 3, *INPUT_HW])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["pictures", anchors, classes]),
            helper.make_tensor_value_info("offsets", TensorProto.FLOAT, ["pictures", anchors, 4]),
        ],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data
