from collections.abc import Iterator

import pytest

from tests.services.detect.rig import Rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    with rig.stage:
        yield rig
