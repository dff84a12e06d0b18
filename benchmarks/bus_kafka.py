"""Figures: what a step costs on a real Kafka, beside the bare client, and what a publisher holds while its broker is away.

One node in plaintext, and three with TLS, SCRAM and access; brokers, client and all share the machine's cores. In every round
the bare client and the bus append the same frames, one after the other: the client idempotent with batches of 256 KiB and no
transaction, then in transactions of 16 frames; the bus in steps of 1 (with the camera's state), 16, and all 480 of a round at once
(19 of the 32 MiB that a step may hold). A step of detections is what detect commits: 100 records over all partitions with the
positions they came from. Limit: the bus appends 80 % or more of what the bare client does.
"""

import argparse
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from deploy.local.kafka.cluster import Cluster
from kafka import KafkaProducer
from measured import spread, write_result

from classpulse.bus.base import Member, Place, open_bus
from classpulse.bus.kafka import KafkaBus
from classpulse.bus.kafka_link import parse_link
from classpulse.bus.kafka_member import RETRY_MS
from classpulse.bus.kafka_topics import BATCH_BYTES
from classpulse.codec import Outgoing
from classpulse.errors import Fatal, Recoverable
from classpulse.topics import DETECTIONS, FRAMES, INGEST_STATE, TOPICS

FRAME = bytes(range(256)) * 157
FRAMES_A_ROUND = 480
FRAMES_A_STEP = 16
BARE, TRANSACTIONS = "bare client", f"bare client, {FRAMES_A_STEP} frames a transaction"
STEPS = 200
STARTS = 2
DETECTIONS_A_STEP = 100
DETECTION = b"x" * 400
HEADERS = tuple((f"ce_{number}", b"x" * 40) for number in range(9))


