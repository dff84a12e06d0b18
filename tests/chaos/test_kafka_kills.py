"""Promise 2b on a real Kafka: the same bytes as on a file, whichever stage is killed when, or the supervisor."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy.local.kafka.cluster import Cluster

from tests.brokers import MORTAL, require_kafka
from tests.chaos.route import Outcome, check, finish, finish_under_random_kills, outcome, write_site

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.xdist_group("kafka-kills")]

LEAST_KILLS = {
    "bus.outputs_written:100": 2,
    "bus.positions_written:60": 2,
    "stage.committed:10": 3,
    "aggregate.state_taken:10": 2,
}
"""Points in the middle of a transaction and around it, with the kills a run must have seen."""

RANDOM_KILLS = 6


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Cluster]:
    """One node in plaintext, without a topic: `up` makes them."""
    require_kafka()
    with Cluster(tmp_path / "kafka", 1, secure=False, wrapper=MORTAL).lasting() as cluster:
        yield cluster


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
