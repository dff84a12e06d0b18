"""The rules as they are deployed, read for tests."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from deploy.local.prometheus.server import RULES as MONITORING
from deploy.local.prometheus.server import groups

FOREIGN = MONITORING / "cluster" / "prometheus-rule.yaml"
"""Its rules ask for metrics that only a cluster has."""

Rule = dict[str, Any]


def rules(paths: Sequence[Path] = ()) -> Iterator[Rule]:
    for group in groups(paths):
        yield from group["rules"]


def alerts() -> list[Rule]:
    return [rule for rule in rules() if "alert" in rule]


def group_of(alert: str) -> dict[str, Any]:
    """The group that an alert belongs to: with what it is computed from."""
    (found,) = [group for group in groups() if any(rule.get("alert") == alert for rule in group["rules"])]
    return found


def unannotated(group: dict[str, Any]) -> dict[str, Any]:
    """promtool compares annotations, too; what they say is no part of when an alert fires."""
    return {**group, "rules": [{key: rule[key] for key in rule if key != "annotations"} for rule in group["rules"]]}


def write_groups(path: Path, told: list[dict[str, Any]]) -> Path:
    """A file of Prometheus's own form."""
    path.write_text(yaml.safe_dump({"groups": told}, sort_keys=False))
    return path
