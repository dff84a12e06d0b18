"""C1, C2, C3 → one map F, and F → the pyramid that the heads read (paper, section 3.2).

Legend: B pictures, C channels, H and W the map.
"""

from torch import Tensor, nn
from torch.nn import functional

from gesturedet.convolution import ConvBn


def resize_nearest(x_BCHW: Tensor, like_BCHW: Tensor) -> Tensor:
    """Bring a map to the size of another by repeating its nearest values."""
    return functional.interpolate(x_BCHW, size=like_BCHW.shape[-2:], mode="nearest")


class Fusion(nn.Module):
    """Squeeze C1, C2 and C3 to one width, bring them to the size of C2 and add them up.

    C3 is squeezed before it is enlarged and C1 before it is halved; the former is exactly the same and cheaper, the latter
    is the reading that meets the paper's FLOPs.
    """

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.squeeze1, self.squeeze2, self.squeeze3 = (ConvBn(inputs, width) for inputs in channels)
        self.down = ConvBn(width, width, 3, stride=2, depthwise=True)

    def forward(self, c1_BCHW: Tensor, c2_BCHW: Tensor, c3_BCHW: Tensor) -> Tensor:
        """Return F, of the size of C2."""
        middle_BCHW: Tensor = self.squeeze2(c2_BCHW)
        fine_BCHW: Tensor = self.down(self.squeeze1(c1_BCHW))
        coarse_BCHW = resize_nearest(self.squeeze3(c3_BCHW), like_BCHW=middle_BCHW)
        return fine_BCHW + middle_BCHW + coarse_BCHW


class SqueezeOnly(nn.Module):
    """What stands in for fusion when only attention is on: C2 alone, squeezed to the same width."""

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.squeeze2 = ConvBn(channels[1], width)

    def forward(self, _c1_BCHW: Tensor, c2_BCHW: Tensor, _c3_BCHW: Tensor) -> Tensor:
        """Return F, of the size of C2."""
        squeezed_BCHW: Tensor = self.squeeze2(c2_BCHW)
        return squeezed_BCHW


class Pyramid(nn.Module):
    """Rebuild three levels from F by the opposite resizes: enlarged to C1's size, as it is, halved to C3's size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down = ConvBn(width, width, 3, stride=2, depthwise=True)

    def forward(self, fused_BCHW: Tensor, c1_BCHW: Tensor) -> list[Tensor]:
        """Return P1, P2 and P3, of the sizes of C1, C2 and C3."""
        return [resize_nearest(fused_BCHW, like_BCHW=c1_BCHW), fused_BCHW, self.down(fused_BCHW)]
