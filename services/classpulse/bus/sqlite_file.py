"""One SQLite file that several processes share: its connections, its transactions and what its errors mean.

Per process one connection writes and one reads, each under a lock. SQLite has one writer whatever we do, readers of a
WAL never wait for it, and forty camera threads need not hold forty page caches. A killed process loses nothing it
committed; a power cut may take the last steps, whole steps only (synchronous = NORMAL).
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from classpulse.bus.base import DEADLINE_MS
from classpulse.clock import SystemClock
from classpulse.errors import BadInput, ClassPulseError, Fatal, Recoverable, StorageFull

APPLICATION_ID = 0x436C5062
SCHEMA_VERSION = 1
FREE_LEAST_PAGES = 256
VACUUM_PAGES = 1_024
INSIST_MS = 250
INSIST_AGAIN_MS = 2_000
"""How long a commit waits for readers when the write-ahead log is too long, and how long it then lets it be."""
SWEEP_MS = 1_000
"""How long a sweep waits for readers to let go of the write-ahead log."""


@dataclass(frozen=True)
class Limits:
    """What the file may take, and how long a call may.

    `most_bytes`: of the file itself; above it commits raise StorageFull (None: as the disk allows).
    `page_bytes`: of a new file, kept for ever. Larger pages read frames a little faster and write every small change
    (a state, a position, an index entry) as a whole page: benchmarks/bus_sqlite.py compares them.
    `wal_most_bytes`: above it the committing process insists on emptying the log, which readers that never pause
    keep SQLite's own checkpoints from doing. `wal_refuse_bytes`: above it, because a reader hangs in the middle of a
    look, commits raise StorageFull.
    """

    most_bytes: int | None = None
    page_bytes: int = 4_096
    wal_most_bytes: int = 32 * 1024 * 1024
    wal_refuse_bytes: int = 512 * 1024 * 1024
    cache_bytes: int = 4 * 1024 * 1024
    deadline_ms: int = DEADLINE_MS


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
    """The open file."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self._limits = limits
        self._clock = SystemClock()
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        self._insist_at_ms = 0
        self._closed = False
        _make_private(path)
        self._wal = path.with_name(path.name + "-wal")
        with self._meaning():
            self._writer = self._connect()
            try:
                self._prepare(self._writer)
                self._reader = self._connect()
            except BaseException:
                self._writer.close()
                raise

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is committed at the end of the block, or none if the block raises."""
        give_up_ms = self._clock.monotonic_ms() + self._limits.deadline_ms
        with self._holding(self._write_lock), self._meaning():
            self._bound_wal()
            self._begin(give_up_ms)
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            finally:
                if self._writer.in_transaction:  # else it is committed, or SQLite rolled back by itself: a full disk
                    self._writer.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One snapshot. Keep it short: while it lasts the write-ahead log cannot be emptied."""
        with self._holding(self._read_lock), self._meaning():
            self._reader.execute("BEGIN")
            try:
                yield self._reader
            finally:
                if self._reader.in_transaction:
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
            return spare > FREE_LEAST_PAGES

    def _checkpoint(self, patience_ms: int) -> bool:
        """Move the whole log into the file and cut it to nothing; false when readers or writers stay in the way."""
        give_up_ms = self._clock.monotonic_ms() + patience_ms
        while self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if self._clock.monotonic_ms() >= give_up_ms:
                return False
            self._clock.sleep_ms(1)
        return True

    def _bound_wal(self) -> None:
        wal_bytes, refuse_bytes = self._wal_bytes(), self._limits.wal_refuse_bytes
        if wal_bytes <= self._limits.wal_most_bytes:
            return
        due = self._clock.monotonic_ms() >= self._insist_at_ms
        if (due or wal_bytes > refuse_bytes) and not self._checkpoint(INSIST_MS):
            self._insist_at_ms = self._clock.monotonic_ms() + INSIST_AGAIN_MS
            if wal_bytes > refuse_bytes:
                raise StorageFull(
                    f"bus {self._wal}: {wal_bytes} bytes cannot be emptied because a reader does not let go;"
                    f" expected at most {refuse_bytes}"
                )

    def _wal_bytes(self) -> int:
        try:
            return self._wal.stat().st_size
        except OSError:
            return 0

    def _begin(self, give_up_ms: int) -> None:
        """Become the one writer. SQLite's own waiting backs off to 100 ms; a few ms are fairer between processes."""
        nap_ms = 1
        while not self._begun():
            if self._clock.monotonic_ms() >= give_up_ms:
                raise Recoverable(
                    f"bus {self.path}: others have been writing for {self._limits.deadline_ms} ms; expected a turn"
                )
            self._clock.sleep_ms(nap_ms)
            nap_ms = min(nap_ms + 1, 5)

    def _begun(self) -> bool:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if _name(error).startswith("SQLITE_BUSY"):
                return False
            raise
        return True

    def _connect(self) -> sqlite3.Connection:
        wait_s = self._limits.deadline_ms / 1000
        db = sqlite3.connect(
            self.path, timeout=wait_s, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute(f"PRAGMA cache_size = -{self._limits.cache_bytes // 1024}")
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Settings that the file keeps from its first page on, then the schema, whoever comes first."""
        db.execute(f"PRAGMA page_size = {self._limits.page_bytes}")
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise BadInput([f"bus = {self.path}: journal mode {mode!r}; expected a file system that allows WAL"])
        db.execute("PRAGMA secure_delete = ON")
        db.execute(f"PRAGMA journal_size_limit = {self._limits.wal_most_bytes}")
        page_bytes = _pragma(db, "page_size")
        db.execute(f"PRAGMA wal_autocheckpoint = {self._limits.wal_most_bytes // 2 // page_bytes}")
        if self._limits.most_bytes is not None:
            db.execute(f"PRAGMA max_page_count = {max(1, self._limits.most_bytes // page_bytes)}")
        db.execute("PRAGMA busy_timeout = 0")
        with self.writing():
            self._make_schema(db)

    def _make_schema(self, db: sqlite3.Connection) -> None:
        application, version = _pragma(db, "application_id"), _pragma(db, "user_version")
        if db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
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
        if not lock.acquire(timeout=self._limits.deadline_ms / 1000):
            raise Recoverable(f"bus {self.path}: busy in this process for {self._limits.deadline_ms} ms")
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
            return Recoverable(
                f"bus {self.path}: another process has been writing for {self._limits.deadline_ms} ms ({error})"
            )
        if name in _FULL:
            return StorageFull(f"bus {self.path}: no room for this commit ({error}); nothing of it was written")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return Fatal(
                f"bus {self.path}: not an intact SQLite file ({error}); move it away to start with an empty one"
            )
        return Fatal(f"bus {self.path}: {name or type(error).__name__}: {error}")


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
