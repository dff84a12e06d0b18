"""Brokers killed one after the other, and one frozen, under a whole route: it comes back by itself, with the same bytes."""

import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from deploy.local.kafka.cluster import Cluster

from classpulse.bus.base import open_bus
from classpulse.topics import DETECTIONS
from tests.brokers import MORTAL, require_kafka
from tests.chaos.route import LIMIT_S, Outcome, check, outcome, tail, up, wait_until, write_site

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.xdist_group("kafka-chaos")]

AWAY_S = 3.0
FROZEN_S = 15.0
"""Longer than a group's session and a transaction may last."""

ENOUGH_DETECTIONS = 20


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Cluster]:
    """Three nodes in plaintext: two of them acknowledge."""
    require_kafka()
    with Cluster(tmp_path / "kafka", 3, secure=False, brief=True, wrapper=MORTAL).lasting() as cluster:
        yield cluster


def test_brokers_killed_in_turn_and_one_frozen_change_nothing(
    undisturbed: Outcome, three: Cluster, tmp_path: Path
) -> None:
    site = write_site(tmp_path, three.url())
    process = up(site)
    try:
        wait_for_detections(three, site)
        disturb(three)
        assert process.wait(timeout=LIMIT_S) == 0, tail(site)
    finally:
        process.kill()
        process.wait()
    check(outcome(site, bus_url=three.url()), undisturbed)


def wait_for_detections(cluster: Cluster, site: Path) -> None:
    """Until the route is under way."""
    with closing(open_bus(cluster.url())) as bus:
        bus.create([DETECTIONS])
        wait_until(lambda: sum(end for _, end in bus.ends(DETECTIONS).values()) >= ENOUGH_DETECTIONS, site)


def disturb(cluster: Cluster) -> None:
    """Each node killed, away for AWAY_S and started again; then one frozen for FROZEN_S."""
    for node in cluster.members:
        cluster.signal_node(node, signal.SIGKILL)
        time.sleep(AWAY_S)
        cluster.start_node(node)
        cluster.wait_ready()
    cluster.signal_node(cluster.members[0], signal.SIGSTOP)
    time.sleep(FROZEN_S)
    cluster.signal_node(cluster.members[0], signal.SIGCONT)
