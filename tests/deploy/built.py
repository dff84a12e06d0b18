"""What kustomize makes of deploy/k8s, and what the pods in it are. Needs no cluster."""

import functools
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support import ROOT, require

K8S = ROOT / "deploy" / "k8s"
OVERLAYS = tuple(sorted(path.parent.name for path in K8S.glob("overlays/*/kustomization.yaml")))
CACHE = Path.home() / ".cache" / "classpulse" / "check-deploy"

Document = dict[str, Any]


def kustomize() -> list[str]:
    """The command that builds: kustomize, or kubectl, which has it. Skips where there is neither."""
    cached = [str(path) for path in sorted(CACHE.glob("kustomize-*/kustomize"))]
    found = shutil.which("kustomize") or (cached[-1] if cached else None)
    if found is None and (kubectl := shutil.which("kubectl")):
        return [kubectl, "kustomize"]
    require("kustomize", found, "neither kustomize nor kubectl on the path; `make check-deploy` builds one")
    return [str(found), "build"]


@functools.cache
def built(folder: str) -> tuple[Document, ...]:
    """The documents of a folder below deploy/k8s. Raises RuntimeError with kustomize's words."""
    return built_in(K8S / folder)


def built_in(folder: Path) -> tuple[Document, ...]:
    """The documents of any kustomization."""
    done = subprocess.run([*kustomize(), str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{folder}: {done.stderr}")
    return tuple(yaml.load_all(done.stdout, yaml.CSafeLoader))


def overlay(name: str) -> tuple[Document, ...]:
    """The documents of an overlay."""
    return built(f"overlays/{name}")


def of_kind(documents: tuple[Document, ...], *kinds: str) -> list[Document]:
    """Those of these kinds."""
    return [one for one in documents if one["kind"] in kinds]


def named(documents: tuple[Document, ...], kind: str, name: str) -> Document:
    """The one of that kind and name; generated names may end with their hash."""
    (found,) = (
        one
        for one in of_kind(documents, kind)
        if one["metadata"]["name"] == name or one["metadata"]["name"].rpartition("-")[0] == name
    )
    return found


@dataclass(frozen=True)
class Pod:
    """A pod's template somewhere in an overlay. `runs`: whether it stays, so that it is to be probed."""

    owner: str
    labels: dict[str, str]
    spec: Document
    runs: bool
    kind: str

    @property
    def containers(self) -> list[Document]:
        """All of them, those that come first included."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]


def pods(documents: tuple[Document, ...]) -> Iterator[Pod]:
    """Every pod that is described, whoever makes it: Kubernetes, or KubeRay."""
    for one in documents:
        owner, spec = f"{one['kind']} {one['metadata']['name']}", one.get("spec", {})
        match one["kind"]:
            case "Deployment" | "StatefulSet":
                yield _pod(owner, spec["template"], one["kind"])
            case "CronJob":
                yield _pod(owner, spec["jobTemplate"]["spec"]["template"], one["kind"], runs=False)
            case "RayCluster":
                yield from _ray(owner, spec)
            case "RayJob":
                yield _pod(f"{owner} submitter", spec["submitterPodTemplate"], one["kind"], runs=False)
                yield from _ray(owner, spec["rayClusterSpec"])


def ports(pod: Pod) -> dict[str, int]:
    """The ports of a pod that have names."""
    return {port["name"]: port["containerPort"] for one in pod.containers for port in one.get("ports", ())}


def matches(selector: Document, labels: dict[str, str]) -> bool:
    """Whether a label selector takes these labels."""
    for one in selector.get("matchExpressions", ()):
        assert one["operator"] == "In", one
        if labels.get(one["key"]) not in one["values"]:
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()


def _ray(owner: str, spec: Document) -> Iterator[Pod]:
    yield _pod(f"{owner} head", spec["headGroupSpec"]["template"], "RayCluster", more={"ray.io/node-type": "head"})
    for group in spec["workerGroupSpecs"]:
        yield _pod(
            f"{owner} {group['groupName']}", group["template"], "RayCluster", more={"ray.io/node-type": "worker"}
        )


def _pod(owner: str, template: Document, kind: str, *, runs: bool = True, more: dict[str, str] | None = None) -> Pod:
    return Pod(owner, {**template["metadata"]["labels"], **(more or {})}, template["spec"], runs, kind)
