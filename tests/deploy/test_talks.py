"""Who may talk to whom, and who is scraped: every policy and monitor takes pods that there are, on ports that they have."""

import re

import pytest

from classpulse.telemetry import Metrics
from tests.deploy.built import OVERLAYS, Document, Pod, matches, of_kind, overlay, pods, ports
from tests.support import ROOT

OF_STRIMZI = "strimzi.io/cluster"


def ours(place: str) -> list[Pod]:
    return list(pods(overlay(place)))


def selectors(policy: Document) -> list[Document]:
    """Every selector of pods of this namespace in a policy."""
    rules = [*policy["spec"].get("ingress", ()), *policy["spec"].get("egress", ())]
    peers = [peer for rule in rules for peer in (*rule.get("from", ()), *rule.get("to", ()))]
    return [
        policy["spec"]["podSelector"],
        *(p["podSelector"] for p in peers if "podSelector" in p and "namespaceSelector" not in p),
    ]


@pytest.mark.parametrize("place", OVERLAYS)
def test_nobody_talks_unless_a_policy_says_so(place: str) -> None:
    closed = [
        policy
        for policy in of_kind(overlay(place), "NetworkPolicy")
        if policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ]
    assert len(closed) == 1


@pytest.mark.parametrize("place", OVERLAYS)
def test_policies_speak_of_pods_that_there_are(place: str) -> None:
    for policy in of_kind(overlay(place), "NetworkPolicy"):
        for selector in selectors(policy):
            if OF_STRIMZI in selector.get("matchLabels", {}):
                cluster = of_kind(overlay(place), "Kafka")[0]["metadata"]["name"]
                assert selector["matchLabels"][OF_STRIMZI] == cluster
            else:
                assert any(matches(selector, pod.labels) for pod in ours(place)), (
                    f"{policy['metadata']['name']}: {selector}"
                )


@pytest.mark.parametrize("place", OVERLAYS)
def test_doors_that_policies_open_by_name_are_there(place: str) -> None:
    known = {port for pod in ours(place) for port in ports(pod)} | {"tcp-prometheus"}
    for policy in of_kind(overlay(place), "NetworkPolicy"):
        for rule in policy["spec"].get("ingress", ()):
            for port in rule.get("ports", ()):
                if isinstance(port["port"], str) and policy["metadata"]["name"] != "metrics":
                    assert port["port"] in known, f"{policy['metadata']['name']}: {port}"


@pytest.mark.parametrize("place", OVERLAYS)
def test_who_has_a_password_of_the_brokers_may_reach_them_and_nobody_else(place: str) -> None:
    for pod in ours(place):
        has = any("kafka-user-" in str(volume) for volume in pod.spec["volumes"])
        if "submitter" not in pod.owner:
            assert has == (pod.labels.get("classpulse/kafka") == "client"), pod.owner


@pytest.mark.parametrize("place", ["district", "district-cpu"])
def test_monitors_read_ports_that_their_pods_have(place: str) -> None:
    for monitor in of_kind(overlay(place), "PodMonitor"):
        selector = monitor["spec"]["selector"]
        if OF_STRIMZI in selector["matchLabels"]:
            continue
        taken = [pod for pod in ours(place) if matches(selector, pod.labels)]
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        with_port = {pod.owner for pod in taken if endpoint["port"] in ports(pod)}
        assert with_port == {pod.owner for pod in taken if pod.runs}
    every = {pod.owner for pod in ours(place) if "metrics" in ports(pod) and "refresh" not in pod.owner}
    scraped = {
        pod.owner
        for monitor in of_kind(overlay(place), "PodMonitor")
        for pod in ours(place)
        if matches(monitor["spec"]["selector"], pod.labels)
    }
    assert every <= scraped


def test_metrics_of_ray_are_read_under_the_names_that_stages_use() -> None:
    (monitor,) = (one for one in of_kind(overlay("district"), "PodMonitor") if one["metadata"]["name"] == "ray")
    rules = monitor["spec"]["podMetricsEndpoints"][0]["metricRelabelings"]
    for row in Metrics.table():
        series = {
            "__name__": f"ray_{row.shown}",
            "WorkerId": "f",
            "SessionName": "s",
            "otel_scope_name": "o",
            "worker": "3",
        }
        assert relabelled(series, rules) == {"__name__": row.shown, "worker": "3"}
    assert relabelled({"__name__": "ray_node_cpu_count"}, rules) == {"__name__": "ray_node_cpu_count"}


def test_copies_of_ingest_follow_a_metric_that_there_is() -> None:
    names = {row.shown for row in Metrics.table()}
    asked = [
        trigger["metadata"]["query"]
        for place in OVERLAYS
        for one in of_kind(overlay(place), "ScaledObject")
        for trigger in one["spec"]["triggers"]
        if trigger["type"] == "prometheus"
    ]
    assert asked
    for query in asked:
        assert set(re.findall(r"classpulse_\w+", query)) <= names
    assert "`classpulse_cameras`" in (ROOT / "docs" / "metrics.md").read_text()


def relabelled(labels: dict[str, str], rules: list[Document]) -> dict[str, str]:
    """As Prometheus does it: expressions match whole values."""
    for rule in rules:
        if rule["action"] == "labeldrop" if "action" in rule else False:
            labels = {name: value for name, value in labels.items() if not re.fullmatch(rule["regex"], name)}
        else:
            (source,) = rule["sourceLabels"]
            if found := re.fullmatch(rule["regex"], labels[source]):
                labels = {**labels, rule["targetLabel"]: found.expand(rule["replacement"].replace("$1", r"\1"))}
    return labels
