"""Maps → what is said about each default box: SSDLite predictors (MobileNetV2, section 6.2).

Legend: B pictures, C channels, H and W the map, A default boxes, N numbers said about each.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gesturedet.convolution import ConvBn


class Head(nn.Module):
    """Predictor of one level: depthwise 3 x 3 and 1 x 1, or only the 1 x 1 on the last, tiny map."""

    def __init__(self, channels: int, outputs: int, *, with_depthwise: bool) -> None:
        super().__init__()
        self.depthwise: nn.Module = ConvBn(channels, channels, 3, depthwise=True) if with_depthwise else nn.Identity()
        self.point = nn.Conv2d(channels, outputs, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return a map of the same size with all that is said at each place."""
        said_BCHW: Tensor = self.point(self.depthwise(x_BCHW))
        return said_BCHW


class Heads(nn.Module):
    """One predictor for each level; their outputs joined in the order of `anchors.anchors_cxcywh`."""

    def __init__(self, channels: Sequence[int], per_cell: int, numbers: int) -> None:
        super().__init__()
        self.numbers = numbers
        last = len(channels) - 1
        self.levels = nn.ModuleList(
            Head(inputs, per_cell * numbers, with_depthwise=level != last) for level, inputs in enumerate(channels)
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return numbers of shape (B, A, N)."""
        return torch.cat([self._flat(head(map_)) for head, map_ in zip(self.levels, maps, strict=True)], dim=1)

    def _flat(self, said_BCHW: Tensor) -> Tensor:
        batch, numbers, height, width = said_BCHW.shape
        anchors = height * width * numbers // self.numbers
        return said_BCHW.permute(0, 2, 3, 1).reshape(batch, anchors, self.numbers)
