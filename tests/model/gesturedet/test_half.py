from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch (the train extra)")
onnx = pytest.importorskip("onnx", reason="needs onnx (the train extra)")

from gesturedet.detector import CLASSROOM  # noqa: E402
from gesturedet.export import export_onnx, quantise, take_bytes  # noqa: E402
from gesturedet.runtime.base import NetMismatch  # noqa: E402
from gesturedet.runtime.half import to_half  # noqa: E402
from gesturedet.runtime.onnxruntime import OnnxRuntime  # noqa: E402
from tests.model.gesturedet.lively import LEAST_LOGIT, lively_net, pictures  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.xdist_group("export")]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("half") / "net.onnx"
    export_onnx(lively_net(CLASSROOM), path)
    return path


@pytest.mark.parametrize("content", [b"no net"])
def test_what_is_no_net_cannot_be_cast(content: bytes) -> None:
    with pytest.raises(NetMismatch, match="onnx_bytes: no ONNX"):
        to_half(content)


def test_a_cast_net_says_nearly_the_same_in_half_the_bytes(exported: Path) -> None:
    whole, half = exported.read_bytes(), to_half(exported.read_bytes())
    assert len(half) < 0.51 * len(whole)
    images = pictures(2, CLASSROOM)
    for one, other in zip(OnnxRuntime(whole).run(images), OnnxRuntime(half).run(images), strict=True):
        assert other.dtype == np.float32
        assert float(np.abs(one).max()) > LEAST_LOGIT
        assert 0 < float(np.abs(one - other).max()) < 0.06


def test_every_convolution_is_cast_and_what_loses_digits_is_not(exported: Path) -> None:
    net = onnx.shape_inference.infer_shapes(
        onnx.load_from_string(to_half(exported.read_bytes())), check_type=True, strict_mode=True
    )
    types = {value.name: value.type.tensor_type.elem_type for value in net.graph.value_info}
    found = {(node.op_type, types.get(node.output[0])) for node in net.graph.node}
    assert ("Conv", onnx.TensorProto.FLOAT16) in found
    assert ("Conv", onnx.TensorProto.FLOAT) not in found
    assert {("ReduceMean", onnx.TensorProto.FLOAT), ("LayerNormalization", onnx.TensorProto.FLOAT)} <= found


def test_a_net_that_takes_bytes_still_does(exported: Path, tmp_path: Path) -> None:
    take_bytes(exported, tmp_path / "bytes.onnx")
    runtime = OnnxRuntime(to_half((tmp_path / "bytes.onnx").read_bytes()))
    assert runtime.input.in_bytes
    assert runtime.run(np.zeros((1, *CLASSROOM.input_hw, 3), np.uint8))[0].shape == (1, 18480, 4)


def test_a_quantised_net_is_refused(exported: Path, tmp_path: Path) -> None:
    quantise(exported, tmp_path / "int8.onnx", pictures(1, CLASSROOM)[:, None])
    with pytest.raises(NetMismatch, match="a quantised net cannot be cast to fp16, expected one in full precision"):
        to_half((tmp_path / "int8.onnx").read_bytes())
