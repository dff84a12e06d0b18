"""Runs `gesturedet` in this process, as the console script does."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from gesturedet.cli import main


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def runner(capsys: pytest.CaptureFixture[str]) -> Run:
    """Gives a function that runs a command line and says how it ended."""

    def run(*arguments: object) -> Ran:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Ran(int(caught.value.code or 0), said.out, said.err)

    return run
