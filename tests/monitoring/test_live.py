"""A route that runs tells Prometheus all that rules and dashboards ask for, and `doctor --cluster` finds it in order."""

import math
import re
import signal
import time
from collections.abc import Iterator

import pytest
from deploy.local.prometheus.programs import program

from classpulse.prometheus import Prometheus
from tests.monitoring.dashboards import queries
from tests.monitoring.promql import metrics, selectors, unconditional
from tests.monitoring.rules import FOREIGN, alerts, rules
from tests.monitoring.test_dashboards import foreign
from tests.monitoring.watched import CAMERA, Watched, watched
from tests.services.cli.conftest import Command, command
from tests.support import require

__all__ = ["command"]

pytestmark = [pytest.mark.prometheus, pytest.mark.xdist_group("prometheus")]

PATIENCE_S = 400
VARIABLES = {"$camera": CAMERA, "$instance": ".*", "$worker": ".*", "$__rate_interval": "30s"}
ELSEWHERE = {'classpulse_reader_lag_records{stage="bridge"}'}
"""What only a school's own box tells, which has no aggregate."""


@pytest.fixture(scope="module")
def route(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    try:
        program("prometheus")
    except RuntimeError as error:
        require("prometheus", None, str(error))
    with watched(tmp_path_factory.mktemp("watched")) as running:
        yield running


def asked() -> set[str]:
    """Every question whose answer this route can give: of rules, what they decide on."""
    told = {rule["expr"] for rule in rules() if "record" in rule}
    ours = [rule["expr"] for rule in alerts() if not metrics(rule["expr"]) & foreign()]
    told |= {unconditional(expression) for expression in ours}
    told |= {selector for expression in ours for selector in selectors(expression)} - ELSEWHERE
    panels = [query for _, query in queries() if not metrics(query) & (foreign() - {"ALERTS"})]
    return told | {re.sub("|".join(map(re.escape, VARIABLES)), lambda name: VARIABLES[name[0]], one) for one in panels}


def unanswered(prometheus: Prometheus, questions: set[str]) -> set[str]:
    """Those to which there is nothing, or nothing but what is not a number."""
    return {one for one in questions if all(math.isnan(sample.value) for sample in prometheus.query(one))}


def test_no_rule_and_no_panel_asks_in_vain(route: Watched) -> None:
    prometheus, left = Prometheus(route.address), asked()
    assert len(left) > 100
    end = time.monotonic() + PATIENCE_S
    while left and time.monotonic() < end:
        assert route.up.poll() is None, route.logs()
        time.sleep(2)
        left = unanswered(prometheus, left)
    assert not left, "\n".join([*sorted(left), route.logs()])


def test_every_rule_can_be_computed(route: Watched) -> None:
    told = Prometheus(route.address).rules()
    assert len(told) == sum(1 for _ in rules())
    assert {rule["name"]: rule.get("lastError") for rule in told if rule["health"] != "ok"} == {}


def test_doctor_finds_every_process_and_then_that_they_are_gone(route: Watched, command: Command) -> None:
    said = command("doctor", "--cluster", route.address).out
    for name in ("ingest", "detect", "aggregate", "audit", "canary"):
        assert f"ok     {name}: 1 process tells its metrics" in said
    assert "ok     cameras: " in said
    assert "ok     lag of detect: " in said
    assert "0 frames are not accounted for" in said
    route.up.send_signal(signal.SIGINT)
    route.up.wait(60)
    while Prometheus(route.address).query(
        "classpulse_cameras or classpulse_model_info"
    ):  # each process is asked in its turn
        time.sleep(0.5)
    gone = command("doctor", "--cluster", route.address)
    assert gone.code == 1
    assert "WRONG  ingest: absent: no camera is opened" in gone.out
    assert "WRONG  detect: absent: nobody looks at pictures" in gone.out
    assert "ok     canary: 1 process tells its metrics" in gone.out


def test_what_only_a_cluster_tells_is_left_out_and_nothing_else() -> None:
    left_out = {rule["alert"] for rule in alerts() if metrics(rule["expr"]) & foreign()}
    assert left_out == {rule["alert"] for rule in rules([FOREIGN])}
