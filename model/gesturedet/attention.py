"""F → F: what to look for (channel attention) and where (spatial attention); paper, sections 3.3 and 3.4.

Batch attention exists only in training and lives in `loss.py`. Legend: B pictures, C channels, H and W the map.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from gesturedet.convolution import ConvBn

REDUCTION = 4
DILATIONS = (1, 2, 4)
LAST_DILATION = 8


class ChannelAttention(nn.Module):
    """The map's mean goes through two 1 x 1 convolutions with LayerNorm and is added to every place of the map.

    Added, not multiplied, and without a sigmoid: the difference from squeeze-and-excitation.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // REDUCTION, 1)
        self.norm = nn.LayerNorm([channels // REDUCTION, 1, 1])
        self.restore = nn.Conv2d(channels // REDUCTION, channels, 1)

    def forward(self, f_BCHW: Tensor) -> Tensor:
        """Return a map of the same shape."""
        mean_BC11 = f_BCHW.mean(dim=(2, 3), keepdim=True)
        added_BC11: Tensor = self.restore(functional.relu(self.norm(self.reduce(mean_BC11))))
        return f_BCHW + added_BC11


class SpatialAttention(nn.Module):
    """F * (1 + sigmoid(theta(F))), equation 4; theta sees ever wider and ends in one channel: nothing is darkened."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.context = nn.Sequential(*(ConvBn(channels, channels, 3, dilation=dilation) for dilation in DILATIONS))
        self.mask = nn.Conv2d(channels, 1, 3, padding=LAST_DILATION, dilation=LAST_DILATION)

    def forward(self, f_BCHW: Tensor) -> Tensor:
        """Return a map of the same shape, each place between once and twice what it was."""
        mask_B1HW = torch.sigmoid(self.mask(self.context(f_BCHW)))
        return f_BCHW * (1 + mask_B1HW)
