"""The canary over Kafka beside a fleet of two nodes: a lesson comes from each, and is missed on the one whose worker is frozen."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from deploy.local.kafka.cluster import Cluster

from classpulse.bus.base import Bus, open_bus
from classpulse.clock import SystemClock
from classpulse.codec import decode
from classpulse.reading import stored_records
from classpulse.records import FrameDetections, room_of
from classpulse.topics import DETECTIONS, partition_of
from tests.chaos.fleets import WORKER, at_work, processes
from tests.chaos.nodes import CAMERAS, LOOK_S, running, wait_until_seen_from, write_site
from tests.chaos.route import tail, wait_until
from tests.raylets import Raylets, raylets
from tests.services.canary.process import CAME, MISSED, canary, figure, free_port

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.ray, pytest.mark.xdist_group("kafka-fleet")]

NODES = ("node-a", "node-b")
SECOND = f"{room_of(CAMERAS[0]).rpartition('/')[0]}/canary-2"
"""The room of the second node's lesson."""

HURRIED_S = 1
"""Less than the group takes to give a frozen worker's partitions to another: what the worker has of a lesson is missed."""


@pytest.fixture
def cluster() -> Iterator[Raylets]:
    """Two nodes with a core each."""
    with raylets() as found:
        for name in NODES:
            found.add(name, "--num-cpus", "1")
        yield found


def test_lessons_come_from_every_node_of_a_fleet_and_are_missed_on_the_one_whose_worker_is_frozen(
    one: Cluster, cluster: Raylets, tmp_path: Path
) -> None:
    site, data, port = write_site(tmp_path, one.url(), cluster.address), tmp_path / "data", free_port()
    with running(site) as process, closing(open_bus(one.url())) as bus:
        wait_until(lambda: process.poll() is not None or at_work(site), site, LOOK_S)
        assert process.poll() is None, tail(site)
        wait_until_seen_from(bus, NODES, site)
        with canary(data, port, late_s=30, CLASSPULSE_BUS=one.url()):
            wait_until(lambda: all_came(site), site, LOOK_S)
            assert all(figure(port, CAME, node) >= 2 for node in NODES), said(site)

        begun_ms = SystemClock().now_ms()
        with canary(data, port, late_s=HURRIED_S, CLASSPULSE_BUS=one.url()):
            wait_until(lambda: lesson_seen(bus, begun_ms), site, LOOK_S / 5)
            before = figure(port, MISSED, "node-b")
            (worker,) = processes(cluster.nodes["node-b"], WORKER)
            worker.suspend()
            wait_until(lambda: figure(port, MISSED, "node-b") > before, site, LOOK_S)
    how_far = r"pictures of it were captured \(\d+\), and looked at up to its second \d\.\d"
    assert re.search(rf"node node-b: canary lesson missed: {how_far}", said(site)), said(site)


def all_came(site: Path) -> bool:
    """Whether no node missed the last round. One before may have been missed, and rightly, where fleet and stages just start."""
    last = "\n".join([line for line in said(site).splitlines() if "canary lesson" in line][-len(NODES) :])
    return all(f"node {node}: canary lesson came; " in last for node in NODES)


def said(site: Path) -> str:
    return (site.parent / "canary.log").read_text()


def lesson_seen(bus: Bus, since_ms: int) -> bool:
    """Whether a picture of the second node's lesson was looked at that was captured since then."""
    partition = partition_of(SECOND, DETECTIONS.partitions)
    nouns = [decode(record) for record in stored_records(bus, DETECTIONS, partition)]
    seen = [one for one in nouns if isinstance(one, FrameDetections) and room_of(one.camera) == SECOND]
    return any(one.captured_at_ms >= since_ms for one in seen)
