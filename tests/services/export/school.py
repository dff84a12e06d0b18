"""A SQLite bus with two rooms of a school, written to as the aggregator would, and what an analyst reads of its export."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from classpulse.bus.base import Bus, open_bus
from classpulse.bus.sqlite import SqliteBus
from classpulse.codec import Outgoing, encode
from classpulse.records import Record
from classpulse.topics import TOPICS, Topic
from tests.services.reading.stories import EIGHT_MS

OTHER = "demo/school/room-2"
FAR = "tokyo/school 2/room-1"

Told = tuple[Topic, Record]


@contextmanager
def bus_in(data: Path) -> Iterator[Bus]:
    bus = open_bus(f"sqlite://{data}/bus.sqlite")
    bus.create(list(TOPICS.values()))
    yield bus
    bus.close()


def tell(data: Path, *told: Told) -> None:
    append(data, *(encode(noun, topic=topic, at_ms=EIGHT_MS) for topic, noun in told))


def append(data: Path, *records: Outgoing) -> None:
    with bus_in(data) as bus:
        bus.member("writer", []).commit(records, {})


def retain(data: Path, now_ms: int) -> None:
    """What is older than its topic's limit goes."""
    with bus_in(data) as bus:
        assert isinstance(bus, SqliteBus)
        bus.retain(now_ms)


def run(data: Path, *words: str, fault: str = "") -> "subprocess.CompletedProcess[str]":
    """A command in a process of its own."""
    environ = {**os.environ, "CLASSPULSE_FAULT": fault}
    command = [sys.executable, "-m", "classpulse.cli", *words, "--data", str(data)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)


def rows(folder: Path, kind: str, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
    """What DuckDB reads of a kind of rows, in order; nothing where there is no file."""
    if not list(folder.glob(f"{kind}/*/*/*.parquet")):
        return []
    source = f"read_parquet('{folder}/{kind}/*/*/*.parquet', hive_partitioning = true)"
    return duckdb.sql(f"SELECT {columns} FROM {source} WHERE {where} ORDER BY ALL").fetchall()
