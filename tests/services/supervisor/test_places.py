"""Two `up`s on one cluster: the second is refused, and what this data folder itself left there is not in its way."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from classpulse.bus.base import Bus, open_bus
from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock, SystemClock
from classpulse.errors import BadInput
from classpulse.places import claim, named
from classpulse.settings import Settings
from classpulse.topics import DETECTIONS, TOPICS
from tests.brokers import running


def test_a_file_is_held_by_its_lock_so_it_needs_no_name(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    assert named(settings) == settings
    claim(settings, MemoryBus(), ManualClock(), threading.Event())


def test_a_data_folder_keeps_its_name(tmp_path: Path) -> None:
    here = replace(Settings(data=tmp_path / "a"), bus="kafka://one:1?ca=x")
    there = replace(here, data=tmp_path / "b")
    for settings in (here, there):
        settings.data.mkdir()
    assert named(here) == named(named(here))
    assert named(here).bus.startswith("kafka://one:1?ca=x&client_id=up-")
    assert named(here).bus != named(there).bus


@pytest.fixture
def bus() -> Iterator[Bus]:
    opened = open_bus(running("plain").url())
    opened.create(tuple(TOPICS.values()))
    yield opened
    opened.close()


@pytest.mark.kafka
@pytest.mark.xdist_group("kafka")
def test_places_that_another_folder_holds_are_refused_when_they_stay_taken(bus: Bus, tmp_path: Path) -> None:
    settings = named(Settings(data=tmp_path, bus=running("plain").url()))
    claim(settings, bus, SystemClock(), threading.Event())
    other = open_bus(f"{running('plain').url()}?client_id=up-other")
    member = other.member("aggregate", [DETECTIONS])
    while not member.assignment():
        member.poll(max_records=0, max_bytes=1, timeout_ms=100)

    refused = r"aggregate 0 of up-other at work there already; expected one `up` a cluster"
    with pytest.raises(BadInput, match=refused):
        claim(settings, bus, ManualClock(), threading.Event())
    claim(replace(settings, bus=f"{running('plain').url()}?client_id=up-other"), bus, ManualClock(), threading.Event())
    member.close()
    other.close()
