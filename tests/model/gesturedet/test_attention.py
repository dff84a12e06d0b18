"""Channel and spatial attention by hand; paper, sections 3.3 and 3.4 and equation 4."""

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs torch (the train extra)")

from gesturedet.attention import ChannelAttention, SpatialAttention  # noqa: E402
from gesturedet.detector import PAPER, GestureDet  # noqa: E402

pytestmark = pytest.mark.torch


def some_map(channels: int, seed: int = 0) -> Any:
    return torch.randn(2, channels, 5, 7, generator=torch.Generator().manual_seed(seed))


def test_channel_attention_adds_the_same_at_every_place_and_multiplies_nothing() -> None:
    torch.manual_seed(1)
    attention, f_BCHW = ChannelAttention(8), some_map(8)

    with torch.no_grad():
        added_BCHW = attention(f_BCHW) - f_BCHW
        mean_BC = f_BCHW.mean(dim=(2, 3))
        reduced_BC = mean_BC @ attention.reduce.weight[:, :, 0, 0].T + attention.reduce.bias
        centred_BC = reduced_BC - reduced_BC.mean(dim=1, keepdim=True)
        normed_BC = centred_BC / torch.sqrt(centred_BC.square().mean(dim=1, keepdim=True) + 1e-5)
        expected_BC = normed_BC.clamp(min=0) @ attention.restore.weight[:, :, 0, 0].T + attention.restore.bias

    torch.testing.assert_close(added_BCHW, expected_BC[:, :, None, None].expand_as(f_BCHW), atol=1e-5, rtol=1e-4)


def test_spatial_attention_is_once_the_map_and_its_mask_times_the_map() -> None:
    attention, f_BCHW = SpatialAttention(8).eval(), some_map(8)
    with torch.no_grad():
        attention.mask.weight.zero_()
        attention.mask.bias.fill_(math.log(3))  # sigmoid(ln 3) = 3 / 4
        torch.testing.assert_close(attention(f_BCHW), 1.75 * f_BCHW)
        attention.mask.bias.fill_(-100.0)
        torch.testing.assert_close(attention(f_BCHW), f_BCHW)


def test_spatial_attention_sees_ever_wider() -> None:
    attention = SpatialAttention(4)
    seen = [brick.conv for brick in attention.context] + [attention.mask]

    assert [conv.dilation for conv in seen] == [(1, 1), (2, 2), (4, 4), (8, 8)]
    assert [conv.kernel_size for conv in seen] == [(3, 3)] * 4
    assert attention.mask.out_channels == 1


def test_one_lit_place_is_seen_fifteen_places_away_and_no_further() -> None:
    # Three by three with dilation 1, 2, 4, 8: 1 + 2 + 4 + 8 = 15 places to each side.
    attention = SpatialAttention(1).eval()
    with torch.no_grad():
        for conv in [*(brick.conv for brick in attention.context), attention.mask]:
            conv.weight.fill_(1.0)
        dark, lit = torch.zeros(1, 1, 41, 41), torch.zeros(1, 1, 41, 41)
        lit[0, 0, 20, 20] = 0.01
        changed = (attention.mask(attention.context(lit)) != attention.mask(attention.context(dark)))[0, 0]
    rows, columns = changed.nonzero(as_tuple=True)

    assert (int(rows.min()), int(rows.max())) == (5, 35)
    assert (int(columns.min()), int(columns.max())) == (5, 35)


def test_channel_attention_comes_before_spatial_attention() -> None:
    net, order = GestureDet(PAPER).eval(), list[str]()
    for name in ("fusion", "channel_attention", "spatial_attention", "pyramid"):
        getattr(net, name).register_forward_hook(lambda *_, name=name: order.append(name))
    with torch.inference_mode():
        net(torch.zeros(1, 3, 96, 96))

    assert order == ["fusion", "channel_attention", "spatial_attention", "pyramid"]
