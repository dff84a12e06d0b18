"""Pixels → C1, C2, C3: MobileNetV2 with the taps of the paper (its section 3.1), and the deeper SSD levels.

Legend: B pictures, C channels, H and W the map.
"""

from torch import Tensor, nn

from gesturedet.convolution import ConvBn

STEM_CHANNELS = 32
LAST_CHANNELS = 1280
_ROWS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""MobileNetV2, table 2: expansion, channels, blocks, stride of the first block."""

EXTRA_CHANNELS = (512, 256, 256)


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand by 1 x 1, filter depthwise, project by 1 x 1; added to its input where both fit."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expanded_channels = hidden
        self.expand: nn.Module = ConvBn(inputs, hidden) if expansion > 1 else nn.Identity()
        self.depthwise = ConvBn(hidden, hidden, 3, stride=stride, depthwise=True)
        self.project = ConvBn(hidden, outputs, activation=False)
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return the block's output and its expanded input, which the paper taps in front of a stride."""
        expanded_BCHW: Tensor = self.expand(x_BCHW)
        y_BCHW: Tensor = self.project(self.depthwise(expanded_BCHW))
        return (x_BCHW + y_BCHW if self.adds_input else y_BCHW), expanded_BCHW


class Backbone(nn.Module):
    """MobileNetV2 1.0 to its last 1 x 1 convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvBn(3, STEM_CHANNELS, 3, stride=2)
        channels = STEM_CHANNELS
        blocks: list[InvertedResidual] = []
        strided: list[int] = []
        for expansion, outputs, count, first_stride in _ROWS:
            for place in range(count):
                stride = first_stride if place == 0 else 1
                if stride == 2:
                    strided.append(len(blocks))
                blocks.append(InvertedResidual(channels, outputs, stride=stride, expansion=expansion))
                channels = outputs
        self.blocks = nn.ModuleList(blocks)
        self.last = ConvBn(channels, LAST_CHANNELS)
        self.taps = tuple(strided[-2:])
        self.channels = (*(blocks[tap].expanded_channels for tap in self.taps), LAST_CHANNELS)

    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Take pictures as x / 127.5 - 1, RGB; return C1 (1/8 of the size, 192 channels), C2 (1/16, 576), C3 (1/32, 1280).

        C1 and C2 are the expansion layers in front of the last two strides.
        """
        x_BCHW = self.stem(images_BCHW)
        tapped = []
        for place, block in enumerate(self.blocks):
            x_BCHW, expanded_BCHW = block(x_BCHW)
            if place in self.taps:
                tapped.append(expanded_BCHW)
        c1_BCHW, c2_BCHW = tapped
        return c1_BCHW, c2_BCHW, self.last(x_BCHW)


class ExtraLevels(nn.Module):
    """Three deeper SSD levels behind C3, each half the map before: 1 x 1 to half the channels, then a full 3 x 3."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        for outputs in EXTRA_CHANNELS:
            self.levels.append(nn.Sequential(ConvBn(inputs, outputs // 2), ConvBn(outputs // 2, outputs, 3, stride=2)))
            inputs = outputs

    def forward(self, c3_BCHW: Tensor) -> list[Tensor]:
        """Return the three maps behind C3, finest first."""
        maps = [c3_BCHW]
        for level in self.levels:
            maps.append(level(maps[-1]))
        return maps[1:]
