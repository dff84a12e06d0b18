"""One fleet on nodes of every kind: each looks with what loads there and says what did not, and a node may go."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from deploy.local.kafka.cluster import Cluster

from classpulse.bus.base import open_bus
from classpulse.detect.devices import RUNTIMES_OF, Device, device_here
from classpulse.detect.fleet import View
from tests.chaos.fleets import at_work, processes, view
from tests.chaos.nodes import (
    LOOK_S,
    check_each_once,
    fleet,
    now_of,
    running,
    take_cameras_away,
    wait_until_seen_from,
    workers_on,
    write_site,
)
from tests.chaos.route import LIMIT_S, tail, wait_until
from tests.raylets import Raylets, raylets

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.ray, pytest.mark.xdist_group("kafka-fleet")]

DEVICES: dict[str, Device] = {"node-cpu": "cpu", "node-jetson": "jetson", "node-gpu": "gpu"}
NEEDING_A_GPU = RUNTIMES_OF["gpu"][:-1]


@pytest.fixture
def cluster() -> Iterator[Raylets]:
    """A node of each kind, and no GPU in any."""
    if device_here() == "gpu":
        pytest.skip("here is a GPU: what is to be refused would load")
    with raylets() as found:
        found.add("node-cpu", "--num-cpus", "1")
        found.add("node-jetson", "--num-cpus", "0", "--resources", '{"jetson": 1}')
        found.add("node-gpu", "--num-cpus", "0", "--num-gpus", "1")
        yield found


def test_nodes_of_three_kinds_look_together_and_go_one_after_the_other_without_a_frame_lost(
    one: Cluster, cluster: Raylets, tmp_path: Path
) -> None:
    site = write_site(tmp_path, one.url(), cluster.address)
    with running(site) as process, closing(open_bus(one.url())) as bus:
        wait_until(lambda: process.poll() is not None or (at_work(site) and kinds(site) == DEVICES), site, LOOK_S)
        assert process.poll() is None, tail(site)
        wait_until_seen_from(bus, DEVICES, site)
        check_told(cluster, now_of(site))

        fleet(cluster, "drain", "node-jetson")
        wait_until(lambda: not workers_on(now_of(site), "node-jetson"), site, LOOK_S)
        wait_until_seen_from(bus, {"node-cpu", "node-gpu"}, site)

        kill_raylet(cluster, "node-gpu")
        wait_until_seen_from(bus, {"node-cpu"}, site)
        wait_until(lambda: "node-gpu" not in kinds(site) and at_work(site), site, LOOK_S)
        assert len(now_of(site).slots) == now_of(site).capacity < len(DEVICES), "the fleet has shrunk"

        take_cameras_away(bus, site)
        check_each_once(bus, site)


def kinds(site: Path) -> dict[str, Device]:
    """The nodes of the fleet and what each is."""
    now = view(site)
    return {} if now is None else {node.name: node.device for node in now.nodes}


def check_told(cluster: Raylets, now: View) -> None:
    """What looks where, and what would have been better and did not load: in the view, in the table, in the log."""
    table = fleet(cluster, "status")
    for node in now.nodes:
        workers = [slot.health for slot in now.slots if slot.node == node.id and slot.health is not None]
        assert workers
        wanted = NEEDING_A_GPU if node.device != "cpu" else ()
        for told in (now.orders.probes[node.id], *workers):
            assert told.runtime == "onnxruntime"
            assert [line.split("'")[1] for line in told.refused] == [*wanted], told.refused
    for runtime in NEEDING_A_GPU:
        assert f"runtime = '{runtime}' refused" in table, table
        for name in ("node-gpu", "node-jetson"):
            assert any(f"node {name}: " in line and f"'{runtime}'" in line for line in cluster.said().splitlines())
        assert any(f"'{runtime}': " in line and "; taking onnxruntime" in line for line in cluster.said().splitlines())


def kill_raylet(cluster: Raylets, name: str) -> None:
    """What makes a machine a node of Ray's is gone; what it had started ends itself."""
    (raylet,) = processes(cluster.nodes[name], "raylet")
    raylet.kill()
    psutil.wait_procs([raylet], timeout=LIMIT_S)
