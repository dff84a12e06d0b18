"""What tests of the commands begin with."""

from pathlib import Path

import pytest

from tests.model.gesturedet.running import Run, runner
from tests.services.fake_release import make_release


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command as a shell does."""
    return runner(capsys)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release whose finds are known; a test may change its files."""
    make_release(tmp_path / "release")
    return tmp_path / "release"
