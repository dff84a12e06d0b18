import numpy as np
import pytest

cuda = pytest.importorskip("cuda.bindings.runtime", reason="needs cuda-bindings (the gpu extra)")

from gesturedet.runtime.base import RuntimeAbsent, RuntimeRefused  # noqa: E402
from gesturedet.runtime.cuda import Gpu, Mirror, Stream, checked, find_gpu  # noqa: E402
from tests.support import require  # noqa: E402


def test_a_call_that_went_well_gives_what_it_gives() -> None:
    fine = cuda.cudaError_t.cudaSuccess
    assert checked((fine,)) is None
    assert checked((fine, 7)) == 7


def test_a_call_that_failed_is_told_by_cudas_own_name() -> None:
    with pytest.raises(RuntimeRefused, match="CUDA: cudaErrorMemoryAllocation, expected cudaSuccess"):
        checked((cuda.cudaError_t.cudaErrorMemoryAllocation, None))


def test_a_gpu_has_a_name_and_an_architecture_or_its_absence_a_reason() -> None:
    try:
        found = find_gpu()
    except RuntimeAbsent as absent:
        assert str(absent).startswith("there is no CUDA device (cuda")  # noqa: PT017 - a GPU is not absent
        return
    assert found.name
    assert found.architecture.startswith("sm_")


@pytest.fixture
def gpu() -> Gpu:
    try:
        return find_gpu()
    except RuntimeAbsent as absent:
        require("gpu", None, str(absent))
        raise


@pytest.mark.gpu
def test_what_goes_to_the_gpu_comes_back_and_only_as_many_rows_as_were_ordered(gpu: Gpu) -> None:
    stream = Stream()
    with Mirror((3, 2), np.dtype(np.float32)) as mirror:
        mirror.host[:] = [[1, 2], [3, 4], [5, 6]]
        mirror.to_device(3, stream)
        stream.wait()
        mirror.host[:] = 0
        mirror.to_host(2, stream)
        stream.wait()
        assert mirror.host.tolist() == [[1, 2], [3, 4], [0, 0]]
        mirror.close()
    stream.close()
    stream.close()
