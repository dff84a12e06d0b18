"""What tests share: how a test that needs a real part says so."""

import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from classpulse.telemetry import Metrics, OnRegistry

ROOT = Path(__file__).resolve().parent.parent


class Shown(Metrics):
    """Metrics of a test's own, and what they show."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        super().__init__(OnRegistry(self.registry))

    def value(self, name: str, **labels: str) -> float | None:
        """None for a series that is not shown."""
        return self.registry.get_sample_value(f"classpulse_{name}", labels)


def require(part: str, available: object, why: str) -> None:
    """Skip when a real part is absent, or fail where CLASSPULSE_TEST_REQUIRE names it (comma separated)."""
    if available:
        return
    required = {name.strip() for name in os.environ.get("CLASSPULSE_TEST_REQUIRE", "").split(",")}
    if part in required:
        pytest.fail(f"{part} is required by CLASSPULSE_TEST_REQUIRE but absent: {why}")
    pytest.skip(f"{part} is absent: {why}")
