"""Trained net → release: an ONNX file, its quantised form, and the folder with its card.

Legend: B pictures, C channels, H and W.
"""

import contextlib
import logging
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

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
from gesturedet.predictor import Predictor
from gesturedet.runtime.base import OUTPUTS, Images
from gesturedet.runtime.eager import CONFIG_KEY
from gesturedet.runtime.onnxruntime import OnnxRuntime
from gesturedet.whole_files import write_both

OPSET = 18
INPUT_NAME = "images"
_CLASS_POINT = re.compile(r"class_heads\.levels\.\d+\.point\.weight")
"""The weights of the class heads' last convolutions."""
_IN_BYTES = "take_bytes."
"""How the names of the operations begin that turn bytes into what the net was trained on."""
_WARNINGS, _ERRORS = 2, 3
"""ONNX Runtime's severities; from warnings on is its default."""

KEPT_IN_FLOAT = ("Sigmoid", "LayerNormalization", "ReduceMean", "Relu", "Concat")
"""Operations that int8 would make coarser and not faster.

The three of channel attention and the mask's sigmoid work on a few numbers. Joining all heads' outputs in int8 would force
one scale on levels whose logits differ.
"""

LARGEST_LOGIT = 12.0
"""In int8 the class heads say logits between this below and above 0.

A trained net says of some places -40 to -70; 8 bits for all of that are steps of 0.2 to 0.3 in the logits that decide. Between
-12 and 12 they are 0.09, and what is cut off says nothing more: odds of 1 to 160,000 against. Of mAP on 300 validation
pictures int8 then lost 0.07 points instead of 0.35, at no cost of time; with these layers in float it lost 0.13 and took 6 %
longer. By the error of logits, ranges cut at quantiles and 8 bits for weights gain nothing, and averaged ranges lose.
"""

FOR_TENSORRT = {
    "ActivationSymmetric": True,
    "WeightSymmetric": True,
    "QuantizeBias": False,
    "AddQDQPairToWeight": True,
    "DedicatedQDQPair": True,
}
"""TensorRT knows no zero points and no int32 constants, and fuses a pair of nodes best where one operation reads it."""


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
            output_names=list(OUTPUTS),
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


