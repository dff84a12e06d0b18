"""What runs the net: one tensor in, the heads' outputs out. Decoding and suppression are shared and live elsewhere.

Legend: B pictures, C channels, H and W, A default boxes, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Images = NDArray[Any]
"""images_BCHW of float32 from `preprocess`, or images_BHWC of bytes where the net itself normalises them."""

OUTPUTS = ("logits", "offsets")


class RuntimeAbsent(ValueError):
    """A runtime cannot be had here: its package is not installed, or the machine lacks the device it needs."""


class RuntimeRefused(ValueError):
    """A runtime is there and does not do its work: it compiles no net, finds no memory, or breaks off in a call."""


class NetMismatch(ValueError):
    """The bytes are no net of this detector: no ONNX, or other inputs or outputs than `export_onnx` gives."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a net as its runtime tells of it; None in `shape` stands for any number."""

    name: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class NetInput:
    """What a net takes: pictures of `size_hw` pixels, as normalised floats or, `in_bytes`, as OpenCV decodes them."""

    name: str
    size_hw: tuple[int, int]
    in_bytes: bool


class Runtime(Protocol):
    """A loaded net, made as `Class(onnx_bytes, threads=1)`."""

    input: NetInput
    at_once: int
    """So many pictures in one call gain by each other's company; 1 where they do not."""

    def run(self, images: Images) -> tuple[Floats, Floats]:
        """Take any number of pictures, as `input` says; return logits_BAK and offsets_BA4.

        Raises ValueError for pictures of another size or kind than the net's, RuntimeRefused when they do not run.
        """


RUNTIMES: dict[str, str] = {
    "onnxruntime": "gesturedet.runtime.onnxruntime:OnnxRuntime",
    "onnxruntime-cuda": "gesturedet.runtime.onnxruntime:OnnxRuntimeCuda",
    "onnxruntime-tensorrt": "gesturedet.runtime.onnxruntime:OnnxRuntimeTensorRt",
    "openvino": "gesturedet.runtime.openvino:OpenVino",
    "openvino-bf16": "gesturedet.runtime.openvino:OpenVinoBf16",
    "tensorrt": "gesturedet.runtime.tensorrt:TensorRt",
    "tensorrt-fp16": "gesturedet.runtime.tensorrt:TensorRtFp16",
    "eager": "gesturedet.runtime.eager:EagerRuntime",
}
"""Name → `module:Class`, imported on demand; each joins the contract suite of runtimes."""

EXTRAS: dict[str, str] = {
    "onnxruntime": "cpu",
    "onnxruntime-cuda": "gpu",
    "onnxruntime-tensorrt": "gpu",
    "openvino": "openvino",
    "openvino-bf16": "openvino",
    "tensorrt": "gpu",
    "tensorrt-fp16": "gpu",
    "eager": "train",
}
"""Name → the extra of this package that brings what the runtime needs."""


CHECKS: dict[str, str] = {"tensorrt": "gesturedet.runtime.symmetric:check_symmetric"}
"""Name → `module:function`, imported on demand, that refuses nets which the runtime could only refuse late and darkly."""


def open_runtime(name: str, onnx_bytes: bytes, *, threads: int = 1) -> Runtime:
    """Load a net into the runtime of a name.

    Raises ValueError for a name that no runtime has or for fewer than one thread, NetMismatch for bytes that are no net
    of this detector, RuntimeAbsent, naming the extra, where the runtime cannot be had, RuntimeRefused where it is there and
    does not take the net.
    """
    if name not in RUNTIMES:
        raise ValueError(f"runtime: {name!r} is none of {', '.join(sorted(RUNTIMES))}")
    try:
        if name in CHECKS:
            _named(CHECKS[name])(onnx_bytes)
        made: Runtime = _named(RUNTIMES[name])(onnx_bytes, threads=threads)
    except (ImportError, RuntimeAbsent) as error:
        extra = EXTRAS[name]
        raise RuntimeAbsent(
            f"runtime {name!r}: {error}; expected what the extra {extra!r} brings: pip install '.[{extra}]'"
        ) from error
    return made


def _named(place: str) -> Any:
    """Import what a table's row names."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def check_threads(threads: int) -> None:
    """Raise ValueError for what is no whole number from 1 on."""
    if not isinstance(threads, int) or threads < 1:
        raise ValueError(f"threads: {threads!r} is not a whole number of at least 1")


def net_input(inputs: Sequence[Port], outputs: Sequence[Port]) -> NetInput:
    """Return what a net takes. Raises NetMismatch unless it takes pictures and says logits and offsets of the same boxes."""
    found = {port.name: port.shape for port in outputs}
    logits, offsets = (found.get(name, ()) for name in OUTPUTS)
    if sorted(found) != sorted(OUTPUTS) or len(logits) != 3 or offsets != (logits[0], logits[1], 4):
        raise NetMismatch(
            f"onnx_bytes: outputs are {_told(outputs)}, "
            "expected logits (any, boxes, classes) and offsets (any, boxes, 4) of the same boxes"
        )
    if len(inputs) == 1:
        match inputs[0].shape:
            case (None, 3, int(height), int(width)):
                return NetInput(inputs[0].name, (height, width), in_bytes=False)
            case (None, int(height), int(width), 3):
                return NetInput(inputs[0].name, (height, width), in_bytes=True)
    raise NetMismatch(
        f"onnx_bytes: inputs are {_told(inputs)}, expected one of (any, 3, height, width) or (any, height, width, 3)"
    )


def check_images(images: Images, wanted: NetInput) -> None:
    """Raise ValueError unless the pictures fit the net."""
    height, width = wanted.size_hw
    shape = (height, width, 3) if wanted.in_bytes else (3, height, width)
    kind = np.dtype(np.uint8 if wanted.in_bytes else np.float32)
    if images.ndim != 4 or images.shape[1:] != shape or images.dtype != kind:
        raise ValueError(
            f"images: shape {images.shape} of {images.dtype} does not fit the net, "
            f"expected (pictures, {shape[0]}, {shape[1]}, {shape[2]}) of {kind}"
        )


def _told(ports: Sequence[Port]) -> str:
    shapes = (", ".join("any" if size is None else str(size) for size in port.shape) for port in ports)
    return " and ".join(f"{port.name} ({shape})" for port, shape in zip(ports, shapes, strict=True)) or "none"
