"""A Kubernetes control plane on loopback: etcd, API server, controllers, scheduler, nodes that kwok plays, KEDA's admission.

Everything of it is real but the nodes: a pod that lands on one is said to be ready at once, and no container ever runs.
"""

import base64
import json
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from deploy.check.programs import crds, part, program
from deploy.local.kafka.cluster import free_ports

from tests.deploy.api import Api, Document, Refused

MORTAL = ("setpriv", "--pdeathsig", "KILL")
"""A process of a test does not outlive the one that started it, however that ends."""

READY_WITHIN_S = 300.0
"""Much, for machines that have other work; a control plane alone on two cores takes some seconds."""

VOLUMES = 24


@dataclass
class ControlPlane:
    """The processes of one cluster, in one folder."""

    folder: Path
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = ("etcd", "peer", "api", "controllers", "scheduler", "kwok", "admission", "health")
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.api = Api(self._url("api"), secrets.token_hex(16), self.folder / "certs" / "apiserver.crt")

    def start(self, nodes: Sequence[Document]) -> None:
        """Up to nodes that are ready and definitions that are served. Raises RuntimeError with a log's end."""
        self._prepare()
        self._start_storage()
        self._start_server()
        self.until("the API server answers", lambda: self.api.get("/readyz")["message"] == "ok")
        self._start_controllers()
        self._define()
        self._start_admission()
        for document in (*nodes, *_given()):
            self.api.create(document)
        self.until("nodes are ready", lambda: all(map(_is_ready, self.api.items("/api/v1/nodes"))))

    def stop(self) -> None:
        """Kill what was started: nothing of it is wanted again, and an API server takes its time to say goodbye."""
        for one in self.processes.values():
            one.kill()
        for one in self.processes.values():
            one.wait()

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """One process stands still for as long as the block lasts."""
        self.processes[name].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.processes[name].send_signal(signal.SIGCONT)

    def until(self, what: str, holds: Callable[[], bool], within_s: float = READY_WITHIN_S) -> None:
        """Wait for something to hold. Raises RuntimeError saying what did not, and of a process that ended its last words."""
        give_up = time.monotonic() + within_s
        while not _calmly(holds):
            for name, one in self.processes.items():
                if one.poll() is not None:
                    raise RuntimeError(f"{name} ended with {one.returncode} before {what}:\n{self.last_words(name)}")
            if time.monotonic() > give_up:
                raise RuntimeError(f"after {within_s:.0f} s: not {what}; logs in {self.folder}")
            time.sleep(0.1)

    def last_words(self, name: str, lines: int = 20) -> str:
        """The end of a process's log."""
        return "\n".join((self.folder / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])

    def _url(self, name: str) -> str:
        return f"{'http' if name in ('etcd', 'peer') else 'https'}://127.0.0.1:{self.ports[name]}"

    def _start(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [*MORTAL, str(program(name)), *words],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _prepare(self) -> None:
        subprocess.run(
            ["openssl", "genrsa", "-out", "sa.key", "2048"], cwd=self.folder, check=True, capture_output=True
        )
        (self.folder / "tokens.csv").write_text(f"{self.api.token},admin,1,system:masters\n")
        cluster = {"server": self.api.address, "certificate-authority": str(self.api.certificate)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "check", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": self.api.token}}],
            "contexts": [{"name": "check", "context": {"cluster": "check", "user": "admin"}}],
            "current-context": "check",
        }
        (self.folder / "kubeconfig").write_text(json.dumps(config))

    def _start_storage(self) -> None:
        here, peer = self._url("etcd"), self._url("peer")
        self._start(
            "etcd",
            *("--data-dir", "etcd", "--unsafe-no-fsync", "--listen-client-urls", here, "--advertise-client-urls", here),
            *(
                "--listen-peer-urls",
                peer,
                "--initial-advertise-peer-urls",
                peer,
                "--initial-cluster",
                f"default={peer}",
            ),
        )

    def _start_server(self) -> None:
        self._start(
            "kube-apiserver",
            f"--etcd-servers={self._url('etcd')}",
            *("--bind-address=127.0.0.1", f"--secure-port={self.ports['api']}", "--cert-dir=certs"),
            *("--service-account-issuer=https://check", "--service-account-signing-key-file=sa.key"),
            *("--service-account-key-file=sa.key", "--token-auth-file=tokens.csv", "--authorization-mode=RBAC"),
            *("--service-cluster-ip-range=10.0.0.0/24", "--allow-privileged=true"),
        )

    def _start_controllers(self) -> None:
        # On a loaded machine heartbeats come late; that nodes are lost is nothing that is tried here.
        self._start(
            "kube-controller-manager",
            *("--kubeconfig=kubeconfig", "--leader-elect=false", "--node-monitor-grace-period=15m"),
            *("--bind-address=127.0.0.1", f"--secure-port={self.ports['controllers']}", "--cert-dir=controller-certs"),
            *("--service-account-private-key-file=sa.key", "--root-ca-file=certs/apiserver.crt"),
            "--controllers=*,-nodeipam,-cloud-node-lifecycle",
        )
        self._start(
            "kube-scheduler",
            *("--kubeconfig=kubeconfig", "--leader-elect=false"),
            *("--bind-address=127.0.0.1", f"--secure-port={self.ports['scheduler']}", "--cert-dir=scheduler-certs"),
        )
        self._start(
            "kwok",
            *("--kubeconfig=kubeconfig", f"--config={part('kwok') / 'stages.yaml'}", "--node-ip=127.0.0.1"),
            *("--manage-all-nodes=false", "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake"),
            f"--server-address=127.0.0.1:{self.ports['kwok']}",
        )

    def _define(self) -> None:
        """Serve the four operators' kinds."""
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        texts = [definition.read_text() for definition in crds()]
        with ThreadPoolExecutor(2) as pool:
            made = list(pool.map(lambda text: self.api.call("POST", path, text, content="application/yaml"), texts))
        for one in made:
            here = f"{path}/{one['metadata']['name']}"
            self.until(f"{here} is served", lambda here=here: _has(self.api.get(here), "Established"))

    def _start_admission(self) -> None:
        """KEDA's own webhook, which shares the API server's certificate: both are 127.0.0.1."""
        certs = self.folder / "admission-certs"
        certs.mkdir()
        shutil.copyfile(self.api.certificate, certs / "tls.crt")
        shutil.copyfile(self.api.certificate.with_suffix(".key"), certs / "tls.key")
        self._start(
            "keda-webhooks",
            *("--kubeconfig=kubeconfig", f"--port={self.ports['admission']}", f"--cert-dir={certs}"),
            *("--metrics-bind-address=0", f"--health-probe-bind-address=127.0.0.1:{self.ports['health']}"),
            "--cache-miss-to-direct-client=true",
        )
        registration = yaml.safe_load((part("keda-webhooks") / "registration.yaml").read_text())
        bundle = base64.b64encode(self.api.certificate.read_bytes()).decode()
        for hook in registration["webhooks"]:
            path = hook["clientConfig"]["service"]["path"]
            hook["clientConfig"] = {"url": f"{self._url('admission')}{path}", "caBundle": bundle}
            hook["failurePolicy"] = "Fail"  # what nobody looked at has not been agreed to
        self.api.create(registration)

    @contextmanager
    def lasting(self, nodes: Sequence[Document]) -> "Iterator[ControlPlane]":
        """Up for as long as the block lasts."""
        try:
            self.start(nodes)
            yield self
        finally:
            self.stop()


def _calmly(holds: Callable[[], bool]) -> bool:
    """Whether it holds; what does not answer does not hold."""
    try:
        return holds()
    except (OSError, Refused):
        return False


def _is_ready(node: Document) -> bool:
    return _has(node, "Ready")


def _has(document: Document, condition: str) -> bool:
    """Whether an object's own status says so."""
    conditions = document.get("status", {}).get("conditions") or []
    return any(one["type"] == condition and one["status"] == "True" for one in conditions)


def _given() -> Iterator[Document]:
    """What a cluster has before anything is deployed: NVIDIA's runtime, a default storage class, and volumes.

    The volumes are made beforehand, because nothing here makes them when they are asked for.
    """
    yield {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "nvidia"}, "handler": "nvidia"}
    yield {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    for number in range(VOLUMES):
        yield {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"volume-{number}"},
            "spec": {
                "capacity": {"storage": "4Ti"},
                "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
                "storageClassName": "standard",
                "hostPath": {"path": f"/volumes/{number}"},
            },
        }
