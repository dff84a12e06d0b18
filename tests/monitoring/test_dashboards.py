"""Each panel asks a question, is where no other is, and names what exists."""

import re
from typing import Any

import pytest
import yaml

from classpulse.telemetry import Metrics
from tests.monitoring.dashboards import dashboard_files, dashboards, queries
from tests.monitoring.promql import metrics, of_product
from tests.monitoring.rules import FOREIGN, MONITORING, rules
from tests.support import ROOT

OURS = {row.shown for row in Metrics.table()}
RECORDED = {rule["record"] for rule in rules() if "record" in rule}


def foreign() -> set[str]:
    """The metrics that docs/metrics.md says are told by others."""
    section = (ROOT / "docs" / "metrics.md").read_text().split("\n## Metrics of others\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def asked() -> list[tuple[str, str]]:
    """Everything that is asked of Prometheus, and by whom."""
    return [*queries(), *((rule.get("alert") or rule["record"], rule["expr"]) for rule in rules())]


@pytest.mark.parametrize(("asker", "expression"), asked())
def test_what_is_asked_for_exists(asker: str, expression: str) -> None:
    named = {of_product(name) for name in metrics(expression)}
    assert named, f"{asker} asks for no metric"
    assert named <= OURS | RECORDED | foreign(), asker


def test_the_list_of_foreign_metrics_is_what_is_asked_for() -> None:
    named = {of_product(name) for _, expression in asked() for name in metrics(expression)}
    assert foreign() == named - OURS - RECORDED


def test_rules_ask_others_in_one_file_only() -> None:
    for path in MONITORING.glob("*/prometheus-rule.yaml"):
        named = [metrics(rule["expr"]) & foreign() for rule in rules([path])]
        assert all(named) if path == FOREIGN else not any(named), path


def test_what_is_recorded_is_asked_for() -> None:
    assert {name for _, expression in asked() for name in metrics(expression)} >= RECORDED


def panels() -> list[tuple[str, dict[str, Any]]]:
    return [(f"{name}: {panel['title']}", panel) for name, one in dashboards().items() for panel in one["panels"]]


@pytest.mark.parametrize(("place", "panel"), panels(), ids=[place for place, _ in panels()])
def test_a_panels_description_asks_and_answers(place: str, panel: dict[str, Any]) -> None:
    question, mark, answer = panel["description"].partition("? ")
    assert question
    assert mark, f"{place} asks nothing"
    assert len(answer.split()) >= 3, f"{place} gives no answer"
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize("name", sorted(dashboards()))
def test_no_panel_lies_on_another(name: str) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboards()[name]["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            assert cell not in taken, f"{panel['title']} lies on {taken.get(cell)}"
            taken[cell] = panel["title"]


def test_a_panel_names_only_variables_that_its_dashboard_has() -> None:
    for name, dashboard in dashboards().items():
        known = {variable["name"] for variable in dashboard["templating"]["list"]} | {"__rate_interval"}
        named = {
            word
            for panel in dashboard["panels"]
            for t in panel["targets"]
            for word in re.findall(r"\$(\w+)", t["expr"])
        }
        assert named <= known, name


def test_identities_are_unique_and_every_dashboard_is_provisioned() -> None:
    assert len({one["uid"] for one in dashboards().values()}) == len(dashboards()) == 6
    told = yaml.safe_load((MONITORING / "kustomization.yaml").read_text())
    provisioned = [file for generated in told["configMapGenerator"] for file in generated["files"]]
    assert sorted(provisioned) == [f"dashboards/{path.name}" for path in dashboard_files()]
    assert sorted(told["resources"]) == sorted(
        f"{p.parent.name}/{p.name}" for p in MONITORING.glob("*/prometheus-rule.yaml")
    )
