"""Figures: what a room costs a school's line, with the bridge and if its pictures crossed instead.

The three bundled lessons at 5 frames/s, each a room, are told through a school edge on SQLite (ingest, detect, bridge). Records
are weighed as they lie on the buses (key, value, headers), by the seconds of the lessons: what crosses, and the frames as they would.
Then the same records cross again to a real Kafka in one transaction for each 200 ms of the lesson, one room alone and all
three: the bytes of the bridge's connections, both ways, as the kernel counts them, without TLS.
"""

import argparse
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import psutil
from deploy.local.kafka.cluster import Cluster
from measured import ROOT, spread, write_result

from classpulse.bridge.main import take_place
from classpulse.bus.base import Bus, Place, open_bus
from classpulse.bus.limits import stored_bytes
from classpulse.clock import from_rfc3339
from classpulse.codec import Outgoing, Stored, header
from classpulse.topics import DETECTIONS, FRAMES, Topic

LESSONS = ROOT / "services" / "classpulse" / "demo" / "lessons"
START = "2026-03-02T08:00:00Z"
FPS = 5
COMMIT_MS = 200
ROOMS = tuple(f"bench/school/room-{number}" for number in (1, 2, 3))
BYTES_RECEIVED_AT, BYTES_SENT_AT = 128, 200
"""Where the kernel's struct tcp_info holds them (Linux 4.19 and newer)."""


def site(folder: Path) -> Path:
    """The school edge; its district is a file beside it."""
    lines = ["[settings]", f'data = "{folder}/data"', f'district = "sqlite://{folder}/district.sqlite"', ""]
    for number, room in enumerate(ROOMS, start=1):
        lines += ["[[rooms]]", f'room = "{room}"', "[[cameras]]", f'camera = "{room}/front"', f"fps = {FPS}"]
        lines += [f'source = "file://{LESSONS}/lesson-{number}.mp4?start={START}"', ""]
    path = folder / "site.toml"
    path.write_text("\n".join(lines))
    return path


def told(folder: Path) -> None:
    """Run the school until all has crossed; its pictures stay."""
    command = [sys.executable, "-m", "classpulse.cli", "up", str(site(folder)), "--keep-pictures"]
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / "up.log").open("wb") as log:
        subprocess.run(command, env=environ, stdout=log, stderr=log, check=True)


def records(bus: Bus, topic: Topic) -> Iterator[Stored]:
    """Everything on a topic."""
    for partition, (first, end) in bus.ends(topic).items():
        yield from bus.fetch(Place(topic.name, partition), first, max_records=end - first + 1, max_bytes=2**33)


def at_ms(record: Stored) -> int:
    """Its event time."""
    return from_rfc3339((header(record, "ce_time") or b"").decode())


def weighed(found: Sequence[Stored]) -> dict[str, object]:
    """Bytes a second and room, of all records and by noun."""
    rooms: dict[str, list[Stored]] = {room: [r for r in found if r.key.startswith(room)] for room in ROOMS}
    by_noun: Counter[str] = Counter()
    for record in found:
        by_noun[(header(record, "ce_type") or b"").decode().split(".")[1]] += stored_bytes(record)
    seconds = {room: seconds_of(mine) for room, mine in rooms.items()}
    return {
        "bytes_per_s": spread([sum(map(stored_bytes, mine)) / seconds[room] for room, mine in rooms.items()]),
        "records_per_s": spread([len(mine) / seconds[room] for room, mine in rooms.items()]),
        "share_by_noun": {noun: round(size / sum(by_noun.values()), 4) for noun, size in by_noun.most_common()},
    }


def seconds_of(mine: Sequence[Stored]) -> float:
    """The event time that records span."""
    times = [at_ms(record) for record in mine]
    return (max(times) - min(times)) / 1000


def on_the_wire(cluster: Cluster, found: Sequence[Stored]) -> float:
    """Bytes a second of event time over the bridge's connections, in both directions, one transaction for each COMMIT_MS."""
    bus, member = take_place(cluster.url(), "bench", 0)
    port = int(cluster.servers.rpartition(":")[2])
    batches: dict[int, list[Outgoing]] = {}
    for r in found:
        batches.setdefault(at_ms(r) // COMMIT_MS, []).append(Outgoing(r.topic, r.partition, r.key, r.value, r.headers))
    member.commit(batches[min(batches)], {})
    before = transferred_bytes(port)
    for _, batch in sorted(batches.items()):
        member.commit(batch, {})
    after = transferred_bytes(port)
    member.close()
    bus.close()
    return (after - before) / seconds_of(found)


def transferred_bytes(port: int) -> int:
    """What this process's connections to a port have sent and received so far."""
    total = 0
    for one in psutil.Process().net_connections():
        if one.raddr and one.raddr.port == port:
            with socket.socket(fileno=os.dup(one.fd)) as connection:
                told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            total += sum(struct.unpack_from("<Q", told, at)[0] for at in (BYTES_RECEIVED_AT, BYTES_SENT_AT))
    return total


def main() -> None:
    """Tell the lessons once (the records are the same in every run), and let them cross `--runs` times."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        told(folder)
        with closing(open_bus(f"sqlite://{folder}/data/bus.sqlite")) as school:
            pictures = list(records(school, FRAMES))
        with closing(open_bus(f"sqlite://{folder}/district.sqlite")) as district:
            crossed = list(records(district, DETECTIONS))
        wire: dict[str, list[float]] = {"one room alone": [], "three rooms together, each": []}
        lifetime = ("setpriv", "--pdeathsig", "KILL")
        with Cluster(folder / "kafka", 1, secure=False, wrapper=lifetime).lasting() as cluster:
            for _ in range(options.runs):
                alone = [record for record in crossed if record.key == ROOMS[0]]
                wire["one room alone"].append(on_the_wire(cluster, alone))
                wire["three rooms together, each"].append(on_the_wire(cluster, crossed) / len(ROOMS))
    write_result(
        "bridge",
        {
            "claim": __doc__,
            "frames_per_s": FPS,
            "commit_ms": COMMIT_MS,
            "rooms": len(ROOMS),
            "crosses": weighed(crossed),
            "with_pictures_it_would_be": weighed(pictures),
            "on_the_wire_bytes_per_s": {way: spread(runs) for way, runs in wire.items()},
        },
    )


if __name__ == "__main__":
    main()
