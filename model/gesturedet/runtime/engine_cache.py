"""Built engines on disk. An engine serves one net on one kind of GPU with one TensorRT; building it takes minutes.

Each file begins with a line that says what it was built for; a file that says otherwise than it is asked for is refused,
because TensorRT itself fails late, or not at all, on an engine of another GPU.
"""

import hashlib
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from gesturedet.runtime.base import RuntimeRefused
from gesturedet.whole_files import write_whole

log = logging.getLogger(__name__)

Loaded = TypeVar("Loaded")


class EngineRefused(ValueError):
    """A cached engine is not the one that is needed, or damaged. Remedy: build it anew."""


class BatchProfile(msgspec.Struct, frozen=True, kw_only=True):
    """How many pictures at once an engine takes: from one to `most`, and fastest at `best`."""

    best: int = 8
    most: int = 16

    def __post_init__(self) -> None:
        if not 1 <= self.best <= self.most:
            raise ValueError(f"profile: best {self.best} and most {self.most}, expected 1 <= best <= most")

    def parts(self, pictures: int) -> list[slice]:
        """Cut so many pictures into runs of at most `most`, in order; none for no picture."""
        return [slice(start, min(start + self.most, pictures)) for start in range(0, pictures, self.most)]


class EngineKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an engine is built from and for.

    `model`: SHA-256 of the ONNX bytes, hexadecimal. `types`: `as-given`, or `fp16` where the net was cast. `architecture`:
    like `sm_90`; GPUs of one architecture and another name get engines of their own, whose timings differ.
    """

    model: str
    types: str
    tensorrt: str
    gpu: str
    architecture: str
    profile: BatchProfile

    @property
    def file_name(self) -> str:
        """A name that differs where anything differs, and is readable as far as it can be."""
        words = f"{self.model[:12]}-{self.types}-trt{self.tensorrt}-{self.architecture}-b{self.profile.best}-{self.profile.most}"
        digest = hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:8]
        return f"{_readable(words)}-{digest}.engine"

    @property
    def timing_name(self) -> str:
        """Timings serve every net on the same GPU and TensorRT."""
        return f"{_readable(f'timing-trt{self.tensorrt}-{self.architecture}-{self.gpu}')}.cache"


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: EngineKey
    digest: str


@dataclass(frozen=True, slots=True)
class EngineCache:
    """A folder of engines and timings; it is made when something is written."""

    folder: Path

    def obtain(
        self,
        key: EngineKey,
        load: Callable[[bytes], Loaded | None],
        build: Callable[[bytes], tuple[bytes, bytes]],
    ) -> Loaded:
        """Load the engine of a key, or build and keep it; what was refused is told and built anew, what cannot be kept is told.

        `load` gives None for an engine that it cannot use. `build` takes the timings of earlier builds and gives an engine
        and its timings. Raises RuntimeRefused when an engine that was just built cannot be used.
        """
        loaded = self._load(key, load)
        if loaded is not None:
            return loaded
        log.warning("building an engine for %s in %s: minutes, once", key.gpu, self.folder)
        engine, timings = build(self.timings(key))
        self._keep(key, engine, timings)
        loaded = load(engine)
        if loaded is None:
            raise RuntimeRefused(f"engine {self.folder / key.file_name}: just built and cannot be loaded")
        return loaded

    def _keep(self, key: EngineKey, engine: bytes, timings: bytes) -> None:
        try:
            self.keep_engine(key, engine)
            self.keep_timings(key, timings)
        except OSError as error:
            log.warning("%s: the next start builds anew", error)

    def _load(self, key: EngineKey, load: Callable[[bytes], Loaded | None]) -> Loaded | None:
        try:
            engine = self.engine(key)
        except EngineRefused as refused:
            log.warning("%s; it is built anew", refused)
            return None
        loaded = None if engine is None else load(engine)
        if engine is not None and loaded is None:
            log.warning("engine %s: TensorRT refuses it; it is built anew", self.folder / key.file_name)
        return loaded

    def engine(self, key: EngineKey) -> bytes | None:
        """Return the engine of a key, None where there is none.

        Raises EngineRefused for a file that was built for something else or is damaged.
        """
        path = self.folder / key.file_name
        if not path.is_file():
            return None
        first, _, engine = path.read_bytes().partition(b"\n")
        try:
            header = msgspec.json.decode(first, type=_Header)
        except msgspec.DecodeError as error:
            raise EngineRefused(f"engine {path}: damaged ({error}), expected what it was built for") from error
        for field in EngineKey.__struct_fields__:
            found, expected = getattr(header.key, field), getattr(key, field)
            if found != expected:
                raise EngineRefused(f"engine {path}: built for {field} {found!r}, expected {expected!r}")
        if hashlib.sha256(engine).hexdigest() != header.digest:
            raise EngineRefused(f"engine {path}: damaged, its {len(engine)} bytes have another digest than expected")
        return engine

    def keep_engine(self, key: EngineKey, engine: bytes) -> None:
        """Write an engine; a kill or a full disk leaves the old file or the new one. Raises OSError when it cannot be written."""
        header = msgspec.json.encode(_Header(key, hashlib.sha256(engine).hexdigest()))
        self._write(key.file_name, header + b"\n" + engine)

    def timings(self, key: EngineKey) -> bytes:
        """Return what earlier builds on this GPU measured; empty where there was none."""
        path = self.folder / key.timing_name
        return path.read_bytes() if path.is_file() else b""

    def keep_timings(self, key: EngineKey, timings: bytes) -> None:
        """Write what a build measured."""
        self._write(key.timing_name, timings)

    def _write(self, name: str, content: bytes) -> None:
        write_whole(self.folder / name, content, partial=self.folder / f"{name}.{os.getpid()}.partial")


def _readable(words: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", words)
