import hashlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch (the train extra)")
onnx = pytest.importorskip("onnx", reason="needs onnx (the train extra)")

from gesturedet.card import CARD_FILE, DigestMismatch, load_release  # noqa: E402
from gesturedet.detector import CLASSROOM, PAPER, GestureDet  # noqa: E402
from gesturedet.export import LARGEST_LOGIT, export_onnx, quantise, take_bytes, write_release  # noqa: E402
from gesturedet.runtime.eager import EagerRuntime, net_of  # noqa: E402
from gesturedet.runtime.onnxruntime import OnnxRuntime  # noqa: E402
from gesturedet.whole_files import partial_of  # noqa: E402
from tests.model.gesturedet.cards import card_for  # noqa: E402
from tests.model.gesturedet.full_disk import full_disk  # noqa: E402
from tests.model.gesturedet.lively import lively_net, pictures  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.xdist_group("export")]

WIDE = CLASSROOM
SQUARE = PAPER
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[GestureDet, Path]:
    net, path = lively_net(WIDE), tmp_path_factory.mktemp("export") / "net.onnx"
    export_onnx(net, path)
    return net, path


@pytest.fixture(scope="module")
def quantised(exported: tuple[GestureDet, Path]) -> Path:
    path = exported[1].with_name("int8.onnx")
    quantise(exported[1], path, iter(pictures(6, WIDE)[:, None]))
    return path


def largest_difference(net: GestureDet, path: Path, images: Any) -> float:
    with torch.no_grad():
        eager = [output.numpy() for output in net(torch.from_numpy(images))]
    said = OnnxRuntime(path.read_bytes()).run(images)
    assert np.abs(eager[0]).max() > 2.0  # the logits say something
    return max(float(np.abs(one - other).max()) for one, other in zip(eager, said, strict=True))


def test_the_exported_net_says_what_the_net_says(exported: tuple[GestureDet, Path]) -> None:
    net, path = exported
    assert largest_difference(net, path, pictures(1, WIDE)) <= TOLERANCE


def test_so_does_it_at_the_papers_size(tmp_path: Path) -> None:
    net = lively_net(SQUARE)
    export_onnx(net, tmp_path / "net.onnx")
    assert largest_difference(net, tmp_path / "net.onnx", pictures(1, SQUARE)) <= TOLERANCE


def test_one_file_serves_any_number_of_pictures(exported: tuple[GestureDet, Path]) -> None:
    net, path = exported
    images = pictures(3, WIDE)
    assert largest_difference(net, path, images) <= TOLERANCE
    runtime = OnnxRuntime(path.read_bytes())
    np.testing.assert_allclose(runtime.run(images[2:])[0][0], runtime.run(images)[0][2], atol=TOLERANCE)


def test_batch_norm_and_padding_leave_no_nodes_behind(exported: tuple[GestureDet, Path]) -> None:
    kinds = {node.op_type for node in onnx.load(exported[1]).graph.node}
    assert kinds.isdisjoint({"BatchNormalization", "Pad"})


def test_the_file_tells_nothing_of_the_machine_it_was_made_on(exported: tuple[GestureDet, Path]) -> None:
    data = exported[1].read_bytes()
    assert b".py" not in data
    assert str(Path.cwd()).encode() not in data


def test_the_net_can_be_rebuilt_from_the_file(exported: tuple[GestureDet, Path]) -> None:
    net, path = exported
    assert not net.state_dict()["spatial_attention.mask.bias"].any()  # the exporter leaves weights out that are 0
    assert net_of(path.read_bytes()).config == net.config
    images = pictures(2, WIDE)
    for one, other in zip(EagerRuntime(path.read_bytes()).run(images), net(torch.from_numpy(images)), strict=True):
        np.testing.assert_allclose(one, other.detach().numpy(), atol=TOLERANCE)


