"""What every test gets."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def subnormal_numbers() -> Iterator[None]:
    """A session of ONNX Runtime for which they are zero leaves its thread that way; hypothesis refuses to work so."""
    yield
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_flush_denormal(False)
