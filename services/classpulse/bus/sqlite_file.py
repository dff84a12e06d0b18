"""One SQLite file that several processes share: its connections, its transactions and what its errors mean.

Per process one connection writes and one reads, each under a lock. SQLite has one writer whatever we do, readers of a
WAL never wait for it, and forty camera threads need not hold forty page caches.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from classpulse.bus.base import DEADLINE_MS
from classpulse.clock import Clock
from classpulse.errors import BadInput, ClassPulseError, Fatal, Recoverable, StorageFull

APPLICATION_ID = 0x436C5062
SCHEMA_VERSION = 1
PAGE_BYTES = 16_384
"""A 40 kB frame is three pages of this size (benchmarks/bus_sqlite.py compares sizes)."""
WAL_MOST_BYTES = 32 * 1024 * 1024
"""Above this the committing process itself insists on emptying the write-ahead log."""
CACHE_KIB = 4_096
SWEEP_MS = 1_000
"""How long a sweep waits for readers to let go of the write-ahead log."""
FREE_LEAST_PAGES = 64
VACUUM_PAGES = 512

_SCHEMA = """
CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, spec BLOB NOT NULL);
CREATE TABLE partitions(
    topic INTEGER NOT NULL, partition INTEGER NOT NULL, first INTEGER NOT NULL, next INTEGER NOT NULL,
    bytes INTEGER NOT NULL, written INTEGER NOT NULL, PRIMARY KEY(topic, partition)) WITHOUT ROWID;
CREATE TABLE positions(
    grp TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER, token INTEGER NOT NULL,
    PRIMARY KEY(grp, topic, partition)) WITHOUT ROWID;
CREATE TABLE members(
    grp TEXT NOT NULL, idx INTEGER NOT NULL, slot TEXT NOT NULL, token INTEGER NOT NULL,
    PRIMARY KEY(grp, idx, slot)) WITHOUT ROWID;
