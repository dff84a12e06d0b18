"""Claim: one aggregate process takes 3,000 records/s or more over a real Kafka, exactly once included, whether of 10 rooms or of 1,000.

A generated stream (five frames a second and camera, up to ten people of whom half show something) lies in detections.v1 of one
plaintext node; one fresh process reads it in steps, each a transaction with its outputs, changed state and positions: of as many
records as the stage takes at most, and of 500. What it holds more in the end than in the beginning is the rooms'. The broker
shares both cores. Limits: 3,000 records/s; the CPU time of a record within 20 % from 10 rooms to 1,000.

Restoring: then the state of 1,000 rooms is written again and again as live rooms do, and a fresh process reads it all. Limit: 15 s.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import psutil
from aggregate import story
from deploy.local.kafka.cluster import Cluster
from measured import spread, write_result
from prometheus_client import CollectorRegistry

from classpulse.aggregate.aggregate import Aggregate
from classpulse.aggregate.main import PACE
from classpulse.bus.base import open_bus
from classpulse.bus.limits import unread
from classpulse.clock import SystemClock
from classpulse.codec import Outgoing, encode
from classpulse.records import CameraConfig, FrameDetections, RoomConfig
from classpulse.roster import Roster
from classpulse.stage import Loop
from classpulse.telemetry import Metrics, OnRegistry
from classpulse.topics import AGGREGATE_STATE, DETECTIONS, TOPICS

T = TypeVar("T")
ROOMS = (10, 100, 1_000)
RECORDS = 60_000
STEPS = {"": PACE.max_records, "_in_steps_of_500": 500}
FILL = 500
INTERVAL_MS = 200
LIMIT_RECORDS_PER_S = 3_000


def main() -> None:
    """Every number of rooms in turn, `--runs` times, each on an empty node; then what a restore takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument(
        "--written-s", type=float, default=120.0, help="how long state is written before it is restored"
    )
    asked = parser.parse_args()
    found: dict[str, dict[int, list[dict[str, float]]]] = {name: {rooms: [] for rooms in ROOMS} for name in STEPS}
    restored: dict[str, Any] = {}
    for run in range(asked.runs):
        for rooms in ROOMS:
            for name, most in STEPS.items():
                with running() as url:
                    alone(fill, url, rooms, asked.records // rooms)
                    found[name][rooms].append(alone(aggregated, url, rooms, most))
                    if run == asked.runs - 1 and rooms == ROOMS[-1] and not name:
                        restored = restore(url, asked.written_s)
    told = {name: figures_of(runs) for name, runs in found.items()}
    write_result(
        "aggregate_kafka",
        {
            "claim": __doc__,
            "records": asked.records,
            "most_records_a_step": PACE.max_records,
            "limit_records_per_s": LIMIT_RECORDS_PER_S,
            **{f"rooms{name}": rooms for name, rooms in told.items()},
            **{f"cpu_of_1000_rooms_to_10{name}": growth(rooms) for name, rooms in told.items()},
            "restore": restored,
        },
    )


def figures_of(found: dict[int, list[dict[str, float]]]) -> dict[int, dict[str, Any]]:
    """Spread of every figure, by rooms."""
    figures = ("records_per_s", "cpu_ms_per_record", "kib_per_room")
    return {
        rooms: {figure: spread([one[figure] for one in runs]) for figure in figures} for rooms, runs in found.items()
    }


def growth(told: dict[int, dict[str, Any]]) -> float:
    """How many times the CPU of a record of few rooms one of many costs."""
    cpu = [told[rooms]["cpu_ms_per_record"]["median"] for rooms in ROOMS]
    return round(cpu[-1] / cpu[0], 3)


@contextmanager
def running() -> Iterator[str]:
    """An empty node with all topics, by its URL."""
    with tempfile.TemporaryDirectory(prefix="bench-kafka-") as folder:
        cluster = Cluster(Path(folder) / "node", 1, secure=False, wrapper=("setpriv", "--pdeathsig", "KILL"))
        with cluster.lasting():
            bus = open_bus(cluster.url())
            bus.create(tuple(TOPICS.values()))
            bus.close()
            yield cluster.url()


def alone(task: Callable[..., T], *arguments: object) -> T:
    """Do it in a fresh process, so that nothing else is in its memory."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(task, *arguments).result()


def aggregated(url: str, rooms: int, most_records: int) -> dict[str, float]:
    """Aggregate all of the log as one member, in steps of so many records at most."""
    clock, bus, metrics = SystemClock(), open_bus(url), Metrics(OnRegistry(CollectorRegistry()))
    before = psutil.Process().memory_info().rss
    member = bus.member(Aggregate.name, [DETECTIONS])
    stage = Aggregate(bus, clock, member.assignment, metrics=metrics)
    loop = Loop(stage, bus, member, clock, replace(PACE, max_records=most_records), metrics=metrics)
    while not member.assignment():
        loop.turn()
    began, cpu_began = time.perf_counter(), time.process_time()
    taken, seconds, cpu_s = 0, 0.0, 0.0
    while (now := loop.turn()) or unread(bus, Aggregate.name, DETECTIONS):
        if now:
            taken += now
            seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    grew = psutil.Process().memory_info().rss - before
    member.close()
    bus.close()
    return {
        "records_per_s": taken / seconds,
        "cpu_ms_per_record": 1000 * cpu_s / taken,
        "kib_per_room": grew / 1024 / rooms,
    }


def fill(url: str, rooms: int, frames: int) -> None:
    """Rooms with a camera each, and its frames onto detections.v1, interleaved as live rooms tell them."""
    bus = open_bus(url)
    keys = [f"bench/school/room-{number}" for number in range(rooms)]
    cameras = [CameraConfig(camera=f"{key}/front", source="synth://", delivery="complete") for key in keys]
    Roster(bus, SystemClock()).write([*(RoomConfig(room=key) for key in keys), *cameras])
    stories = [story(f"{key}/front", frames, INTERVAL_MS) for key in keys]
    member = bus.member("detect", ())
    step: list[Outgoing] = []
    for at_once in zip(*stories, strict=True):
        step += [encoded(noun) for noun in at_once]
        while len(step) >= FILL:
            member.commit(step[:FILL], {})
            step = step[FILL:]
    member.commit(step, {})
    member.close()
    bus.close()


def encoded(noun: FrameDetections) -> Outgoing:
    """As detect writes it."""
    return encode(noun, topic=DETECTIONS, at_ms=noun.captured_at_ms)


def restore(url: str, written_s: float) -> dict[str, Any]:
    """Write the state there is again and again, then read it as a process that starts does."""
    bus = open_bus(url)
    state = [Outgoing(r.topic, r.partition, r.key, r.value, r.headers) for r in bus.latest(AGGREGATE_STATE)]
    member = bus.member("bench", ())
    written, until = 0, time.monotonic() + written_s
    while time.monotonic() < until:
        for start in range(0, len(state), 2_000):
            member.commit(state[start : start + 2_000], {})
        written += len(state)
    member.close()
    bus.close()
    took = [restored_s(url) for _ in range(3)]
    bus = open_bus(url)
    left = sum(end - first for first, end in bus.ends(AGGREGATE_STATE).values())
    bus.close()
    return {
        "pieces": len(state),
        "written": written,
        "offsets": left,
        "seconds": spread(took),
        "median_s": statistics.median(took),
        "limit_s": 15,
    }


def restored_s(url: str) -> float:
    """Seconds until a fresh process knows every room."""
    bus, clock, metrics = open_bus(url), SystemClock(), Metrics(OnRegistry(CollectorRegistry()))
    member = bus.member(Aggregate.name, [DETECTIONS])
    while len(member.assignment()) < DETECTIONS.partitions:
        member.poll(max_records=0, max_bytes=0, timeout_ms=100)
    stage = Aggregate(bus, clock, member.assignment, metrics=metrics)
    began = time.perf_counter()
    stage.idle(clock.now_ms())
    seconds = time.perf_counter() - began
    member.close()
    bus.close()
    return seconds


if __name__ == "__main__":
    main()
