"""A disk that takes no more while lessons are played: every stage stands still, says so, and goes on where it was."""

import json
import re
import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from classpulse.bus.base import Bus, open_bus
from classpulse.clock import SystemClock
from classpulse.codec import decode
from classpulse.records import IngestState
from classpulse.topics import DETECTIONS, FRAMES, INGEST_STATE
from tests.chaos.route import LIMIT_S, Outcome, check, log_of, outcome, stages_killed, tail, up, wait_until, write_site

pytestmark = pytest.mark.chaos

REFUSED = r"bus \S+: no room for this commit .*"
SAID = {
    "ingest": rf"chaos/school/room-\d/front: {REFUSED}; taking no more until there is room",
    "detect": rf"detect: commit: {REFUSED}; taking no input until it succeeds",
    "aggregate": rf"aggregate: commit: {REFUSED}; taking no input until it succeeds",
}
"""What each stage says when it could not write and has stopped taking input."""

MOST_WAITING = 200
"""With more than 256 frames before detect, a camera waits for it and does not try to write."""

STILL_MS = 2_000


def test_a_full_disk_stops_every_stage_and_costs_nothing(undisturbed: Outcome, tmp_path: Path) -> None:
    """The kernel refuses every write to a file, as a full disk does; at last to the supervisor too, whose log is one.

    The signal that it sends besides is ignored by Python; were it not, the log would tell of the stages' ends.
    """
    site = write_site(tmp_path)
    process = up(site)
    try:
        wait_until(lambda: len(stages_of(site)) == 3, site)
        stages = stages_of(site)
        with closing(open_bus(f"sqlite://{tmp_path}/data/bus.sqlite")) as bus:
            fill_one_by_one(site, bus, stages)
            everyone = [psutil.Process(process.pid), *stages.values()]
            fill(*everyone)
            before = progress(bus)
            SystemClock().sleep_ms(STILL_MS)
            assert progress(bus) == before, "nothing is written, and nothing counts as read"
        make_room(*everyone)
        assert process.wait(LIMIT_S) == 0, tail(site)
    finally:
        process.kill()
        process.wait()
    assert stages_killed(site) == 0
    assert "publishing again after disk_full" in log_of(site)
    check(outcome(site), undisturbed)


def fill_one_by_one(site: Path, bus: Bus, stages: dict[str, psutil.Process]) -> None:
    """Fill the disk for each stage while it has something to write, and wait until each has said that it takes no more."""
    wait_until(lambda: sum(bus.positions("aggregate", DETECTIONS).values()) > 10, site)
    fill(stages["aggregate"])
    wait_until(lambda: has_said(site, "aggregate"), site)
    wait_until(lambda: filled_at_work(bus, stages["ingest"], stages["detect"]), site)
    wait_until(lambda: has_said(site, "ingest") and has_said(site, "detect"), site)


def fill(*stages: psutil.Process) -> None:
    """From now on no file takes another byte from these processes."""
    for stage in stages:
        _, most = resource.prlimit(stage.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(stage.pid, resource.RLIMIT_FSIZE, (0, most))


def make_room(*stages: psutil.Process) -> None:
    """There is room again."""
    for stage in stages:
        _, most = resource.prlimit(stage.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(stage.pid, resource.RLIMIT_FSIZE, (most, most))


def filled_at_work(bus: Bus, ingest: psutil.Process, detect: psutil.Process) -> bool:
    """Fill the disk for each of the two as soon as it has something to write; whether it is filled for both.

    Ingest comes first: a camera that waits for detect tries to write as soon as detect, which still goes on, is near enough.
    """
    with halted(ingest, detect):
        waiting = bus.lag("detect", FRAMES)[0]
        states = [decode(record) for record in bus.latest(INGEST_STATE)]
        playing = any(isinstance(state, IngestState) and not state.ended for state in states)
        assert playing, "the lessons were over before all stages met the full disk"
        if waiting > 0:
            fill(ingest)
        if 0 < waiting < MOST_WAITING:
            fill(detect)
            return True
    return False


@contextmanager
def halted(*stages: psutil.Process) -> Iterator[None]:
    """While this lasts these processes do nothing."""
    for stage in stages:
        stage.suspend()
    try:
        yield
    finally:
        for stage in stages:
            stage.resume()


def stages_of(site: Path) -> dict[str, psutil.Process]:
    """The stages that run, by name."""
    status = site.parent / "data" / "status.json"
    stages = json.loads(status.read_text())["stages"] if status.exists() else []
    return {stage["name"]: psutil.Process(stage["pid"]) for stage in stages if stage["pid"]}


def progress(bus: Bus) -> list[dict[int, int] | dict[int, tuple[int, int]]]:
    """How far each stage has come."""
    return [
        bus.ends(FRAMES),
        bus.positions("detect", FRAMES),
        bus.ends(DETECTIONS),
        bus.positions("aggregate", DETECTIONS),
    ]


def has_said(site: Path, stage: str) -> bool:
    """Whether a stage has said that it takes no more."""
    return re.search(SAID[stage], log_of(site)) is not None
