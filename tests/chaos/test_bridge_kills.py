"""Promise 2b over a bridge: the district's timelines are those of a school alone, whenever the bridge is killed."""

from pathlib import Path

import pytest

from classpulse.bus.sqlite import SqliteBus
from classpulse.topics import DETECTIONS
from tests.chaos.district import aggregating, declare, write_edge
from tests.chaos.route import Outcome, check, finish, outcome

pytestmark = pytest.mark.chaos

LEAST_KILLS = {
    "": 0,
    "bridge.acknowledged:3": 2,
    "bridge/stage.polled:4": 2,
    "bridge/stage.stepped:4": 2,
    "bridge/bus.positions_written:5": 2,
}


@pytest.mark.parametrize("spec", sorted(LEAST_KILLS))
def test_a_killed_bridge_changes_nothing_at_the_district(spec: str, undisturbed: Outcome, tmp_path: Path) -> None:
    district = f"sqlite://{tmp_path}/district.sqlite"
    declare(district)
    site = write_edge(tmp_path, district)
    with aggregating(tmp_path, district) as aggregator:
        assert finish(site, spec) >= LEAST_KILLS[spec]
        aggregator.finish()
    check(outcome(site, bus_url=district), undisturbed)


def test_a_bridge_killed_before_it_knew_has_sent_some_twice(undisturbed: Outcome, tmp_path: Path) -> None:
    """Otherwise the test above proves nothing."""
    district = f"sqlite://{tmp_path}/district.sqlite"
    declare(district)
    assert finish(write_edge(tmp_path, district), "bridge.acknowledged:3") > 0
    here, there = SqliteBus(tmp_path / "data" / "bus.sqlite"), SqliteBus(tmp_path / "district.sqlite")
    told = [sum(end for _, end in bus.ends(DETECTIONS).values()) for bus in (here, there)]
    here.close()
    there.close()
    assert told[1] > told[0]
