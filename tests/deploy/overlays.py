"""Overlays as kustomize builds them: raw documents, the quick check, and what the API server says to each."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from deploy.check.programs import missing, part, program
from deploy.check.schemas import NAME

from tests.deploy.api import Api, Document, Refused, load, title
from tests.support import require


@dataclass(frozen=True)
class Raw:
    """One document as text, because what repeats a key is a mapping like any other once Python has read it."""

    text: str

    @cached_property
    def document(self) -> Document:
        """The document as Python sees it."""
        return load(self.text)

    @property
    def title(self) -> str:
        """How it is named to people."""
        return title(self.document)


def require_programs() -> None:
    """Skip where a program or a definition is absent."""
    absent = ", ".join(missing())
    require("deploy", not absent, f"`make check-deploy` builds and fetches what is missing: {absent}")


class NotBuilt(Exception):
    """What kustomize could not build, in its words."""


def build(folder: Path) -> list[Raw]:
    """The documents of a kustomization, in the order in which they are applied. Raises NotBuilt."""
    done = subprocess.run([program("kustomize"), "build", folder], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotBuilt(done.stderr.strip())
    return split(done.stdout)


def split(text: str) -> list[Raw]:
    """The documents of a YAML stream, each as it was written."""
    return [Raw(one) for one in re.split(r"^---$\n?", text, flags=re.MULTILINE) if one.strip()]


def quick_faults(raws: Sequence[Raw]) -> list[str]:
    """What kubeconform finds: fields, types and kinds that no schema knows."""
    location = f"{part('schemas')}/{NAME}"
    words = [program("kubeconform"), "-strict", "-schema-location", location]
    stream = "\n---\n".join(raw.text for raw in raws)
    done = subprocess.run(words, input=stream, capture_output=True, text=True, check=False)
    faults = [line for line in done.stdout.splitlines() if line]
    if done.returncode and not faults:
        raise RuntimeError(f"kubeconform ended with {done.returncode}: {done.stderr}")
    return faults


def refusals(api: Api, raws: Sequence[Raw], *, dry: bool = False) -> list[str]:
    """Apply every document, in order; what the API server refused, each with the object's name."""
    said = []
    for raw in raws:
        try:
            api.apply(raw.text, dry=dry)
        except Refused as refused:
            said.append(f"{raw.title}: {refused}")
    return said
