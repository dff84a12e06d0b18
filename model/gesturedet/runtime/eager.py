"""The net in torch, operation by operation: the reference that every other runtime is held to. Legend: see `runtime.base`.

It is rebuilt from the release itself: the exported file keeps each weight under its name in the net.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from gesturedet.convolution import fold_batch_norm
from gesturedet.detector import DetectorConfig, GestureDet
from gesturedet.runtime.base import (
    Floats,
    Images,
    NetInput,
    NetMismatch,
    Port,
    check_images,
    check_threads,
    net_input,
)

CONFIG_KEY = "gesturedet.config"
"""The exported file's metadata carries the net's settings under this key, as JSON."""


class EagerRuntime:
    """A net on the CPU in full precision. Torch's threads are the whole process's: the last runtime made sets them."""

    at_once: int = 1

    def __init__(self, onnx_bytes: bytes, *, threads: int = 1) -> None:
        check_threads(threads)
        torch.set_num_threads(threads)
        graph = read_onnx(onnx_bytes).graph
        self.input: NetInput = net_input(_ports(graph.input), _ports(graph.output))
        self._net = net_of(onnx_bytes)

    def run(self, images: Images) -> tuple[Floats, Floats]:
        """Return logits_BAK and offsets_BA4. Raises ValueError for pictures of another size or kind than the net's."""
        check_images(images, self.input)
        images_BCHW = torch.from_numpy(images)
        if self.input.in_bytes:
            images_BCHW = images_BCHW.flip(3).permute(0, 3, 1, 2)
            images_BCHW = (images_BCHW.float() - 127.5) * (1 / 127.5)
        with torch.inference_mode():
            logits_BAK, offsets_BA4 = self._net(images_BCHW)
        return logits_BAK.numpy(), offsets_BA4.numpy()


def read_onnx(onnx_bytes: bytes) -> Any:
    """Read a file of `export_onnx`. Raises NetMismatch for bytes that are no ONNX."""
    try:
        return onnx.load_from_string(onnx_bytes)
    except DecodeError as error:
        raise NetMismatch(f"onnx_bytes: no ONNX ({error}); expected an ONNX net") from error


def net_of(onnx_bytes: bytes) -> GestureDet:
    """Rebuild the net, with batch norm folded, from an exported file.

    Raises ValueError for a file whose weights are not the net's own in full precision (a quantised one).
    """
    model = read_onnx(onnx_bytes)
    config = next((entry.value for entry in model.metadata_props if entry.key == CONFIG_KEY), None)
    if config is None:
        raise ValueError(f"onnx_bytes: metadata has no {CONFIG_KEY}, expected a file of `export_onnx`")
    net = fold_batch_norm(GestureDet(msgspec.json.decode(config, type=DetectorConfig)))
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    wanted = net.state_dict()
    missing = sorted(wanted.keys() - weights.keys())
    if missing:
        raise ValueError(f"onnx_bytes: no {missing[0]} ({len(missing)} missing), expected weights in full precision")
    arrays = {name: numpy_helper.to_array(weights[name]).reshape(tuple(wanted[name].shape)) for name in wanted}
    net.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in arrays.items()})
    return net


def _ports(values: Iterable[Any]) -> list[Port]:
    """Only a fixed size has a value in ONNX; a free one has a name or nothing."""
    return [
        Port(value.name, tuple(size.dim_value or None for size in value.type.tensor_type.shape.dim)) for value in values
    ]
