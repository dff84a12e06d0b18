"""Every test of the contract runs once per bus."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.bus.desk import BUSES, Desk

MARKS = {"kafka": (pytest.mark.kafka, pytest.mark.xdist_group("kafka"))}


@pytest.fixture(params=[pytest.param(name, marks=MARKS.get(name, ())) for name in sorted(BUSES)])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(BUSES[request.param], tmp_path)
    yield desk
    desk.close()
