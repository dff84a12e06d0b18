"""A test that needs a real part skips where it is absent, and fails where the part was asked for by name."""

from importlib.util import find_spec

import pytest

from tests.support import require


def test_an_absent_part_that_nobody_asked_for_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLASSPULSE_TEST_REQUIRE", "rtsp, browser")
    with pytest.raises(pytest.skip.Exception, match="synth is absent: no driver"):
        require("synth", available=False, why="no driver")


def test_an_absent_part_that_was_asked_for_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLASSPULSE_TEST_REQUIRE", "rtsp, synth")
    with pytest.raises(
        pytest.fail.Exception, match="synth is required by CLASSPULSE_TEST_REQUIRE but absent: no driver"
    ):
        require("synth", available=False, why="no driver")


def test_a_part_that_is_there_lets_the_test_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLASSPULSE_TEST_REQUIRE", "synth")
    require("synth", available=True, why="")


def test_torch_is_there_where_it_was_asked_for() -> None:
    """Whole modules skip without it; this one fails for them where CLASSPULSE_TEST_REQUIRE names it."""
    require("torch", available=find_spec("torch") and find_spec("onnx"), why="the train extra is not installed")
