"""The embedded bus: one SQLite file in WAL mode, shared by the processes of one machine.

Outputs, state and positions of a step are rows of one transaction, so the atomic step is SQLite's own. A member writes
its token into the file when it joins, and every commit looks whether the token still stands: that is the fence.
Open it after a fork, never before.
"""

import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from classpulse.bus import sqlite_log as logs
from classpulse.bus.base import Place
from classpulse.bus.limits import (
    check_compacted,
    check_outputs,
    check_owned,
    check_partition,
    check_place_in_group,
    check_same_shape,
    owned_places,
    unknown_topic,
    within,
)
from classpulse.bus.reader import Reader, wait_for
from classpulse.bus.sqlite_file import Limits, SqliteFile
from classpulse.clock import Clock, SystemClock
from classpulse.codec import Outgoing, Stored
from classpulse.errors import BadInput, Fatal, Fenced
from classpulse.faults import fault
from classpulse.topics import Topic

PAGE_RECORDS = 256
PAGE_VALUE_BYTES = 4 * 1024 * 1024
"""`latest` reads so much at a time: what it holds is bounded, and no snapshot stays open while its caller thinks."""


class SqliteBus:
    """Topics in one file; threads may share it. `clock` stamps the records; waiting for locks is in real time."""

    retains_itself = False

    def __init__(self, path: str | Path, *, clock: Clock | None = None, limits: Limits | None = None) -> None:
        self._clock = clock or SystemClock()
        self._file = SqliteFile(_path(path), limits or Limits())
        self._tables: dict[str, logs.Table] = {}
        with self._file.reading() as db:
            self._tables = logs.load_tables(db)

    @staticmethod
    def check(address: str) -> None:
        """Whether a path can be opened is known when it is."""

    def create(self, topics: Sequence[Topic]) -> None:
        """Make the topics that do not exist; refuse all if one exists in another shape."""
        with self._file.reading() as db:
            found = logs.load_tables(db)
        if any(topic.name not in found or found[topic.name].topic != topic for topic in topics):
            with self._file.writing() as db:
                _refuse_changes(logs.load_tables(db), topics)
                for topic in topics:
                    logs.save_topic(db, topic)
                found = logs.load_tables(db)
        self._tables = found

    def member(
        self, group: str, topics: Sequence[Topic], *, index: int = 0, count: int = 1, slot: str = ""
    ) -> "SqliteMember":
        """Join; what an earlier member of the same place, or of the same partitions, commits from now on is refused."""
        check_place_in_group(group, index, count)
        owned = owned_places([self.table(topic.name).topic for topic in topics], index, count)
        token = secrets.randbits(62)
        with self._file.writing() as db:
            db.execute("INSERT OR REPLACE INTO members VALUES(?, ?, ?, ?)", (group, index, slot, token))
            db.executemany(
                "INSERT INTO positions VALUES(?, ?, ?, NULL, ?)"
                " ON CONFLICT(grp, topic, partition) DO UPDATE SET token = excluded.token",
                [(group, *place, token) for place in owned],
            )
        return SqliteMember(self, (group, index, slot), owned, token)

    def holders(self, group: str) -> dict[int, str]:  # noqa: ARG002 - nobody shares places out
        """Nobody: a later member fences the earlier one of its place, and nothing is shared out."""
        return {}

    def dismiss(self, group: str, *, index: int, slot: str = "") -> None:
        """Nothing to do: places keep their partitions."""

    def fetch(self, place: Place, offset: int, *, max_records: int, max_bytes: int) -> list[Stored]:
        """Committed records from `offset` on."""
        table = self.table(place.topic)
        check_partition(table.topic, place.partition)
        with self._file.reading() as db:
            log = logs.LogSnapshot(db, self._tables)
            first, end = log.bounds(place.topic)[place.partition]
            with log.scan(place, max(offset, first), end) as records:
                return within(records, max_records, max_bytes)

    def latest(self, topic: Topic, *, partition: int | None = None, key: str | None = None) -> Iterator[Stored]:
        """The latest record of each key. One written again while one iterates may come twice, the newer record last."""
        table = self.table(topic.name)
        check_compacted(table.topic)
        if partition is not None:
            check_partition(table.topic, partition)
        partitions = range(table.topic.partitions) if partition is None else [partition]
        records = self._by_key(table, key) if key is not None else self._page_by_page(table, partitions)
        return (record for record in records if record.value is not None and record.partition in partitions)

    def ends(self, topic: Topic) -> dict[int, tuple[int, int]]:
        """Per partition: (first, next)."""
        table = self.table(topic.name)
        with self._file.reading() as db:
            return logs.bounds(db, table)

    def positions(self, group: str, topic: Topic) -> dict[int, int]:
        """Committed positions."""
        self.table(topic.name)
        with self._file.reading() as db:
            return _positions(db, group, topic.name)

    def lag(self, group: str, topic: Topic) -> tuple[int, int]:
        """(records, bytes) not committed yet."""
        table = self.table(topic.name)
        with self._file.reading() as db:
            return logs.lag(db, table, _positions(db, group, topic.name))

    def retain(self, now_ms: int) -> int:
        """Apply every topic's limits in short transactions, then make the file forget what was removed."""
        with self._file.reading() as db:
            tables = logs.load_tables(db).values()
            cuts = [cut for table in tables for cut in logs.cuts(db, table, now_ms)]
        removed = sum(map(self._repeat, cuts))
        self._file.sweep()
        return removed

    def forget(self, topic: Topic, before: Mapping[int, int]) -> int:
        """Remove what lies before these offsets, then make the file forget it."""
        table = self.table(topic.name)
        removed = sum(self._repeat(logs.cut_before(table, *place)) for place in before.items())
        self._file.sweep()
        return removed

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    @property
    def clock(self) -> Clock:
        """Whose time is written on records."""
        return self._clock

    @property
    def file(self) -> SqliteFile:
        """The open file, for its members."""
        return self._file

    def table(self, name: str) -> logs.Table:
        """Where a topic's records lie. Raises Fatal where nobody created it."""
        if name not in self._tables:
            with self._file.reading() as db:
                self._tables = logs.load_tables(db)
        if name not in self._tables:
            raise unknown_topic(name, self._tables)
        return self._tables[name]

    def topic(self, name: str) -> Topic:
        """The topic as it was created. Raises Fatal where nobody did."""
        return self.table(name).topic

    def take(self, reader: Reader, max_records: int, max_bytes: int) -> list[Stored]:
        """One look of a member at the log."""
        with self._file.reading() as db:
            return reader.take(logs.LogSnapshot(db, self._tables), max_records=max_records, max_bytes=max_bytes)

    def _repeat(self, cut: logs.Cut) -> int:
        """Cut batch by batch, each in its own transaction, until nothing is left to cut."""
        removed = 0
        while True:
            with self._file.writing() as db:
                batch = cut(db)
            if not batch:
                return removed
            removed += batch

    def _by_key(self, table: logs.Table, key: str) -> list[Stored]:
        with self._file.reading() as db:
            return logs.with_key(db, table, key)

    def _page_by_page(self, table: logs.Table, partitions: Iterable[int]) -> Iterator[Stored]:
        for partition in partitions:
            place, offset = Place(table.topic.name, partition), 0
            while page := self.fetch(place, offset, max_records=PAGE_RECORDS, max_bytes=PAGE_VALUE_BYTES):
                yield from page
                offset = page[-1].offset + 1


