"""What the SQLite bus does about files that are not right, disks that are full and others who are busy."""

import resource
import signal
import sqlite3
import stat
import threading
import time
from pathlib import Path

import pytest

from classpulse.bus.base import Member, Place, open_bus
from classpulse.bus.sqlite import SqliteBus
from classpulse.bus.sqlite_file import APPLICATION_ID, Limits
from classpulse.clock import ManualClock
from classpulse.codec import Outgoing
from classpulse.errors import BadInput, Fatal, Recoverable, StorageFull
from tests.services.bus.sqlite_worker import MIB, SOURCE, topic


def test_a_new_file_is_private_and_set_up_for_forgetting(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "bus.sqlite"
    bus = SqliteBus(path)
    bus.create([SOURCE])

    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["bus.sqlite", "bus.sqlite-shm", "bus.sqlite-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    db = sqlite3.connect(path)
    found = {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "auto_vacuum", "page_size")}
    assert found == {"journal_mode": "wal", "auto_vacuum": 2, "page_size": 4_096}
    db.close()
    bus.close()
    assert [file.name for file in path.parent.iterdir()] == ["bus.sqlite"]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite://."])
def test_a_url_without_a_file_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="no file is named; expected sqlite:///path/to/file"):
        open_bus(url)


def test_a_path_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(BadInput, match=r"file/bus\.sqlite: cannot be opened \((Not a directory|File exists)\)"):
        SqliteBus(tmp_path / "file" / "bus.sqlite")


def test_a_file_that_is_no_database_is_fatal_and_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "bus.sqlite"
    path.write_bytes(b"lesson notes " * 1000)

    with pytest.raises(Fatal, match=r"bus\.sqlite: not an intact SQLite file .*; move it away"):
        SqliteBus(path)

    assert path.read_bytes() == b"lesson notes " * 1000


def test_a_file_damaged_in_the_middle_is_fatal_and_named(tmp_path: Path) -> None:
    path = tmp_path / "bus.sqlite"
    bus = SqliteBus(path)
    bus.create([SOURCE])
    bus.member("filler", []).commit([record(b"x" * 9000) for _ in range(50)], {})
    bus.close()
    intact = path.read_bytes()
    path.write_bytes(intact[:12_288] + b"\x5a" * (len(intact) - 12_288))

    with pytest.raises(Fatal, match=r"bus\.sqlite: not an intact SQLite file"):
        read_and_write(path)


def test_a_cut_file_is_fatal_and_named(tmp_path: Path) -> None:
    path = tmp_path / "bus.sqlite"
    bus = SqliteBus(path)
    bus.create([SOURCE])
    bus.member("filler", []).commit([record(b"x" * 9000) for _ in range(50)], {})
    bus.close()
    path.write_bytes(path.read_bytes()[:100_000])

    with pytest.raises(Fatal, match=r"bus\.sqlite: not an intact SQLite file"):
        read_and_write(path)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE notes(text)")
    db.close()

    with pytest.raises(BadInput, match=r"notes\.sqlite: a SQLite file of another program"):
        SqliteBus(path)


def test_a_file_of_another_schema_version_is_refused_with_both_versions(tmp_path: Path) -> None:
    path = tmp_path / "bus.sqlite"
    SqliteBus(path).close()
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    db.execute("PRAGMA user_version = 7")
    db.close()

    with pytest.raises(BadInput, match=r"bus\.sqlite: schema version 7; this program reads 1"):
        SqliteBus(path)


def test_who_cannot_get_a_turn_in_time_may_try_again(tmp_path: Path) -> None:
    path = tmp_path / "bus.sqlite"
    bus = SqliteBus(path, limits=Limits(deadline_ms=200))
    bus.create([SOURCE])
    member = bus.member("g", [SOURCE])
    other = SqliteBus(path)

    with other.file.writing():
        started = time.monotonic()
        with pytest.raises(Recoverable, match="others have been writing for 200 ms"):
            member.commit([record(b"x")], {})
        assert 0.15 < time.monotonic() - started < 3
        assert member.poll(max_records=1, max_bytes=1, timeout_ms=0) == []
    member.commit([record(b"x")], {})

    assert bus.ends(SOURCE)[0] == (0, 1)
    other.close()
    bus.close()


def test_threads_of_one_process_wait_for_each_other_no_longer_than_the_deadline(tmp_path: Path) -> None:
    bus = SqliteBus(tmp_path / "bus.sqlite", limits=Limits(deadline_ms=200))
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with bus.file.writing():
            entered.set()
            leave.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(10)
    with pytest.raises(Recoverable, match="busy in this process for 200 ms"):
        bus.create([SOURCE])
    leave.set()
    holder.join()
    bus.close()


