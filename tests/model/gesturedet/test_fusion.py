"""Fusion and the rebuilt pyramid by hand; paper, section 3.2."""

import pytest

torch = pytest.importorskip("torch", reason="needs torch (the train extra)")

from gesturedet.convolution import ConvBn  # noqa: E402
from gesturedet.fusion import Fusion, Pyramid, SqueezeOnly, resize_nearest  # noqa: E402

pytestmark = pytest.mark.torch

C1, C2, C3 = torch.ones(1, 1, 8, 12), torch.ones(1, 1, 4, 6), torch.ones(1, 1, 2, 3)


def of_ones(module: torch.nn.Module) -> torch.nn.Module:
    """The module in evaluation mode with every kernel 1 and batch norm that does nothing."""
    with torch.no_grad():
        for brick in module.modules():
            if isinstance(brick, ConvBn):
                brick.conv.weight.fill_(1.0)
                brick.norm.running_var.fill_(1.0 - brick.norm.eps)
    return module.eval()


def test_the_three_maps_are_added_at_the_size_of_the_second() -> None:
    fusion = of_ones(Fusion((1, 1, 1), 1))
    with torch.no_grad():
        fused = fusion(0.25 * C1, 0.5 * C2, 2.0 * C3)

    # The halved first map: nine neighbours of 0.25, but the padding at the right and bottom edges is 0.
    assert fused.shape == C2.shape
    assert float(fused[0, 0, 0, 0]) == pytest.approx(9 * 0.25 + 0.5 + 2.0, abs=1e-4)
    assert float(fused[0, 0, 0, 5]) == pytest.approx(6 * 0.25 + 0.5 + 2.0, abs=1e-4)
    assert float(fused[0, 0, 3, 5]) == pytest.approx(4 * 0.25 + 0.5 + 2.0, abs=1e-4)


def test_each_of_the_three_maps_takes_part() -> None:
    fusion = of_ones(Fusion((1, 1, 1), 1))
    with torch.no_grad():
        means = [float(fusion(a * C1, b * C2, c * C3).mean()) for a, b, c in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]

    assert all(mean > 0 for mean in means)


def test_maps_grow_by_repeating_their_nearest_values() -> None:
    grown = resize_nearest(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), like_BCHW=torch.zeros(1, 1, 4, 4))

    assert grown[0, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]


def test_without_fusion_the_second_map_alone_is_squeezed() -> None:
    squeeze = of_ones(SqueezeOnly((1, 1, 1), 1))
    with torch.no_grad():
        assert torch.allclose(squeeze(5 * C1, 0.5 * C2, 5 * C3), 0.5 * C2, atol=1e-4)


def test_the_pyramid_has_the_sizes_of_the_three_maps() -> None:
    pyramid = of_ones(Pyramid(1))
    with torch.no_grad():
        p1, p2, p3 = pyramid(0.5 * C2, C1)

    assert (p1.shape, p2.shape, p3.shape) == (C1.shape, C2.shape, C3.shape)
    assert torch.equal(p1, 0.5 * C1)
    assert torch.equal(p2, 0.5 * C2)
    assert float(p3[0, 0, 0, 0]) == pytest.approx(4.5, abs=1e-4)
