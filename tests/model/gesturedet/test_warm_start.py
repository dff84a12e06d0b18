from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch (the train extra)")
onnx = pytest.importorskip("onnx", reason="needs onnx (the train extra)")

from gesturedet.card import PACKAGED, WEIGHTS, digest_of, load_release, write_card  # noqa: E402
from gesturedet.convolution import fold_batch_norm, settle_batch_norm  # noqa: E402
from gesturedet.data.training_set import as_input, batches  # noqa: E402
from gesturedet.data.voc import read_split  # noqa: E402
from gesturedet.detector import CLASSROOM, DetectorConfig, GestureDet, looking_at  # noqa: E402
from gesturedet.export import export_onnx  # noqa: E402
from gesturedet.recipes import recipe_of  # noqa: E402
from gesturedet.runtime.onnxruntime import OnnxRuntime  # noqa: E402
from gesturedet.training_run import start  # noqa: E402
from gesturedet.warm_start import MOST_LOGIT, load_released_weights, loosen_mask, weights_in  # noqa: E402
from tests.model.gesturedet.cards import card_for  # noqa: E402
from tests.model.gesturedet.test_engine import TINY  # noqa: E402
from tests.model.gesturedet.voc_folder import write_voc  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.xdist_group("export")]

SMALL = DetectorConfig(input_hw=(96, 160))


def images(config: DetectorConfig) -> Any:
    coarse = np.random.default_rng(5).uniform(-1, 1, (2, 3, 6, 10)).astype(np.float32)
    return torch.nn.functional.interpolate(torch.from_numpy(coarse), size=config.input_hw, mode="bilinear")


def said(net: GestureDet, shown: Any) -> Any:
    with torch.inference_mode():
        return fold_batch_norm(net)(shown)


