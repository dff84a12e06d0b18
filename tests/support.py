"""What tests share: how a test that needs a real part says so."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def require(part: str, available: object, why: str) -> None:
    """Skip when a real part is absent, or fail where CLASSPULSE_TEST_REQUIRE names it (comma separated)."""
    if available:
        return
    required = {name.strip() for name in os.environ.get("CLASSPULSE_TEST_REQUIRE", "").split(",")}
    if part in required:
        pytest.fail(f"{part} is required by CLASSPULSE_TEST_REQUIRE but absent: {why}")
    pytest.skip(f"{part} is absent: {why}")
