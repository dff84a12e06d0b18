"""Promise 2b with a fleet on Ray: the same bytes as on a file, whatever of it is killed or frozen when, its head included."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy.local.kafka.cluster import Cluster

from tests.chaos.fleet_faults import FleetFault, FleetScene, freeze_worker, kill_head, kill_supervisor, kill_worker
from tests.chaos.fleets import ended, fleet_route
from tests.chaos.route import Outcome, check, finish, lasting_fps, outcome, tail, write_site

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.ray, pytest.mark.xdist_group("kafka-fleet")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The same lessons on a file, left alone."""
    site = write_site(tmp_path_factory.mktemp("undisturbed"), fps=lasting_fps())
    assert finish(site) == 0
    return outcome(site)


@pytest.fixture
def scene(one: Cluster, tmp_path: Path) -> Iterator[FleetScene]:
    """A route whose fleet is at work."""
    seed = int(os.environ.get("CLASSPULSE_TEST_SEED", "20260302"))
    print(f"seed {seed}")  # noqa: T201 - whoever reads of a failure needs it
    with fleet_route(tmp_path, one.url(), lasting_fps()) as (process, site):
        yield FleetScene(process, site, one.url(), random.Random(seed))


def suffers(scene: FleetScene, *faults: FleetFault) -> None:
    for fault in faults:
        assert scene.suffer(fault), f"the lessons were over before this: {fault.name}\n{tail(scene.site)}"
    ended(scene.process, scene.site)


def test_whoever_of_a_fleet_is_killed_nothing_is_lost_or_counted_twice(scene: FleetScene, undisturbed: Outcome) -> None:
    suffers(scene, *(FleetFault(act.__name__, act) for act in (kill_worker, kill_supervisor, kill_head)))
    check(outcome(scene.site, bus_url=scene.bus_url), undisturbed)


def test_a_frozen_worker_is_replaced_and_says_no_more_when_it_wakes(scene: FleetScene, undisturbed: Outcome) -> None:
    suffers(scene, FleetFault("frozen", freeze_worker))
    check(outcome(scene.site, bus_url=scene.bus_url), undisturbed)
