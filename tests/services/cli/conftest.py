from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from classpulse.cli import main


class Result(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process, on a data folder of the test's own."""

    def run(*arguments: str, data: bool = True) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*arguments, *(["--data", str(tmp_path / "data")] if data else [])])
        out, err = capsys.readouterr()
        return Result(int(ended.value.code or 0), out, err)

    return run