def test_a_net_started_from_a_file_says_what_the_exported_net_said(tmp_path: Path) -> None:
    torch.manual_seed(1)
    champion = GestureDet(SMALL)
    settle_batch_norm(champion, images(SMALL))
    export_onnx(champion, tmp_path / "model.onnx")

    net = GestureDet(SMALL)
    load_released_weights(net, (tmp_path / "model.onnx").read_bytes())

    for one, other in zip(said(champion, images(SMALL)), said(net, images(SMALL)), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_settling_batch_norm_changes_nothing_that_a_warm_net_says(tmp_path: Path) -> None:
    torch.manual_seed(2)
    export_onnx(GestureDet(SMALL), tmp_path / "model.onnx")
    net = GestureDet(SMALL)
    load_released_weights(net, (tmp_path / "model.onnx").read_bytes())
    before = said(net, images(SMALL))

    settle_batch_norm(net, images(SMALL))

    for one, other in zip(before, said(net, images(SMALL)), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_the_released_int8_file_gives_a_net_that_says_what_the_one_in_full_precision_says() -> None:
    # Both were exported from one checkpoint. Beside what the int8 file itself says stands how its maps were rounded, too.
    released, full = load_release(PACKAGED), load_release(WEIGHTS / "classroom-fp32")
    assert (released.card.precision, full.card.precision) == ("int8", "fp32")
    config = looking_at(CLASSROOM, released.card.input_hw)
    net = GestureDet(config)
    load_released_weights(net, released.onnx_bytes)
    shown = images(config)

    logits_BAK, _ = OnnxRuntime(full.onnx_bytes).run(shown.numpy())
    warm_BAK = said(net, shown)[0].numpy()

    assert np.corrcoef(logits_BAK.ravel(), warm_BAK.ravel())[0, 1] > 0.999


def mask_logits(net: GestureDet, shown: Any) -> Any:
    logits: list[Any] = []
    handle = net.spatial_attention.mask.register_forward_hook(lambda _m, _i, said: logits.append(said))
    with torch.inference_mode():
        net.eval()(shown)
    handle.remove()
    return logits[0]


def test_a_mask_that_says_one_everywhere_can_be_taught_again() -> None:
    torch.manual_seed(3)
    net = GestureDet(SMALL)
    with torch.no_grad():
        net.spatial_attention.mask.bias.fill_(40.0)
    before = mask_logits(net, images(SMALL))
    assert torch.sigmoid(before).min() > 0.9999

    loosen_mask(net, images(SMALL))

    after = mask_logits(net, images(SMALL))
    assert after.abs().max().item() == pytest.approx(MOST_LOGIT, rel=1e-3)
    torch.testing.assert_close(after, before * (after.max() / before.max()), atol=1e-4, rtol=1e-3)


def test_a_run_that_begins_with_a_champion_of_such_a_mask_can_teach_it(tmp_path: Path) -> None:
    torch.manual_seed(3)
    champion = GestureDet(SMALL)
    with torch.no_grad():
        champion.spatial_attention.mask.bias.fill_(40.0)
    export_onnx(champion, tmp_path / "model.onnx")
    card = card_for(SMALL.input_hw, digest=digest_of((tmp_path / "model.onnx").read_bytes()), anchors=SMALL.anchors)
    (tmp_path / "card.json").write_bytes(write_card(card))
    things = {f"p{index}": [("hand-raising", (10, 20, 50, 80))] for index in range(4)}
    pictures = read_split(write_voc(tmp_path / "voc", things), "train")

    run = start(replace(TINY, net=SMALL), pictures, champion=tmp_path)

    shown = as_input(next(iter(batches(pictures, run.recipe))).image, run.device)
    assert mask_logits(run.model, shown).abs().max().item() == pytest.approx(MOST_LOGIT, rel=1e-2)


def test_a_champion_goes_by_its_name(tmp_path: Path) -> None:
    things = {f"p{index}": [("hand-raising", (10, 20, 50, 80))] for index in range(2)}
    pictures = read_split(write_voc(tmp_path, things), "train")

    run = start(replace(recipe_of("product"), batch=2), pictures, champion=Path("classroom-fp32"))

    assert load_release(WEIGHTS / "classroom-fp32").card.digest in run.lineage[-1]


def test_loosening_leaves_a_net_in_the_mode_it_was_in() -> None:
    net = GestureDet(SMALL)
    for mode in (True, False):
        loosen_mask(net.train(mode), images(SMALL))
        assert net.training is mode


def test_a_mask_that_can_be_taught_stays_what_it_is_and_a_net_without_one_too() -> None:
    torch.manual_seed(3)
    for net in (GestureDet(SMALL), GestureDet(replace(SMALL, spatial_attention=False))):
        before = {name: value.clone() for name, value in net.state_dict().items()}
        loosen_mask(net, images(SMALL))
        for name, value in net.state_dict().items():
            assert torch.equal(value, before[name]), name


def test_a_file_of_another_net_is_refused_by_name(tmp_path: Path) -> None:
    export_onnx(GestureDet(DetectorConfig(input_hw=(96, 160), num_classes=3)), tmp_path / "model.onnx")
    data = (tmp_path / "model.onnx").read_bytes()
    with pytest.raises(ValueError, match=r"class_heads.levels.0.point.weight: shape \(18, 128, 1, 1\) does not fit"):
        load_released_weights(GestureDet(SMALL), data)

    bare = onnx.load_from_string(data)
    del bare.graph.initializer[:]
    with pytest.raises(ValueError, match=r"backbone.stem.conv.weight: not in the file, expected all weights"):
        load_released_weights(GestureDet(SMALL), bare.SerializeToString())


def test_a_quantised_weight_without_its_scale_is_refused() -> None:
    model = onnx.load_from_string(load_release(PACKAGED).onnx_bytes)
    (scale,) = (tensor for tensor in model.graph.initializer if tensor.name == "backbone.stem.conv.weight_scale")
    model.graph.initializer.remove(scale)
    with pytest.raises(ValueError, match=r"backbone.stem.conv.weight_quantized: its scale or zero point is not in"):
        weights_in(model)


def test_whole_numbers_become_weights_channel_by_channel() -> None:
    def tensor(name: str, values: Any) -> Any:
        return onnx.numpy_helper.from_array(np.array(values), name)

    initializer = [
        tensor("a.weight_quantized", np.array([[2, -4], [10, 1]], np.int8)),
        tensor("a.weight_scale", np.array([0.5, 2.0], np.float32)),
        tensor("a.weight_zero_point", np.array([0, 1], np.int8)),
        tensor("a.bias_quantized", np.array([6], np.int32)),
        tensor("a.bias_quantized_scale", np.array([0.25], np.float32)),
        tensor("a.bias_quantized_zero_point", np.array([0], np.int32)),
        tensor("plain", np.array([1.5], np.float32)),
        tensor("shape", np.array([1, 2], np.int64)),
    ]
    found = weights_in(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], initializer)))

    assert found["a.weight"].tolist() == [[1.0, -2.0], [18.0, 0.0]]
    assert found["a.bias"].tolist() == [1.5]
    assert found["plain"].tolist() == [1.5]
    assert "shape" not in found
