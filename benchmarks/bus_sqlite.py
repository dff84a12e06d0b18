"""Figures: the SQLite bus appends and reads 40 kB frames at so many MB/s, and what bounds it.

In every run the same bytes also go to a plain file (page cache only), to a plain file with an fsync every 16 MiB (as
often as the bus moves its write-ahead log into the file) and to one with an fsync a frame. The kernel tells how many
bytes it was given for the disk (/proc/self/io) and how the time passed (schedstat): computing, queueing for a core,
or blocked on the disk. Together they say what bounds the bus.
"""

import argparse
import os
import random
import resource
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measured import spread, write_result

from classpulse.bus.base import Place
from classpulse.bus.sqlite import SqliteBus
from classpulse.bus.sqlite_file import Limits
from classpulse.codec import Outgoing
from classpulse.topics import FRAMES, INGEST_STATE, Topic

FRAME_BYTES = 40_000
FRAMES_A_RUN = 1_500
MB = 1e6
FSYNC_EVERY_BYTES = 16 * 1024 * 1024
HEADERS = tuple((f"ce_{number}", b"x" * 40) for number in range(9))
SMALL = Topic(**{**vars(FRAMES), "retention_bytes": 1024 * 1024})
PAGES = (4_096, 8_192, 16_384, 32_768)
THREADS = 8
APPEND = "append, 1 frame and its state a step"
READ = "read, 64 records a poll, positions committed"


@dataclass
class Figure:
    """One run of one case."""

    mb_per_s: float = 0
    cpu_ms_per_frame: float = 0
    cpu_share: float = 0
    queue_share: float = 0
    written_per_byte: float = 0
    step_ms: list[float] = field(default_factory=list)


