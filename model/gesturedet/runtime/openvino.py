"""The net on OpenVINO's CPU plugin: on most processors the fastest that can be installed. Legend: see `runtime.base`."""

from typing import Any, ClassVar

import numpy as np
import openvino

from gesturedet.runtime.base import (
    OUTPUTS,
    Floats,
    Images,
    NetInput,
    NetMismatch,
    Port,
    RuntimeRefused,
    check_images,
    check_threads,
    net_input,
)


class OpenVino:
    """One stream with a stated number of threads, pinned to no core: workers side by side would be pinned to the same.

    `precision`: what is not quantised is computed in it. OpenVINO's own default is bf16 where the processor has it,
    which no parity with full precision outlives; see `OpenVinoBf16`.
    """

    precision: ClassVar[str] = "f32"
    at_once: int = 1

    def __init__(self, onnx_bytes: bytes, *, threads: int = 1) -> None:
        check_threads(threads)
        net = _read(onnx_bytes)
        self.input: NetInput = net_input(_ports(net.inputs), _ports(net.outputs))
        try:
            compiled = openvino.Core().compile_model(net, "CPU", settings(threads, self.precision))
            self._request = compiled.create_infer_request()
        except RuntimeError as error:
            raise RuntimeRefused(f"OpenVINO: the net cannot be compiled: {_told(error)}") from error

    def run(self, images: Images) -> tuple[Floats, Floats]:
        """Return logits_BAK and offsets_BA4. Raises ValueError for pictures of another size or kind than the net's."""
        check_images(images, self.input)
        try:
            said = self._request.infer({0: np.ascontiguousarray(images)}, share_inputs=True)
        except RuntimeError as error:
            raise RuntimeRefused(f"OpenVINO: a batch of {len(images)} did not run: {_told(error)}") from error
        logits_BAK, offsets_BA4 = (said[name] for name in OUTPUTS)
        return logits_BAK, offsets_BA4


class OpenVinoBf16(OpenVino):
    """In bf16: about twice as fast where the processor multiplies bf16 itself, slower elsewhere."""

    precision = "bf16"


def _read(onnx_bytes: bytes) -> Any:
    try:
        return openvino.Core().read_model(onnx_bytes)
    except RuntimeError as error:
        raise NetMismatch(f"onnx_bytes: OpenVINO cannot load them: {_told(error)} Expected an ONNX net") from error


def _told(error: RuntimeError) -> str:
    """Its last line says why; those before it are places in OpenVINO's source."""
    return str(error).strip().splitlines()[-1]


def settings(threads: int, precision: str) -> dict[str, Any]:
    """Return how every net here runs: one stream of so many threads, for the shortest time of one picture."""
    return {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": precision,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
    }


def _ports(outlets: list[Any]) -> list[Port]:
    return [
        Port(outlet.any_name, tuple(None if size.is_dynamic else size.get_length() for size in outlet.partial_shape))
        for outlet in outlets
    ]
