"""What the keeper of a fleet says when it is asked whether the fleet looks."""

import pytest

pytest.importorskip("ray", reason="the fleet needs Ray (the ray extra)")

from classpulse.clock import ManualClock
from classpulse.detect.keeper import Watch
from tests.services.detect.ground import Rig, healthy, node

pytestmark = pytest.mark.ray


def test_a_fleet_is_ready_while_its_supervisor_answers_and_a_worker_is_at_work() -> None:
    clock, rig = ManualClock(), Rig(node("a"))
    watch = Watch(clock)
    assert watch.missing == "fleet: its supervisor does not answer; expected it to"
    watch.see(rig.fleet.view())
    assert watch.missing == "fleet: no worker is at work; expected one at least on its nodes"
    rig.raised()
    rig.turn()
    watch.see(rig.fleet.view())
    assert watch.missing == ""
    rig.ground.healths = {slot: healthy(state="opening") for slot in rig.ground.healths}
    rig.turn()
    watch.see(rig.fleet.view())
    assert watch.missing.startswith("fleet: no worker is at work")
    clock.advance(1_000)
    watch.see(None)
    assert (watch.turned_ms, watch.missing) == (
        clock.monotonic_ms(),
        "fleet: its supervisor does not answer; expected it to",
    )
