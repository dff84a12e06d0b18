"""Claim: the route of benchmarks/route.py runs over a real Kafka at 60 frames/s or more on 2 cores, the broker on the same two.

The same four 720p clips through `classpulse up` with the paper model and two workers, on a file and on one plaintext node in
turn. The broker has no core of its own: its CPU per frame is reported beside the stages'.
"""

import argparse
import tempfile
from pathlib import Path

import psutil
from deploy.local.kafka.cluster import Cluster
from measured import spread, write_result

from route import WAYS, four_clips, run

WAY = WAYS["paper, 2 workers x 1 thread"]
LIMIT_FRAMES_PER_S = 60


def main() -> None:
    """Interleave both buses `--runs` times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--frames", type=int, default=900, help="frames of each clip")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clips, frames = four_clips(Path(folder), options.frames)
        found: dict[str, list[dict[str, object]]] = {"sqlite": [], "kafka": []}
        for _ in range(options.runs):
            found["sqlite"].append(run(clips, frames, WAY))
            found["kafka"].append(on_kafka(clips, frames))
    write_result(
        "route_kafka",
        {
            "claim": __doc__,
            "frames": frames,
            "limit_frames_per_s": LIMIT_FRAMES_PER_S,
            **{bus: summary(runs) for bus, runs in found.items()},
        },
    )


def on_kafka(clips: list[Path], frames: int) -> dict[str, object]:
    """One run on an empty node of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-kafka-") as folder:
        cluster = Cluster(Path(folder) / "node", 1, secure=False, wrapper=("setpriv", "--pdeathsig", "KILL"))
        with cluster.lasting():
            before = broker_cpu_s(cluster)
            result = run(clips, frames, WAY, cluster.url())
            broker_ms = 1000 * (broker_cpu_s(cluster) - before) / frames
    cpu: dict[str, float] = result["cpu_ms_per_frame"]  # type: ignore[assignment]
    return {**result, "cpu_ms_per_frame": {**cpu, "broker": round(broker_ms, 3)}}


def broker_cpu_s(cluster: Cluster) -> float:
    """CPU seconds the node has taken so far."""
    process = cluster.members[0].process
    assert process is not None
    times = psutil.Process(process.pid).cpu_times()
    return times.user + times.system


def summary(runs: list[dict[str, object]]) -> dict[str, object]:
    """Spread of every figure."""
    figures = ("frames_per_s", "frames_per_s_with_start", "pss_mib")
    spreads = {figure: spread([float(str(one[figure])) for one in runs]) for figure in figures}
    return {**spreads, "cpu_ms_per_frame": [one["cpu_ms_per_frame"] for one in runs]}


if __name__ == "__main__":
    main()
