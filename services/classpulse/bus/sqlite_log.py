"""The tables of a SQLite bus in SQL: appending, reading and removing records inside someone's transaction.

A partition is a range of row ids (`place` = partition * 2**40 + offset), so reading it in order is reading the table.
`bytes_before` is what the partition had taken in before a record: lag in bytes is one look-up, not a sum over blobs.
"""

# ruff: noqa: S608 (the only text put into SQL is `log_` and a number)

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial

import msgspec

from classpulse.bus.base import Place
from classpulse.bus.limits import TOMBSTONE_MS
from classpulse.codec import Headers, Outgoing, Stored
from classpulse.topics import Topic

Cut = Callable[[sqlite3.Connection], int]
"""Removes a batch of records inside the caller's transaction; gives how many."""

OFFSETS = 1 << 40
CUT_RECORDS = 512
CUT_BYTES = 4 * 1024 * 1024
"""What one transaction of `retain` removes at most (but one record at least): others get their turn in between."""

encode_headers = msgspec.msgpack.Encoder().encode
_decode_headers = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...]).decode
_encode_topic = msgspec.json.encode
_decode_topic = msgspec.json.Decoder(Topic).decode
_COLUMNS = "place, key, value, headers, appended_at_ms"


@dataclass(frozen=True)
class Table:
    """A topic with the number its tables are named by."""

    id: int
    topic: Topic

    @property
    def name(self) -> str:
        """The table of its records."""
        return f"log_{self.id}"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record ready to be written: everything that can be done before the transaction is done."""

    table: Table
    record: Outgoing
    headers: bytes
    size_bytes: int


@dataclass(slots=True)
class _Tail:
    next: int
    bytes: int
    written: int


def load_tables(db: sqlite3.Connection) -> dict[str, Table]:
    """Every topic there is."""
    rows = db.execute("SELECT id, spec FROM topics").fetchall()
    tables = [Table(id_, _decode_topic(spec)) for id_, spec in rows]
    return {table.topic.name: table for table in tables}


def save_topic(db: sqlite3.Connection, topic: Topic) -> None:
    """Make a topic's tables, or take over its new limits."""
    db.execute(
        "INSERT INTO topics(name, spec) VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET spec = excluded.spec",
        (topic.name, _encode_topic(topic)),
    )
    (id_,) = db.execute("SELECT id FROM topics WHERE name = ?", (topic.name,)).fetchone()
    table = Table(id_, topic).name
    db.execute(
        f"CREATE TABLE IF NOT EXISTS {table}(place INTEGER PRIMARY KEY, appended_at_ms INTEGER NOT NULL,"
        " size INTEGER NOT NULL, bytes_before INTEGER NOT NULL, key TEXT NOT NULL, headers BLOB NOT NULL, value BLOB)"
    )
    if topic.retention_ms is not None:
        db.execute(f"CREATE INDEX IF NOT EXISTS {table}_age ON {table}(appended_at_ms)")
    if topic.cleanup == "compact":
        db.execute(f"CREATE INDEX IF NOT EXISTS {table}_key ON {table}(key)")
        db.execute(f"CREATE INDEX IF NOT EXISTS {table}_dead ON {table}(appended_at_ms) WHERE value IS NULL")
    db.executemany(
        "INSERT OR IGNORE INTO partitions VALUES(?, ?, 0, 0, 0, 0)", [(id_, p) for p in range(topic.partitions)]
    )


def append(db: sqlite3.Connection, prepared: Iterable[Prepared], now_ms: int) -> None:
    """Write records at the ends of their partitions, replacing the last one of the same key on compacted topics."""
    tails: dict[tuple[int, int], _Tail] = {}
    for item in prepared:
        place = (item.table.id, item.record.partition)
        if place not in tails:
            tails[place] = _tail(db, place)
        _append_one(db, item, tails[place], now_ms)
    db.executemany(
        "UPDATE partitions SET next = ?, bytes = ?, written = ? WHERE topic = ? AND partition = ?",
        [(tail.next, tail.bytes, tail.written, *place) for place, tail in tails.items()],
    )


def bounds(db: sqlite3.Connection, table: Table) -> dict[int, tuple[int, int]]:
    """Per partition: (first, next)."""
    rows = db.execute("SELECT partition, first, next FROM partitions WHERE topic = ?", (table.id,))
    return {partition: (first, end) for partition, first, end in rows}


