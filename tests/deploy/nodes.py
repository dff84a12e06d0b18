"""Fake nodes as they are in life: servers in three zones, and machines with an accelerator that keep everything else away."""

from tests.deploy.api import Document

FAKE = {"kwok.x-k8s.io/node": "fake"}
"""The annotation by which kwok knows its own nodes."""

GPU = "nvidia.com/gpu"
DEVICE = "classpulse/device"


def server(name: str, *, zone: str = "a", cpu: int = 16, memory: str = "64Gi") -> Document:
    """A machine that takes any pod."""
    return _node(name, zone=zone, resources={"cpu": str(cpu), "memory": memory}, arch="amd64", labels={}, taints=())


def gpu_server(name: str, *, zone: str = "a") -> Document:
    """Labelled and tainted as NVIDIA's operator and every cloud do it."""
    resources = {"cpu": "32", "memory": "128Gi", GPU: "2"}
    labels = {"nvidia.com/gpu.present": "true"}
    return _node(name, zone=zone, resources=resources, arch="amd64", labels=labels, taints=((GPU, "present"),))


def jetson(name: str, *, zone: str = "a") -> Document:
    """A board with six cores and 8 GB that the cores and the GPU share, labelled and tainted as docs/deploy.md says."""
    resources = {"cpu": "6", "memory": "7Gi", GPU: "1"}
    labels = {DEVICE: "jetson"}
    return _node(name, zone=zone, resources=resources, arch="arm64", labels=labels, taints=((DEVICE, "jetson"),))


def _node(
    name: str,
    *,
    zone: str,
    resources: dict[str, str],
    arch: str,
    labels: dict[str, str],
    taints: tuple[tuple[str, str], ...],
) -> Document:
    known = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": arch,
        "topology.kubernetes.io/zone": zone,
        **labels,
    }
    there = {**resources, "pods": "110", "ephemeral-storage": "500Gi"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "annotations": FAKE, "labels": known},
        "spec": {"taints": [{"key": key, "value": value, "effect": "NoSchedule"} for key, value in taints]},
        "status": {"allocatable": there, "capacity": there, "nodeInfo": {"architecture": arch}},
    }


DISTRICT = [server(f"server-{zone}{n}", zone=zone) for zone in "abc" for n in (1, 2)]

NODES: dict[str, list[Document]] = {
    "district": [
        *DISTRICT,
        *(gpu_server(f"gpu-{zone}", zone=zone) for zone in "ab"),
        *(jetson(f"jetson-{zone}", zone=zone) for zone in "ab"),
    ],
    "district-cpu": DISTRICT,
    "school-edge": [server("box", cpu=8, memory="16Gi")],
    "laptop": [server("laptop", cpu=8, memory="16Gi")],
}
"""What the cluster of each overlay has."""
