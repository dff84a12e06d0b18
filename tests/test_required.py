"""A part that tests can miss is a part that .ci/run names: a skip there would go unnoticed."""

import re

from tests.support import ROOT


def test_ci_requires_every_part_that_a_test_asks_for() -> None:
    tests = [path for path in (ROOT / "tests").rglob("*.py") if path.name != "test_support.py"]
    asked = {part for path in tests for part in re.findall(r"require\(\s*\"([a-z-]+)\"", path.read_text())}
    named = set(
        re.findall(r"[a-z]+(?:-[a-z]+)*", " ".join(re.findall(r"parts=\"([^\"]+)\"", (ROOT / ".ci/run").read_text())))
    )

    assert {"synth", "rtsp", "browser"} <= asked
    assert asked <= named, f"asked for by a test and not named by .ci/run: {sorted(asked - named)}"