class LogSnapshot:
    """The log as one read transaction sees it."""

    def __init__(self, db: sqlite3.Connection, tables: Mapping[str, Table]) -> None:
        self._db, self._tables = db, tables

    def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """Per partition: (first, next)."""
        return bounds(self._db, self._tables[topic])

    @contextmanager
    def scan(self, place: Place, start: int, stop: int) -> Iterator[Iterator[Stored]]:
        """Records of a range of offsets; only those taken are read from the file."""
        low = place.partition * OFFSETS
        query = f"SELECT {_COLUMNS} FROM {self._tables[place.topic].name} WHERE place >= ? AND place < ? ORDER BY place"
        with closing(self._db.execute(query, (low + start, low + stop))) as rows:
            yield (_stored(place.topic, row) for row in rows)


def with_key(db: sqlite3.Connection, table: Table, key: str) -> list[Stored]:
    """The records of one key, in partition order."""
    query = f"SELECT {_COLUMNS} FROM {table.name} WHERE key = ? ORDER BY place"
    return [_stored(table.topic.name, row) for row in db.execute(query, (key,))]


def lag(db: sqlite3.Connection, table: Table, done: Mapping[int, int]) -> tuple[int, int]:
    """(records, bytes) from the positions `done` (else the first offset) to the ends."""
    rows = db.execute("SELECT partition, first, next, written FROM partitions WHERE topic = ?", (table.id,)).fetchall()
    records = size_bytes = 0
    for partition, first, end, written in rows:
        start = max(done.get(partition, 0), first)
        if start >= end:
            continue
        more = _unread(db, table, partition, start, end, written)
        records, size_bytes = records + more[0], size_bytes + more[1]
    return records, size_bytes


def _unread(
    db: sqlite3.Connection, table: Table, partition: int, start: int, end: int, written: int
) -> tuple[int, int]:
    low = partition * OFFSETS
    span = (low + start, low + end)
    if table.topic.cleanup == "compact":
        query = f"SELECT count(*), coalesce(sum(size), 0) FROM {table.name} WHERE place >= ? AND place < ?"
        records, size_bytes = db.execute(query, span).fetchone()
        return records, size_bytes
    query = f"SELECT bytes_before FROM {table.name} WHERE place >= ? AND place < ? ORDER BY place LIMIT 1"
    return end - start, written - db.execute(query, span).fetchone()[0]


def cuts(db: sqlite3.Connection, table: Table, now_ms: int) -> list[Cut]:
    """What is to be removed from a topic now; nothing is locked to find that out."""
    found: list[Cut] = [partial(cut_old, table, *old) for old in _old_ends(db, table, now_ms)]
    if table.topic.retention_bytes is not None:
        query = "SELECT partition FROM partitions WHERE topic = ? AND bytes > ?"
        rows = db.execute(query, (table.id, table.topic.retention_bytes)).fetchall()
        found += [partial(cut_excess, table, partition) for (partition,) in rows]
    if table.topic.cleanup == "compact" and _dead(db, table, now_ms):
        found.append(partial(cut_dead, table, now_ms))
    return found


def _old_ends(db: sqlite3.Connection, table: Table, now_ms: int) -> list[tuple[int, int]]:
    """(partition, place after its last record past `retention_ms`), where there is one.

    Age only rises with the offset, whatever the wall clock did: what lies before an old record is old too.
    """
    if table.topic.retention_ms is None:
        return []
    query = f"SELECT place / {OFFSETS}, max(place) + 1 FROM {table.name} WHERE appended_at_ms < ? GROUP BY 1"
    return db.execute(query, (now_ms - table.topic.retention_ms,)).fetchall()


def _dead(db: sqlite3.Connection, table: Table, now_ms: int) -> list[tuple[int, int]]:
    query = f"SELECT place, size FROM {table.name} WHERE value IS NULL AND appended_at_ms < ? LIMIT {CUT_RECORDS}"
    return db.execute(query, (now_ms - TOMBSTONE_MS,)).fetchall()


def cut_before(table: Table, partition: int, offset: int) -> Cut:
    """What removes the records of a partition before an offset."""
    return partial(cut_old, table, partition, partition * OFFSETS + offset)


