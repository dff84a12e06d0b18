"""Claim: 40 live cameras at 1 frame/s each on 2 cores: capture to event p99 below 1 s, and nothing dropped.

With each of the two classroom models, in turns.

`frames_expected`: each camera's time from its first frame to its last, at one a second; `frames` is what reached the log.

The cameras are the bundled lessons, played at their own pace, in a loop, started apart, so that every stream is decoded as a camera's would
be. Capture to event: from the capture time of the frame that satisfied the rule (`ce_time`) until the event was committed. Figures named
`steady` leave out the first 15 s, in which forty cameras are opened at once; all others have them in.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measured import ROOT, pss_mib, spread, tree, write_result

from classpulse.bus.base import Bus, Place, open_bus
from classpulse.clock import from_rfc3339
from classpulse.codec import Stored, decode, header
from classpulse.records import BehaviourEvent, Dropped, FrameDetections
from classpulse.topics import DETECTIONS, EVENTS, Topic

STARTING_MS = 15_000
LESSONS = ROOT / "services" / "classpulse" / "demo" / "lessons"
MODELS = ("classroom-640", "classroom")


def site(folder: Path, cameras: int, model: str) -> Path:
    """A site file of `cameras` rooms with a live camera each."""
    lines = ["[settings]", f'data = "{folder}/data"', f'model = "{model}"', "detect_workers = 2", ""]
    for number in range(cameras):
        room = f"bench/school/room-{number:02d}"
        clip = LESSONS / f"lesson-{1 + number % 3}.mp4"
        lines += ["[[rooms]]", f'room = "{room}"', "", "[[cameras]]", f'camera = "{room}/front"']
        lines += [f'source = "file://{clip}?pace=realtime&loop=1"', 'delivery = "live"', "fps = 1.0", ""]
    path = folder / "site.toml"
    path.write_text("\n".join(lines))
    return path


def run(cameras: int, seconds: float, model: str) -> dict[str, float]:
    """One run of `seconds` on a fresh data folder, stopped by SIGINT. Raises RuntimeError where it ends by itself before."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", "classpulse.cli", "up", str(site(folder, cameras, model))]
        environ = {**os.environ, "OMP_NUM_THREADS": "1"}
        log = folder / "up.log"
        with log.open("w") as told:
            process = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.DEVNULL, stderr=told)
        time.sleep(seconds)
        if process.poll() is not None:
            raise RuntimeError(f"up ended with exit code {process.returncode}: {log.read_text()[-2000:]}")
        memory = pss_mib(tree(process.pid))
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
        bus = open_bus(f"sqlite://{folder}/data/bus.sqlite")
        try:
            return {**figures(bus), "pss_mib": memory}
        finally:
            bus.close()


def figures(bus: Bus) -> dict[str, float]:
    """Latencies and losses, from the log alone."""
    to_event: list[tuple[int, int]] = []
    to_detection: list[int] = []
    dropped, first_ms = 0, None
    times: dict[str, list[int]] = {}
    for record in every(bus, DETECTIONS):
        noun = decode(record)
        if isinstance(noun, FrameDetections):
            to_detection.append(record.appended_at_ms - noun.captured_at_ms)
            first_ms = min(first_ms or noun.captured_at_ms, noun.captured_at_ms)
            times.setdefault(noun.camera, []).append(noun.captured_at_ms)
        elif isinstance(noun, Dropped):
            dropped += noun.last_sequence - noun.first_sequence + 1
    for record in every(bus, EVENTS):
        event = decode(record)
        if isinstance(event, BehaviourEvent) and event.phase == "started":
            captured_ms = from_rfc3339((header(record, "ce_time") or b"").decode())
            to_event.append((captured_ms, record.appended_at_ms - captured_ms))
    steady = [took_ms for captured_ms, took_ms in to_event if captured_ms >= (first_ms or 0) + STARTING_MS]
    to_event_ms = [took_ms for _, took_ms in to_event]
    return {
        "cameras_seen": len(times),
        "frames": len(to_detection),
        "frames_expected": sum(round((max(seen) - min(seen)) / 1000) + 1 for seen in times.values()),
        "dropped": dropped,
        "events": len(to_event),
        "capture_to_event_p50_ms": percentile(to_event_ms, 50),
        "capture_to_event_p99_ms": percentile(to_event_ms, 99),
        "steady_events": len(steady),
        "steady_capture_to_event_p50_ms": percentile(steady, 50),
        "steady_capture_to_event_p99_ms": percentile(steady, 99),
        "capture_to_detection_p50_ms": percentile(to_detection, 50),
        "capture_to_detection_p99_ms": percentile(to_detection, 99),
    }


def every(bus: Bus, topic: Topic) -> list[Stored]:
    """All records of a topic."""
    return [
        record
        for partition, (first, end) in bus.ends(topic).items()
        for record in bus.fetch(Place(topic.name, partition), first, max_records=end - first + 1, max_bytes=2**33)
    ]


def percentile(values: list[int], percent: int) -> float:
    """The inclusive percentile; -1 when there is none."""
    if len(values) < 2:
        return float(values[0]) if values else -1.0
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def main() -> None:
    """Repeat `--runs` times and write the spread."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cameras", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    runs: dict[str, list[dict[str, float]]] = {model: [] for model in MODELS}
    for _ in range(options.runs):
        for model, done in runs.items():
            done.append(run(options.cameras, options.seconds, model))
    limits = {"capture_to_event_p99_ms": 1000, "dropped": 0}
    write_result(
        "live",
        {
            "claim": __doc__,
            "seconds": options.seconds,
            "limits": limits,
            "figures": {
                model: {name: spread([found[name] for found in done]) for name in done[0]}
                for model, done in runs.items()
            },
        },
    )


if __name__ == "__main__":
    main()
