"""What every runtime promises. A new one joins by its row in RUNTIMES."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch (the train extra)")
pytest.importorskip("onnx", reason="needs onnx (the train extra)")

from gesturedet.detector import CLASSROOM, GestureDet  # noqa: E402
from gesturedet.export import export_onnx  # noqa: E402
from gesturedet.runtime.base import RUNTIMES, Floats, Runtime  # noqa: E402
from tests.model.gesturedet.lively import LEAST_LOGIT, lively_net, pictures  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.xdist_group("export")]

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def net() -> GestureDet:
    return lively_net(CLASSROOM)


@pytest.fixture(scope="module")
def onnx_bytes(net: GestureDet, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = tmp_path_factory.mktemp("runtime") / "net.onnx"
    export_onnx(net, path)
    return path.read_bytes()


@pytest.fixture(scope="module", params=sorted(RUNTIMES))
def runtime(request: pytest.FixtureRequest, onnx_bytes: bytes) -> Runtime:
    module, _, name = RUNTIMES[request.param].partition(":")
    made: Runtime = getattr(import_module(module), name)(onnx_bytes, threads=1)
    return made


def some_images(count: int) -> Floats:
    shown: Floats = pictures(max(count, 1), CLASSROOM)[:count]
    return shown


def test_no_pictures_give_no_outputs(runtime: Runtime) -> None:
    logits, offsets = runtime.run(some_images(0))
    assert logits.shape == (0, 14340, 4)
    assert offsets.shape == (0, 14340, 4)


@pytest.mark.parametrize("count", [1, 3])
def test_the_outputs_are_those_of_the_net(runtime: Runtime, net: GestureDet, count: int) -> None:
    images = some_images(count)
    with torch.no_grad():
        expected = net(torch.from_numpy(images))
    assert float(expected[0].abs().max()) > LEAST_LOGIT
    for said, wanted in zip(runtime.run(images), expected, strict=True):
        assert said.dtype == np.float32
        np.testing.assert_allclose(said, wanted.numpy(), atol=TOLERANCE)


def test_the_same_picture_gives_the_same_bytes(runtime: Runtime) -> None:
    first, second = runtime.run(some_images(1)), runtime.run(some_images(1))
    assert [one.tobytes() for one in first] == [one.tobytes() for one in second]


@pytest.mark.parametrize("shape", [(1, 3, 300, 300), (1, 1, 256, 448), (3, 256, 448)])
def test_pictures_of_another_shape_are_refused(runtime: Runtime, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"does not fit the net, expected \(pictures, 3, 256, 448\) of float32"):
        runtime.run(np.zeros(shape, dtype=np.float32))


def test_pictures_in_bytes_are_refused(runtime: Runtime) -> None:
    with pytest.raises(ValueError, match="of uint8 does not fit the net"):
        runtime.run(np.zeros((1, 3, 256, 448), dtype=np.uint8))


@pytest.mark.parametrize("name", sorted(RUNTIMES))
def test_no_threads_are_refused(name: str, onnx_bytes: bytes) -> None:
    module, _, made_by = RUNTIMES[name].partition(":")
    with pytest.raises(ValueError, match="threads: 0 is not at least 1"):
        getattr(import_module(module), made_by)(onnx_bytes, threads=0)
