"""A net and a picture → where it looks: the attention mask, and what each level says (paper, sections 3.2 and 3.4).

Legend: B pictures, C channels, H and W the map, A default boxes, K classes.
"""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import msgspec
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor

from gesturedet.anchors import feature_sizes_hw
from gesturedet.attention import SpatialAttention
from gesturedet.card import Release
from gesturedet.checkpoint import load_weights, read_checkpoint, recipe_behind, released_weights
from gesturedet.convolution import fold_batch_norm
from gesturedet.detector import DetectorConfig, GestureDet
from gesturedet.preprocess import place_xywh, preprocess
from gesturedet.runtime.eager import CONFIG_KEY
from gesturedet.warm_start import load_released_weights

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Maps:
    """What a net made of one picture, each map (H, W) in 0..1.

    `attention`: sigmoid of the spatial mask, None for a net without one. `levels`: the best score of any behaviour at
    each place, finest level first.
    """

    attention: Floats | None
    levels: tuple[Floats, ...]


def net_of_checkpoint(path: Path, recipe_name: str | None = None) -> GestureDet:
    """Load a checkpoint's net. Raises FileNotFoundError, or ValueError for what is none or of another recipe."""
    state = read_checkpoint(path)
    recipe = recipe_behind(state, recipe_name)
    net = GestureDet(recipe.net)
    load_weights(net, released_weights(state, recipe), state["file"])
    return net.eval()


def net_of_release(release: Release) -> GestureDet:
    """Rebuild a release's net in full precision; of an int8 one up to the bits that its weights have.

    Raises ValueError for a file that does not say its net's settings.
    """
    metadata = onnx.load_from_string(release.onnx_bytes).metadata_props
    config = next((entry.value for entry in metadata if entry.key == CONFIG_KEY), None)
    if config is None:
        raise ValueError(f"{release.card.name}: its file has no {CONFIG_KEY}, expected one of `export`")
    net = GestureDet(msgspec.json.decode(config, type=DetectorConfig))
    load_released_weights(net, release.onnx_bytes)
    return net.eval()


def look(net: GestureDet, image_bgr: Bytes) -> Maps:
    """Run a net on a picture in torch and keep what is usually thrown away."""
    masks: list[Tensor] = []
    folded = fold_batch_norm(net)
    attention = getattr(folded, "spatial_attention", None)
    if isinstance(attention, SpatialAttention):
        attention.mask.register_forward_hook(lambda _module, _given, mask_B1HW: masks.append(mask_B1HW))
    with torch.inference_mode():
        logits_BAK, _ = folded(torch.from_numpy(preprocess(image_bgr, net.config.input_hw)))
    scores_A = torch.softmax(logits_BAK[0], dim=1)[:, 1:].max(dim=1).values.numpy()
    within = partial(_within, where_xywh=place_xywh((image_bgr.shape[0], image_bgr.shape[1]), net.config.input_hw))
    mask = within(torch.sigmoid(masks[0][0, 0]).numpy()) if masks else None
    return Maps(mask, tuple(map(within, _by_level(scores_A, net.config))))


def heat(map_HW: Floats, image_bgr: Bytes) -> Bytes:
    """Lay a map over a greyed picture, cold colours for 0 and below, warm ones for 1 and above."""
    height, width = image_bgr.shape[:2]
    grown = cv2.resize(map_HW, (width, height), interpolation=cv2.INTER_LINEAR)
    coloured = cv2.applyColorMap((grown.clip(0.0, 1.0) * 255).round().astype(np.uint8), cv2.COLORMAP_TURBO)
    grey = cv2.cvtColor(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return np.asarray(cv2.addWeighted(grey, 0.45, coloured, 0.55, 0.0), dtype=np.uint8)


def stretched(map_HW: Floats) -> Floats:
    """Return a map from 0 at its least to 1 at its most; a map without differences is 0 everywhere."""
    low, high = float(map_HW.min()), float(map_HW.max())
    return ((map_HW - low) / (high - low) if high > low else np.zeros_like(map_HW)).astype(np.float32)


def _within(map_HW: Floats, *, where_xywh: tuple[float, float, float, float]) -> Floats:
    """Return the part of a map where the picture lies in the net's input, in whole cells."""
    (rows, columns), (x, y, width, height) = map_HW.shape, where_xywh
    top, left = math.floor(y * rows), math.floor(x * columns)
    return map_HW[top : math.ceil((y + height) * rows), left : math.ceil((x + width) * columns)]


def _by_level(scores_A: Floats, config: DetectorConfig) -> list[Floats]:
    levels, start, per_cell = [], 0, config.anchors.per_cell
    for height, width in feature_sizes_hw(config.input_hw):
        count = height * width * per_cell
        levels.append(scores_A[start : start + count].reshape(height, width, per_cell).max(axis=2))
        start += count
    return levels
