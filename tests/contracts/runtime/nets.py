"""Nets that every runtime is held to, and how a runtime that cannot be had says so."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from gesturedet.detector import CLASSROOM
from gesturedet.export import export_onnx, quantise, take_bytes
from gesturedet.runtime.base import RUNTIMES, Runtime, RuntimeAbsent, open_runtime
from tests.model.gesturedet.lively import lively_net, pictures
from tests.support import require

Precision = Literal["fp32", "int8"]

ON_A_GPU = ("onnxruntime-cuda", "onnxruntime-tensorrt", "tensorrt", "tensorrt-fp16")
FULL_ONLY = ("eager", "tensorrt-fp16")
"""Runtimes that take no quantised net; that they refuse it is tested too."""


@dataclass(frozen=True)
class Nets:
    """One net with random weights as files: in full precision, in int8 for a CPU and for TensorRT, and two that take bytes."""

    fp32: bytes
    int8: bytes
    symmetric: bytes
    fp32_bytes: bytes
    int8_bytes: bytes

    def of(self, runtime: str, precision: Precision) -> bytes:
        """The file of a precision that this runtime reads."""
        if precision == "fp32":
            return self.fp32
        return self.symmetric if runtime in ON_A_GPU else self.int8


def make_nets(folder: Path) -> Nets:
    """Export and quantise one net, once for all tests of a module."""
    paths = {name: folder / f"{name}.onnx" for name in Nets.__dataclass_fields__}
    export_onnx(lively_net(CLASSROOM), paths["fp32"])
    calibration = pictures(6, CLASSROOM)[:, None]
    quantise(paths["fp32"], paths["int8"], calibration)
    quantise(paths["fp32"], paths["symmetric"], calibration, symmetric=True)
    for precision in ("fp32", "int8"):
        take_bytes(paths[precision], paths[f"{precision}_bytes"])
    return Nets(**{name: path.read_bytes() for name, path in paths.items()})


def opened(name: str, onnx_bytes: bytes) -> Runtime:
    """The runtime of a name; skips, with the reason, where it cannot be had and nobody requires it."""
    try:
        return open_runtime(name, onnx_bytes)
    except RuntimeAbsent as absent:
        if name in ON_A_GPU:
            require("gpu", None, str(absent))
        require("openvino", None, str(absent))
        raise


def rows(*, but: tuple[str, ...] = ()) -> list[object]:
    """Every runtime as a parameter of a test; those on a GPU bear its mark."""
    marks = {name: (pytest.mark.gpu,) if name in ON_A_GPU else () for name in RUNTIMES}
    return [pytest.param(name, marks=marks[name]) for name in sorted(RUNTIMES) if name not in but]


def cases() -> list[object]:
    """Every runtime with every precision it takes."""
    return [
        pytest.param((name, precision), id=f"{name}-{precision}", marks=(pytest.mark.gpu,) if name in ON_A_GPU else ())
        for name in sorted(RUNTIMES)
        for precision in ("fp32", "int8")
        if precision == "fp32" or name not in FULL_ONLY
    ]
