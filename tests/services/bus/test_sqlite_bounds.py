"""The file stays small for ever, and what retention removed is in none of its files."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from classpulse.bus.base import Member, Place
from classpulse.bus.sqlite import SqliteBus
from classpulse.bus.sqlite_file import Limits
from classpulse.clock import ManualClock
from classpulse.codec import Outgoing
from classpulse.errors import StorageFull
from classpulse.topics import Topic
from tests.services.bus.sqlite_worker import MIB, SOURCE, STATE, topic
from tests.services.bus.support import start

LIMIT_BYTES = MIB
FRAME_BYTES = 20_000
SMALL_WAL = Limits(wal_most_bytes=2 * MIB, wal_refuse_bytes=8 * MIB)
START_MS = 1_700_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bus.sqlite"


@pytest.fixture
def bus(path: Path) -> Iterator[SqliteBus]:
    bus = SqliteBus(path, clock=ManualClock(START_MS), limits=SMALL_WAL)
    yield bus
    bus.close()


def test_an_empty_bus_is_small_and_stays_small_when_swept(bus: SqliteBus, path: Path) -> None:
    bus.create([SOURCE, STATE])

    assert bus.retain(START_MS) == 0

    assert all_bytes(path) < 200_000


def test_thousands_of_frames_stay_within_a_bound(bus: SqliteBus, path: Path) -> None:
    sizes = [all_bytes(path) for _ in append_frames(bus, 3_000)]

    assert max(sizes) < bound_bytes(SMALL_WAL.wal_most_bytes)
    assert max(sizes[1500:]) <= max(sizes[:1500]) + MIB


def test_a_reader_in_another_process_that_never_pauses_does_not_move_the_bound(
    bus: SqliteBus, path: Path, tmp_path: Path
) -> None:
    bus.create([limited()])
    watcher = start("watch", path, tmp_path / "ready")
    try:
        wait_for(tmp_path / "ready")
        sizes = [all_bytes(path) for _ in append_frames(bus, 2_000)]
        assert watcher.poll() is None
    finally:
        watcher.kill()
        watcher.wait()

    assert max(sizes) < bound_bytes(SMALL_WAL.wal_refuse_bytes)


def test_the_file_shrinks_when_most_of_it_was_removed(bus: SqliteBus, path: Path) -> None:
    frames = limited()
    bus.create([frames])
    member = bus.member("ingest", [])
    for _ in range(20):
        member.commit([picture(frames, b"x", MIB // 2)], {})
    grown = all_bytes(path)

    bus.retain(START_MS)

    assert grown > 10 * MIB
    assert all_bytes(path) < 3 * MIB


def test_a_state_rewritten_thousands_of_times_does_not_grow(bus: SqliteBus, path: Path) -> None:
    bus.create([STATE])
    member = bus.member("aggregate", [])
    for number in range(3_000):
        member.commit([Outgoing(STATE.name, 0, f"room/{number % 5}", b"%d" % number * 200, ())], {})
        if number % 200 == 199:
            bus.retain(START_MS)
            assert all_bytes(path) < 500_000


def test_deletions_are_forgotten_after_their_time(path: Path) -> None:
    clock = ManualClock(START_MS)
    bus = SqliteBus(path, clock=clock)
    bus.create([STATE])
    member = bus.member("aggregate", [])
    member.commit([Outgoing(STATE.name, 0, f"k{n}", b"v", ()) for n in range(1000)], {})
    member.commit([Outgoing(STATE.name, 0, f"k{n}", None, ()) for n in range(1000)], {})

    assert bus.retain(START_MS + 3_600_000) == 0
    assert len(bus.fetch(Place(STATE.name, 0), 0, max_records=2000, max_bytes=MIB)) == 1000
    assert bus.retain(START_MS + 3_600_001) == 1000
    assert bus.fetch(Place(STATE.name, 0), 0, max_records=2000, max_bytes=MIB) == []
    assert bus.lag("nobody", STATE) == (0, 0)
    bus.close()


def test_the_bytes_counted_are_the_bytes_there(path: Path) -> None:
    """Retention by bytes never sums records up: its count must survive replacing, deleting, cutting and forgetting."""
    clock = ManualClock(START_MS)
    bus = SqliteBus(path, clock=clock)
    state = Topic(**{**vars(STATE), "retention_bytes": 5_000})
    bus.create([state, limited(60_000)])
    member = bus.member("aggregate", [])
    for number in range(100):
        value = b"x" * (number * 37 % 400) if number % 7 else None
        member.commit([Outgoing(state.name, number % 2, f"k{number % 30}", value, (("h", b"v"),))], {})
        member.commit([picture(limited(60_000), b"p", number * 900)], {})
        clock.sleep_ms(1_000)
        if number % 25 == 0:
            bus.retain(clock.now_ms() + (3_600_001 if number == 75 else 0))
            check_counted_bytes(bus)
    bus.retain(clock.now_ms())
    check_counted_bytes(bus)
    bus.close()


def test_deleted_pictures_are_in_none_of_the_files(bus: SqliteBus, path: Path) -> None:
    """A marker at several places of each picture: the first page of a record, its overflow pages and their ends."""
    frames = limited(retention_ms=60_000)
    bus.create([frames])
    member = bus.member("ingest", [])
    for number in range(60):
        member.commit([picture(frames, b"PUPIL-OLD-%03d" % number, size) for size in (200, 15_000, 40_000)], {})
    assert b"PUPIL-OLD-" in all_content(path)
    clock = bus.clock
    clock.sleep_ms(60_001)
    member.commit([picture(frames, b"PUPIL-NEW-%03d" % n, 40_000) for n in range(3)], {})

    assert bus.retain(clock.now_ms()) == 180

    content = all_content(path)
    assert b"PUPIL-OLD-" not in content
    assert b"PUPIL-NEW-" in content


def test_pictures_removed_for_their_bytes_are_in_none_of_the_files(bus: SqliteBus, path: Path) -> None:
    frames = limited()
    bus.create([frames])
    member = bus.member("ingest", [])
    for number in range(200):
        member.commit([picture(frames, b"PUPIL-%03d-" % number, FRAME_BYTES)], {})

    bus.retain(START_MS)

    first, end = bus.ends(frames)[0]
    content = all_content(path)
    assert 0 < first < end
    assert all((b"PUPIL-%03d-" % number in content) == (number >= first) for number in range(200))


def test_a_state_that_was_replaced_is_in_none_of_the_files(bus: SqliteBus, path: Path) -> None:
    bus.create([STATE])
    member = bus.member("aggregate", [])
    for number in range(50):
        member.commit([Outgoing(STATE.name, 0, "room", b"STATE-%03d-" % number * 900, ())], {})

    bus.retain(START_MS)

    content = all_content(path)
    assert b"STATE-049-" in content
    assert not any(b"STATE-%03d-" % number in content for number in range(49))


def test_the_clock_going_back_does_not_keep_old_pictures(path: Path) -> None:
    clock = ManualClock(START_MS + 3_600_000)
    frames = limited(retention_ms=60_000)
    ahead = SqliteBus(path, clock=clock)
    ahead.create([frames])
    ahead.member("ingest", []).commit([picture(frames, b"AHEAD", 1000)], {})
    ahead.close()
    bus = SqliteBus(path, clock=ManualClock(START_MS))
    bus.member("ingest", []).commit([picture(frames, b"LATER", 1000)], {})

    assert bus.retain(START_MS + 60_000) == 0
    assert bus.retain(START_MS + 60_001) == 2
    bus.close()


def test_a_reader_that_hangs_makes_the_bus_refuse_instead_of_filling_the_disk(bus: SqliteBus, path: Path) -> None:
    frames = limited()
    bus.create([frames])
    member = bus.member("ingest", [])
    hanging = SqliteBus(path)
    with hanging.file.reading() as db:
        db.execute("SELECT count(*) FROM topics").fetchone()
        with pytest.raises(StorageFull, match=r"bus\.sqlite-wal: \d+ bytes cannot be emptied because a reader"):
            commit_often(member, picture(frames, b"x", MIB))
        assert all_bytes(path) < 8 * MIB + 4 * MIB

    member.commit([picture(frames, b"x", MIB)], {})
    hanging.close()


def limited(retention_ms: int | None = None) -> Topic:
    """The source with limits."""
    plain = topic(SOURCE.name, retention_bytes=LIMIT_BYTES)
    return Topic(**{**vars(plain), "retention_ms": retention_ms})


def append_frames(bus: SqliteBus, count: int) -> Iterator[None]:
    """Append frames to both partitions, retaining now and then; yields before each retention and after."""
    frames = limited()
    bus.create([frames])
    member = bus.member("ingest", [])
    for number in range(count):
        member.commit([picture(frames, b"%d" % number, FRAME_BYTES, partition=number % 2)], {})
        if number % 50 == 49:
            yield
            bus.retain(START_MS)
        yield


def check_counted_bytes(bus: SqliteBus) -> None:
    """Compare the partitions' counts with the records."""
    with bus.file.reading() as db:
        for topic_id, partition, counted in db.execute("SELECT topic, partition, bytes FROM partitions").fetchall():
            span = (partition << 40, (partition + 1) << 40)
            query = f"SELECT coalesce(sum(size), 0) FROM log_{topic_id} WHERE place >= ? AND place < ?"
            assert db.execute(query, span).fetchone() == (counted,)


def commit_often(member: Member, record: Outgoing) -> None:
    """Commit until it is refused, a hundred times at most."""
    for _ in range(100):
        member.commit([record], {})


def bound_bytes(wal_bytes: int) -> int:
    """Both partitions, what 50 frames add between retentions, the part kept free, the log, and the small tables."""
    kept = 2 * LIMIT_BYTES + 50 * FRAME_BYTES
    return kept * 3 // 2 + wal_bytes + MIB


def picture(frames: Topic, marker: bytes, size: int, *, partition: int = 0) -> Outgoing:
    """Bytes that carry a marker all over."""
    value = (marker + bytes(500)) * (size // (len(marker) + 500) + 1)
    return Outgoing(frames.name, partition, "camera", value[:size], ())


def all_bytes(path: Path) -> int:
    """The size of the database, its write-ahead log and its index together."""
    return sum(file.stat().st_size for file in path.parent.glob(path.name + "*"))


def all_content(path: Path) -> bytes:
    """Everything in them."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(path.name + "*")))


def wait_for(file: Path) -> None:
    """Wait until a worker says it is ready."""
    give_up = time.monotonic() + 20
    while not file.exists():
        assert time.monotonic() < give_up, f"{file} did not come"
        time.sleep(0.01)
