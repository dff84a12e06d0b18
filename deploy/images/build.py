"""Builds images of deploy/images/Containerfile with podman, and says how large each is above its base.

Nothing runs afterwards: podman has no daemon, and `chroot` isolation needs no container engine. What was built once is kept as podman's
layers and pip's cache, and is not built again until it changes.

Without `--base` the images start from a Debian of debootstrap's, made once, which proves the file where no registry is reached. What is
given to others starts from an image named by its digest: `--base NAME@sha256:DIGEST`.
"""

import argparse
import ast
import json
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from configparser import RawConfigParser
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "deploy" / "images" / "Containerfile"
USUAL = ("ingest", "detect-cpu", "aggregate", "export")
TARGETS = (*USUAL, "train", "detect-gpu", "detect-jetson")
NVIDIA = ("detect-gpu", "detect-jetson")
"""Their base brings TensorRT, which Debian does not have."""

LOCAL_BASE = "localhost/classpulse-base:bookworm"
SUITE = "bookworm"
INCLUDED = "python3-venv,ca-certificates"
LEFT_OVER = ("var/cache/apt", "var/lib/apt/lists")
"""In debootstrap's folder: what fetched packages leave, and nothing reads."""

PROGRAMS = ("podman", "debootstrap")
PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
"""Of the caller's pip: where packages come from. What names folders of this machine stays here."""

CERTIFICATES = "/run/secrets/ca.crt"


@dataclass(frozen=True)
class Built:
    """An image: its name, how long it took, and its bytes, unpacked, above its base and in all."""

    name: str
    seconds: float
    above_base_bytes: int
    bytes: int

    def __str__(self) -> str:
        return f"{self.name}: {self.above_base_bytes / 1e6:.0f} MB above its base, {self.bytes / 1e6:.0f} MB in all, {self.seconds:.0f} s"


def main(arguments: Sequence[str] | None = None) -> None:
    """Build what is asked for, one after another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; without: {', '.join(USUAL)}"
    )
    parser.add_argument("--base", help="image that they start from, NAME@sha256:DIGEST")
    asked = parser.parse_args(arguments)
    targets = asked.targets or list(USUAL)
    if wrong := refused(targets, asked.base):
        parser.error(wrong)
    base = asked.base or local_base()
    for target in targets:
        print(build(target, base), flush=True)


def refused(targets: Sequence[str], base: str | None) -> str:
    """What of this cannot be built, and why; nothing when all can."""
    for target in targets:
        if target not in TARGETS:
            return f"TARGET {target!r}: expected one of {', '.join(TARGETS)}"
        if base is None and target in NVIDIA:
            return (
                f"--base: {target} starts from an image of NVIDIA's; expected NAME@sha256:DIGEST of one with TensorRT"
            )
    if base is not None and "@sha256:" not in base:
        return f"--base {base!r}: a tag moves; expected NAME@sha256:DIGEST"
    if absent := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"{', '.join(absent)}: not found; expected Debian's packages {' '.join(PROGRAMS)}"
    return ""


def local_base() -> str:
    """The name of a Debian with Python, made when it is not there yet. Needs root, as debootstrap does."""
    if podman("image", "exists", LOCAL_BASE, check=False).returncode == 0:
        return LOCAL_BASE
    with tempfile.TemporaryDirectory(prefix="classpulse-base-") as name:
        folder = Path(name)
        command = ["debootstrap", "--variant=minbase", f"--include={INCLUDED}", SUITE, str(folder)]
        said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if said.returncode != 0:
            raise SystemExit(f"{' '.join(command)} ended with {said.returncode}:\n{said.stdout[-2_000:]}")
        for path in LEFT_OVER:
            shutil.rmtree(folder / path)
            (folder / path).mkdir()
        packed = folder.with_suffix(".tar")
        try:
            subprocess.run(["tar", "-C", str(folder), "-cf", str(packed), "."], check=True)
            podman("import", "-q", str(packed), LOCAL_BASE)
        finally:
            packed.unlink(missing_ok=True)
    return LOCAL_BASE


def build(target: str, base: str) -> Built:
    """One image, `classpulse/TARGET:VERSION`, as far as it is not built already."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    image = f"classpulse/{target}:{version}"
    labels = {"version": version, "revision": revision(), "base.name": base}
    began = time.monotonic()
    with pip_secrets() as secrets:
        podman(
            *("build", "-q", "--isolation", "chroot", "--file", str(FILE), "--target", target, "--tag", image),
            *(
                word
                for name, value in labels.items()
                for word in ("--label", f"org.opencontainers.image.{name}={value}")
            ),
            *(word for name, path in secrets.items() for word in ("--secret", f"id={name},src={path}")),
            *("--build-arg", f"BASE={base}", str(ROOT)),
        )
    seconds = time.monotonic() - began
    size = size_of(image)
    return Built(image, seconds, size - size_of(base), size)


def revision() -> str:
    """The commit that is built, marked `+` where files differ from it."""
    git = ["git", "-C", str(ROOT)]
    sha = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
    return sha + ("+" if subprocess.check_output([*git, "status", "--porcelain", "-uno"], text=True).strip() else "")


def size_of(image: str) -> int:
    """Bytes of an image's layers, unpacked."""
    return int(json.loads(podman("image", "inspect", image).stdout)[0]["Size"])


@contextmanager
def pip_secrets() -> Iterator[dict[str, Path]]:
    """Files that the build sees and no layer keeps: where the caller's pip gets packages, and whose certificates it trusts."""
    listed = subprocess.check_output([sys.executable, "-m", "pip", "config", "list"], text=True).splitlines()
    told = sorted((line.partition("=") for line in listed), key=lambda parts: parts[0].startswith(":env:"))
    found = {name.rpartition(".")[2]: ast.literal_eval(value) for name, _, value in told}
    config = RawConfigParser()
    config["global"] = {key: found[key] for key in PIP_KEYS if key in found}
    with tempfile.TemporaryDirectory(prefix="classpulse-pip-") as name:
        secrets = {"pip.conf": Path(name) / "pip.conf"}
        if "cert" in found:
            secrets["ca.crt"] = Path(found["cert"])
            config["global"]["cert"] = CERTIFICATES
        with secrets["pip.conf"].open("w") as file:
            config.write(file)
        yield secrets


def podman(*arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run podman; what it says becomes the error where it fails."""
    said = subprocess.run(["podman", *arguments], capture_output=True, text=True, check=False)
    if check and said.returncode != 0:
        raise SystemExit(f"podman {arguments[0]} ended with {said.returncode}:\n{(said.stdout + said.stderr)[-4_000:]}")
    return said


if __name__ == "__main__":
    main()
