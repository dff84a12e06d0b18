"""What no schema says and no API server asks: each check takes the documents of an overlay and gives its faults as sentences."""

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import yaml
from deploy.local.prometheus.programs import program

from tests.deploy.api import Document, title
from tests.deploy.built import Pod, matches, of_kind, pods, ports

Documents = tuple[Document, ...]

SUBMISSION_MODES = ("K8sJobMode", "HTTPMode", "SidecarMode", "InteractiveMode")
"""Of KubeRay 1.7, whose schema says that it is a text."""

TRIGGERS = ("cpu", "cron", "kafka", "memory", "prometheus")
"""Of KEDA's many types, those that an overlay can have a use for."""

TOO_LARGE = 256 * 1024
"""What is larger cannot be applied by `kubectl apply -k`, which writes all of it into an annotation."""


def submission_modes(documents: Documents) -> Iterator[str]:
    """KubeRay makes nothing of a mode that it does not know."""
    for one in of_kind(documents, "RayJob"):
        mode = one["spec"].get("submissionMode", "K8sJobMode")
        if mode not in SUBMISSION_MODES:
            yield f"{title(one)}: submissionMode {mode}; expected one of {', '.join(SUBMISSION_MODES)}"


def worker_counts(documents: Documents) -> Iterator[str]:
    """Only KubeRay's operator compares these; it then makes no node."""
    for one in of_kind(documents, "RayCluster", "RayJob"):
        for group in one["spec"].get("rayClusterSpec", one["spec"])["workerGroupSpecs"]:
            least, now, most = (group[key] for key in ("minReplicas", "replicas", "maxReplicas"))
            if not least <= now <= most:
                yield f"{title(one)}: group {group['groupName']}: {least} ≤ {now} ≤ {most} does not hold"


def trigger_types(documents: Documents) -> Iterator[str]:
    """KEDA's operator stops at a type that it does not know, and the copies stay as they are."""
    for one in of_kind(documents, "ScaledObject"):
        for trigger in one["spec"]["triggers"]:
            if trigger["type"] not in TRIGGERS:
                yield f"{title(one)}: trigger of type {trigger['type']}; expected one of {', '.join(TRIGGERS)}"


def cooldowns(documents: Documents) -> Iterator[str]:
    """KEDA reads a cooldown only where copies can go down to none; elsewhere it is the autoscaler's behaviour that counts."""
    for one in of_kind(documents, "ScaledObject"):
        spec = one["spec"]
        if "cooldownPeriod" in spec and spec.get("minReplicaCount", 0) and "idleReplicaCount" not in spec:
            yield f"{title(one)}: cooldownPeriod has no effect with minReplicaCount {spec['minReplicaCount']}"


def queries(documents: Documents) -> Iterator[str]:
    """Rules and triggers that Prometheus cannot read, in promtool's words."""
    groups = {title(one): one["spec"]["groups"] for one in of_kind(documents, "PrometheusRule")}
    for one in of_kind(documents, "ScaledObject"):
        for trigger in one["spec"]["triggers"]:
            if trigger["type"] == "prometheus":
                rule = {"record": "asked", "expr": trigger["metadata"]["query"]}
                groups[title(one)] = [{"name": "asked", "rules": [rule]}]
    with tempfile.TemporaryDirectory() as folder:
        for name, written in groups.items():
            path = Path(folder) / "rules.yaml"
            path.write_text(yaml.safe_dump({"groups": written}))
            done = subprocess.run(
                [program("promtool"), "check", "rules", path], capture_output=True, text=True, check=False
            )
            if done.returncode:
                yield f"{name}: {done.stderr.strip() or done.stdout.strip()}"


def image_versions(documents: Documents) -> Iterator[str]:
    """Without a version nobody knows what runs, and two nodes may run two things."""
    for pod in pods(documents):
        for one in pod.containers:
            tag = one["image"].rpartition("/")[2].partition(":")[2]
            if "@sha256:" not in one["image"] and tag in ("", "latest"):
                yield f"{pod.owner}: image {one['image']} has no version"


