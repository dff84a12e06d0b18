"""Limits are applied beside the watching, and pictures that were looked at do not stay."""

from collections.abc import Callable
from pathlib import Path

import pytest

from classpulse.bus.base import Place
from classpulse.bus.sqlite import SqliteBus
from classpulse.clock import SystemClock
from classpulse.codec import Outgoing
from classpulse.errors import StorageFull
from classpulse.supervisor import STAGES
from classpulse.topics import DETECTIONS, FRAMES, MIB
from tests.services.supervisor.running import Running, pids, wait_until


class FullBus(SqliteBus):
    """A bus whose disk has no room for retention's own transactions."""

    asked = 0

    def retain(self, now_ms: int) -> int:
        del now_ms
        self.asked += 1
        raise StorageFull("no room")


def test_a_full_disk_does_not_end_the_supervisor_and_retention_goes_on_asking(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bus = FullBus(tmp_path / "bus.sqlite")
    running = Running(tmp_path, bus, retain_every_s=0.05)
    running.start()
    wait_until(lambda: bus.asked > 2 and running.all_running())
    running.close()
    assert "retention: no room; trying again" in caplog.text
    assert running.error is None
    assert all((tmp_path / f"{stage}.stopped").exists() for stage in STAGES)


@pytest.mark.parametrize("keep", [False, True])
def test_pictures_that_were_looked_at_go_while_the_route_runs_unless_they_are_to_stay(
    make: Callable[..., Running], keep: bool
) -> None:
    running = make(retain_every_s=0.05, keep_pictures=keep)
    pictures = [Outgoing(FRAMES.name, 0, "t/s/r/c", b"picture", ())] * 3
    running.bus.member("ingest", ()).commit(pictures, {})
    member = running.bus.member("detect", [FRAMES])
    member.commit([], {Place(FRAMES.name, 0): 2})
    if keep:
        SystemClock().sleep_ms(500)
    else:
        wait_until(lambda: running.bus.ends(FRAMES)[0][0] > 0)
    assert running.bus.ends(FRAMES)[0] == ((0, 3) if keep else (2, 3))


def test_a_school_that_forwards_runs_a_bridge_and_its_spool_keeps_within_its_bound(tmp_path: Path) -> None:
    district = f"sqlite://{tmp_path}/district.sqlite"
    running = Running(tmp_path, retain_every_s=0.05, district=district, spool_mib=1)
    running.start()
    writer = running.bus.member("detect", ())
    for partition in (3, 7):
        detections = [Outgoing(DETECTIONS.name, partition, "t/s/r", b"x" * 10_000, ())] * 100
        writer.commit(detections, {})
    wait_until(lambda: running.bus.lag("nobody", DETECTIONS)[1] <= MIB)
    ends = running.bus.ends(DETECTIONS)
    wait_until(lambda: pids(tmp_path, "bridge"))
    running.close()
    assert (ends[7][0], ends[3][0] > 0) == (0, True), "the oldest go first"
    assert pids(tmp_path, "aggregate") == []