def quantise(onnx_path: Path, out_path: Path, calibration_images: Iterable[Images], *, symmetric: bool = False) -> None:
    """Write an int8 form of an exported net (static, Q/DQ nodes, one scale for each channel of a weight).

    `calibration_images`: single pictures as the net takes them, a hundred or so of the kind that will be seen; the ranges of
    all maps are taken from them, one after the other, but for `LARGEST_LOGIT`. Weights use 7 of their 8 bits: processors
    without VNNI add two products in 16 bits, where 8 bits overflow. `symmetric`: the form that TensorRT reads, with 0 in the
    middle of every range, whole 8 bits, float biases and weights quantised in the graph; on a CPU it is coarser. Raises
    ValueError when there is no picture to calibrate with.
    """
    with tempfile.TemporaryDirectory() as folder, _quiet():
        shaped = Path(folder) / "shaped.onnx"
        quant_pre_process(onnx_path, shaped, skip_symbolic_shape=True)
        graph = onnx.load(shaped).graph
        quantize_static(
            shaped,
            out_path,
            _Pictures(graph.input[0].name, calibration_images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=not symmetric,
            activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=[node.name for node in graph.node if _stays(node)],
            extra_options=(FOR_TENSORRT if symmetric else {}) | {"TensorQuantOverrides": _ranges(graph.node)},
        )


def take_bytes(onnx_path: Path, out_path: Path) -> None:
    """Write a form of an exported net, quantised or not, that takes images_BHWC of bytes in BGR, as OpenCV decodes them.

    What `preprocess.normalise` does is then the graph's, in float. Raises ValueError for a net that already takes bytes.
    """
    net = onnx.load(onnx_path)
    (images,) = net.graph.input
    count, channels, height, width = images.type.tensor_type.shape.dim
    if channels.dim_value != 3:
        raise ValueError(f"{onnx_path}: its input has {channels.dim_value} channels, expected 3, first of (B, C, H, W)")
    pixels = onnx.helper.make_tensor_value_info(
        "pixels", onnx.TensorProto.UINT8, [count.dim_param, height.dim_value, width.dim_value, 3]
    )
    net.graph.initializer.extend(
        [
            onnx.numpy_helper.from_array(np.array([2, 1, 0]), "pixels.rgb"),
            onnx.numpy_helper.from_array(np.float32(127.5), "pixels.middle"),
            onnx.numpy_helper.from_array(np.float32(1 / 127.5), "pixels.scale"),
        ]
    )
    nodes = [
        _node("Transpose", "pixels", "pixels_BCHW", perm=[0, 3, 1, 2]),
        _node("Gather", "pixels_BCHW", "pixels.rgb", "pixels_RGB", axis=1),
        _node("Cast", "pixels_RGB", "pixels_float", to=onnx.TensorProto.FLOAT),
        _node("Sub", "pixels_float", "pixels.middle", "pixels_centred"),
        _node("Mul", "pixels_centred", "pixels.scale", images.name),
        *net.graph.node,
    ]
    net.graph.ClearField("node")
    net.graph.node.extend(nodes)
    net.graph.ClearField("input")
    net.graph.input.append(pixels)
    onnx.checker.check_model(net)
    onnx.save(net, out_path)


def write_release(folder: Path, onnx_path: Path, card: ModelCard) -> Release:
    """Write `model.onnx` and `card.json` into a folder; the card gets the digest of the file. Return what was written.

    A kill or a full disk leaves the old release or the new one. Raises ValueError when the net does not say as many numbers
    about as many default boxes as the card says, OSError when it cannot be written.
    """
    onnx_bytes = onnx_path.read_bytes()
    card = msgspec.structs.replace(card, digest=digest_of(onnx_bytes))
    check_against_card(onnx_bytes, card)
    write_both((folder / MODEL_FILE, onnx_bytes), (folder / CARD_FILE, write_card(card)))
    return load_release(folder)


def check_against_card(onnx_bytes: bytes, card: ModelCard) -> None:
    """Run the net once on a grey picture. Raises ValueError when its outputs are not what the card promises."""
    release = Release(card, onnx_bytes)
    predictor = Predictor(release, OnnxRuntime(onnx_bytes))
    logits_BAK, offsets_BA4 = predictor.runtime.run(predictor.prepare(np.full((*card.input_hw, 3), 127, np.uint8)))
    boxes = len(anchors_cxcywh(card.input_hw, card.anchors))
    classes = len(card.labels) + 1
    if logits_BAK.shape != (1, boxes, classes) or offsets_BA4.shape != (1, boxes, 4):
        raise ValueError(
            f"logits {logits_BAK.shape} and offsets {offsets_BA4.shape} do not fit the card, "
            f"expected (1, {boxes}, {classes}) and (1, {boxes}, 4)"
        )


def _node(kind: str, *names: str, **settings: Any) -> onnx.NodeProto:
    """A node of `take_bytes`, marked as one; the last of the names is its output."""
    return onnx.helper.make_node(kind, names[:-1], names[-1:], name=f"{_IN_BYTES}{kind}", **settings)


def _stays(node: onnx.NodeProto) -> bool:
    """Whether an operation is left as it is when a net is quantised."""
    return node.op_type in KEPT_IN_FLOAT or node.name.startswith(_IN_BYTES)


def _ranges(nodes: Iterable[onnx.NodeProto]) -> dict[str, list[dict[str, Any]]]:
    """Return the ranges that are stated and not taken from pictures, by tensor: those of the class heads' outputs."""
    last = [node for node in nodes if any(_CLASS_POINT.fullmatch(name) for name in node.input)]
    return {node.output[0]: [{"rmin": np.float32(-LARGEST_LOGIT), "rmax": np.float32(LARGEST_LOGIT)}] for node in last}


class _Pictures(CalibrationDataReader):  # type: ignore[misc]
    """Hands the pictures to the quantiser, one by one and once."""

    def __init__(self, input_name: str, images: Iterable[Images]) -> None:
        self._input_name = input_name
        self._left = iter(images)
        self._handed = 0

    def get_next(self) -> dict[str, Images] | None:
        one = next(self._left, None)
        if one is None and not self._handed:
            raise ValueError("calibration_images: there is none, expected at least one picture")
        self._handed += 1
        return None if one is None else {self._input_name: one}


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
