"""Claim: being scraped every 5 s costs no more than 2 % of throughput, and a scrape of 500 cameras takes 50 ms and 200 kB at most.

Throughput: `classpulse up` on the four 720p clips of benchmarks/route.py (paper model, two workers), without a metrics port and
with one, at which every process is scraped every 5 s; in pairs, each on a fresh data folder, the one that comes first in turns.
Reported: frames/s of both, and the share that was lost, of each pair.

A scrape: a process that shows what an ingest of 500 cameras shows, asked over and over by another one; without a series of each
camera, as such a process does by itself, and with them, as it can be asked to. Reported: milliseconds from the request to the
last byte, and bytes of the page, uncompressed.
"""

import argparse
import multiprocessing
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import get_args
from urllib.request import urlopen

from measured import spread, write_result

from classpulse.clock import SystemClock
from classpulse.health import Health, served
from classpulse.ingest.figures import Figures
from classpulse.records import CameraReport, CameraState
from classpulse.settings import Settings
from classpulse.telemetry import Metrics
from route import EVEN, PAPER, Way, four_clips, run

WAY = Way(PAPER, 2, 1, EVEN)
PROCESSES = 5
"""ingest, two detect, aggregate, up itself: so many ports in a row."""

EVERY_S = 5.0
CAMERAS = 500
SCRAPES = 100
LOST_LIMIT_PERCENT = 2.0
SCRAPE_LIMIT_MS, PAGE_LIMIT_KB = 50, 200


def free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as found:
            first = int(found.getsockname()[1])
        try:
            for port in range(first, first + count):
                socket.create_server(("127.0.0.1", port)).close()
        except (OSError, OverflowError):
            continue
        return first


@contextmanager
def scraped(first: int) -> Iterator[list[int]]:
    """Every process scraped every EVERY_S, as Prometheus does; gives the bytes of each page that came."""
    over, pages = threading.Event(), list[int]()

    def scrape() -> None:
        while not over.wait(EVERY_S):
            for port in range(first, first + PROCESSES):
                with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/metrics", timeout=EVERY_S) as page:
                    pages.append(len(page.read()))

    thread = threading.Thread(target=scrape, daemon=True)
    thread.start()
    try:
        yield pages
    finally:
        over.set()
        thread.join()


def frames_per_s(clips: list[Path], frames: int, *, served_too: bool) -> float:
    """Of one run. Raises SystemExit where what was to be scraped was not."""
    first = free_ports(PROCESSES)
    os.environ["CLASSPULSE_METRICS_PORT"] = str(first if served_too else 0)
    with scraped(first) as pages:
        found = run(clips, frames, WAY)
    if served_too != bool(pages):
        raise SystemExit(f"{len(pages)} pages came; expected {'some' if served_too else 'none'}")
    return float(str(found["frames_per_s"]))


def throughput(pairs: int, most_frames: int) -> dict[str, object]:
    """Runs without and with, in pairs."""
    without: list[float] = []
    with_: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        clips, frames = four_clips(Path(folder), most_frames)
        for number in range(pairs):
            for served_too in (False, True) if number % 2 == 0 else (True, False):
                found = frames_per_s(clips, frames, served_too=served_too)
                (with_ if served_too else without).append(found)
    lost = [100 * (1 - there / bare) for bare, there in zip(without, with_, strict=True)]
    return {
        "frames": frames,
        "frames_per_s_without": spread(without),
        "frames_per_s_scraped": spread(with_),
        "lost_percent": spread(lost),
        "limit_lost_percent": LOST_LIMIT_PERCENT,
    }


def be_ingest(port: int, camera_series: int, ready: Event, over: Event) -> None:
    """Show what an ingest of CAMERAS cameras shows, until it is over."""
    health = Health(SystemClock())
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Settings(data=Path(folder), metrics_port=port), health) as metrics,
    ):
        count(metrics, camera_series)
        ready.set()
        over.wait()


def count(metrics: Metrics, camera_series: int) -> None:
    """What such an ingest has counted after some time."""
    states: tuple[CameraState, ...] = get_args(CameraState)
    reports = [
        CameraReport(camera=f"district/school-{n // 40}/room-{n}/front", at_ms=0, stage="ingest", state=states[n % 4])
        for n in range(CAMERAS)
    ]
    now_ms = SystemClock().now_ms()
    Figures(metrics, camera_series).show(reports, {report.camera: now_ms for report in reports})
    for number in range(1_000):
        metrics.frames_captured.inc()
        metrics.frames_published.inc()
        for step in ("encode", "commit"):
            metrics.stage_duration_seconds.labels("ingest", step).observe(number / 1_000)
    for reason in ("queue_full", "disk_full", "decode_error"):
        metrics.frames_dropped.labels("ingest", reason).inc()
    for result in ("committed", "retried"):
        metrics.transactions.labels(result).inc()


def scrape(camera_series: int) -> dict[str, object]:
    """Milliseconds and bytes of SCRAPES scrapes."""
    context = multiprocessing.get_context("spawn")
    ready, over, port = context.Event(), context.Event(), free_ports(1)
    process = context.Process(target=be_ingest, args=(port, camera_series, ready, over))
    process.start()
    try:
        if not ready.wait(60):
            raise SystemExit("nobody shows anything; expected a process that does within 60 s")
        took_ms, sizes = [], []
        for _ in range(SCRAPES):
            began = time.perf_counter()
            with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as page:
                sizes.append(len(page.read()))
            took_ms.append(1000 * (time.perf_counter() - began))
    finally:
        over.set()
        process.join()
    return {"ms": spread(took_ms), "kb": round(max(sizes) / 1000, 1)}


def main() -> None:
    """Scrapes first: they take seconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--frames", type=int, default=900, help="frames of each clip")
    options = parser.parse_args()
    default = Settings().camera_series
    ways = {"without a series of each camera": default, "with a series of each camera": CAMERAS}
    scrapes = {name: scrape(camera_series) for name, camera_series in ways.items()}
    write_result(
        "metrics",
        {
            "claim": __doc__,
            "cameras": CAMERAS,
            "scrape": scrapes,
            "limit_scrape_ms": SCRAPE_LIMIT_MS,
            "limit_scrape_kb": PAGE_LIMIT_KB,
            "throughput": throughput(options.pairs, options.frames),
        },
    )


if __name__ == "__main__":
    main()