def main() -> None:
    """Run every case in turn, several times over, and write the medians."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--folder", type=Path, default=None, help="where the files go (default: the system's)")
    asked = arguments.parse_args()
    figures: dict[str, list[Figure]] = {}
    for _ in range(asked.runs):
        for name, case in cases().items():
            with scratch(asked.folder) as folder:
                figures.setdefault(name, []).append(case(folder))
    medians = {name: summary(runs) for name, runs in figures.items()}
    facts = {"sqlite": sqlite3.sqlite_version, "frame_bytes": FRAME_BYTES, "frames_a_run": FRAMES_A_RUN}
    write_result("bus_sqlite", {**facts, "bound": bound(medians), "cases": medians})


def cases() -> dict[str, Callable[[Path], Figure]]:
    """What is measured, by name."""
    plain: dict[str, Callable[[Path], Figure]] = {
        "file, no fsync": lambda folder: raw(folder, fsync_every_bytes=None),
        "file, fsync every 16 MiB": lambda folder: raw(folder, fsync_every_bytes=FSYNC_EVERY_BYTES),
        "file, fsync a frame": lambda folder: raw(folder, fsync_every_bytes=1),
        "append, 1 frame a step": lambda folder: append(folder, frames_a_step=1),
        APPEND: lambda folder: append(folder, frames_a_step=1, state=True),
        "append, 16 frames a step": lambda folder: append(folder, frames_a_step=16),
        "append and retain, 1 frame and its state a step": lambda folder: append(
            folder, frames_a_step=1, state=True, retain_every=150
        ),
        READ: read,
        f"append, {THREADS} threads on one bus": lambda folder: append_threads(folder, shared=True),
        f"append, {THREADS} threads with a bus each": lambda folder: append_threads(folder, shared=False),
    }
    return (
        plain
        | {f"append, 1 frame and its state a step, pages of {size}": paged(size) for size in PAGES}
        | {f"read, pages of {size}": paged_read(size) for size in PAGES}
    )


def paged(size: int) -> Callable[[Path], Figure]:
    """Appending with another page size."""
    return lambda folder: append(folder, frames_a_step=1, state=True, limits=Limits(page_bytes=size))


def paged_read(size: int) -> Callable[[Path], Figure]:
    """Reading with another page size."""
    return lambda folder: read(folder, limits=Limits(page_bytes=size))


def raw(folder: Path, *, fsync_every_bytes: int | None) -> Figure:
    """The same bytes into a plain file."""
    values = pictures()
    with measured() as figure, (folder / "plain").open("wb", buffering=0) as file:
        unsynced = 0
        for value in values:
            file.write(value)
            unsynced += len(value)
            if fsync_every_bytes is not None and unsynced >= fsync_every_bytes:
                os.fsync(file.fileno())
                unsynced = 0
    return figure


def append(
    folder: Path, *, frames_a_step: int, state: bool = False, retain_every: int = 0, limits: Limits | None = None
) -> Figure:
    """One publisher, frames over all partitions."""
    bus = SqliteBus(folder / "bus.sqlite", limits=limits)
    bus.create([SMALL if retain_every else FRAMES, INGEST_STATE])
    member = bus.member("bench", [])
    steps = list(batches(pictures(), frames_a_step, state=state))
    with measured() as figure:
        for number, step in enumerate(steps, 1):
            begun = time.perf_counter()
            member.commit(step, {})
            figure.step_ms.append((time.perf_counter() - begun) * 1000)
            if retain_every and number % retain_every == 0:
                bus.retain(0)
    bus.close()
    return figure


def append_threads(folder: Path, *, shared: bool) -> Figure:
    """Several cameras at once, as ingest has them: one bus for all, or one each."""
    path = folder / "bus.sqlite"
    first = SqliteBus(path)
    first.create([FRAMES, INGEST_STATE])
    buses = [first if shared else SqliteBus(path) for _ in range(THREADS)]
    steps = list(batches(pictures(), 1, state=True))

    def camera(number: int) -> None:
        member = buses[number].member("bench", [], slot=str(number))
        for step in steps[number::THREADS]:
            member.commit(step, {})

    threads = [threading.Thread(target=camera, args=(number,)) for number in range(THREADS)]
    with measured() as figure:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for bus in {first, *buses}:
        bus.close()
    return figure


def read(folder: Path, limits: Limits | None = None) -> Figure:
    """One member reads everything there is, committing after each poll."""
    bus = SqliteBus(folder / "bus.sqlite", limits=limits)
    bus.create([FRAMES])
    publisher = bus.member("bench", [])
    for step in batches(pictures(), 16, state=False):
        publisher.commit(step, {})
    member = bus.member("reader", [FRAMES])
    with measured() as figure:
        left = FRAMES_A_RUN
        while left:
            polled = member.poll(max_records=64, max_bytes=8 * 1024 * 1024, timeout_ms=100)
            member.commit([], {Place(r.topic, r.partition): r.offset + 1 for r in polled})
            left -= len(polled)
    bus.close()
    return figure


def batches(values: list[bytes], size: int, *, state: bool) -> Iterator[list[Outgoing]]:
    """Steps of `size` frames (and the camera's state, as ingest writes it)."""
    for start in range(0, len(values), size):
        step = [
            Outgoing(FRAMES.name, (start + i) % FRAMES.partitions, "d/s/r/camera", value, HEADERS)
            for i, value in enumerate(values[start : start + size])
        ]
        if state:
            camera = f"d/s/r/{start % 40}"
            step.append(Outgoing(INGEST_STATE.name, start % 40 % INGEST_STATE.partitions, camera, b"s" * 150, HEADERS))
        yield step


def pictures() -> list[bytes]:
    """Frames that no layer can compress."""
    return [random.Random(number).randbytes(FRAME_BYTES) for number in range(FRAMES_A_RUN)]


@contextmanager
def measured() -> Iterator[Figure]:
    """Fill the figure when the block ends. Queueing is that of the main thread."""
    figure = Figure()
    os.sync()
    written, cpu, queued, started = disk_bytes(), cpu_s(), queued_s(), time.perf_counter()
    yield figure
    wall_s = time.perf_counter() - started
    total_bytes = FRAME_BYTES * FRAMES_A_RUN
    figure.mb_per_s = total_bytes / wall_s / MB
    figure.cpu_ms_per_frame = (cpu_s() - cpu) * 1000 / FRAMES_A_RUN
    figure.cpu_share = (cpu_s() - cpu) / wall_s
    figure.queue_share = (queued_s() - queued) / wall_s
    figure.written_per_byte = (disk_bytes() - written) / total_bytes


def queued_s() -> float:
    """Seconds the main thread was ready and had no core."""
    return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9


def disk_bytes() -> int:
    """Bytes this process has given to the kernel for the disk."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


def cpu_s() -> float:
    """Seconds of computing by this process, in the kernel too."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@contextmanager
def scratch(parent: Path | None) -> Iterator[Path]:
    """A folder for one run."""
    folder = Path(tempfile.mkdtemp(dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def summary(runs: list[Figure]) -> dict[str, Any]:
    """Median and spread over the runs."""
    figures = {
        "mb_per_s": spread([run.mb_per_s for run in runs]),
        "cpu_ms_per_frame": spread([run.cpu_ms_per_frame for run in runs])["median"],
        "cpu_share": spread([run.cpu_share for run in runs])["median"],
        "queue_share": spread([run.queue_share for run in runs])["median"],
        "disk_bytes_per_byte": spread([run.written_per_byte for run in runs])["median"],
    }
    steps = sorted(ms for run in runs for ms in run.step_ms)
    if steps:
        figures["step_ms"] = {
            "p50": round(steps[len(steps) // 2], 3),
            "p99": round(steps[len(steps) * 99 // 100], 3),
            "max": round(steps[-1], 3),
        }
    return figures


MOST_QUEUEING = 0.2
"""Above it something else held the cores, and the figures say nothing about the bus."""


def bound(medians: dict[str, dict[str, Any]]) -> str:
    """What the figures say bounds the bus, in a sentence."""
    appended, reading = medians[APPEND], medians[READ]
    speed = appended["mb_per_s"]["median"]
    cached, synced = (medians[name]["mb_per_s"]["median"] for name in ("file, no fsync", "file, fsync every 16 MiB"))
    disk = max(0.0, 1 - appended["cpu_share"] - appended["queue_share"])
    if appended["queue_share"] > MOST_QUEUEING:
        return f"unknown: {appended['queue_share']:.0%} of the time went by queueing for a core, the machine was busy"
    most = "computing (copies, checksums, page cache)" if appended["cpu_share"] >= disk else "the disk at checkpoints"
    return (
        f"append: {speed:.0f} MB/s, {speed / synced:.0%} of a plain file with an fsync every 16 MiB ({synced:.0f} MB/s)"
        f" and {speed / cached:.0%} of one without ({cached:.0f} MB/s). Of the time {appended['cpu_share']:.0%} is"
        f" computing, {appended['queue_share']:.0%} queueing for a core, {disk:.0%} the disk: bound by {most};"
        f" a byte is given to the disk {appended['disk_bytes_per_byte']:.1f} times (log, then file)."
        f" read: {reading['mb_per_s']['median']:.0f} MB/s, {reading['cpu_share']:.0%} computing: copies from the page"
        " cache."
    )


if __name__ == "__main__":
    main()