"""
_FULL = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_TRUNCATE")


class SqliteFile:
    """The open file. `most_bytes` is a limit of its own on the file's size; above it commits raise StorageFull."""

    def __init__(
        self, path: Path, *, clock: Clock, most_bytes: int | None = None, page_bytes: int = PAGE_BYTES
    ) -> None:
        self.path = path
        self._clock = clock
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        self._closed = False
        with self._meaning():
            _make_private(path)
            self._writer = _connect(path, wait_ms=DEADLINE_MS)
            self._prepare(page_bytes, most_bytes)
            self._reader = _connect(path, wait_ms=DEADLINE_MS)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is committed at the end of the block, or none if the block raises."""
        with self._holding(self._write_lock), self._meaning():
            self._begin()
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite has rolled back by itself where the disk was full
                    self._writer.execute("ROLLBACK")
                raise
            self._bound_wal()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One snapshot. Keep it short: while it lasts the write-ahead log cannot be emptied."""
        with self._holding(self._read_lock), self._meaning():
            self._reader.execute("BEGIN")
            try:
                yield self._reader
            finally:
                self._reader.execute("COMMIT")

    def version(self) -> int:
        """A number that changes when anyone, in whichever process, has committed."""
        with self._holding(self._read_lock), self._meaning():
            found: int = self._reader.execute("PRAGMA data_version").fetchone()[0]
            return found

    def sweep(self) -> None:
        """Give free pages beyond a quarter of the file back to the disk and empty the write-ahead log into the file.

        What was deleted is then in neither: freed pages are zeroed (secure_delete), and the log is cut to nothing.
        """
        while self._vacuum():
            pass
        with self._holding(self._write_lock), self._meaning():
            self._checkpoint(SWEEP_MS)

    def close(self) -> None:
        """Close both connections; the last process to do so removes the write-ahead log."""
        with self._write_lock, self._read_lock:
            if not self._closed:
                self._closed = True
                self._reader.close()
                self._writer.close()

    def _vacuum(self) -> bool:
        """Give back a batch of pages; tells whether there is more to do."""
        with self.writing() as db:
            free, pages = _pragma(db, "freelist_count"), _pragma(db, "page_count")
            spare = free - max(FREE_LEAST_PAGES, pages // 4)
            if spare > 0:
                db.execute(f"PRAGMA incremental_vacuum({min(spare, VACUUM_PAGES)})").fetchall()
            return spare > VACUUM_PAGES

    def _checkpoint(self, patience_ms: int) -> None:
        give_up_ms = self._clock.monotonic_ms() + patience_ms
        while self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if self._clock.monotonic_ms() >= give_up_ms:
                return
            self._clock.sleep_ms(1)

    def _bound_wal(self) -> None:
        """Readers that never pause can keep SQLite's own checkpoints from ever starting the log again: insist."""
        with suppress(OSError):
            if self.path.with_name(self.path.name + "-wal").stat().st_size > WAL_MOST_BYTES:
                self._checkpoint(SWEEP_MS)

    def _begin(self) -> None:
        """Become the one writer. SQLite's own waiting backs off to 100 ms; a few ms are fairer between processes."""
        give_up_ms = self._clock.monotonic_ms() + DEADLINE_MS
        nap_ms = 1
        while True:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not _name(error).startswith("SQLITE_BUSY") or self._clock.monotonic_ms() >= give_up_ms:
                    raise
            else:
                return
            self._clock.sleep_ms(nap_ms)
            nap_ms = min(nap_ms + 1, 5)

    def _prepare(self, page_bytes: int, most_bytes: int | None) -> None:
        db = self._writer
        db.execute(f"PRAGMA page_size = {page_bytes}")
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA secure_delete = ON")
        db.execute(f"PRAGMA journal_size_limit = {WAL_MOST_BYTES}")
        page_bytes = _pragma(db, "page_size")
        db.execute(f"PRAGMA wal_autocheckpoint = {WAL_MOST_BYTES // 2 // page_bytes}")
        if most_bytes is not None:
            db.execute(f"PRAGMA max_page_count = {max(1, most_bytes // page_bytes)}")
        db.execute("PRAGMA busy_timeout = 0")
        self._begin()
        try:
            self._make_schema(db)
            db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise

    def _make_schema(self, db: sqlite3.Connection) -> None:
        application, version = _pragma(db, "application_id"), _pragma(db, "user_version")
        empty = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
        if empty:
            for statement in _SCHEMA.split(";")[:-1]:
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif application != APPLICATION_ID:
            raise BadInput([f"bus = {self.path}: a SQLite file of another program; expected a bus or a new path"])
        elif version != SCHEMA_VERSION:
            raise BadInput([f"bus = {self.path}: schema version {version}; this program reads {SCHEMA_VERSION}"])

    @contextmanager
    def _holding(self, lock: threading.Lock) -> Iterator[None]:
        if not lock.acquire(timeout=DEADLINE_MS / 1000):
            raise Recoverable(f"bus {self.path}: busy in this process for {DEADLINE_MS} ms")
        try:
            if self._closed:
                raise Fatal(f"bus {self.path} is closed; expected an open one")
            yield
        finally:
            lock.release()

    @contextmanager
    def _meaning(self) -> Iterator[None]:
        """SQLite's errors in our words."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._translate(error) from error

    def _translate(self, error: sqlite3.Error) -> ClassPulseError:
        name = _name(error)
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return Recoverable(f"bus {self.path}: another process has been writing for {DEADLINE_MS} ms ({error})")
        if name in _FULL:
            return StorageFull(f"bus {self.path}: no room for this commit ({error}); nothing of it was written")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return Fatal(
                f"bus {self.path}: not an intact SQLite file ({error}); move it away to start with an empty one"
            )
        return Fatal(f"bus {self.path}: {name or type(error).__name__}: {error}")


def _connect(path: Path, *, wait_ms: int) -> sqlite3.Connection:
    db = sqlite3.connect(
        path, timeout=wait_ms / 1000, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    return db


def _make_private(path: Path) -> None:
    """Create the file so that only its owner can read it: it holds pictures. SQLite gives its -wal the same mode."""
    if not str(path) or path.is_dir():
        raise BadInput([f"bus = 'sqlite://{path}': no file is named; expected sqlite:///path/to/file"])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise BadInput([f"bus = {path}: cannot be opened ({error.strerror}); expected a writable path"]) from error


def _pragma(db: sqlite3.Connection, name: str) -> int:
    value: int = db.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def _name(error: sqlite3.Error) -> str:
    return str(getattr(error, "sqlite_errorname", None) or "")
