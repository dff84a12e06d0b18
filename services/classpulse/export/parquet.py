"""Rows as Parquet files that appear whole or not at all; the only place that knows pyarrow (the extra `export`)."""

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from classpulse.errors import BadInput
from classpulse.export.rows import COLUMNS, Kind, Row
from classpulse.faults import fault

DRAFT = ".draft"
"""What a file's name ends in until all of it is on the disk: no reader looks for it, and the next run removes it."""


def pyarrow() -> Any:
    """The library with its Parquet part. Raises BadInput where the extra is not installed."""
    try:
        import_module("pyarrow.parquet")
        return import_module("pyarrow")
    except ImportError as error:
        raise BadInput(
            [f"Parquet: {error}; expected what the extra 'export' brings: pip install '.[export]'"]
        ) from error


def write_rows(path: Path, kind: Kind, rows: Sequence[Row]) -> None:
    """Write a file of its own; equal rows give equal bytes."""
    arrow = pyarrow()
    types = {"text": arrow.string(), "whole": arrow.int64(), "moment": arrow.timestamp("ms")}
    schema = arrow.schema([(name, types[holds]) for name, holds in COLUMNS[kind].items()])
    _put(path, arrow.Table.from_pylist(list(rows), schema=schema))


def read_columns(path: Path, names: Sequence[str]) -> list[Row]:
    """Some columns of a file, row by row."""
    rows: list[Row] = pyarrow().parquet.ParquetFile(path).read(columns=list(names)).to_pylist()
    return rows


def drop_rows(path: Path, goes: Callable[[str, int, int], bool]) -> int:
    """Write a file anew without the rows whose (room, start_ms, end_ms) `goes`, or remove it; gives how many went."""
    keep = [not goes(str(r["room"]), _ms(r["start_ms"]), _ms(r["end_ms"])) for r in _spans(path)]
    gone = keep.count(False)
    if gone == len(keep):
        path.unlink()
        sync(path.parent)
    elif gone:
        arrow = pyarrow()
        _put(path, arrow.parquet.ParquetFile(path).read().filter(arrow.array(keep)))
    return gone


def _spans(path: Path) -> list[Row]:
    return read_columns(path, ("room", "start_ms", "end_ms"))


def _ms(value: object) -> int:
    return value if isinstance(value, int) else 0


def put_bytes(path: Path, data: bytes) -> None:
    """Replace a file by another at once: after a crash it is the one or the other."""
    draft = path.with_name(f".{path.name}{DRAFT}")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync(path.parent)


def _put(path: Path, table: Any) -> None:
    draft = path.with_name(f".{path.name}{DRAFT}")
    with draft.open("wb") as file:
        pyarrow().parquet.write_table(table, file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())
    fault("export.written")
    draft.replace(path)
    sync(path.parent)
    fault("export.shown")


def sync(folder: Path) -> None:
    """What was renamed or removed in a folder stays so after a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
