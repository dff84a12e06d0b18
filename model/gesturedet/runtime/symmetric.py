"""What TensorRT can read of quantised nets, checked before it is asked: it fails late, and not in words of ours."""

from collections.abc import Iterator
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from gesturedet.runtime.base import NetMismatch

_CODED = ("QuantizeLinear", "DequantizeLinear")


def check_symmetric(onnx_bytes: bytes) -> None:
    """Raise NetMismatch for bytes that are no ONNX, and for a quantised net with zero points or biases in int32."""
    try:
        graph = onnx.load_from_string(onnx_bytes).graph
    except DecodeError as error:
        raise NetMismatch(f"onnx_bytes: no ONNX ({error}); expected an ONNX net") from error
    fault = next(_faults(graph), None)
    if fault is not None:
        raise NetMismatch(
            f"onnx_bytes: int8 in a form that TensorRT cannot read ({fault}), expected a net in full precision "
            "or one of `gesturedet quantize --symmetric`"
        )


def _faults(graph: Any) -> Iterator[str]:
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in (node for node in graph.node if node.op_type in _CODED):
        if node.input[0] in constants and constants[node.input[0]].data_type == onnx.TensorProto.INT32:
            yield f"{node.input[0]} is int32"
        zero_point = constants.get(node.input[2]) if len(node.input) > 2 else None
        if zero_point is not None and numpy_helper.to_array(zero_point).any():
            yield f"{zero_point.name} is not 0"
