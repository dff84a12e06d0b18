"""A table of errors, each a small fault in the district's overlay, and the check that must refuse it."""

import copy
from dataclasses import dataclass
from typing import Any

from tests.deploy.api import Document

DELETED = object()
"""The value of what is taken away."""

AGGREGATE = "StatefulSet aggregate"
RAY = "RayCluster classpulse"
POD = "spec template spec"
CONTAINER = f"{POD} containers 0"
GPU_POD = "spec workerGroupSpecs 0 template spec"
JETSON_POD = "spec workerGroupSpecs 1 template spec"


@dataclass(frozen=True)
class Planted:
    """One error. `check`: who must refuse it, and nobody before; `says`: a regular expression that its words match.

    `document`: kind and name of where it is; `at`: the steps to the field, in words; `value`: what is there instead.
    """

    name: str
    check: str
    says: str
    document: str
    at: str
    value: Any

    def in_document(self, document: Document) -> Document:
        """The document with the error in it."""
        wrong = copy.deepcopy(document)
        *steps, last = (int(step) if step.isdecimal() else step for step in self.at.split())
        here: Any = wrong
        for step in steps:
            here = here[step]
        if self.value is DELETED:
            del here[last]
        elif isinstance(here, list) and last == len(here):
            here.append(self.value)
        else:
            here[last] = self.value
        return wrong


@dataclass(frozen=True)
class Misbuilt:
    """An error that no document shows: words added to the district's kustomization."""

    name: str
    says: str
    words: str


MISBUILT = (
    Misbuilt("a folder that is not there", "no such file|must build at directory", "resources: [../../apps/nothing]"),
    Misbuilt("a folder twice", "already registered id", "resources: [../../apps/canary, ../../apps/canary]"),
    Misbuilt(
        "a patch of nothing",
        "no matches for Id|no resource matches|failed to find",
        "resources: [../district]\npatches:\n  - patch: |\n"
        "      {apiVersion: apps/v1, kind: Deployment, metadata: {name: nothing, namespace: classpulse}, spec: {replicas: 1}}",
    ),
    Misbuilt("a misspelt field of kustomize", "unknown field", "resource: [../district]"),
)

