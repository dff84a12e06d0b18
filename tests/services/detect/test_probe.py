"""What a machine carries is what fits on it beside each other."""

from pathlib import Path
from typing import ClassVar

import pytest

from classpulse.detect.devices import RUNTIMES_OF
from classpulse.detect.probe import probe
from classpulse.settings import Settings
from gesturedet.runtime.base import RUNTIMES
from gesturedet.runtime.onnxruntime import OnnxRuntime
from tests.services.fake_release import make_release


class RoomForOne(OnnxRuntime):
    """A device on which one net fits."""

    opened: ClassVar[int] = 0

    def __init__(self, onnx_bytes: bytes, *, threads: int = 1) -> None:
        type(self).opened += 1
        if self.opened > 1:
            raise RuntimeError("CUDA out of memory")
        super().__init__(onnx_bytes, threads=threads)


def test_a_worker_that_would_look_with_another_runtime_than_the_first_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_release(tmp_path)
    monkeypatch.setitem(RUNTIMES, "narrow", f"{__name__}:RoomForOne")
    monkeypatch.setitem(RUNTIMES_OF, "cpu", ("narrow", "onnxruntime"))
    found = probe(Settings(model=tmp_path), "cpu", 2)
    assert (found.workers, found.runtime, found.refused, found.error) == (1, "narrow", (), "")
    assert len(found.pictures_per_s) == 1
