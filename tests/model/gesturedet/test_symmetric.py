"""What TensorRT can read of quantised nets is told before it is asked, on a machine without it too."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="a net is looked into with onnx (the gpu extra)")

from gesturedet.api import load  # noqa: E402
from gesturedet.card import find_release  # noqa: E402
from gesturedet.runtime.base import NetMismatch  # noqa: E402
from gesturedet.runtime.symmetric import check_symmetric  # noqa: E402


def net(**constants: np.ndarray) -> bytes:
    """A graph that dequantises the constant `values`, by `scale` and, where it is given, `zero`."""
    told = {"values": np.array([1], np.int8), "scale": np.array(0.5, np.float32), **constants}
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node(
                "DequantizeLinear", [name for name in ("values", "scale", "zero") if name in told], ["y"]
            )
        ],
        "net",
        [],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])],
        [onnx.numpy_helper.from_array(array, name) for name, array in told.items()],
    )
    content: bytes = onnx.helper.make_model(graph).SerializeToString()
    return content


def test_without_zero_points_or_with_all_at_0_it_can_be_read() -> None:
    check_symmetric(net())
    check_symmetric(net(zero=np.array(0, np.int8)))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (net(zero=np.array(3, np.int8)), "zero is not 0"),
        (net(values=np.array([1], np.int32)), "values is int32"),
        (b"no net at all", "no ONNX"),
    ],
)
def test_what_cannot_be_read_is_named(content: bytes, says: str) -> None:
    with pytest.raises(NetMismatch, match=rf"^onnx_bytes: [^\n]*{says}[^\n]*expected [^\n]*$"):
        check_symmetric(content)


def test_a_released_net_in_full_precision_can_be_read() -> None:
    check_symmetric(find_release("classroom-fp32").onnx_bytes)


def test_the_released_int8_net_is_refused_by_name_and_told_what_to_do() -> None:
    with pytest.raises(
        NetMismatch,
        match=r"^model 'classroom' on runtime 'tensorrt': onnx_bytes: int8 in a form that TensorRT cannot read \(.* is int32\), "
        r"expected a net in full precision or one of `gesturedet quantize --symmetric`$",
    ):
        load("classroom", runtime="tensorrt")
