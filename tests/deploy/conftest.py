"""The control plane that the tests of manifests share: one at a time, a new one for every overlay."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.deploy.built import K8S, OVERLAYS
from tests.deploy.control_plane import ControlPlane
from tests.deploy.nodes import NODES
from tests.deploy.overlays import Raw, build, require_programs
from tests.deploy.place import Place


@cache
def built(overlay: str) -> tuple[Raw, ...]:
    """The documents of an overlay; built once, read by many."""
    require_programs()
    return tuple(build(K8S / "overlays" / overlay))


@pytest.fixture(params=OVERLAYS)
def raws(request: pytest.FixtureRequest) -> tuple[Raw, ...]:
    """An overlay's documents."""
    return built(request.param)


@pytest.fixture(scope="session", params=OVERLAYS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """An overlay applied to a cluster of its own, which ends before the next one begins. Logs stay when a test failed."""
    documents = built(request.param)
    failed_before = request.session.testsfailed
    folder = Path(tempfile.mkdtemp(prefix=f"control-plane-{request.param}-"))
    with ControlPlane(folder).lasting(NODES[request.param]) as plane:
        yield Place.applied(plane, documents)
    if request.session.testsfailed == failed_before:
        shutil.rmtree(folder)
    else:
        sys.stderr.write(f"\nlogs of the control plane are in {folder}\n")
