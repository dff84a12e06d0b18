"""A test that needs a real part skips where it is absent, and fails where the part was asked for by name."""

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