def main() -> None:
    """Measure both clusters and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--away-s", type=float, default=300.0, help="how long the broker is away; 0: not measured")
    asked = parser.parse_args()
    told: dict[str, Any] = {
        "frame_bytes": len(FRAME),
        "frames_a_step": FRAMES_A_STEP,
        "detections_a_step": DETECTIONS_A_STEP,
    }
    for name, nodes in (("one node, plaintext", 1), ("three nodes, TLS, SCRAM, access", 3)):
        with running(nodes) as cluster:
            told[name] = {
                "started_s": started_s(cluster),
                **appended(cluster, asked.rounds),
                "step_of_detections_ms": steps(cluster),
            }
    if asked.away_s:
        with running(1) as cluster:
            told["broker_away"] = away(cluster, asked.away_s)
    write_result("bus_kafka", told)


@contextmanager
def running(nodes: int) -> Iterator[Cluster]:
    """An empty cluster with all topics."""
    folder = Path(tempfile.mkdtemp(prefix="bench-kafka-"))
    with Cluster(folder, nodes, secure=nodes > 1, wrapper=("setpriv", "--pdeathsig", "KILL")).lasting() as cluster:
        bus = open_bus(cluster.url())
        bus.create(tuple(TOPICS.values()))
        bus.close()
        yield cluster


def started_s(cluster: Cluster) -> dict[str, Any]:
    """Seconds until a cluster of this kind takes clients, from an empty folder (keys and users made) and from what is there."""
    found: dict[str, list[float]] = {"from_nothing": [], "again": []}
    for _ in range(STARTS):
        with tempfile.TemporaryDirectory(prefix="bench-kafka-") as folder:
            other = Cluster(Path(folder) / "k", len(cluster.members), secure=cluster.secure, wrapper=cluster.wrapper)
            for values in found.values():
                began = time.perf_counter()
                other.start()
                values.append(time.perf_counter() - began)
                other.stop()
    return {name: spread(values) for name, values in found.items()}


def appended(cluster: Cluster, rounds: int) -> dict[str, Any]:
    """MB/s of frames: the bare client without transactions and with them, the bus in large, middle and a camera's own steps."""
    bus = open_bus(cluster.url())
    member = bus.member("ingest", (), slot="bench")
    link = parse_link(cluster.url().partition("://")[2])
    made = {**link.client(), "batch_size": BATCH_BYTES, "max_request_size": 8 << 20, "metrics_enabled": False}
    bare = KafkaProducer(**made, linger_ms=5)
    transactional = KafkaProducer(**made, transactional_id="bench-bare", retry_backoff_ms=RETRY_MS)
    transactional.init_transactions()
    ways = {
        BARE: lambda: sent(bare, range(FRAMES_A_ROUND)),
        TRANSACTIONS: lambda: in_transactions(transactional, FRAMES_A_STEP),
        f"bus, {FRAMES_A_ROUND} frames a step": lambda: committed(member, FRAMES_A_ROUND, state=False),
        f"bus, {FRAMES_A_STEP} frames a step": lambda: committed(member, FRAMES_A_STEP, state=False),
        "bus, 1 frame and its state a step": lambda: committed(member, 1, state=True),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if number:  # the first round warms up
                rates[name].append(FRAMES_A_ROUND * len(FRAME) / 1e6 / (time.perf_counter() - began))
    for one in (bare, transactional, member, bus):
        one.close()
    return {"append_mb_per_s": {name: spread(values) for name, values in rates.items()}}


def sent(producer: KafkaProducer, numbers: range) -> None:
    """Frames of a round through the bare client, and their acknowledgements."""
    futures = [
        producer.send(
            FRAMES.name, value=FRAME, key=b"d/s/r/camera", headers=list(HEADERS), partition=n % FRAMES.partitions
        )
        for n in numbers
    ]
    for future in futures:
        future.get(timeout=60)


def in_transactions(producer: KafkaProducer, frames_a_transaction: int) -> None:
    """The same frames in transactions of the bare client."""
    for start in range(0, FRAMES_A_ROUND, frames_a_transaction):
        producer.begin_transaction()
        sent(producer, range(start, start + frames_a_transaction))
        producer.commit_transaction()


def committed(member: Any, frames_a_step: int, *, state: bool) -> None:
    """The same frames in steps of the bus."""
    for start in range(0, FRAMES_A_ROUND, frames_a_step):
        step = [
            Outgoing(FRAMES.name, n % FRAMES.partitions, "d/s/r/camera", FRAME, HEADERS)
            for n in range(start, start + frames_a_step)
        ]
        if state:
            step.append(
                Outgoing(INGEST_STATE.name, start % INGEST_STATE.partitions, "d/s/r/camera", b"s" * 150, HEADERS)
            )
        member.commit(step, {})


def steps(cluster: Cluster) -> dict[str, Any]:
    """Median and 99th percentile of a step of detections with its positions."""
    bus = open_bus(cluster.url())
    member = bus.member("detect", [FRAMES])
    while not member.assignment():
        member.poll(max_records=1, max_bytes=1, timeout_ms=100)
    taken = []
    for number in range(STEPS + 20):
        outputs = [
            Outgoing(DETECTIONS.name, n % DETECTIONS.partitions, "d/s/r", DETECTION, HEADERS)
            for n in range(DETECTIONS_A_STEP)
        ]
        began = time.perf_counter()
        member.commit(outputs, {Place(FRAMES.name, p): number for p in range(FRAMES.partitions)})
        taken.append((time.perf_counter() - began) * 1000)
    member.close()
    bus.close()
    taken = sorted(taken[20:])
    return {
        "steps": STEPS,
        "median": round(statistics.median(taken), 1),
        "p99": round(taken[int(0.99 * STEPS)], 1),
        "max": round(taken[-1], 1),
    }


def away(cluster: Cluster, seconds: float) -> dict[str, Any]:
    """What this process holds while it goes on trying to publish to a broker that does not answer."""
    bus = KafkaBus(cluster.url().partition("://")[2])
    member: Member | None = bus.member("ingest", (), slot="bench")
    committed(member, FRAMES_A_STEP, state=False)
    (node,) = cluster.members
    before, most, tries = pss_mb(), 0.0, 0
    cluster.signal_node(node, signal.SIGSTOP)
    give_up = time.monotonic() + seconds
    try:
        while time.monotonic() < give_up:
            tries += 1
            try:
                member = member or bus.member("ingest", (), slot="bench")
                committed(member, FRAMES_A_STEP, state=False)
            except Fatal:  # whoever publishes begins anew then, as ingest does
                assert member is not None
                member.close()
                member = None
            except Recoverable:
                pass
            most = max(most, pss_mb() - before)
    finally:
        cluster.signal_node(node, signal.SIGCONT)
    return {
        "seconds": seconds,
        "refused_steps": tries,
        "step_mb": round(FRAMES_A_STEP * len(FRAME) / 1e6, 2),
        "grew_mb": round(most, 1),
    }


def pss_mb() -> float:
    """What this process holds, its share of what is shared included."""
    return float(psutil.Process().memory_full_info().pss) / 1e6


if __name__ == "__main__":
    main()