def cut_old(table: Table, partition: int, end: int, db: sqlite3.Connection) -> int:
    """Remove records of a partition before place `end`, a batch of them; gives how many."""
    return _cut(db, table, partition, _head(db, table, partition, end, CUT_BYTES))


def cut_excess(table: Table, partition: int, db: sqlite3.Connection) -> int:
    """Remove the oldest records of a partition above `retention_bytes`, a batch of them; gives how many."""
    excess = _tail(db, (table.id, partition)).bytes - (table.topic.retention_bytes or 0)
    if excess <= 0:
        return 0
    return _cut(db, table, partition, _head(db, table, partition, (partition + 1) * OFFSETS, min(excess, CUT_BYTES)))


def _head(db: sqlite3.Connection, table: Table, partition: int, end: int, enough_bytes: int) -> list[tuple[int, int]]:
    """(place, size) of the first records of a partition, until they weigh enough."""
    query = f"SELECT place, size FROM {table.name} WHERE place >= ? AND place < ? ORDER BY place LIMIT {CUT_RECORDS}"
    head: list[tuple[int, int]] = []
    for place, size in db.execute(query, (partition * OFFSETS, end)).fetchall():
        if enough_bytes <= 0:
            break
        head.append((place, size))
        enough_bytes -= size
    return head


def cut_dead(table: Table, now_ms: int, db: sqlite3.Connection) -> int:
    """Remove deletions that everyone had time to read; `first` stays, for nothing unread was lost."""
    rows = _dead(db, table, now_ms)
    db.executemany(f"DELETE FROM {table.name} WHERE place = ?", [(place,) for place, _ in rows])
    db.executemany(
        "UPDATE partitions SET bytes = bytes - ? WHERE topic = ? AND partition = ?",
        [(size, table.id, place // OFFSETS) for place, size in rows],
    )
    return len(rows)


def _cut(db: sqlite3.Connection, table: Table, partition: int, rows: list[tuple[int, int]]) -> int:
    if not rows:
        return 0
    low, last = partition * OFFSETS, rows[-1][0]
    db.execute(f"DELETE FROM {table.name} WHERE place >= ? AND place <= ?", (low, last))
    db.execute(
        "UPDATE partitions SET first = ?, bytes = bytes - ? WHERE topic = ? AND partition = ?",
        (last - low + 1, sum(size for _, size in rows), table.id, partition),
    )
    return len(rows)


def _append_one(db: sqlite3.Connection, item: Prepared, tail: _Tail, now_ms: int) -> None:
    record = item.record
    if item.table.topic.cleanup == "compact":
        tail.bytes -= _supersede(db, item.table, record)
    db.execute(
        f"INSERT INTO {item.table.name} VALUES(?, ?, ?, ?, ?, ?, ?)",
        (
            record.partition * OFFSETS + tail.next,
            now_ms,
            item.size_bytes,
            tail.written,
            record.key,
            item.headers,
            record.value,
        ),
    )
    tail.next += 1
    tail.bytes += item.size_bytes
    tail.written += item.size_bytes


def _supersede(db: sqlite3.Connection, table: Table, record: Outgoing) -> int:
    """Remove the key's previous record; gives its size, 0 where there is none."""
    low = record.partition * OFFSETS
    query = f"SELECT place, size FROM {table.name} WHERE key = ? AND place >= ? AND place < ?"
    row = db.execute(query, (record.key, low, low + OFFSETS)).fetchone()
    if row is None:
        return 0
    db.execute(f"DELETE FROM {table.name} WHERE place = ?", (row[0],))
    size: int = row[1]
    return size


def _tail(db: sqlite3.Connection, place: tuple[int, int]) -> _Tail:
    query = "SELECT next, bytes, written FROM partitions WHERE topic = ? AND partition = ?"
    return _Tail(*db.execute(query, place).fetchone())


def _stored(topic: str, row: tuple[int, str, bytes | None, bytes, int]) -> Stored:
    place, key, value, headers, appended_at_ms = row
    decoded: Headers = _decode_headers(headers)
    return Stored(topic, place // OFFSETS, place % OFFSETS, key, value, decoded, appended_at_ms)
