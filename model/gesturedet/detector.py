"""GestureDet, assembled: pictures → logits and offsets of every default box. Read this file first.

    images → backbone → C1 C2 C3 → fusion → F → channel attention → spatial attention → pyramid → P1 P2 P3 ┐
                              └→ extra levels → E1 E2 E3 ──────────────────────────────────────────────────┴→ heads

Legend: B pictures, C channels, H and W, A default boxes, K classes (0 is background).
"""

from dataclasses import dataclass, replace

from torch import Tensor, nn

from gesturedet.anchors import CLASSROOM_ANCHORS, PAPER_ANCHORS, AnchorSpec, as_many_pixels
from gesturedet.attention import ChannelAttention, SpatialAttention
from gesturedet.backbone import EXTRA_CHANNELS, Backbone, ExtraLevels
from gesturedet.fusion import Fusion, Pyramid, SqueezeOnly
from gesturedet.heads import Head, Heads
from gesturedet.labels import BEHAVIOURS


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """Which net to build; the baseline and every ablation of the paper are settings of it.

    `num_classes` counts background. Without fusion and both attentions the heads read C1, C2 and C3 themselves: the
    baseline. With attention but without fusion F is C2 alone, squeezed, so that each idea can be measured by itself.
    `width`: channels of F.
    """

    num_classes: int = len(BEHAVIOURS) + 1
    input_hw: tuple[int, int] = (300, 300)
    fusion: bool = True
    channel_attention: bool = True
    spatial_attention: bool = True
    anchors: AnchorSpec = PAPER_ANCHORS
    width: int = 128

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise ValueError(f"num_classes: {self.num_classes} leaves nothing but background, expected at least 2")
        if min(self.input_hw) < 1:
            raise ValueError(f"input_hw: {self.input_hw} is not a height and a width of at least 1 pixel")
        if self.width < 4 or self.width % 4:
            raise ValueError(f"width: {self.width} is not a multiple of 4 above 0")

    @property
    def rebuilds_pyramid(self) -> bool:
        """Whether the heads read a pyramid made from F rather than the backbone's own maps."""
        return self.fusion or self.channel_attention or self.spatial_attention


PAPER = DetectorConfig()
"""The paper's net: 300 x 300, 1828 MFLOPs with 21 classes."""

BASELINE = DetectorConfig(fusion=False, channel_attention=False, spatial_attention=False)
"""MobileNetV2-SSDLite: 1474 MFLOPs with 21 classes."""

CLASSROOM = replace(PAPER, input_hw=(288, 512), anchors=CLASSROOM_ANCHORS)
"""The product's: a wide input for 16:9 cameras and default boxes of the size of pupils. What is released looks at more pixels."""


def looking_at(config: DetectorConfig, input_hw: tuple[int, int]) -> DetectorConfig:
    """Return the same net for another input size; its default boxes keep their size in pixels (decision 0009)."""
    anchors = as_many_pixels(config.anchors, at_hw=config.input_hw, for_hw=input_hw)
    return replace(config, input_hw=input_hw, anchors=anchors)


class GestureDet(nn.Module):
    """The detector; it takes pictures of any size, `config.input_hw` is what it is meant for."""

    def __init__(self, config: DetectorConfig = PAPER) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone()
        self.extras = ExtraLevels(self.backbone.channels[-1])
        first_channels = self.backbone.channels
        if config.rebuilds_pyramid:
            make = Fusion if config.fusion else SqueezeOnly
            self.fusion: nn.Module = make(self.backbone.channels, config.width)
            self.channel_attention = ChannelAttention(config.width) if config.channel_attention else nn.Identity()
            self.spatial_attention = SpatialAttention(config.width) if config.spatial_attention else nn.Identity()
            self.pyramid = Pyramid(config.width)
            first_channels = (config.width,) * 3
        channels = (*first_channels, *EXTRA_CHANNELS)
        self.class_heads = Heads(channels, config.anchors.per_cell, config.num_classes)
        self.box_heads = Heads(channels, config.anchors.per_cell, 4)
        self.apply(_initialise)

    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Take pictures as x / 127.5 - 1, RGB; return logits_BAK (before softmax) and offsets_BA4 (for `boxes.decode`).

        Both lie in the order of `anchors.anchors_cxcywh`.
        """
        return self.read(*self.backbone(images_BCHW))

    def read(self, c1_BCHW: Tensor, c2_BCHW: Tensor, c3_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `forward` returns, from the backbone's maps."""
        first = [c1_BCHW, c2_BCHW, c3_BCHW]
        if self.config.rebuilds_pyramid:
            fused_BCHW = self.fusion(c1_BCHW, c2_BCHW, c3_BCHW)
            fused_BCHW = self.spatial_attention(self.channel_attention(fused_BCHW))
            first = self.pyramid(fused_BCHW, c1_BCHW)
        maps = [*first, *self.extras(c3_BCHW)]
        return self.class_heads(maps), self.box_heads(maps)


def _initialise(module: nn.Module) -> None:
    """He initialisation; the heads start quiet, so that the first steps do not shake a ported backbone."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(module, Head):
        nn.init.normal_(module.point.weight, std=0.01)