# fmt: off
PLANTED = (
    # Schemas
    Planted("a misspelt field", "kubeconform", "replcas",
            AGGREGATE, "spec replcas", 2),
    Planted("a text for a number", "kubeconform", "replicas",
            "Deployment canary", "spec replicas", "one"),
    Planted("a misspelt field of Strimzi's", "kubeconform", "partition",
            "KafkaTopic classpulse.frames.v1", "spec partition", 12),
    Planted("a number for a text of Ray's", "kubeconform", "num-cpus",
            RAY, "spec headGroupSpec rayStartParams num-cpus", 0),
    Planted("a field that a kind must have is missing", "kubeconform", "maxReplicas|template",
            RAY, "spec workerGroupSpecs 0 template", DELETED),
    Planted("an API version that is gone", "kubeconform", "could not find schema",
            "PodDisruptionBudget aggregate", "apiVersion", "policy/v1beta1"),
    Planted("a version of Strimzi's that is gone", "kubeconform", "could not find schema",
            "KafkaUser ingest", "apiVersion", "kafka.strimzi.io/v1beta2"),
    # The API server itself
    Planted("a word that is none of those", "api server", "Sometimes",
            AGGREGATE, f"{POD} topologySpreadConstraints 0 whenUnsatisfiable", "Sometimes"),
    Planted("a quantity that is none", "api server", "quantit",
            AGGREGATE, f"{CONTAINER} resources requests memory", "1Gb"),
    Planted("a selector that misses its own pods", "api server", "does not match template",
            "Deployment canary", "spec selector matchLabels", {"app": "canary"}),
    Planted("a mount without a volume", "api server", "[Nn]ot found",
            AGGREGATE, f"{CONTAINER} volumeMounts 0 name", "nothing"),
    Planted("less of a limit than is asked for", "api server", "must be less than or equal to memory limit",
            AGGREGATE, f"{CONTAINER} resources requests memory", "2Gi"),
    Planted("a minute that no hour has", "api server", "above maximum",
            "CronJob export", "spec schedule", "61 * * * *"),
    Planted("a time zone that there is not", "api server", "unknown time zone",
            "CronJob export", "spec timeZone", "Mars/Base"),
    Planted("both ends of a budget", "api server", "cannot be both set",
            "PodDisruptionBudget aggregate", "spec minAvailable", 1),
    Planted("a name with capitals", "api server", "lowercase RFC 1123",
            "NetworkPolicy closed", "metadata name", "Closed"),
    Planted("one port twice", "api server", "duplicate entries",
            AGGREGATE, f"{CONTAINER} ports 1", {"name": "again", "containerPort": 9464}),
    Planted("a priority that is another one tomorrow", "api server", "may not be changed in an update",
            "PriorityClass classpulse-live", "value", 2_000_000),
    Planted("a probe that asks in two ways", "api server", "more than 1 handler",
            AGGREGATE, f"{CONTAINER} readinessProbe tcpSocket", {"port": 9464}),
    # Rules in resource definitions
    Planted("days of validity for a password", "CEL", "type: tls",
            "KafkaUser ingest", "spec authentication validityDays", 30),
    Planted("a job that somebody else manages", "CEL", "managedBy",
            "RayJob refresh", "spec managedBy", "somebody"),
    Planted("more copies at least than at most", "CEL", "less than or equal to maxReplicaCount",
            "ScaledObject aggregate", "spec minReplicaCount", 13),
    # Admission
    Planted("two that scale one target", "admission webhook", "already managed by",
            "ScaledObject aggregate", "metadata name", "again"),
    Planted("a privileged container", "pod security", "privileged",
            AGGREGATE, f"{CONTAINER} securityContext", {"privileged": True}),
    Planted("a pod that may be root", "pod security", "runAsNonRoot",
            AGGREGATE, f"{POD} securityContext", DELETED),
    Planted("a folder of the node", "pod security", "hostPath",
            AGGREGATE, f"{POD} volumes 0", {"name": "tmp", "hostPath": {"path": "/"}}),
    Planted("the node's network, in the fleet", "pod security", "hostNetwork|host namespaces",
            RAY, f"{GPU_POD} hostNetwork", True),
    Planted("a priority that there is not", "admission", "no PriorityClass",
            AGGREGATE, f"{POD} priorityClassName", "urgent"),
    Planted("an account that there is not", "admission", "serviceaccount",
            AGGREGATE, f"{POD} serviceAccountName", "nobody"),
    Planted("a runtime that there is not", "admission", "RuntimeClass",
            RAY, f"{JETSON_POD} runtimeClassName", "tegra"),
    # The scheduler
    Planted("a taint without its toleration", "scheduler", "untolerated taint",
            RAY, f"{GPU_POD} tolerations", DELETED),
    Planted("more GPUs than a machine has", "scheduler", "Insufficient nvidia.com/gpu",
            RAY, f"{GPU_POD} containers 0 resources", {"limits": {"nvidia.com/gpu": 4}}),
    Planted("a label that no machine has", "scheduler", "node affinity/selector",
            AGGREGATE, f"{POD} nodeSelector", {"classpulse/device": "abacus"}),
    Planted("a claim that there is not", "scheduler", "not found",
            "Deployment audit", f"{POD} volumes 0", {"name": "tmp", "persistentVolumeClaim": {"claimName": "nothing"}}),
    Planted("a board with too little memory", "scheduler", "Insufficient memory",
            RAY, f"{JETSON_POD} containers 0 resources", {"requests": {"cpu": "1", "memory": "8Gi"}}),
    # Rights
    Planted("a right too few", "rights", "may not create",
            "Role refresh", "rules 1 verbs", ["list"]),
    Planted("a right too many", "rights", "may delete",
            "Role refresh", "rules 1 verbs", ["*"]),
    # Checks of our own
    Planted("a way to submit that KubeRay does not know", "submission modes", "K8sJob",
            "RayJob refresh", "spec submissionMode", "K8sJob"),
    Planted("fewer workers at most than at least", "worker counts", "does not hold",
            RAY, "spec workerGroupSpecs 0 maxReplicas", 0),
    Planted("a misspelt trigger", "trigger types", "kafak",
            "ScaledObject aggregate", "spec triggers 0 type", "kafak"),
    Planted("a cooldown that nobody reads", "cooldowns", "no effect",
            "ScaledObject aggregate", "spec cooldownPeriod", 60),
    Planted("a query without its bracket", "queries", "unclosed|unexpected",
            "ScaledObject ingest", "spec triggers 0 metadata query", "sum(classpulse_cameras"),
    Planted("a rule that Prometheus cannot read", "queries", "parse error|could not parse",
            "PrometheusRule classpulse-route", "spec groups 0 rules 0 expr", "rate(x[5m)"),
    Planted("an image without a version", "image versions", "no version",
            AGGREGATE, f"{CONTAINER} image", "classpulse/aggregate"),
    Planted("nobody asks whether it lives", "probes", "livenessProbe",
            AGGREGATE, f"{CONTAINER} livenessProbe", DELETED),
    Planted("a probe of a port that is not there", "probes", "web",
            AGGREGATE, f"{CONTAINER} readinessProbe httpGet port", "web"),
    Planted("a budget that lets nobody go", "budgets", "lets no pod go",
            "PodDisruptionBudget ingest", "spec maxUnavailable", 0),
    Planted("a budget of Ray's nodes by what is away", "budgets", "has no scale",
            "PodDisruptionBudget ray-workers", "spec", {"maxUnavailable": 1, "selector": {"matchLabels": {"classpulse/ray": "fleet"}}}),
    Planted("a budget of nobody", "budgets", "covers no pod",
            "PodDisruptionBudget ingest", "spec selector matchLabels", {"app": "ingest"}),
    Planted("settings without their hash", "named config", "settings is not",
            AGGREGATE, f"{CONTAINER} envFrom 0 configMapRef name", "settings"),
    Planted("a monitor of a port that nobody has", "monitored ports", "prometheus",
            "PodMonitor ray", "spec podMetricsEndpoints 0 port", "prometheus"),
    Planted("a service of nobody", "services", "selects no pod",
            "Service redis", "spec selector", {"app": "redis"}),
    Planted("a config map that is too large for apply", "sizes", "larger than",
            "ConfigMap site", "data site.toml", "#" * 300_000),
)
# fmt: on
