"""What holds of every pod of every overlay: what it may do, what it takes, how it is watched, how it ends, and who may be away."""

from collections import Counter

import pytest

from classpulse.bus.base import DEADLINE_MS
from classpulse.bus.kafka_member import TRANSACTION_MS
from classpulse.commands.fleet import STOP_WITHIN_MS as KEEPER_MS
from classpulse.detect.fleet import DRAIN_MS
from classpulse.ingest.main import STOP_WITHIN_MS as CAMERAS_MS
from classpulse.supervisor import STOP_WITHIN_S
from classpulse.topics import DETECTIONS, FRAMES, INGEST_STATE, TOPICS
from tests.deploy.built import OVERLAYS, Pod, matches, named, of_kind, overlay, pods, ports

USER = 10001
"""Of the images (deploy/images)."""

STEP_MS = DEADLINE_MS + TRANSACTION_MS
"""The longest a step in hand may take to be committed, or given up."""

DRAINS_MS = {
    "ingest": CAMERAS_MS + STEP_MS,
    "detect": STEP_MS,
    "aggregate": STEP_MS,
    "fleet": KEEPER_MS + STEP_MS,
    "ray-worker": DRAIN_MS + STEP_MS,
    "school": int(STOP_WITHIN_S * 1000) + STEP_MS,
}
BY_ORDINAL = {"ingest": INGEST_STATE, "detect": FRAMES, "aggregate": DETECTIONS}
"""Stages whose copies have places, and the topic whose partitions they share."""


def everything() -> list[tuple[str, Pod]]:
    return [(place, pod) for place in OVERLAYS for pod in pods(overlay(place))]


ALL = [pytest.param(pod, id=f"{place}: {pod.owner}") for place, pod in everything()]


