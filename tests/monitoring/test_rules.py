"""Every alert fires when it should, does not when it should not, and ends: by promtool, on the rules as they are deployed."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.local.prometheus.programs import program
from deploy.local.prometheus.server import groups

from tests.monitoring.case import Case
from tests.monitoring.cases import CASES
from tests.monitoring.rules import Rule, alerts, group_of, rules, unannotated, write_groups
from tests.support import require


@pytest.fixture(scope="module")
def promtool() -> Path:
    try:
        return program("promtool")
    except RuntimeError as error:
        require("prometheus", None, str(error))
        raise


def fixed(rule: Rule) -> dict[str, str]:
    return {name: value for name, value in rule["labels"].items() if name != "severity"}


def rule_of(case: Case) -> Rule:
    (found,) = [r for r in alerts() if r["alert"] == case.alert and fixed(r).items() <= case.labels.items()]
    return found


def test_every_rule_that_alerts_has_a_case() -> None:
    told = {(case.alert, *sorted(fixed(rule_of(case)).items())) for case in CASES}
    assert told == {(rule["alert"], *sorted(fixed(rule).items())) for rule in alerts()}


def test_no_two_rules_alert_alike() -> None:
    told = [(rule["alert"], *sorted(fixed(rule).items())) for rule in alerts()]
    assert len(told) == len(set(told))


def test_the_rules_are_ones_that_prometheus_takes(promtool: Path, tmp_path: Path) -> None:
    path = write_groups(tmp_path / "rules.yaml", groups())
    done = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"SUCCESS: {sum(1 for _ in rules())} rules found" in done.stdout


@pytest.mark.parametrize("case", CASES, ids=lambda c: "-".join((c.alert, *c.labels.values())).replace("/", "."))
def test_an_alert_fires_does_not_fire_and_ends(promtool: Path, tmp_path: Path, case: Case) -> None:
    write_groups(tmp_path / "rules.yaml", [unannotated(group_of(case.alert))])
    comes = [expectation(case, case.before), expectation(case, case.fires, fires=True), expectation(case, case.after)]
    # As long as the series that never bring it about last, and a little longer.
    most = max(len(values.split()) for values in case.never.values())
    at = sorted({*range(0, most, max(1, most // 40)), case.fires})
    told = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": f"{case.step}m",
        "tests": [
            played(case, case.series, comes),
            played(case, case.never, [expectation(case, one) for one in at if one < most]),
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(told, sort_keys=False))
    done = subprocess.run(
        [promtool, "test", "rules", tmp_path / "test.yaml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def expectation(case: Case, at: int, *, fires: bool = False) -> dict[str, Any]:
    labels = {**case.labels, **rule_of(case)["labels"]}
    return {
        "eval_time": f"{at * case.step}m",
        "alertname": case.alert,
        "exp_alerts": [{"exp_labels": labels}] if fires else [],
    }


def played(case: Case, series: dict[str, str], expectations: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "interval": f"{case.step}m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": expectations,
    }


def test_an_alert_says_how_urgent_it_is_what_it_is_and_where_it_is_explained() -> None:
    for rule in alerts():
        assert rule["labels"]["severity"] in {"page", "ticket"}, rule["alert"]
        told = rule["annotations"]
        assert told.keys() == {"summary", "description", "runbook_url"}, rule["alert"]
        assert told["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"


def test_a_page_can_be_told_from_a_ticket_by_the_budget_that_it_costs() -> None:
    factors = {
        "1h": ("5m", "14.4", "page"),
        "6h": ("30m", "6", "page"),
        "1d": ("2h", "3", "ticket"),
        "3d": ("6h", "1", "ticket"),
    }
    told = [rule for rule in alerts() if "window" in rule["labels"]]
    assert len(told) == 8
    for rule in told:
        window = rule["labels"]["window"]
        short, factor, severity = factors[window]
        budget = "0.01" if rule["alert"].startswith("EventsLate") else "0.005"
        name = "classpulse:events_late" if budget == "0.01" else "classpulse:unobserved"
        limit = f"{factor} * {budget}"
        assert rule["expr"].split("and") == [
            f"{name}:ratio_rate{window} > {limit}\n  ",
            f" {name}:ratio_rate{short} > {limit}\n",
        ]
        assert rule["labels"]["severity"] == severity


def test_a_file_has_one_resource_with_groups_of_its_own() -> None:
    names = [group["name"] for group in groups()]
    assert len(names) == len(set(names)) > 0
