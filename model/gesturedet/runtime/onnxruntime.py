"""The net on ONNX Runtime: on its CPU provider what the product uses. Legend: see `runtime.base`."""

from typing import Any, ClassVar

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from gesturedet.runtime.base import (
    OUTPUTS,
    Floats,
    Images,
    NetInput,
    NetMismatch,
    Port,
    RuntimeAbsent,
    RuntimeRefused,
    check_images,
    check_threads,
    net_input,
)

_NO_NET = (faults.InvalidProtobuf, faults.InvalidGraph, faults.InvalidArgument, faults.Fail, faults.NotImplemented)
_REFUSED = (*_NO_NET, faults.EPFail, faults.EngineError, faults.RuntimeException)

Provider = tuple[str, dict[str, str]]
CPU: Provider = ("CPUExecutionProvider", {})
CUDA: Provider = ("CUDAExecutionProvider", {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"})
"""Without TF32, whose ten bits of mantissa would show in the parity with eager, and without a search for each number of pictures: the
default one takes a second when a number first appears, in the middle of a lesson."""


class OnnxRuntime:
    """One session with a stated number of threads. Workers side by side take one each and never spin on shared cores.

    The first of `providers` has to run the net; those after it take only what it cannot.
    """

    providers: ClassVar[tuple[Provider, ...]] = (CPU,)
    at_once: int = 1

    def __init__(self, onnx_bytes: bytes, *, threads: int = 1) -> None:
        check_threads(threads)
        self._session = _session(onnx_bytes, threads, self.providers)
        self.input: NetInput = net_input(_ports(self._session.get_inputs()), _ports(self._session.get_outputs()))

    def run(self, images: Images) -> tuple[Floats, Floats]:
        """Return logits_BAK and offsets_BA4. Raises ValueError for pictures of another size or kind than the net's."""
        check_images(images, self.input)
        try:
            logits_BAK, offsets_BA4 = self._session.run(list(OUTPUTS), {self.input.name: images})
        except _REFUSED as error:
            raise RuntimeRefused(f"ONNX Runtime: a batch of {len(images)} did not run: {error}") from error
        return logits_BAK, offsets_BA4


class OnnxRuntimeCuda(OnnxRuntime):
    """The net on an NVIDIA GPU, layer by layer."""

    providers = (CUDA, CPU)
    at_once = 16


class OnnxRuntimeTensorRt(OnnxRuntime):
    """The net on an NVIDIA GPU through ONNX Runtime's TensorRT; an engine is built at the start, for every start anew.

    One picture in a call: for another number of them it would build another engine, in the middle of a lesson.
    For a cache of engines, and for half precision, see `runtime.tensorrt`.
    """

    providers = (("TensorrtExecutionProvider", {}), CUDA, CPU)


def _session(onnx_bytes: bytes, threads: int, providers: tuple[Provider, ...]) -> Any:
    """Raise RuntimeAbsent where the first provider cannot be had: ONNX Runtime itself would quietly take the next."""
    wanted = providers[0][0]
    available = onnxruntime.get_available_providers()
    if wanted not in available:
        raise RuntimeAbsent(f"{wanted} is not in this ONNX Runtime, which has {', '.join(available)}")
    try:
        session = onnxruntime.InferenceSession(onnx_bytes, session_options(threads), providers=list(providers))
    except _NO_NET as error:
        raise NetMismatch(f"onnx_bytes: ONNX Runtime cannot load them: {error}; expected an ONNX net") from error
    except _REFUSED as error:
        raise RuntimeRefused(f"ONNX Runtime: {wanted} does not take the net: {error}") from error
    if session.get_providers()[0] != wanted:
        raise RuntimeAbsent(f"{wanted} did not start, only {', '.join(session.get_providers())}: is there a GPU?")
    return session


def _ports(nodes: list[Any]) -> list[Port]:
    return [Port(node.name, tuple(size if isinstance(size, int) else None for size in node.shape)) for node in nodes]


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """Return how every session here runs: so many threads, one operation after the other, no spinning."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # errors
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options
