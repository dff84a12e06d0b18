"""Trained net → release: an ONNX file, its quantised form, and the folder with its card.

Legend: B pictures, C channels, H and W.
"""

import contextlib
import logging
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from gesturedet.anchors import anchors_cxcywh
from gesturedet.card import CARD_FILE, MODEL_FILE, ModelCard, Release, digest_of, load_release, write_card
from gesturedet.convolution import fold_batch_norm
from gesturedet.detector import GestureDet
from gesturedet.runtime.base import Floats
from gesturedet.runtime.eager import CONFIG_KEY
from gesturedet.runtime.onnxruntime import OnnxRuntime

OPSET = 18
INPUT_NAME = "images"
OUTPUT_NAMES = ("logits", "offsets")
_WARNINGS, _ERRORS = 2, 3
"""ONNX Runtime's severities; from warnings on is its default."""

KEPT_IN_FLOAT = ("Sigmoid", "LayerNormalization", "ReduceMean", "Relu", "Concat")
"""Operations that int8 would make coarser and not faster.

The three of channel attention and the mask's sigmoid work on a few numbers. Joining all heads' outputs in int8 would force
one scale on levels whose logits differ.
"""


def export_onnx(model: GestureDet, path: Path) -> None:
    """Write the net as ONNX: batch norm folded, weights under their names, settings in the metadata.

    Height and width are fixed to the config's, because default boxes belong to them; the number of pictures is free, so
    that one file serves a CPU one by one and an accelerator in batches. That costs no time on a CPU.
    """
    folded = fold_batch_norm(model).cpu().to(memory_format=torch.contiguous_format)
    with _quiet():
        program = torch.onnx.export(
            folded,
            (torch.zeros(2, 3, *model.config.input_hw),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT_NAME],
            output_names=list(OUTPUT_NAMES),
            dynamic_shapes=({0: torch.export.Dim("pictures")},),
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export: gave nothing, expected a program")
    exported = program.model_proto
    _complete_weights(exported, folded)
    onnx.helper.set_model_props(exported, {CONFIG_KEY: msgspec.json.encode(model.config).decode()})
    _forget_origins(exported)
    onnx.checker.check_model(exported)
    onnx.save(exported, path)


def quantise(onnx_path: Path, out_path: Path, calibration_images: Iterable[Floats]) -> None:
    """Write an int8 form of an exported net (static, Q/DQ nodes, one scale for each channel of a weight).

    `calibration_images`: images_1CHW from `preprocess`, a hundred or so of the kind that will be seen; the ranges of all
    maps are taken from them. Weights use 7 of their 8 bits: processors without VNNI add two products in 16 bits, where 8
    bits overflow. Raises ValueError when there is no picture to calibrate with.
    """
    reader = _Pictures(calibration_images)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        shaped = Path(folder) / "shaped.onnx"
        quant_pre_process(onnx_path, shaped, skip_symbolic_shape=True)
        kept = [node.name for node in onnx.load(shaped).graph.node if node.op_type in KEPT_IN_FLOAT]
        quantize_static(
            shaped,
            out_path,
            reader,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=kept,
        )


def write_release(folder: Path, onnx_path: Path, card: ModelCard) -> Release:
    """Write `model.onnx` and `card.json` into a folder; the card gets the digest of the file. Return what was written.

    Raises ValueError when the net does not say as many numbers about as many default boxes as the card says.
    """
    onnx_bytes = onnx_path.read_bytes()
    card = msgspec.structs.replace(card, digest=digest_of(onnx_bytes))
    check_against_card(onnx_bytes, card)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_bytes(onnx_bytes)
    (folder / CARD_FILE).write_bytes(write_card(card))
    return load_release(folder)


def check_against_card(onnx_bytes: bytes, card: ModelCard) -> None:
    """Run the net once on a grey picture. Raises ValueError when its outputs are not what the card promises."""
    logits_BAK, offsets_BA4 = OnnxRuntime(onnx_bytes).run(np.zeros((1, 3, *card.input_hw), dtype=np.float32))
    boxes = len(anchors_cxcywh(card.input_hw, card.anchors))
    classes = len(card.labels) + 1
    if logits_BAK.shape != (1, boxes, classes) or offsets_BA4.shape != (1, boxes, 4):
        raise ValueError(
            f"logits {logits_BAK.shape} and offsets {offsets_BA4.shape} do not fit the card, "
            f"expected (1, {boxes}, {classes}) and (1, {boxes}, 4)"
        )


class _Pictures(CalibrationDataReader):  # type: ignore[misc]
    """Hands the pictures to the quantiser, one by one."""

    def __init__(self, images: Iterable[Floats]) -> None:
        self._images = list(images)
        if not self._images:
            raise ValueError("calibration_images: there is none, expected at least one picture")
        self.rewind()

    def rewind(self) -> None:
        self._left = iter(self._images)

    def get_next(self) -> dict[str, Floats] | None:
        images_1CHW = next(self._left, None)
        return None if images_1CHW is None else {INPUT_NAME: images_1CHW}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the log lines of the exporter and the quantiser from people's terminals.

    They are about packages that this net does not need, and about the weights that `_complete_weights` puts back.
    """
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    onnxruntime.set_default_logger_severity(_ERRORS)
    try:
        yield
    finally:
        logger.setLevel(level)
        onnxruntime.set_default_logger_severity(_WARNINGS)


def _complete_weights(exported: onnx.ModelProto, net: GestureDet) -> None:
    """Put back the weights that the exporter left out, biases of 0 and ones equal to others.

    Nothing computes with them; they are there so that the net can be rebuilt from the file alone.
    """
    present = {tensor.name for tensor in exported.graph.initializer}
    for name, tensor in net.state_dict().items():
        if name not in present:
            exported.graph.initializer.append(onnx.numpy_helper.from_array(tensor.numpy(), name))


def _forget_origins(model: onnx.ModelProto) -> None:
    """Drop what the exporter notes beside each node and value: source lines and paths of the machine it ran on."""
    graph = model.graph
    for element in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del element.metadata_props[:]
