"""Tests of one group share a worker: some hold a broker, a renderer or a server that two workers would both start."""

import re
import subprocess
import sys
from pathlib import Path

MODULE = """
import pytest
pytestmark = pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(4))
def test_here(number): pass
"""


def test_tests_of_one_group_run_on_one_worker(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"test_{name}.py").write_text(MODULE)
    command = [sys.executable, "-m", "pytest", "-v", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        [*command, "-c", "/dev/null", "--rootdir", str(tmp_path), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(set(re.findall(r"\[(gw\d)\].*PASSED", ran.stdout))) == 1, ran.stdout
