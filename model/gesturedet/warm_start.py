"""A released file → a net that can be trained on: batch norm put back, whole numbers turned into weights again.

The training state of a release may be long gone, its ONNX file is not. From the quantised form one gets back what it computes with,
up to the 7 or 8 bits of each weight; a few hundred steps of training mend that.
"""

from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from gesturedet.attention import SpatialAttention
from gesturedet.convolution import ConvBn, fill
from gesturedet.detector import GestureDet

Array = NDArray[Any]


def load_released_weights(
    net: GestureDet, onnx_bytes: bytes, *, classes: int | None = None, heads: bool = True
) -> None:
    """Give a net the weights of an exported file, in full precision or int8; each batch norm only adds its bias.

    The running statistics are unknown: `convolution.settle_batch_norm` before the first step. `classes`: how many the file
    knows, background included, where the net has some more behind them; those start quiet. Without `heads` they stay as they
    are: what they say is about other default boxes. Raises ValueError for a file that lacks a weight of this net or has it
    in another shape.
    """
    shapes = (net.config.anchors.per_cell, classes or net.config.num_classes)
    weights = weights_in(onnx.load_from_string(onnx_bytes))
    left = () if heads else ("class_heads.", "box_heads.")
    bricks = {
        name: brick for name, brick in net.named_modules() if isinstance(brick, ConvBn) and not name.startswith(left)
    }
    for name, brick in bricks.items():
        kernel, bias = (_tensor(weights, f"{name}.conv.{part}") for part in ("weight", "bias"))
        fill(brick, kernel, bias, layer=name)
    inside = (*(f"{name}." for name in bricks), *left)
    with torch.no_grad():
        for key, parameter in net.named_parameters():
            if key.startswith(inside):
                continue
            found = _tensor(weights, key)
            if key.startswith("class_heads."):
                found = _with_more_classes(found, parameter, *shapes)
            if found.shape != parameter.shape:
                raise ValueError(f"{key}: shape {tuple(found.shape)} does not fit, expected {tuple(parameter.shape)}")
            parameter.copy_(found)


MOST_LOGIT = 4.0
"""Beyond it a sigmoid hardly moves, and neither does what is taught through it."""


@torch.no_grad()
def loosen_mask(net: GestureDet, images_BCHW: torch.Tensor) -> None:
    """Scale the spatial mask's last convolution so that no logit on these pictures is beyond `MOST_LOGIT`.

    A mask that has come to say 1 everywhere only doubles the map, and has no gradient by which it could ever say anything else.
    """
    if not isinstance(net.spatial_attention, SpatialAttention):
        return
    mask, logits = net.spatial_attention.mask, list[torch.Tensor]()
    handle = mask.register_forward_hook(lambda _mask, _inputs, said: logits.append(said.abs().amax()))
    was_training = net.training
    net.eval()(images_BCHW)
    net.train(was_training)
    handle.remove()
    scale = min(1.0, MOST_LOGIT / max(float(logits[0]), 1e-6))
    for parameter in mask.parameters():
        parameter.mul_(scale)


def _with_more_classes(found: torch.Tensor, parameter: torch.Tensor, per_cell: int, classes: int) -> torch.Tensor:
    """Put what a class head says of the classes it knows in front of what a fresh one says of the others."""
    if found.shape[0] != per_cell * classes or parameter.shape[0] <= found.shape[0]:
        return found
    widened = parameter.detach().clone()
    widened.view(per_cell, -1, *parameter.shape[1:])[:, :classes] = found.view(per_cell, classes, *found.shape[1:])
    return widened


def weights_in(model: onnx.ModelProto) -> dict[str, Array]:
    """Return every constant of a file by its name; quantised ones as numbers again: (whole number - zero point) x scale."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    found = {name: array for name, array in stored.items() if array.dtype == np.float32}
    for name, whole in stored.items():
        if name.endswith("_quantized"):
            plain = name.removesuffix("_quantized")
            stem = name if f"{name}_scale" in stored else plain  # the quantiser names biases' scales otherwise
            how = [stored.get(f"{stem}_{part}") for part in ("scale", "zero_point")]
            if how[0] is None or how[1] is None:
                raise ValueError(f"{name}: its scale or zero point is not in the file, expected both")
            found[plain] = _dequantised(whole, how[0], how[1])
    return found


def _dequantised(whole: Array, scale: Array, zero_point: Array) -> Array:
    along_first = (-1, *(1,) * (whole.ndim - 1)) if scale.size > 1 else ()
    centred = whole.astype(np.int64) - zero_point.astype(np.int64).reshape(along_first)
    return (centred * scale.reshape(along_first).astype(np.float64)).astype(np.float32)


def _tensor(weights: dict[str, Array], name: str) -> torch.Tensor:
    if name not in weights:
        raise ValueError(f"{name}: not in the file, expected all weights of the net")
    return torch.from_numpy(weights[name].copy())
