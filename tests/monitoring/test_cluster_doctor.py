"""`doctor --cluster` on a real Prometheus: it says what is absent, silent, behind and fires, and ends with 1 where anything is wrong."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deploy.local.prometheus.programs import program
from deploy.local.prometheus.server import free_port, running

from classpulse.cluster import AUDITED_WITHIN_S, BEHIND_S
from classpulse.prometheus import Prometheus
from tests.brokers import MORTAL
from tests.monitoring.page import serving
from tests.monitoring.rules import alerts
from tests.services.cli.conftest import Command, command
from tests.support import require

__all__ = ["command"]

SOUND = """
classpulse_cameras{state="up"} 4
classpulse_cameras{state="silent"} 0
classpulse_rooms{state="seen"} 2
classpulse_rooms{state="not_due"} 1
classpulse_model_info{digest="d"} 1
classpulse_canary_missed_total{node="n"} 0
classpulse_oldest_unprocessed_seconds{stage="detect"} 0.5
classpulse_reader_lag_records{stage="detect"} 3
classpulse_audit_unexplained_frames 0
classpulse_audit_last_timestamp_seconds {now}
"""


@pytest.fixture(autouse=True)
def _prometheus() -> None:
    try:
        program("prometheus")
    except RuntimeError as error:
        require("prometheus", None, str(error))


@contextmanager
def watched(folder: Path, text: str, until: str) -> Iterator[str]:
    """The address of a Prometheus that watches such a page, from when this expression says something."""
    with serving(text) as page, running(folder, [page.target], wrapper=MORTAL) as address:
        prometheus = Prometheus(address)
        while not prometheus.query(until):
            time.sleep(0.2)
        yield address


def sound(now_s: float) -> str:
    return SOUND.replace("{now}", str(now_s))


def lines(out: str) -> dict[str, str]:
    return {line[7:].split(": ")[0]: line for line in out.splitlines()}


def test_a_deployment_in_which_all_is_well(command: Command, tmp_path: Path) -> None:
    with watched(tmp_path / "p", sound(_now_s()), "classpulse_model_info") as address:
        result = command("doctor", "--cluster", address)
    said = lines(result.out)
    assert result.code == 0, result.out
    assert said["prometheus"].startswith(f"ok     prometheus: {address}: answers, version 2.")
    assert said["rules"] == f"ok     rules: {len(alerts())} alerts are loaded"
    assert said["ingest"] == "ok     ingest: 1 process tells its metrics"
    assert said["cameras"] == "ok     cameras: 0 silent, 4 up"
    assert said["rooms"] == "ok     rooms: 1 not due, 2 seen"
    assert said["lag of detect"] == "ok     lag of detect: its next record has waited 0.5 s, 3 records wait"
    assert "0 frames are not accounted for" in said["accounts"]
    assert said["alerts"] == "ok     alerts: none fires"
    assert not any(line.startswith("WRONG") for line in result.out.splitlines())


def test_a_worker_on_ray_is_known_by_the_names_of_all(command: Command, tmp_path: Path) -> None:
    """As docs/metrics.md says that a scrape should rename and drop."""
    of_ray = 'WorkerId="w",SessionName="s",otel_scope_name="o"'
    text = "".join(f'ray_classpulse_model_info{{digest="d",worker="{slot}",{of_ray}}} 1\n' for slot in (0, 1))
    with watched(tmp_path / "p", text, "classpulse_model_info") as address:
        found = Prometheus(address).query("classpulse_model_info")
        said = lines(command("doctor", "--cluster", address).out)
    kept = {"__name__", "digest", "worker", "instance", "job"}
    assert [sorted(sample.labels) for sample in found] == [sorted(kept), sorted(kept)]
    assert said["detect"] == "ok     detect: 2 processes tell their metrics"


def test_what_is_wrong_is_said_in_sentences(command: Command, tmp_path: Path) -> None:
    text = (
        sound(_now_s())
        .replace('classpulse_rooms{state="seen"} 2\nclasspulse_rooms{state="not_due"} 1\n', "")
        .replace('silent"} 0', 'silent"} 2')
        .replace('seconds{stage="detect"} 0.5', 'seconds{stage="detect"} 62')
        .replace("unexplained_frames 0", "unexplained_frames 7")
    )
    with watched(tmp_path / "p", text, 'ALERTS{alertname="ConservationBroken",alertstate="firing"}') as address:
        result = command("doctor", "--cluster", address)
    said = lines(result.out)
    assert result.code == 1
    assert result.err == "5 wrong\n"
    assert said["aggregate"] == "WRONG  aggregate: absent: no timeline and no event is made"
    assert said["cameras"] == "WRONG  cameras: 2 silent, 4 up"
    assert said["lag of detect"].startswith(
        "WRONG  lag of detect: its next record has waited 62.0 s, 3 records wait; expected at most 30 s"
    )
    assert "7 frames are not accounted for" in said["accounts"]
    assert said["alert ConservationBroken"].startswith(
        "WRONG  alert ConservationBroken: 7 captured frames are neither in a timeline nor missing for a reason (page, since 20"
    )
    assert said["alert ConservationBroken"].endswith("Z; docs/runbook.md#conservationbroken)")
    assert said["alert StageAbsent"].startswith("ok     alert StageAbsent: Neither aggregate nor bridge tells")
    assert "not yet firing" in said["alert StageAbsent"]


def test_a_schools_box_needs_a_bridge_and_no_aggregate(command: Command, tmp_path: Path) -> None:
    kept = [line for line in sound(_now_s()).splitlines() if "cameras" in line or "model_info" in line]
    text = "\n".join([*kept, 'classpulse_reader_lag_records{stage="bridge"} 0', ""])
    with watched(tmp_path / "p", text, "classpulse_model_info") as address:
        result = command("doctor", "--cluster", address)
    assert result.code == 0, result.out
    assert lines(result.out)["bridge"] == "ok     bridge: 1 process tells its metrics"
    assert not {"aggregate", "audit", "canary"} & lines(result.out).keys()


def test_a_prometheus_that_knows_nothing_of_it(command: Command, tmp_path: Path) -> None:
    gone = f"127.0.0.1:{free_port()}"
    with running(tmp_path / "p", [gone], wrapper=MORTAL) as address:
        while not Prometheus(address).query("up == 0"):
            time.sleep(0.2)
        result = command("doctor", "--cluster", address)
    said = lines(result.out)
    assert result.code == 1
    assert said[f"target {gone}"] == f"WRONG  target {gone}: does not tell its metrics to the job classpulse"
    assert [name for name, line in said.items() if ": absent: " in line] == [
        "ingest",
        "detect",
        "aggregate",
        "audit",
        "canary",
    ]


def test_a_prometheus_without_the_rules(command: Command, tmp_path: Path) -> None:
    with serving(
        '{"status": "success", "data": {"version": "2.0.0", "groups": [], "alerts": [], "resultType": "vector", "result": []}}'
    ) as page:
        said = lines(command("doctor", "--cluster", f"http://{page.target}").out)
    assert said["rules"] == "WRONG  rules: no alert of the runbook is loaded; expected deploy/k8s/platform/monitoring"


def test_what_answers_and_is_no_prometheus(command: Command) -> None:
    with serving("<html>Welcome</html>") as page:
        result = command("doctor", "--cluster", f"http://{page.target}")
    assert result.code == 1
    assert result.out == (
        f"WRONG  prometheus: http://{page.target}: answers, but not as a Prometheus does; expected its address\n"
    )


def test_nobody_answers(command: Command) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    result = command("doctor", "--cluster", address)
    assert result.code == 1
    assert result.out.startswith(f"WRONG  prometheus: {address}: ")
    assert "refused; expected a Prometheus that answers" in result.out


@pytest.mark.parametrize("address", ["prometheus:9090", "file:///etc/passwd", "http://", "http://h:9090/?a=b"])
def test_an_address_that_is_none_is_refused(command: Command, address: str) -> None:
    result = command("doctor", "--cluster", address)
    assert result.code == 2
    assert f"--cluster = '{address}': expected the address of a Prometheus, http://HOST:PORT" in result.err


def test_a_site_and_a_cluster_are_two_questions(command: Command, tmp_path: Path) -> None:
    result = command("doctor", str(tmp_path / "site.toml"), "--cluster", "http://h:9090")
    assert result.code == 2
    assert "expected one of both" in result.err


def test_the_limits_are_those_of_the_alerts() -> None:
    limits = {rule["alert"]: rule["expr"] for rule in alerts()}
    assert limits["StageBehind"].endswith(f"> {BEHIND_S}")
    assert eval(limits["AuditNotRunning"].rpartition("> ")[2]) == AUDITED_WITHIN_S


def _now_s() -> float:
    from classpulse.clock import SystemClock

    return SystemClock().now_ms() / 1000
