"""An overlay on its cluster: what was refused of it, and what came of the rest."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from tests.deploy.api import MERGE, Api, Document, Refused, title
from tests.deploy.built import Pod
from tests.deploy.control_plane import ControlPlane
from tests.deploy.overlays import Raw, refusals

NAMESPACE = "classpulse"
WORKLOADS = {"Deployment": "deployments", "StatefulSet": "statefulsets"}
ROLLED_OUT_WITHIN_S = 300.0
EVICTED_WITHIN_S = 120.0
DECIDED_WITHIN_S = 120.0
TOO_MANY = 429
"""What the API server answers where a disruption budget forbids an eviction now."""


@dataclass(frozen=True)
class Place:
    """A cluster and what was applied to it."""

    plane: ControlPlane
    raws: Sequence[Raw]
    refused: list[str]

    @classmethod
    def applied(cls, plane: ControlPlane, raws: Sequence[Raw]) -> Self:
        """Apply everything, in order."""
        return cls(plane, raws, refusals(plane.api, raws))

    @property
    def api(self) -> Api:
        """The cluster's API, as its administrator."""
        return self.plane.api

    def documents(self, *kinds: str) -> list[Document]:
        """The documents of some kinds."""
        return [raw.document for raw in self.raws if raw.document["kind"] in kinds]

    def wait_rolled_out(self) -> None:
        """Until every Deployment and StatefulSet has its pods ready. Raises RuntimeError naming the others, and why."""
        wanted = self.documents(*WORKLOADS)
        try:
            self.plane.until(
                "everything is rolled out",
                lambda: all(_is_rolled_out(self.api.get(self.api.path(one))) for one in wanted),
                ROLLED_OUT_WITHIN_S,
            )
        except RuntimeError as error:
            late = [title(one) for one in wanted if not _is_rolled_out(self.api.get(self.api.path(one)))]
            raise RuntimeError(f"not rolled out: {', '.join(late)}\n{self.complaints()}\n{error}") from error

    def scale_as_keda(self) -> None:
        """Give each target of a ScaledObject the fewest copies that it may have: KEDA's operator is not here to do it."""
        for one in self.documents("ScaledObject"):
            spec = one["spec"]
            kind = WORKLOADS[spec["scaleTargetRef"]["kind"]]
            path = f"/apis/apps/v1/namespaces/{NAMESPACE}/{kind}/{spec['scaleTargetRef']['name']}/scale"
            self.api.call("PATCH", path, {"spec": {"replicas": spec["minReplicaCount"]}}, content=MERGE)
        self.wait_rolled_out()

    def stand_in(self, owner: Pod, number: int = 0, **changes: Any) -> str:
        """A pod as an operator would make it from a template, which is not here; gives its name."""
        name = f"{re.sub('[^a-z0-9]+', '-', owner.owner.lower())}-{number}"
        meta = {"name": name, "namespace": NAMESPACE, "labels": {**owner.labels, "stand-in": name}}
        self.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {**owner.spec, **changes}})
        return name

    def where(self, name: str) -> str:
        """The node that a pod was sent to, or why there is none. Raises RuntimeError when nobody decides."""
        path, said = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}", {"": ""}

        def decided() -> bool:
            pod = self.api.get(path)
            waits = [one for one in pod["status"].get("conditions") or () if one["type"] == "PodScheduled"]
            said[""] = pod["spec"].get("nodeName") or next(
                (f"nowhere: {one['message']}" for one in waits if one["status"] != "True"), ""
            )
            return bool(said[""])

        self.plane.until(f"{name} is scheduled or refused", decided, DECIDED_WITHIN_S)
        return said[""]

    def remove(self, *names: str) -> None:
        """Take stand-ins away, at once."""
        for name in names:
            self.api.call("DELETE", f"/api/v1/namespaces/{NAMESPACE}/pods/{name}", query={"gracePeriodSeconds": "0"})

    def evict(self, pod: Document) -> None:
        """What a drain does to each pod. Raises Refused when a disruption budget forbids it now."""
        meta = {"name": pod["metadata"]["name"], "namespace": NAMESPACE}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
        self.api.call("POST", f"/api/v1/namespaces/{NAMESPACE}/pods/{meta['name']}/eviction", body)

    def drain(self, node: str) -> int:
        """Cordon a node and evict what is on it, one after the other; how often a budget said to wait."""
        self.api.call("PATCH", f"/api/v1/nodes/{node}", {"spec": {"unschedulable": True}}, content=MERGE)
        waits = 0
        for pod in [one for one in self.pods() if one["spec"].get("nodeName") == node]:
            give_up = time.monotonic() + EVICTED_WITHIN_S
            while True:
                try:
                    self.evict(pod)
                    break
                except Refused as refused:
                    if refused.code != TOO_MANY or time.monotonic() > give_up:
                        raise
                    waits += 1
                    time.sleep(0.2)
        return waits

    def may(self, user: str, verb: str, resource: str, *, name: str = "", namespace: str = NAMESPACE) -> bool:
        """Whether a user may do something, by the API server's own word; `resource` is plural, with its group after a dot."""
        plural, _, group = resource.partition(".")
        asked = {"verb": verb, "resource": plural, "group": group, "name": name, "namespace": namespace}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user,
                "groups": ["system:authenticated", "system:serviceaccounts"],
                "resourceAttributes": asked,
            },
        }
        answer = self.api.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(answer["status"]["allowed"])

    def complaints(self) -> str:
        """What the cluster says of pods that are not ready, and of those that could not be made."""
        events = self.api.items("/api/v1/events")
        return "\n".join(
            sorted({f"{e['involvedObject'].get('name')}: {e['message']}" for e in events if e["type"] == "Warning"})
        )

    def pods(self, selector: str = "", namespace: str = NAMESPACE) -> list[Document]:
        """Pods that are not on their way out."""
        found = self.api.items(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)
        return [one for one in found if "deletionTimestamp" not in one["metadata"]]


def _is_rolled_out(workload: Document) -> bool:
    status, spec = workload.get("status", {}), workload["spec"]
    wanted = spec.get("replicas", 1)
    return (
        status.get("observedGeneration") == workload["metadata"]["generation"]
        and status.get("replicas", 0) == wanted
        and status.get("readyReplicas", 0) == wanted
    )
