"""The net on NVIDIA's TensorRT itself, from version 10 on: the fastest on its GPUs. Legend: see `runtime.base`.

Networks are strongly typed: an engine computes in the types that the ONNX file says, so precision is chosen before, by
`half.to_half` (fp16) or by `export.quantise(..., symmetric=True)` (int8). That is the only way left in TensorRT 11.
"""

import functools
import hashlib
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

try:
    import tensorrt as trt
except ModuleNotFoundError as absent:
    try:
        import tensorrt_bindings as trt  # the bindings alone, where the libraries come from elsewhere
    except ModuleNotFoundError:
        raise absent from None

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
from gesturedet.runtime.cuda import Mirror, Stream, find_gpu
from gesturedet.runtime.engine_cache import BatchProfile, EngineCache, EngineKey
from gesturedet.runtime.half import to_half


class TensorRt:
    """One engine, one context, one stream; made from the cache, or built into it when the cache has none that fits.

    `threads` are not used: the work is the GPU's. `cache` is `~/.cache/gesturedet/engines` unless given. Not for several
    threads at once; each takes a runtime of its own.
    """

    half: ClassVar[bool] = False

    def __init__(
        self,
        onnx_bytes: bytes,
        *,
        threads: int = 1,
        cache: EngineCache | None = None,
        profile: BatchProfile | None = None,
    ) -> None:
        check_threads(threads)
        self._profile = profile or BatchProfile()
        self.at_once = self._profile.most
        cache = cache or EngineCache(Path.home() / ".cache" / "gesturedet" / "engines")
        self._engine = _engine(onnx_bytes, self.half, self._profile, cache)
        names = [self._engine.get_tensor_name(place) for place in range(self._engine.num_io_tensors)]
        taken = [name for name in names if self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        self.input: NetInput = net_input(
            [_port(self._engine, name) for name in taken],
            [_port(self._engine, name) for name in names if name not in taken],
        )
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise RuntimeRefused("TensorRT: no context for the engine, expected room for one on the GPU")
        self._stream = Stream()
        self._mirrors = {name: self._mirror(name) for name in names}
        for name, mirror in self._mirrors.items():
            self._context.set_tensor_address(name, mirror.device)

    def run(self, images: Images) -> tuple[Floats, Floats]:
        """Return logits_BAK and offsets_BA4. Raises ValueError for pictures of another size or kind than the net's."""
        check_images(images, self.input)
        said = [self._run(images[part]) for part in self._profile.parts(len(images))]
        if not said:
            return self._nothing("logits"), self._nothing("offsets")
        logits_BAK, offsets_BA4 = (np.concatenate(parts) for parts in zip(*said, strict=True))
        return logits_BAK, offsets_BA4

    def close(self) -> None:
        """Give the GPU's memory back; the runtime cannot be used after."""
        for mirror in self._mirrors.values():
            mirror.close()
        self._stream.close()

    def _run(self, images: Images) -> tuple[Floats, Floats]:
        """Copy in, compute, copy out, all on one stream: one wait at the end."""
        count, taken = len(images), self._mirrors[self.input.name]
        taken.host[:count] = images
        taken.to_device(count, self._stream)
        self._context.set_input_shape(self.input.name, images.shape)
        if not self._context.execute_async_v3(self._stream.handle):
            raise RuntimeRefused(f"TensorRT: a batch of {count} did not run, expected from 1 to {self._profile.most}")
        for name in OUTPUTS:
            self._mirrors[name].to_host(count, self._stream)
        self._stream.wait()
        logits_BAK, offsets_BA4 = (self._mirrors[name].host[:count].copy() for name in OUTPUTS)
        return logits_BAK, offsets_BA4

    def _mirror(self, name: str) -> Mirror:
        """Memory for as many pictures as the profile takes."""
        shape = tuple(self._engine.get_tensor_shape(name))[1:]
        return Mirror((self._profile.most, *shape), np.dtype(trt.nptype(self._engine.get_tensor_dtype(name))))

    def _nothing(self, name: str) -> Floats:
        return np.zeros((0, *self._mirrors[name].host.shape[1:]), dtype=np.float32)


class TensorRtFp16(TensorRt):
    """In fp16, cast from a net in full precision."""

    half = True


def _engine(onnx_bytes: bytes, half: bool, profile: BatchProfile, cache: EngineCache) -> Any:
    """Load the engine from the cache, or build it into it."""
    gpu = find_gpu()
    key = EngineKey(
        model=hashlib.sha256(onnx_bytes).hexdigest(),
        types="fp16" if half else "as-given",
        tensorrt=trt.__version__,
        gpu=gpu.name,
        architecture=gpu.architecture,
        profile=profile,
    )
    runtime = trt.Runtime(_logger())

    def build(timings: bytes) -> tuple[bytes, bytes]:
        return _build(to_half(onnx_bytes) if half else onnx_bytes, profile, timings)

    return cache.obtain(key, runtime.deserialize_cuda_engine, build)


def _build(onnx_bytes: bytes, profile: BatchProfile, timings: bytes) -> tuple[bytes, bytes]:
    """Return an engine and what its build measured."""
    builder = trt.Builder(_logger())
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    taken = _parse(network, onnx_bytes)
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # full precision is to be full
    shapes = builder.create_optimization_profile()
    picture = tuple(network.get_input(0).shape)[1:]
    shapes.set_shape(taken.name, *((count, *picture) for count in (1, profile.best, profile.most)))
    config.add_optimization_profile(shapes)
    measured = config.create_timing_cache(timings) or config.create_timing_cache(b"")
    config.set_timing_cache(measured, ignore_mismatch=False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise RuntimeRefused("TensorRT: no engine could be built of this net; its own lines above say why")
    return bytes(plan), bytes(config.get_timing_cache().serialize())


def _parse(network: Any, onnx_bytes: bytes) -> NetInput:
    parser = trt.OnnxParser(network, _logger())
    if not parser.parse(onnx_bytes):
        told = "; ".join(parser.get_error(place).desc() for place in range(parser.num_errors))
        raise NetMismatch(
            f"onnx_bytes: TensorRT cannot read them: {told}; expected a net of `export_onnx`, "
            "or of `gesturedet quantize --symmetric`"
        )
    inputs = [network.get_input(place) for place in range(network.num_inputs)]
    outputs = [network.get_output(place) for place in range(network.num_outputs)]
    return net_input(
        [Port(tensor.name, _shape(tensor.shape)) for tensor in inputs],
        [Port(tensor.name, _shape(tensor.shape)) for tensor in outputs],
    )


def _port(engine: Any, name: str) -> Port:
    return Port(name, _shape(engine.get_tensor_shape(name)))


def _shape(sizes: Any) -> tuple[int | None, ...]:
    return tuple(None if size < 0 else int(size) for size in sizes)


@functools.cache
def _logger() -> Any:
    return trt.Logger(trt.Logger.ERROR)
