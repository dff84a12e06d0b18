"""What every runtime promises besides right numbers (test_parity). A new one joins by its row in RUNTIMES."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from gesturedet.detector import CLASSROOM
from gesturedet.runtime.base import (
    EXTRAS,
    RUNTIMES,
    NetMismatch,
    Port,
    Runtime,
    RuntimeAbsent,
    net_input,
    open_runtime,
)
from tests.contracts.runtime.nets import FULL_ONLY, ON_A_GPU, Nets, cases, opened, rows
from tests.model.gesturedet.lively import pictures
from tests.support import require

pytestmark = [pytest.mark.torch, pytest.mark.xdist_group("export")]

BOXES = 18480


@pytest.fixture(scope="module", params=cases())
def runtime(request: pytest.FixtureRequest, nets: Nets) -> Runtime:
    name, precision = request.param
    return opened(name, nets.of(name, precision))


def test_no_pictures_give_no_outputs(runtime: Runtime) -> None:
    logits, offsets = runtime.run(pictures(1, CLASSROOM)[:0])
    assert logits.shape == (0, BOXES, 4)
    assert offsets.shape == (0, BOXES, 4)


@pytest.mark.parametrize("count", [1, 3])
def test_each_picture_gives_logits_and_offsets_of_every_default_box(runtime: Runtime, count: int) -> None:
    logits, offsets = runtime.run(pictures(count, CLASSROOM))
    assert logits.shape == (count, BOXES, 4)
    assert offsets.shape == (count, BOXES, 4)
    assert logits.dtype == offsets.dtype == np.float32


def test_more_pictures_than_an_engine_takes_at_once_are_all_answered_in_order(runtime: Runtime) -> None:
    images = np.repeat(pictures(2, CLASSROOM), 9, axis=0)
    logits, _ = runtime.run(images)
    assert len(logits) == 18
    np.testing.assert_allclose(logits[[0, 17]], runtime.run(images[[0, 17]])[0], atol=0.05)
    assert np.abs(logits[0] - logits[17]).max() > 1.0


def test_the_same_picture_gives_the_same_bytes_and_they_outlive_the_next_call(runtime: Runtime) -> None:
    images = pictures(2, CLASSROOM)
    first = runtime.run(images[:1])
    kept = [one.tobytes() for one in first]
    runtime.run(images[1:])
    assert [one.tobytes() for one in first] == kept
    assert [one.tobytes() for one in runtime.run(images[:1])] == kept


@pytest.mark.parametrize("shape", [(1, 3, 300, 300), (1, 1, 288, 512), (3, 288, 512), (1, 288, 512, 3)])
def test_pictures_of_another_shape_are_refused(runtime: Runtime, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"does not fit the net, expected \(pictures, 3, 288, 512\) of float32"):
        runtime.run(np.zeros(shape, dtype=np.float32))


def test_pictures_in_bytes_are_refused_by_a_net_of_floats(runtime: Runtime) -> None:
    with pytest.raises(ValueError, match="of uint8 does not fit the net"):
        runtime.run(np.zeros((1, 3, 288, 512), dtype=np.uint8))


@pytest.mark.parametrize("name", rows())
def test_no_threads_are_refused(name: str, nets: Nets) -> None:
    opened(name, nets.fp32)
    with pytest.raises(ValueError, match="threads: 0 is not a whole number of at least 1"):
        open_runtime(name, nets.fp32, threads=0)


@pytest.mark.parametrize("name", rows())
@pytest.mark.parametrize("content", [b"", b"no net at all"])
def test_bytes_that_are_no_net_are_refused_in_one_line(name: str, content: bytes, nets: Nets) -> None:
    opened(name, nets.fp32)
    with pytest.raises(NetMismatch, match=r"^onnx_bytes: .*[Ee]xpected [^\n]*$"):
        open_runtime(name, content)


@pytest.mark.parametrize("name", rows())
def test_a_net_with_other_outputs_is_refused_naming_them_and_what_was_expected(name: str, nets: Nets) -> None:
    opened(name, nets.fp32)
    net = onnx.load_from_string(nets.fp32)
    del net.graph.output[1]
    with pytest.raises(
        NetMismatch, match=r"onnx_bytes: outputs are logits \(any, 18480, 4\), expected logits .* and offsets"
    ):
        open_runtime(name, net.SerializeToString())


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.gpu) if name in ON_A_GPU else name for name in FULL_ONLY]
)
def test_where_only_full_precision_is_taken_a_quantised_net_is_refused(name: str, nets: Nets) -> None:
    opened(name, nets.fp32)
    with pytest.raises(ValueError, match=r"onnx_bytes: .*expected .*full precision"):
        open_runtime(name, nets.symmetric)


def test_a_name_that_no_runtime_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"runtime: 'opencv' is none of eager, onnxruntime, .*, tensorrt-fp16"):
        open_runtime("opencv", b"")


def test_every_runtime_says_which_extra_brings_it() -> None:
    assert EXTRAS.keys() == RUNTIMES.keys()


HIDDEN = (
    "import sys; sys.modules.update(dict.fromkeys({packages!r})); from pathlib import Path; "
    "from gesturedet.runtime.base import open_runtime; open_runtime({name!r}, Path({net!r}).read_bytes())"
)


@pytest.mark.parametrize("name", sorted(RUNTIMES))
def test_a_runtime_that_cannot_be_had_names_the_extra_that_brings_it(name: str, nets: Nets, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(nets.fp32)
    packages = ("onnxruntime", "openvino", "tensorrt", "tensorrt_bindings", "torch")
    code = HIDDEN.format(packages=packages, name=name, net=str(tmp_path / "net.onnx"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith(f"gesturedet.runtime.base.RuntimeAbsent: runtime {name!r}: ")
    extra = EXTRAS[name]
    assert said.endswith(f"expected what the extra {extra!r} brings: pip install '.[{extra}]'")


IMAGES = Port("images", (None, 3, 96, 160))
LOGITS, OFFSETS = Port("logits", (None, 100, 4)), Port("offsets", (None, 100, 4))


@pytest.mark.parametrize(
    ("inputs", "outputs", "told"),
    [
        ((IMAGES,), (), "outputs are none, expected logits"),
        ((IMAGES,), (Port("boxes", (1, 100, 4)), LOGITS), r"outputs are boxes \(1, 100, 4\) and logits"),
        ((IMAGES,), (LOGITS, Port("offsets", (None, 99, 4))), "of the same boxes"),
        ((IMAGES,), (LOGITS, Port("offsets", (None, 100, 5))), r"offsets \(any, 100, 5\), expected"),
        ((IMAGES,), (Port("logits", (None, 100)), OFFSETS), r"outputs are logits \(any, 100\) and"),
        ((), (LOGITS, OFFSETS), "inputs are none, expected one of"),
        ((IMAGES, IMAGES), (LOGITS, OFFSETS), "inputs are images .* and images .*, expected one of"),
        ((Port("images", (1, 3, 96, 160)),), (LOGITS, OFFSETS), r"inputs are images \(1, 3, 96, 160\), expected"),
        ((Port("images", (None, 3, None, None)),), (LOGITS, OFFSETS), r"\(any, 3, any, any\), expected"),
    ],
)
def test_a_net_of_other_inputs_or_outputs_is_refused(
    inputs: tuple[Port, ...], outputs: tuple[Port, ...], told: str
) -> None:
    with pytest.raises(NetMismatch, match=told):
        net_input(inputs, outputs)


def test_outputs_count_by_name_and_not_by_order() -> None:
    found = net_input((Port("x", (None, 96, 160, 3)),), (OFFSETS, LOGITS))
    assert (found.name, found.size_hw, found.in_bytes) == ("x", (96, 160), True)


def test_openvino_is_there_where_it_is_required(nets: Nets) -> None:
    try:
        open_runtime("openvino", nets.fp32)
    except RuntimeAbsent as absent:
        require("openvino", None, str(absent))
