"""Figures: what a district of 10, 200, 2,000 and 20,000 rooms needs, worked out from what was measured.

Nothing is measured here: every number is a formula over figures of other result files, over what topics.py says, and over the
assumptions below. It shows where the first wall stands, not what a machine of yours does: measured figures come from two cores
that broker and stages share.
"""

import json
import math
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from measured import RESULTS, write_result

from classpulse.topics import DETECTIONS, FRAMES

ROOMS = (10, 200, 2_000, 20_000)


@dataclass(frozen=True)
class Assumed:
    """What is assumed of a district; everything else is measured or a setting's default."""

    cameras_per_room: int = 1
    fps: float = 5.0
    observed_hours_per_day: float = 8.0
    replicas: int = 3
    busy: float = 0.6
    """The part of a core, a disk or a network that a plan may use."""

    network_gbit_per_s: float = 10.0


@dataclass(frozen=True)
class Measured:
    """Medians of the committed results."""

    frame_bytes: float
    detection_bytes: float
    ingest_ms: float
    broker_ms: float
    net_ms: dict[str, float]
    aggregate_per_s: float
    restore_s_per_room: float
    school_bytes_per_s: float


Formula = Callable[["Assumed", "Measured", int], float]


def measured() -> Measured:
    """From the result files."""
    bridge, route, net, aggregate = (_result(name) for name in ("bridge", "route_kafka", "net", "aggregate_kafka"))
    pictures, crosses = bridge["with_pictures_it_would_be"], bridge["crosses"]
    per_frame = route["kafka"]["cpu_ms_per_frame"]
    return Measured(
        frame_bytes=pictures["bytes_per_s"]["median"] / pictures["records_per_s"]["median"],
        detection_bytes=crosses["bytes_per_s"]["median"] / crosses["records_per_s"]["median"],
        ingest_ms=statistics.median([one["ingest"] for one in per_frame]),
        broker_ms=statistics.median([one["broker"] for one in per_frame]),
        net_ms={
            name: net["around_ms"][f"JPEG to boxes: {name}, openvino int8"]["median"]
            for name in ("classroom", "classroom-640")
        },
        aggregate_per_s=aggregate["rooms"]["1000"]["records_per_s"]["median"],
        restore_s_per_room=aggregate["restore"]["seconds"]["median"] / 1_000,
        school_bytes_per_s=bridge["on_the_wire_bytes_per_s"]["one room alone"]["median"],
    )


def frames(assumed: Assumed, _: Measured, rooms: int) -> float:
    """Frames a second."""
    return rooms * assumed.cameras_per_room * assumed.fps


def _cores(ms: Callable[[Measured], float]) -> Formula:
    return lambda a, m, rooms: math.ceil(frames(a, m, rooms) * ms(m) / 1_000 / a.busy)


def _network(a: Assumed, m: Measured, rooms: int) -> float:
    """All brokers, one direction: a picture comes in once and is copied to the other replicas; it goes out as often."""
    return frames(a, m, rooms) * m.frame_bytes * a.replicas


def _brokers_by_network(a: Assumed, m: Measured, rooms: int) -> float:
    return max(a.replicas, math.ceil(_network(a, m, rooms) / (a.network_gbit_per_s * 1e9 / 8 * a.busy)))


def _kept_s(a: Assumed, m: Measured, rooms: int) -> float:
    bytes_ = (FRAMES.retention_bytes or 0) * FRAMES.partitions
    return min((FRAMES.retention_ms or 0) / 1_000, bytes_ / (frames(a, m, rooms) * m.frame_bytes))


def _detections_disk(a: Assumed, m: Measured, rooms: int) -> float:
    days = (DETECTIONS.retention_ms or 0) / 86_400_000
    return frames(a, m, rooms) * m.detection_bytes * a.observed_hours_per_day * 3_600 * days * a.replicas / 2**30


