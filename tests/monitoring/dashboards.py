"""The dashboards as Grafana gets them, read for tests."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.monitoring.rules import MONITORING


def dashboards() -> dict[str, dict[str, Any]]:
    """File name without its end → dashboard."""
    return {path.stem: json.loads(path.read_text()) for path in dashboard_files()}


def dashboard_files() -> list[Path]:
    return sorted((MONITORING / "dashboards").glob("*.json"))


def queries() -> Iterator[tuple[str, str]]:
    """Every panel's queries, with the panel's place."""
    for name, dashboard in dashboards().items():
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                yield f"{name}: {panel['title']}", target["expr"]
