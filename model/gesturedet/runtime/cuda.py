"""The little of CUDA that an engine needs: which GPU this is, a stream, and memory on both sides of it."""

import ctypes
import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from cuda.bindings import runtime as cuda
from numpy.typing import NDArray

from gesturedet.runtime.base import RuntimeAbsent, RuntimeRefused


@dataclass(frozen=True, slots=True)
class Gpu:
    """The first CUDA device: its name and its architecture, like `sm_90`."""

    name: str
    architecture: str


def find_gpu() -> Gpu:
    """Return the first GPU. Raises RuntimeAbsent where there is none, or no driver."""
    error, count = cuda.cudaGetDeviceCount()
    if error != cuda.cudaError_t.cudaSuccess or not count:
        raise RuntimeAbsent(f"there is no CUDA device ({_name(error)})")
    found = checked(cuda.cudaGetDeviceProperties(0))
    return Gpu(found.name.decode().rstrip("\0"), f"sm_{found.major}{found.minor}")


class Stream:
    """An order of work on the GPU; freed when closed."""

    def __init__(self) -> None:
        self.handle: int = int(checked(cuda.cudaStreamCreate()))

    def wait(self) -> None:
        """Return when all that was ordered is done."""
        checked(cuda.cudaStreamSynchronize(self.handle))

    def close(self) -> None:
        """Free it; twice is once."""
        handle, self.handle = self.handle, 0
        if handle:
            checked(cuda.cudaStreamDestroy(handle))


class Mirror:
    """An array that exists twice: `host`, in pinned memory, and at `device` on the GPU. Copies are as long as they are told."""

    def __init__(self, shape: tuple[int, ...], kind: np.dtype[Any]) -> None:
        self._bytes = max(math.prod(shape) * kind.itemsize, 1)
        self._host_address: int = int(checked(cuda.cudaMallocHost(self._bytes)))
        self.device: int = int(checked(cuda.cudaMalloc(self._bytes)))
        raw = (ctypes.c_uint8 * self._bytes).from_address(self._host_address)
        self.host: NDArray[Any] = np.frombuffer(memoryview(raw), kind, math.prod(shape)).reshape(shape)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def to_device(self, rows: int, stream: Stream) -> None:
        """Order the first rows to be copied to the GPU."""
        kind = cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        checked(cuda.cudaMemcpyAsync(self.device, self._host_address, self._size(rows), kind, stream.handle))

    def to_host(self, rows: int, stream: Stream) -> None:
        """Order the first rows to be copied from the GPU."""
        kind = cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        checked(cuda.cudaMemcpyAsync(self._host_address, self.device, self._size(rows), kind, stream.handle))

    def close(self) -> None:
        """Free both; twice is once. `host` must not be read after."""
        address, device = self._host_address, self.device
        self._host_address = self.device = 0
        if address:
            checked(cuda.cudaFreeHost(address))
            checked(cuda.cudaFree(device))

    def _size(self, rows: int) -> int:
        return self.host[:rows].nbytes


def checked(answer: tuple[Any, ...]) -> Any:
    """Return what a CUDA call gives. Raises RuntimeRefused naming CUDA's own error."""
    error, *given = answer
    if error != cuda.cudaError_t.cudaSuccess:
        raise RuntimeRefused(f"CUDA: {_name(error)}, expected cudaSuccess")
    return given[0] if given else None


def _name(error: Any) -> str:
    name: bytes = cuda.cudaGetErrorName(error)[1]
    return name.decode()
