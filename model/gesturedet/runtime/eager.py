"""The net in torch, operation by operation: the reference that every other runtime is held to. Legend: see `runtime.base`.

It is rebuilt from the release itself: the exported file keeps each weight under its name in the net.
"""

import msgspec
import onnx
import torch
from onnx import numpy_helper

from gesturedet.convolution import fold_batch_norm
from gesturedet.detector import DetectorConfig, GestureDet
from gesturedet.runtime.base import Floats, check_images

CONFIG_KEY = "gesturedet.config"
"""The exported file's metadata carries the net's settings under this key, as JSON."""


class EagerRuntime:
    """A net on the CPU in full precision. Torch's threads are the whole process's: the last runtime made sets them."""

    def __init__(self, onnx_bytes: bytes, *, threads: int = 1) -> None:
        if threads < 1:
            raise ValueError(f"threads: {threads} is not at least 1")
        torch.set_num_threads(threads)
        self._net = net_of(onnx_bytes)

    def run(self, images_BCHW: Floats) -> tuple[Floats, Floats]:
        """Return logits_BAK and offsets_BA4. Raises ValueError for pictures of another size than the net's."""
        check_images(images_BCHW, self._net.config.input_hw)
        with torch.inference_mode():
            logits_BAK, offsets_BA4 = self._net(torch.from_numpy(images_BCHW))
        return logits_BAK.numpy(), offsets_BA4.numpy()


def net_of(onnx_bytes: bytes) -> GestureDet:
    """Rebuild the net, with batch norm folded, from an exported file.

    Raises ValueError for a file whose weights are not the net's own in full precision (a quantised one).
    """
    model = onnx.load_from_string(onnx_bytes)
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
