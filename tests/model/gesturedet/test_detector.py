from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch (the train extra)")

from gesturedet.anchors import PAPER_ANCHORS, anchors_cxcywh, feature_sizes_hw  # noqa: E402
from gesturedet.attention import ChannelAttention, SpatialAttention  # noqa: E402
from gesturedet.detector import BASELINE, CLASSROOM, PAPER, DetectorConfig, GestureDet  # noqa: E402
from gesturedet.flops import costs_by_part, total  # noqa: E402
from gesturedet.fusion import Pyramid  # noqa: E402

pytestmark = pytest.mark.torch

# MFLOPs and thousands of parameters of each part at 300 x 300
BACKBONE_AND_EXTRAS = {"backbone": (1126.3, 2224), "extras": (136.1, 2199)}
NECK = {"fusion": (157.8, 264), "channel_attention": (0.02, 8), "spatial_attention": (320.2, 444), "pyramid": (0.2, 1)}
BUDGETS = [
    (BASELINE, 21, 1474, 4950, {**BACKBONE_AND_EXTRAS, "class_heads": (169.9, 419), "box_heads": (41.5, 105)}),
    (PAPER, 21, 1828, 5380, {**BACKBONE_AND_EXTRAS, **NECK, "class_heads": (70.2, 191), "box_heads": (17.1, 47)}),
    (BASELINE, 4, 1345, 4630, {**BACKBONE_AND_EXTRAS, "class_heads": (41.5, 105), "box_heads": (41.5, 105)}),
    (PAPER, 4, 1775, 5230, {**BACKBONE_AND_EXTRAS, **NECK, "class_heads": (17.1, 47), "box_heads": (17.1, 47)}),
]


@pytest.mark.parametrize(("config", "classes", "mflops", "kparams", "parts"), BUDGETS)
def test_the_net_costs_what_the_papers_net_costs(
    config: DetectorConfig, classes: int, mflops: float, kparams: float, parts: dict[str, tuple[float, float]]
) -> None:
    costs = costs_by_part(GestureDet(replace(config, num_classes=classes)), config.input_hw)
    assert total(costs).mflops == pytest.approx(mflops, rel=0.01)
    assert total(costs).kparams == pytest.approx(kparams, rel=0.002)
    assert costs.keys() == parts.keys()
    for part, (part_mflops, part_kparams) in parts.items():
        assert costs[part].mflops == pytest.approx(part_mflops, abs=0.06), part
        assert costs[part].kparams == pytest.approx(part_kparams, abs=0.6), part


@pytest.mark.parametrize("input_hw", [(300, 300), (192, 320), (97, 130), (1, 1)])
@pytest.mark.parametrize("config", [BASELINE, PAPER])
def test_maps_and_outputs_fit_the_default_boxes_for_any_input_size(
    config: DetectorConfig, input_hw: tuple[int, int]
) -> None:
    net = GestureDet(config).eval()
    sizes: list[tuple[int, ...]] = []
    for head in net.class_heads.levels:
        head.register_forward_hook(lambda _m, _i, o: sizes.append(tuple(o.shape[-2:])))
    with torch.no_grad():
        logits, offsets = net(torch.zeros(2, 3, *input_hw))
    anchors = anchors_cxcywh(input_hw, config.anchors)
    assert tuple(sizes) == feature_sizes_hw(input_hw)
    assert logits.shape == (2, len(anchors), 4)
    assert offsets.shape == (2, len(anchors), 4)


@pytest.mark.parametrize("switches", list(product((False, True), repeat=3)))
def test_every_ablation_is_the_same_code(switches: tuple[bool, bool, bool]) -> None:
    fusion, channel, spatial = switches
    config = DetectorConfig(fusion=fusion, channel_attention=channel, spatial_attention=spatial, input_hw=(64, 64))
    net = GestureDet(config).eval()
    with torch.no_grad():
        logits, _ = net(torch.zeros(1, 3, 64, 64))
    assert logits.shape[1] == len(anchors_cxcywh((64, 64), PAPER_ANCHORS))
    modules = list(net.modules())
    assert any(isinstance(module, ChannelAttention) for module in modules) == channel
    assert any(isinstance(module, SpatialAttention) for module in modules) == spatial
    assert any(isinstance(module, Pyramid) for module in modules) == any(switches)


def test_outputs_lie_in_the_order_of_the_default_boxes() -> None:
    heads = GestureDet(replace(PAPER, input_hw=(64, 64))).eval().box_heads
    levels: list[Any] = list(heads.levels)
    sizes = feature_sizes_hw((64, 64))
    maps = [torch.zeros(1, head.point.in_channels, *hw) for head, hw in zip(levels, sizes, strict=True)]
    for head in levels:
        head.depthwise = torch.nn.Identity()
    maps[0][0, 0, 5, 3] = 1.0  # one lit cell: row 5, column 3 of the first level, 8 x 8
    with torch.no_grad():
        levels[0].point.weight.zero_()[4 * 2 + 1, 0] = 7.0  # its third shape, second number
        said = heads(maps)[0]
    place = (5 * 8 + 3) * 6 + 2
    assert said.nonzero().tolist() == [[place, 1]]
    np.testing.assert_allclose(anchors_cxcywh((64, 64), PAPER_ANCHORS)[place, :2], [3.5 / 8, 5.5 / 8])


def test_pictures_of_one_batch_do_not_touch_each_other() -> None:
    net = GestureDet(replace(CLASSROOM, input_hw=(64, 96))).eval()
    images = torch.rand(2, 3, 64, 96) * 2 - 1
    with torch.no_grad():
        together, alone = net(images)[0][1], net(images[1:])[0][0]
    torch.testing.assert_close(together, alone)


def test_every_trainable_number_learns() -> None:
    net = GestureDet(replace(PAPER, input_hw=(96, 96)))
    logits, offsets = net(torch.rand(2, 3, 96, 96))
    (logits.square().mean() + offsets.square().mean()).backward()
    assert [name for name, parameter in net.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_classes": 1}, "num_classes: 1 leaves nothing but background, expected at least 2"),
        ({"input_hw": (0, 300)}, r"input_hw: \(0, 300\) is not a height and a width"),
        ({"width": 30}, "width: 30 is not a multiple of 4 above 0"),
    ],
)
def test_an_impossible_net_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PAPER, **change)  # type: ignore[arg-type]