def test_int8_says_nearly_the_same_in_a_third_of_the_bytes(exported: tuple[GestureDet, Path], quantised: Path) -> None:
    images = pictures(2, WIDE, seed=9)
    exact, coarse = (OnnxRuntime(path.read_bytes()).run(images) for path in (exported[1], quantised))
    for one, other in zip(exact, coarse, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.99
    assert quantised.stat().st_size < exported[1].stat().st_size / 3


def test_int8_says_classes_in_even_steps_of_an_eleventh_however_far_some_logits_go(quantised: Path) -> None:
    logits, _ = OnnxRuntime(quantised.read_bytes()).run(pictures(1, WIDE))
    steps = logits / (2 * LARGEST_LOGIT / 255)
    np.testing.assert_allclose(steps, steps.round(), atol=1e-3)
    assert np.diff(np.unique(steps.round())).min() == 1


def test_int8_weights_keep_to_7_bits_so_that_sums_of_two_products_fit_16(quantised: Path) -> None:
    weights = [t for t in onnx.load(quantised).graph.initializer if t.name.endswith("weight_quantized")]
    values = [onnx.numpy_helper.to_array(tensor).astype(np.int32) for tensor in weights]
    assert len(values) == 91  # every convolution
    assert max(int(np.abs(value).max()) for value in values) <= 64


def test_quantising_needs_pictures(exported: tuple[GestureDet, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="calibration_images: there is none, expected at least one picture"):
        quantise(exported[1], tmp_path / "int8.onnx", [])


def test_a_quantised_file_cannot_be_rebuilt_in_full_precision(quantised: Path) -> None:
    with pytest.raises(ValueError, match=r"onnx_bytes: .*expected"):
        net_of(quantised.read_bytes())


def test_a_written_release_loads_with_the_digest_of_its_file(exported: tuple[GestureDet, Path], tmp_path: Path) -> None:
    release = write_release(tmp_path / "release", exported[1], card_for(WIDE.input_hw))
    assert release.card.digest == hashlib.sha256(exported[1].read_bytes()).hexdigest()
    assert load_release(tmp_path / "release") == release


@pytest.mark.parametrize("at_bytes", [256, 1 << 20])
def test_a_full_disk_keeps_the_old_release(
    exported: tuple[GestureDet, Path], quantised: Path, tmp_path: Path, at_bytes: int
) -> None:
    """The card is larger than the first limit, the net than both."""
    old = write_release(tmp_path / "release", exported[1], card_for(WIDE.input_hw))
    with full_disk(at_bytes=at_bytes), pytest.raises(OSError, match=r"cannot be written \(File too large\)"):
        write_release(tmp_path / "release", quantised, card_for(WIDE.input_hw))
    assert load_release(tmp_path / "release") == old
    assert sorted(path.name for path in (tmp_path / "release").iterdir()) == ["card.json", "model.onnx"]


def test_a_kill_between_net_and_card_leaves_the_new_release(
    exported: tuple[GestureDet, Path], quantised: Path, tmp_path: Path
) -> None:
    folder, card = tmp_path / "release", tmp_path / "release" / CARD_FILE
    write_release(folder, exported[1], card_for(WIDE.input_hw))
    before = card.read_bytes()
    new = write_release(folder, quantised, card_for(WIDE.input_hw))
    card.rename(partial_of(card))
    card.write_bytes(before)
    assert load_release(folder) == new
    partial_of(card).write_bytes(b"{")
    with pytest.raises(DigestMismatch, match="digest expected"):
        load_release(folder)


def test_a_release_whose_card_speaks_of_another_net_is_not_written(
    exported: tuple[GestureDet, Path], tmp_path: Path
) -> None:
    card = msgspec.structs.replace(card_for(WIDE.input_hw), labels=("stand-up",), thresholds={"stand-up": 0.5})
    with pytest.raises(ValueError, match=r"logits \(1, 18480, 4\) .* expected \(1, 18480, 2\) and \(1, 18480, 4\)"):
        write_release(tmp_path / "release", exported[1], card)
    assert not (tmp_path / "release").exists()


def test_the_form_for_tensorrt_has_no_zero_points_no_int32_and_all_of_8_bits(
    exported: tuple[GestureDet, Path], tmp_path: Path
) -> None:
    quantise(exported[1], tmp_path / "symmetric.onnx", pictures(6, WIDE)[:, None], symmetric=True)
    graph = onnx.load(tmp_path / "symmetric.onnx").graph
    assert not any(
        onnx.numpy_helper.to_array(tensor).any() for tensor in graph.initializer if "zero_point" in tensor.name
    )
    scales = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer if "scale" in tensor.name}
    stated = [name for name, scale in scales.items() if scale.ndim == 0 and abs(scale - LARGEST_LOGIT / 127) < 1e-6]
    assert len(stated) >= 6, "the class heads of six levels"
    assert onnx.TensorProto.INT32 not in {tensor.data_type for tensor in graph.initializer}
    weights = {tensor.name for tensor in graph.initializer if tensor.name.endswith("weight")}
    quantised_weights = [node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] in weights]
    assert len(quantised_weights) == 91  # every convolution


def test_a_net_cannot_be_made_to_take_bytes_twice(exported: tuple[GestureDet, Path], tmp_path: Path) -> None:
    take_bytes(exported[1], tmp_path / "bytes.onnx")
    with pytest.raises(ValueError, match=r"bytes\.onnx: its input has 288 channels, expected 3, first of"):
        take_bytes(tmp_path / "bytes.onnx", tmp_path / "twice.onnx")
    assert not (tmp_path / "twice.onnx").exists()
