"""Several processes share one file; a kill at any point of a step leaves all of it or nothing."""

import signal
from itertools import pairwise
from pathlib import Path

import pytest

from classpulse.bus.base import Place
from classpulse.bus.sqlite import SqliteBus
from classpulse.codec import Outgoing
from tests.services.bus.sqlite_worker import MIB, SINK, SOURCE, STATE
from tests.services.bus.support import finish, start


@pytest.mark.parametrize("point", ["bus.begun", "bus.outputs_written", "bus.positions_written"])
def test_a_process_killed_inside_the_transaction_leaves_whole_steps_only(tmp_path: Path, point: str) -> None:
    path = tmp_path / "bus.sqlite"
    fill(path, 12)
    bus = SqliteBus(path)

    for kill in (1, 2, 4):
        before = check_whole_steps(bus)
        assert finish(start("steps", path, 0, 1, f"{point}:{kill}")) == [-signal.SIGKILL]
        assert check_whole_steps(bus) == before + kill - 1

    assert finish(start("steps", path)) == [0]
    assert check_whole_steps(bus) == 12
    copied = bus.fetch(Place(SINK.name, 0), 0, max_records=100, max_bytes=MIB)
    assert [record.value for record in copied] == [b"%d" % number for number in range(12)]
    bus.close()


def test_a_killed_writer_does_not_keep_the_others_waiting(tmp_path: Path) -> None:
    path = tmp_path / "bus.sqlite"
    fill(path, 3)
    bus = SqliteBus(path)
    finish(start("steps", path, 0, 1, "bus.positions_written:1"))

    member = bus.member("other", [SOURCE])
    member.commit([Outgoing(SINK.name, 1, "k", b"on", ())], {})

    assert bus.ends(SINK) == {0: (0, 0), 1: (0, 1)}
    bus.close()


def test_processes_that_open_a_new_file_at_once_all_get_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "bus.sqlite"

    assert finish(*(start("publish", path, partition % 2, 1) for partition in range(5))) == [0] * 5

    bus = SqliteBus(path)
    assert {end for _, end in bus.ends(SOURCE).values()} == {2, 3}
    bus.close()


def test_writers_and_readers_of_one_file_lose_and_double_nothing(tmp_path: Path) -> None:
    """Two publishers fill a partition each while two members of one group copy them, all in processes of their own."""
    path = tmp_path / "bus.sqlite"
    fill(path, 0)
    count = 150

    publishers = [start("publish", path, partition, count) for partition in range(2)]
    members = [start("steps", path, index, 2) for index in range(2)]
    assert finish(*publishers) == [0, 0]
    assert finish(*members) == [0, 0]
    assert finish(start("steps", path)) == [0]  # what came after a member had waited long enough

    bus = SqliteBus(path)
    check_whole_steps(bus)
    for partition in range(2):
        copied = bus.fetch(Place(SINK.name, partition), 0, max_records=1000, max_bytes=MIB)
        assert [record.value for record in copied] == [b"%d" % number for number in range(count)]
        assert all(a.appended_at_ms <= b.appended_at_ms for a, b in pairwise(copied))
    bus.close()


def fill(path: Path, count: int) -> None:
    """Make the topics and put numbers into partition 0 of the source."""
    bus = SqliteBus(path)
    bus.create([SOURCE, SINK, STATE])
    if count:
        values = [b"%d" % number for number in range(count)]
        bus.member("filler", []).commit([Outgoing(SOURCE.name, 0, "key", value, ()) for value in values], {})
    bus.close()


def check_whole_steps(bus: SqliteBus) -> int:
    """Log, state and position agree in every partition; gives how many steps there were."""
    positions = bus.positions("worker", SOURCE)
    logged = {partition: end for partition, (_, end) in bus.ends(SINK).items()}
    counted = {record.partition: int(record.value or b"0") for record in bus.latest(STATE)}
    for partition, steps in logged.items():
        assert positions.get(partition, 0) == counted.get(partition, 0) == steps
    return sum(logged.values())
