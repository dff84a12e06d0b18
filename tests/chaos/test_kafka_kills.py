"""Promise 2b on a real Kafka: the same bytes as on a file, whatever is killed when, stages, supervisor or brokers."""

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy.local.kafka.cluster import Cluster

from classpulse.bus.base import open_bus
from classpulse.clock import SystemClock
from classpulse.topics import DETECTIONS, TOPICS
from tests.brokers import MORTAL, require_kafka
from tests.chaos.route import LIMIT_S, Outcome, check, finish, finish_under_random_kills, outcome, tail, up, write_site

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.xdist_group("kafka-chaos")]

LEAST_KILLS = {
    "bus.outputs_written:100": 2,
    "bus.positions_written:60": 2,
    "stage.committed:10": 3,
    "aggregate.state_taken:10": 2,
}
"""Points in the middle of a transaction and around it, with the kills a run must have seen."""

RANDOM_KILLS = 6
BROKERS_DOWN_MS = 3_000
BROKER_FROZEN_MS = 15_000
"""Longer than a call may take and a session may last."""


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Cluster]:
    """One node in plaintext, empty."""
    yield from fresh(Cluster(tmp_path / "kafka", 1, secure=False, wrapper=MORTAL))


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Cluster]:
    """Three nodes as in production, with the topics and an administrator for all stages."""
    yield from fresh(Cluster(tmp_path / "kafka", 3, wrapper=MORTAL))


def fresh(cluster: Cluster) -> Iterator[Cluster]:
    require_kafka()
    try:
        cluster.start()
        bus = open_bus(cluster.url())
        bus.create(tuple(TOPICS.values()))
        bus.close()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(cluster.folder, ignore_errors=True)


@pytest.mark.parametrize("spec", sorted(LEAST_KILLS))
def test_a_stage_killed_in_and_around_its_transactions_changes_nothing(
    spec: str, undisturbed: Outcome, one: Cluster, tmp_path: Path
) -> None:
    site = write_site(tmp_path, one.url())
    assert finish(site, spec) >= LEAST_KILLS[spec]
    check(outcome(site, bus_url=one.url()), undisturbed)


def test_kills_at_random_moments_change_nothing(undisturbed: Outcome, one: Cluster, tmp_path: Path) -> None:
    seed = int(os.environ.get("CLASSPULSE_TEST_SEED", "20260302"))
    site = write_site(tmp_path, one.url())
    assert finish_under_random_kills(site, seed, RANDOM_KILLS) >= RANDOM_KILLS // 2, f"seed {seed}"
    check(outcome(site, bus_url=one.url()), undisturbed)


def test_each_broker_killed_in_turn_and_one_frozen_change_nothing(
    undisturbed: Outcome, three: Cluster, tmp_path: Path
) -> None:
    """No process of ours needs a human: what cannot know whether it committed ends, and is started again."""
    site = write_site(tmp_path, three.url())
    process = up(site)
    disturbed = threading.Thread(target=disturb, args=(three,))
    try:
        wait_for_detections(three)
        disturbed.start()
        assert process.wait(LIMIT_S) == 0, tail(site)
    finally:
        process.kill()
        process.wait()
        if disturbed.ident is not None:
            disturbed.join()
    check(outcome(site, bus_url=three.url()), undisturbed)


def disturb(cluster: Cluster) -> None:
    """Kill every broker once and start it again, then freeze one."""
    for node in cluster.members:
        cluster.signal_node(node, signal.SIGKILL)
        SystemClock().sleep_ms(BROKERS_DOWN_MS)
        cluster.start_node(node)
        cluster.wait_ready()
    cluster.signal_node(cluster.members[0], signal.SIGSTOP)
    SystemClock().sleep_ms(BROKER_FROZEN_MS)
    cluster.signal_node(cluster.members[0], signal.SIGCONT)


def wait_for_detections(cluster: Cluster) -> None:
    bus, clock = open_bus(cluster.url()), SystemClock()
    give_up_ms = clock.monotonic_ms() + 60_000
    while not any(end for _, end in bus.ends(DETECTIONS).values()):
        assert clock.monotonic_ms() < give_up_ms, "no detections"
        clock.sleep_ms(100)
    bus.close()