FORMULAS: dict[str, tuple[str, Formula]] = {
    "frames a second": ("rooms × cameras × fps", frames),
    "pictures into the brokers, MB/s": (
        "frames × bytes of a frame",
        lambda a, m, rooms: frames(a, m, rooms) * m.frame_bytes / 1e6,
    ),
    "cores of ingest": ("frames × ms of ingest / busy", _cores(lambda m: m.ingest_ms)),
    "cores of detect, `classroom-640`": (
        "frames × ms from JPEG to boxes / busy",
        _cores(lambda m: m.net_ms["classroom-640"]),
    ),
    "cores of detect, `classroom`": ("the same", _cores(lambda m: m.net_ms["classroom"])),
    "cores of all brokers": (
        "frames × ms of the broker × replicas / busy (a replica taken to cost what its leader does)",
        lambda a, m, rooms: math.ceil(frames(a, m, rooms) * m.broker_ms * a.replicas / 1_000 / a.busy),
    ),
    "network of all brokers, each direction, MB/s": (
        "frames × bytes × replicas (in once and to the other replicas, out to them and to detect)",
        lambda a, m, rooms: _network(a, m, rooms) / 1e6,
    ),
    "brokers, by their network": ("that / (network × busy), 3 at least", _brokers_by_network),
    "partitions of frames that detect needs, `classroom-640`": (
        "cores of detect: a worker of one thread reads whole partitions",
        _cores(lambda m: m.net_ms["classroom-640"]),
    ),
    "s of pictures that are kept": (
        "10 min, or partitions × bytes kept of each / bytes a second, if that is less",
        _kept_s,
    ),
    "disk of the frames for 10 minutes, all replicas, GiB": (
        "frames × bytes × 600 s × replicas",
        lambda a, m, rooms: frames(a, m, rooms) * m.frame_bytes * 600 * a.replicas / 2**30,
    ),
    "disk of a week's detections, all replicas, GiB": (
        "frames × bytes of a detection × observed seconds a week × replicas, before compression",
        _detections_disk,
    ),
    "processes of aggregate": (
        "frames / (records/s of 1,000 rooms × busy), one at least; more than twelve find no partition",
        lambda a, m, rooms: max(1, math.ceil(frames(a, m, rooms) / (m.aggregate_per_s * a.busy))),
    ),
    "s until a successor of aggregate knows its rooms": (
        "rooms / processes × s a room",
        lambda a, m, rooms: rooms * m.restore_s_per_room / FORMULAS["processes of aggregate"][1](a, m, rooms),
    ),
    "places (transactional ids) of ingest": ("cameras", lambda a, _, rooms: rooms * a.cameras_per_room),
    "into the district with a box in each school, MB/s": (
        "rooms × bytes a second of one room alone over the bridge",
        lambda _, m, rooms: rooms * m.school_bytes_per_s / 1e6,
    ),
}


def main() -> None:
    """Work it out and write it down."""
    assumed, found = Assumed(), measured()
    rows = {
        name: {"formula": formula, "rooms": {rooms: round(worked(assumed, found, rooms), 3) for rooms in ROOMS}}
        for name, (formula, worked) in FORMULAS.items()
    }
    walls = {name: math.floor(wall) for name, wall in walls_of(assumed, found).items()}
    write_result(
        "capacity",
        {
            "claim": __doc__,
            "assumed": asdict(assumed),
            "measured": asdict(found),
            "rows": rows,
            "rooms_at_the_wall": walls,
        },
    )


def walls_of(assumed: Assumed, found: Measured) -> dict[str, float]:
    """At how many rooms each wall stands, with what is set today."""
    per_room = assumed.cameras_per_room * assumed.fps
    fresh_s = 10.0
    kept = (FRAMES.retention_bytes or 0) * FRAMES.partitions
    return {
        "pictures are kept for ten seconds": kept / fresh_s / (per_room * found.frame_bytes),
        **{
            f"every partition of frames has a CPU worker, {name}": FRAMES.partitions
            * assumed.busy
            * 1_000
            / ms
            / per_room
            for name, ms in found.net_ms.items()
        },
        "every partition of detections has an aggregate": DETECTIONS.partitions
        * assumed.busy
        * found.aggregate_per_s
        / per_room,
        "three brokers' network is used": assumed.replicas
        * assumed.network_gbit_per_s
        * 1e9
        / 8
        * assumed.busy
        / (per_room * found.frame_bytes * assumed.replicas),
    }


def _result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found


if __name__ == "__main__":
    main()
