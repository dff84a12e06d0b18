"""Every test of the contract runs once per bus."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.bus.desk import BUSES, Desk


@pytest.fixture(params=sorted(BUSES))
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(BUSES[request.param], tmp_path)
    yield desk
    desk.close()