def probes(documents: Documents) -> Iterator[str]:
    """What stays is asked whether it is ready and alive, at a port that it has."""
    for pod in pods(documents):
        for one in pod.spec["containers"] if pod.runs else ():
            for kind in ("readinessProbe", "livenessProbe"):
                if kind not in one:
                    yield f"{pod.owner}: container {one['name']} has no {kind}"
        for one in pod.containers:
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                probe = one.get(kind, {})
                port = probe.get("httpGet", probe.get("tcpSocket", {})).get("port", 0)
                if isinstance(port, str) and port not in ports(pod):
                    yield f"{pod.owner}: {kind} asks port {port}, which no container has"


def budgets(documents: Documents) -> Iterator[str]:
    """A budget that lets nobody go stops every drain; one that covers nobody stops none."""
    for one in of_kind(documents, "PodDisruptionBudget"):
        spec = one["spec"]
        if not any(matches(spec["selector"], pod.labels) for pod in pods(documents)):
            yield f"{title(one)}: covers no pod"
        if spec.get("maxUnavailable") in (0, "0%") or spec.get("minAvailable") == "100%":
            yield f"{title(one)}: lets no pod go, so that no node can be drained"
        owners = {pod.kind for pod in pods(documents) if matches(spec["selector"], pod.labels)}
        if owners & {"RayCluster", "RayJob"} and not isinstance(spec.get("minAvailable"), int):
            yield f"{title(one)}: a RayCluster has no scale, so only a whole minAvailable lets a pod go"


def named_config(documents: Documents) -> Iterator[str]:
    """A config map that a pod names is there; one whose name lacks its hash is not."""
    there = {one["metadata"]["name"] for one in of_kind(documents, "ConfigMap")}
    for pod in pods(documents):
        for name in _config_maps(pod):
            if name not in there:
                yield f"{pod.owner}: config map {name} is not in the overlay"


def monitored_ports(documents: Documents) -> Iterator[str]:
    """A monitor that finds no port finds nothing, and nobody says so."""
    for one in of_kind(documents, "PodMonitor"):
        chosen = [pod for pod in pods(documents) if matches(one["spec"]["selector"], pod.labels)]
        if of_kind(documents, "Kafka") and "strimzi.io/kind" in str(one["spec"]["selector"]):
            continue  # Strimzi names the ports of its own pods
        for endpoint in one["spec"]["podMetricsEndpoints"]:
            if not any(endpoint["port"] in ports(pod) for pod in chosen):
                yield f"{title(one)}: no pod that it selects has a port {endpoint['port']}"


def services(documents: Documents) -> Iterator[str]:
    """A service that selects no pod answers nobody."""
    for one in of_kind(documents, "Service"):
        if not any(one["spec"]["selector"].items() <= pod.labels.items() for pod in pods(documents)):
            yield f"{title(one)}: selects no pod"


def sizes(documents: Documents) -> Iterator[str]:
    """Every document fits into what `kubectl apply` writes of it."""
    for one in documents:
        if len(yaml.safe_dump(one)) > TOO_LARGE:
            yield f"{title(one)}: larger than {TOO_LARGE} bytes; `kubectl apply` cannot take it"


def _config_maps(pod: Pod) -> Iterator[str]:
    for volume in pod.spec.get("volumes", ()):
        if "configMap" in volume:
            yield volume["configMap"]["name"]
    for one in pod.containers:
        for source in one.get("envFrom", ()):
            if "configMapRef" in source:
                yield source["configMapRef"]["name"]


CHECKS: Mapping[str, Callable[[Documents], Iterator[str]]] = {
    "submission modes": submission_modes,
    "worker counts": worker_counts,
    "trigger types": trigger_types,
    "cooldowns": cooldowns,
    "queries": queries,
    "image versions": image_versions,
    "probes": probes,
    "budgets": budgets,
    "named config": named_config,
    "monitored ports": monitored_ports,
    "services": services,
    "sizes": sizes,
}


def faults(documents: Sequence[Document]) -> dict[str, list[str]]:
    """What each check finds, by the check's name; empty where all is well."""
    found = {name: list(check(tuple(documents))) for name, check in CHECKS.items()}
    return {name: said for name, said in found.items() if said}
