"""Photographs remembered: what keeps a backbone, trained on drawings, close to what it learned from photographs.

Drawings teach shortcuts that no photograph shows. The net that the training began with is kept frozen and looks at the same
pictures; the trained backbone pays for saying something else about a place (feature distance as in DAFormer, section 3.2,
and Automated Synthetic-to-Real Generalization; learning without forgetting with features in place of classes).

Legend: B pictures, C channels, H and W the map.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from gesturedet.backbone import Backbone
from gesturedet.convolution import fold_batch_norm


class Teacher(nn.Module):
    """A frozen copy of a backbone, in evaluation mode and with batch norm folded."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self._backbone = fold_batch_norm(backbone).requires_grad_(False)

    @torch.no_grad()
    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return its C2 and C3 of the pictures."""
        _, c2_BCHW, c3_BCHW = self._backbone(images_BCHW)
        return c2_BCHW, c3_BCHW


def feature_distance(said: Sequence[Tensor], taught: Sequence[Tensor]) -> Tensor:
    """Return how far maps are from those of the teacher: 1 - cosine over channels, the mean over places, then over maps.

    0 where all agree in direction, 1 where they share nothing. Half the squared distance of the two vectors of a place, each
    brought to length 1: how strongly a map speaks is free, and no channel outweighs another map's. Places of which the
    teacher says nothing at all are left out.
    """
    distances = [_distance(f_BCHW, t_BCHW) for f_BCHW, t_BCHW in zip(said, taught, strict=True)]
    return torch.stack(distances).mean()


def _distance(f_BCHW: Tensor, t_BCHW: Tensor) -> Tensor:
    apart_BHW = 1 - functional.cosine_similarity(f_BCHW.float(), t_BCHW.float(), dim=1)
    counted_BHW = t_BCHW.abs().amax(dim=1) > 0
    return (apart_BHW * counted_BHW).sum() / counted_BHW.sum().clamp(min=1)
