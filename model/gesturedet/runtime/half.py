"""A net in full precision → the same net in fp16, types written into the graph: what a strongly typed engine is built from."""

import onnx
from google.protobuf.message import DecodeError
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from gesturedet.runtime.base import NetMismatch

KEPT_WHOLE = ("ReduceMean", "LayerNormalization")
"""Channel attention sums thousands of numbers and takes the root of their spread; in fp16 that loses digits and saves nothing."""


def to_half(onnx_bytes: bytes) -> bytes:
    """Cast weights and maps to fp16; what goes in and comes out stays float32.

    Raises NetMismatch for bytes that are no ONNX and for a quantised net, whose types are already chosen.
    """
    try:
        net = onnx.load_from_string(onnx_bytes)
    except DecodeError as error:
        raise NetMismatch(f"onnx_bytes: no ONNX ({error}); expected an ONNX net") from error
    if any(node.op_type == "QuantizeLinear" for node in net.graph.node):
        raise NetMismatch("onnx_bytes: a quantised net cannot be cast to fp16, expected one in full precision")
    halved = convert_float_to_float16(net, keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, *KEPT_WHOLE])
    halved.graph.ClearField("value_info")  # it still tells the old types of what stayed whole
    OnnxModel(halved).topological_sort()  # the casts were put at the end
    content: bytes = halved.SerializeToString()
    return content
