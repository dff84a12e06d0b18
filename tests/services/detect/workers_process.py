"""Workers that count on a cluster of this process's own: PORT (0: it shows no metrics). Told what to do line by line, answers with JSON."""

import json
import os
import sys

import ray

from classpulse.detect.ray_metrics import OnRay
from classpulse.ray_cluster import connected
from classpulse.telemetry import Metrics


@ray.remote(num_cpus=0)
class Worker:
    """What a worker's actor does with its metrics, without pictures."""

    def __init__(self, name: str) -> None:
        self._metrics = Metrics(OnRay(name))

    def count(self, frames: int) -> int:
        self._metrics.frames_detected.inc(frames)
        self._metrics.frames_dropped.labels("detect", "stale").inc(0)
        self._metrics.transactions.labels("committed").inc()
        self._metrics.model_info.labels("digest").set(1)
        self._metrics.capture_to_detection_seconds.observe(1.5)
        self._metrics.stage_duration_seconds.labels("detect", "step").observe(0.2)
        return os.getpid()


def main() -> None:
    with connected("", metrics_port=int(sys.argv[1])):
        workers = {}
        say(ray.nodes()[0]["MetricsExportPort"])
        for line in sys.stdin:
            match line.split():
                case "count", name, frames:
                    if name not in workers:
                        workers[name] = Worker.remote(name)
                    say(ray.get(workers[name].count.remote(int(frames))))
                case "kill", name:
                    ray.kill(workers.pop(name))
                    say(None)


def say(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
