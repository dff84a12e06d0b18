"""What the keeper of a fleet says when it is asked whether the fleet looks."""

import re
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="the fleet needs Ray (the ray extra)")

from classpulse.clock import ManualClock
from classpulse.detect import fleet_worker
from classpulse.detect.cluster import Remote
from classpulse.detect.keeper import OF_WORKERS, Watch, differing
from classpulse.settings import Settings
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


def test_a_fleet_of_other_code_or_other_settings_is_another() -> None:
    here = ("1", Settings(runtime_threads=2))
    assert (
        differing(here, ("1", Settings(runtime_threads=2, fleet_most=3, data=Path("elsewhere"), bus=here[1].bus))) == []
    )
    assert differing(here, ("1", Settings(runtime_threads=3, freshness_ms=9_000))) == [
        "runtime_threads",
        "freshness_ms",
    ]
    assert differing(here, ("2", here[1])) == differing(None, here) == ["version"]


def test_the_settings_of_workers_are_those_that_they_read() -> None:
    folder = Path(fleet_worker.__file__).parent
    texts = [(folder / f"{name}.py").read_text() for name in ("eyes", "fleet_worker", "main", "opening", "probe")]
    read = {name for text in texts for name in re.findall(r"settings\.(\w+)", text)}
    assert read - {"bus_as", "describe"} | {"bus", "otlp_endpoint", "trace_one_in"} == set(OF_WORKERS)


def test_a_fleet_of_a_version_that_does_not_say_who_made_it_is_another() -> None:
    assert Remote(object()).made_by() is None
