"""What looks at pictures on which device: the runtimes of a device, best first."""

from typing import Literal

Device = Literal["gpu", "jetson", "cpu"]

AUTO = "auto"
"""The setting `runtime`: the first that loads of those for the device."""

RUNTIMES_OF: dict[Device, tuple[str, ...]] = {
    "gpu": ("tensorrt", "onnxruntime-tensorrt", "onnxruntime-cuda", "onnxruntime"),
    "jetson": ("tensorrt", "onnxruntime-tensorrt", "onnxruntime-cuda", "onnxruntime"),
    "cpu": ("onnxruntime", "openvino"),
}


def device_here() -> Device:
    """`gpu` where CUDA finds one, else `cpu`. A Jetson says `gpu`, too: the same runtimes are tried."""
    try:
        from gesturedet.runtime.cuda import find_gpu  # noqa: PLC0415 - its bindings come with the extra `gpu` only

        find_gpu()
    except (ImportError, ValueError):  # RuntimeAbsent is a ValueError
        return "cpu"
    return "gpu"