@pytest.mark.parametrize("pod", ALL)
def test_a_pod_has_no_right_that_it_does_not_need(pod: Pod) -> None:
    security = pod.spec["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    for one in pod.containers:
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        if one["image"].startswith("classpulse/"):
            assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (USER, USER, USER)
        folders = {mount["mountPath"] for mount in one["volumeMounts"]}
        assert "/tmp" in folders, "nothing else can be written where the root is read-only"
    for volume in pod.spec["volumes"]:
        assert "hostPath" not in volume
    autoscaler = pod.owner == "RayCluster classpulse head"
    assert autoscaler or "serviceAccountName" in pod.spec or pod.spec["automountServiceAccountToken"] is False


@pytest.mark.parametrize("place", OVERLAYS)
def test_the_namespace_refuses_pods_with_more_rights(place: str) -> None:
    (namespace,) = of_kind(overlay(place), "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    outside = [
        one["metadata"]["name"]
        for one in overlay(place)
        if one["kind"] not in ("Namespace", "PriorityClass")
        and one["metadata"].get("namespace") != namespace["metadata"]["name"]
    ]
    assert not outside


@pytest.mark.parametrize("pod", ALL)
def test_a_pod_says_what_it_takes_and_how_much_it_matters(pod: Pod) -> None:
    for one in pod.containers:
        assert {"cpu", "memory"} <= one["resources"]["requests"].keys()
        assert one["resources"]["limits"]["memory"] == one["resources"]["requests"]["memory"]
    assert pod.spec["priorityClassName"].startswith("classpulse-")


@pytest.mark.parametrize("place", OVERLAYS)
def test_priorities_are_those_that_there_are(place: str) -> None:
    known = {one["metadata"]["name"]: one["value"] for one in of_kind(overlay(place), "PriorityClass")}
    assert {pod.spec["priorityClassName"] for pod in pods(overlay(place))} <= known.keys()
    assert known["classpulse-data"] > known["classpulse-live"] > known["classpulse-batch"]


@pytest.mark.parametrize("pod", [one for one in ALL if one.values[0].runs])
def test_what_stays_is_probed(pod: Pod) -> None:
    for one in pod.spec["containers"]:
        for kind, path in (("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")):
            probe = one[kind]
            if "httpGet" in probe:
                assert probe["httpGet"] == {"path": path, "port": "metrics"}
            elif "tcpSocket" in probe:
                assert probe["tcpSocket"]["port"] in ports(pod)
            else:
                assert probe["exec"]["command"]


@pytest.mark.parametrize("pod", [one for one in ALL if one.values[0].labels["app.kubernetes.io/name"] in DRAINS_MS])
def test_a_pod_has_longer_to_end_than_it_takes(pod: Pod) -> None:
    hook = sum(15 for one in pod.spec["containers"] if "lifecycle" in one)
    assert 1000 * (pod.spec["terminationGracePeriodSeconds"] - hook) > DRAINS_MS[pod.labels["app.kubernetes.io/name"]]


@pytest.mark.parametrize("place", OVERLAYS)
def test_who_has_copies_is_drained_one_at_a_time_and_spread_over_machines(place: str) -> None:
    documents = overlay(place)
    budgets = of_kind(documents, "PodDisruptionBudget")
    for one in of_kind(documents, "Deployment", "StatefulSet"):
        (pod,) = pods((one,))
        mine = [budget for budget in budgets if matches(budget["spec"]["selector"], pod.labels)]
        reason = one["metadata"].get("annotations", {}).get("classpulse/no-disruption-budget")
        assert (len(mine) == 1) != bool(reason), f"{pod.owner}: expected one budget, or why there is none"
        assert not reason or one["spec"]["replicas"] == 1
        if mine:
            assert mine[0]["spec"]["maxUnavailable"] == 1
            spread = {each["topologyKey"] for each in pod.spec["topologySpreadConstraints"]}
            assert spread == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
            assert all(matches(each["labelSelector"], pod.labels) for each in pod.spec["topologySpreadConstraints"])
    for budget in budgets:
        assert any(matches(budget["spec"]["selector"], pod.labels) for pod in pods(documents)), budget["metadata"][
            "name"
        ]


@pytest.mark.parametrize("place", OVERLAYS)
def test_a_copy_s_place_is_its_number_and_no_two_kinds_of_detect_share_a_group(place: str) -> None:
    documents = overlay(place)
    for one in of_kind(documents, "StatefulSet"):
        name = one["metadata"]["name"]
        if name in BY_ORDINAL:
            (container,) = one["spec"]["template"]["spec"]["containers"]
            assert container["args"] == [name, "--index", "$(PLACE)"]
            (variable,) = container["env"]
            assert variable["name"] == "PLACE"
            assert variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['apps.kubernetes.io/pod-index']"
    names = {one["metadata"]["name"] for one in of_kind(documents, "Deployment", "StatefulSet")}
    assert not {"detect", "fleet"} <= names
    assert len({"detect", "fleet", "school"} & names) == 1


@pytest.mark.parametrize("place", OVERLAYS)
def test_copies_follow_what_there_is_to_do_and_are_no_more_than_there_are_partitions(place: str) -> None:
    documents = overlay(place)
    scaled = of_kind(documents, "ScaledObject")
    for one in scaled:
        spec, name = one["spec"], one["spec"]["scaleTargetRef"]["name"]
        target = named(documents, spec["scaleTargetRef"]["kind"], name)
        assert "replicas" not in target["spec"], "an apply would undo what KEDA said"
        assert spec["maxReplicaCount"] == BY_ORDINAL[name].partitions
        assert spec["minReplicaCount"] >= 2
        for trigger in spec["triggers"]:
            told = trigger["metadata"]
            if trigger["type"] == "kafka":
                assert (told["topic"], told["consumerGroup"]) == (BY_ORDINAL[name].name, name)
                assert name in TOPICS[told["topic"]].read_by
    counts = Counter(one["spec"]["scaleTargetRef"]["name"] for one in scaled)
    assert all(count == 1 for count in counts.values())


@pytest.mark.parametrize("pod", ALL)
def test_what_needs_an_accelerator_says_where_it_is_and_passes_its_taints(pod: Pod) -> None:
    wants = any("nvidia.com/gpu" in one["resources"].get("limits", {}) for one in pod.containers)
    assert wants == any(key["key"] == "nvidia.com/gpu" for key in pod.spec.get("tolerations", ()))
    jetson = any("jetson" in one["image"] for one in pod.containers)
    selector = pod.spec.get("nodeSelector", {})
    assert jetson == (selector.get("classpulse/device") == "jetson")
    if wants:
        assert selector["kubernetes.io/arch"] == ("arm64" if jetson else "amd64")


@pytest.mark.parametrize("place", OVERLAYS)
def test_readers_of_a_topic_are_upgraded_before_its_writers(place: str) -> None:
    documents = overlay(place)
    order = {
        one["metadata"]["name"]: int(one["metadata"]["annotations"]["classpulse/upgrade-order"])
        for one in of_kind(documents, "Deployment", "StatefulSet", "CronJob")
    }
    stage = {
        "detect": order.get("detect", order.get("fleet")),
        "ingest": order.get("ingest"),
        "aggregate": order.get("aggregate"),
    }
    for topic in TOPICS.values():
        for reader in topic.read_by:
            for writer in topic.written_by:
                first, then = stage.get(reader), stage.get(writer)
                if reader != writer and first is not None and then is not None:
                    assert first < then, f"{topic.name}: {reader} reads what {writer} writes"


@pytest.mark.parametrize("place", OVERLAYS)
def test_what_runs_one_image_is_upgraded_at_one_time(place: str) -> None:
    orders: dict[str, set[str]] = {}
    for one in of_kind(overlay(place), "Deployment", "StatefulSet", "CronJob"):
        spec = one["spec"]["jobTemplate"]["spec"] if one["kind"] == "CronJob" else one["spec"]
        pod = spec["template"]["spec"]
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            orders.setdefault(container["image"], set()).add(one["metadata"]["annotations"]["classpulse/upgrade-order"])
    assert orders
    assert {image: told for image, told in orders.items() if len(told) > 1} == {}, "an image is set once for all"
