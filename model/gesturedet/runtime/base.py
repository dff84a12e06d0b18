"""What runs the net: one tensor in, the heads' outputs out. Decoding and suppression are shared and live elsewhere.

Legend: B pictures, C channels, H and W, A default boxes, K classes.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Runtime(Protocol):
    """A loaded net, made as `Class(onnx_bytes, threads=1)`."""

    def run(self, images_BCHW: Floats) -> tuple[Floats, Floats]:
        """Take pictures from `preprocess` (any number of them); return logits_BAK and offsets_BA4.

        Raises ValueError for pictures of another size than the net's.
        """


RUNTIMES: dict[str, str] = {
    "onnxruntime": "gesturedet.runtime.onnxruntime:OnnxRuntime",
    "eager": "gesturedet.runtime.eager:EagerRuntime",
}
"""Name → `module:Class`, imported on demand; each joins the contract suite of runtimes."""


def check_images(images_BCHW: Floats, input_hw: tuple[int, int]) -> None:
    """Raise ValueError unless the pictures fit the net."""
    if images_BCHW.ndim != 4 or images_BCHW.shape[1:] != (3, *input_hw) or images_BCHW.dtype != np.float32:
        raise ValueError(
            f"images_BCHW: shape {images_BCHW.shape} of {images_BCHW.dtype} does not fit the net, "
            f"expected (pictures, 3, {input_hw[0]}, {input_hw[1]}) of float32"
        )