def test_a_full_file_refuses_the_step_keeps_what_was_committed_and_goes_on_after_retention(tmp_path: Path) -> None:
    frames = topic("frames", retention_bytes=200_000)
    bus = SqliteBus(tmp_path / "bus.sqlite", limits=Limits(most_bytes=2 * MIB))
    bus.create([frames])
    member = bus.member("ingest", [])
    frame = Outgoing(frames.name, 0, "camera", b"x" * 40_000, ())
    with pytest.raises(StorageFull, match=r"bus\.sqlite: no room for this commit"):
        commit_often(member, frame)
    _, end = bus.ends(frames)[0]
    assert len(bus.fetch(Place(frames.name, 0), 0, max_records=100, max_bytes=100 * MIB)) == end > 20

    bus.retain(0)
    member.commit([frame], {})

    assert bus.ends(frames)[0][1] == end + 1
    bus.close()


def test_a_disk_that_takes_no_more_is_full_and_nothing_is_lost(tmp_path: Path) -> None:
    """The kernel refuses writes beyond a file size, as a quota does; SQLite's log hits it first."""
    frames = topic("frames")
    bus = SqliteBus(tmp_path / "bus.sqlite")
    bus.create([frames])
    member = bus.member("ingest", [])
    frame = Outgoing(frames.name, 0, "camera", b"x" * 40_000, ())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, hard))
        with pytest.raises(StorageFull, match=r"bus\.sqlite: no room for this commit"):
            commit_often(member, frame)
        _, end = bus.ends(frames)[0]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)

    member.commit([frame], {})

    records = bus.fetch(Place(frames.name, 0), 0, max_records=100, max_bytes=100 * MIB)
    assert [r.offset for r in records] == list(range(end + 1))
    assert {r.value for r in records} == {frame.value}
    bus.close()


def test_a_closed_bus_says_so(tmp_path: Path) -> None:
    bus = SqliteBus(tmp_path / "bus.sqlite")
    bus.create([SOURCE])
    member = bus.member("g", [SOURCE])
    bus.close()
    bus.close()

    with pytest.raises(Fatal, match="is closed; expected an open one"):
        bus.ends(SOURCE)
    with pytest.raises(Fatal, match="is closed; expected an open one"):
        member.commit([record(b"x")], {})


def test_topics_made_by_another_process_are_found_and_new_limits_are_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "bus.sqlite"
    early, late = SqliteBus(path), SqliteBus(path)
    late.create([SOURCE])
    early.member("g", []).commit([record(b"x" * 1000)], {})

    late.create([topic(SOURCE.name, retention_bytes=10)])

    assert early.retain(0) == 1
    early.close()
    late.close()


def test_records_carry_the_time_of_the_bus_clock(tmp_path: Path) -> None:
    bus = SqliteBus(tmp_path / "bus.sqlite", clock=ManualClock(1234))
    bus.create([SOURCE])
    bus.member("g", []).commit([record(b"x")], {})

    assert bus.fetch(Place(SOURCE.name, 0), 0, max_records=1, max_bytes=1)[0].appended_at_ms == 1234
    bus.close()


def test_a_member_with_another_count_fences_those_whose_partitions_it_takes(tmp_path: Path) -> None:
    bus = SqliteBus(tmp_path / "bus.sqlite")
    bus.create([SOURCE])
    alone = bus.member("detect", [SOURCE], index=0, count=1)
    bus.member("detect", [SOURCE], index=1, count=2)

    with pytest.raises(Fatal, match=r"a later member owns source/1"):
        alone.commit([record(b"half a step")], {Place(SOURCE.name, 1): 0})

    assert bus.ends(SOURCE)[0] == (0, 0)
    bus.close()


def record(value: bytes) -> Outgoing:
    """A record of the source."""
    return Outgoing(SOURCE.name, 0, "key", value, ())


def commit_often(member: Member, frame: Outgoing) -> None:
    """Commit until it is refused, a hundred times at most."""
    for _ in range(100):
        member.commit([frame], {})


def read_and_write(path: Path) -> None:
    """Touch every page of the file."""
    bus = SqliteBus(path)
    try:
        bus.fetch(Place(SOURCE.name, 0), 0, max_records=1000, max_bytes=100 * MIB)
        bus.member("g", [SOURCE]).commit([record(b"y")], {})
    finally:
        bus.close()
