import pytest

pytest.importorskip("torch", reason="needs torch (the train extra)")
pytest.importorskip("onnx", reason="needs onnx (the train extra)")

from tests.contracts.runtime.nets import Nets, make_nets


@pytest.fixture(scope="session")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Nets:
    return make_nets(tmp_path_factory.mktemp("nets"))