class SqliteMember:
    """One owner of partitions on a SqliteBus."""

    def __init__(self, bus: SqliteBus, place: tuple[str, int, str], owned: frozenset[Place], token: int) -> None:
        self._bus, self._place, self._owned, self._token = bus, place, owned, token
        self._who = "member {!r}, index {}, slot {!r}".format(*place)
        self._closed = False
        self._reader = Reader(owned)
        self._begun = self._first_offsets()
        self.rewind()

    def assignment(self) -> frozenset[Place]:
        """The partitions this member owns."""
        return self._owned

    def poll(self, *, max_records: int, max_bytes: int, timeout_ms: int) -> list[Stored]:
        """The next records; looks at the file's change counter every few milliseconds while there are none."""
        self._check_open()
        return wait_for(
            lambda: self._bus.take(self._reader, max_records, max_bytes),
            self._bus.file.version,
            clock=self._bus.clock,
            timeout_ms=timeout_ms if max_records else 0,
        )

    def commit(self, outputs: Sequence[Outgoing], positions: Mapping[Place, int]) -> None:
        """The atomic step."""
        self._check_open()
        check_outputs(outputs, self._bus.topic)
        check_owned(positions, self._owned, self._who)
        prepared = [
            logs.Prepared(self._bus.table(o.topic), o, logs.encode_headers(o.headers), o.size_bytes) for o in outputs
        ]
        with self._bus.file.writing() as db:
            fault("bus.begun")
            self._check_fence(db)
            logs.append(db, prepared, self._bus.clock.now_ms())
            fault("bus.outputs_written")
            self._move(db, positions)
            fault("bus.positions_written")

    def expired(self) -> dict[Place, int]:
        """What polls since the last call found removed unread."""
        return self._reader.missed()

    def handed_over(self) -> frozenset[Place]:
        """Nothing: partitions are owned for life."""
        return frozenset()

    def rewind(self) -> None:
        """Back to the committed positions; partitions never committed go back to where this member began."""
        self._check_open()
        self._reader.start({**self._begun, **self._committed()})

    def close(self) -> None:
        """Leave. Nothing is written: a successor fences this place anyway."""
        self._closed = True

    def _move(self, db: sqlite3.Connection, positions: Mapping[Place, int]) -> None:
        for place, offset in positions.items():
            moved = db.execute(
                "UPDATE positions SET next = ? WHERE grp = ? AND topic = ? AND partition = ? AND token = ?",
                (offset, self._place[0], *place, self._token),
            )
            if moved.rowcount != 1:
                raise self._fenced(f"{place.topic}/{place.partition}")

    def _check_fence(self, db: sqlite3.Connection) -> None:
        query = "SELECT token FROM members WHERE grp = ? AND idx = ? AND slot = ?"
        if db.execute(query, self._place).fetchone() != (self._token,):
            raise self._fenced("this place")

    def _fenced(self, what: str) -> Fenced:
        return Fenced(f"{self._who}: a later member owns {what}; expected to be the latest")

    def _first_offsets(self) -> dict[Place, int]:
        topics = {place.topic for place in self._owned}
        firsts = {name: self._bus.ends(self._bus.topic(name)) for name in topics}
        return {place: firsts[place.topic][place.partition][0] for place in self._owned}

    def _committed(self) -> dict[Place, int]:
        topics = {place.topic for place in self._owned}
        done = {name: self._bus.positions(self._place[0], self._bus.topic(name)) for name in topics}
        return {p: done[p.topic][p.partition] for p in self._owned if p.partition in done[p.topic]}

    def _check_open(self) -> None:
        if self._closed:
            raise Fatal(f"{self._who} is closed; expected an open one")


def _path(path: str | Path) -> Path:
    return Path(path).expanduser() if str(path) else Path()


def _refuse_changes(found: Mapping[str, logs.Table], topics: Sequence[Topic]) -> None:
    pairs = [(found[topic.name].topic, topic) for topic in topics if topic.name in found]
    faults = [refusal for existing, wanted in pairs if (refusal := check_same_shape(existing, wanted))]
    if faults:
        raise BadInput(faults)


def _positions(db: sqlite3.Connection, group: str, topic: str) -> dict[int, int]:
    query = "SELECT partition, next FROM positions WHERE grp = ? AND topic = ? AND next IS NOT NULL"
    return dict(db.execute(query, (group, topic)).fetchall())
