"""What the chaos tests compare with."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy.local.kafka.cluster import Cluster

from tests.brokers import MORTAL, require_kafka
from tests.chaos.route import LESSONS, Outcome, finish, outcome, sampled_frames, write_site
from tests.support import require


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The route left alone, with every frame accounted for against a count of the clips by another path."""
    site = write_site(tmp_path_factory.mktemp("undisturbed"))
    assert finish(site) == 0
    found = outcome(site)
    expected = {f"chaos/school/room-{n}": sampled_frames(LESSONS / f"lesson-{n}.mp4") for n in (1, 2, 3)}
    assert found.accounted == expected
    assert found.missing == {}
    assert found.events.count(b"\n") > 10, "lessons without events prove nothing"
    return found


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Cluster]:
    """One node in plaintext, without a topic: `up` makes them."""
    require_kafka()
    require("ray", importlib.util.find_spec("ray"), "pip install '.[ray]'")
    with Cluster(tmp_path / "kafka", 1, secure=False, wrapper=MORTAL).lasting() as cluster:
        yield cluster
