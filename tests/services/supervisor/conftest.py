"""Supervisors that a test starts and that end with it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.supervisor.running import Running


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    made: list[Running] = []

    def run(**changes: Any) -> Running:
        running = Running(tmp_path, **changes)
        made.append(running)
        running.start()
        return running

    yield run
    for running in made:
        running.close()
