"""Claims: a fleet on Ray looks at 90 % or more of what plain `classpulse detect` processes do, on the same two cores and one node.

Four cameras' frames (the lessons, 640 pixels wide, paper model) lie on the broker before anybody looks, so that nothing but looking is
measured: frames over the time from the first detection to the last. Both ways in turns. Limits: 90 %; from `fleet up` to the first
detection 15 s; a killed worker's cameras are served again within 15 s (the longest time without a detection of any of them).

What Ray costs: the memory (proportional set size) that the fleet takes more, and the CPU of Ray's own processes while it works.

A swap at half load: four live cameras, five frames a second each, classroom model; `classroom-640` is promoted. Capture to
committed detection, p99, from the promotion to two seconds after the flip, beside that of as long before. Limit: 1.5 times.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import psutil
from deploy.local.kafka.cluster import Cluster
from live import every, percentile
from measured import ROOT, pss_mib, spread, tree, write_result

from classpulse.bus.base import Bus, open_bus
from classpulse.clock import SystemClock
from classpulse.codec import Outgoing, decode, encode
from classpulse.lines import Lines, promoted
from classpulse.records import CameraConfig, Frame, FrameDetections, RoomConfig, room_of
from classpulse.registry import put
from classpulse.roster import Roster
from classpulse.topics import DETECTIONS, FRAMES, TOPICS
from gesturedet.card import find_release

LESSONS = ROOT / "services" / "classpulse" / "demo" / "lessons"
ROOMS = (1, 2, 3, 6)
CAMERAS = [f"bench/school/room-{number}/front" for number in ROOMS]
WIDTH = 640
STEP = 64
PROCESSES, FLEET = "processes", "fleet"
LIMITS = {"share": 0.9, "first_detection_s": 15, "served_again_s": 15, "p99_during_to_before": 1.5}
BEFORE_S, AFTER_S = 20.0, 2.0


def main() -> None:
    """Interleave both ways `--runs` times; then a kill and a swap as often."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--frames", type=int, default=900, help="frames of each camera")
    asked = parser.parse_args()
    pictures = [jpegs(LESSONS / f"lesson-{1 + number % 3}.mp4", asked.frames) for number in range(len(CAMERAS))]
    ways: dict[str, list[dict[str, float]]] = {PROCESSES: [], FLEET: []}
    killed, swapped = [], []
    for _ in range(asked.runs):
        for way, found in ways.items():
            found.append(looked(way, pictures))
            print(way, found[-1], flush=True)
        killed.append(after_a_kill(pictures))
        print("kill", killed[-1], flush=True)
        swapped.append(swap())
        print("swap", swapped[-1], flush=True)
    told = {way: spreads(runs) for way, runs in ways.items()}
    rates = [told[way]["frames_per_s"]["median"] for way in (FLEET, PROCESSES)]
    write_result(
        "fleet",
        {
            "claim": __doc__,
            "frames": sum(map(len, pictures)),
            "limits": LIMITS,
            **told,
            "share": round(rates[0] / rates[1], 3),
            "ray_mib": round(told[FLEET]["pss_mib"]["median"] - told[PROCESSES]["pss_mib"]["median"], 1),
            "served_again_s": spread(killed),
            "swap": spreads(swapped),
        },
    )


def spreads(runs: list[dict[str, float]]) -> dict[str, Any]:
    """Spread of every figure."""
    return {figure: spread([one[figure] for one in runs]) for figure in runs[0]}


def jpegs(clip: Path, most: int) -> list[tuple[bytes, int, int]]:
    """(JPEG, width, height) of a clip's frames, again from its beginning until there are enough."""
    found: list[tuple[bytes, int, int]] = []
    while len(found) < most:
        with av.open(str(clip)) as container:
            for frame in container.decode(video=0):
                height = round(frame.height * WIDTH / frame.width)
                picture = frame.reformat(WIDTH, height, "bgr24").to_ndarray()
                found.append((cv2.imencode(".jpg", picture)[1].tobytes(), WIDTH, height))
                if len(found) == most:
                    break
    return found


@contextmanager
def running() -> Iterator[tuple[Bus, str]]:
    """An empty node with all topics: its bus and its URL."""
    with tempfile.TemporaryDirectory(prefix="bench-kafka-") as folder:
        cluster = Cluster(Path(folder) / "node", 1, secure=False, wrapper=("setpriv", "--pdeathsig", "KILL"))
        with cluster.lasting():
            bus = open_bus(cluster.url())
            bus.create(tuple(TOPICS.values()))
            try:
                yield bus, cluster.url()
            finally:
                bus.close()


def fill(bus: Bus, pictures: list[list[tuple[bytes, int, int]]]) -> int:
    """Every camera's frames, interleaved as live cameras tell them; gives how many."""
    rooms = [RoomConfig(room=room_of(camera)) for camera in CAMERAS]
    Roster(bus, SystemClock()).write(
        [*rooms, *(CameraConfig(camera=camera, source="synth://", delivery="complete") for camera in CAMERAS)]
    )
    start_ms = SystemClock().now_ms() - 1000 * len(pictures[0])
    member = bus.member("ingest", ())
    step: list[Outgoing] = []
    for sequence, row in enumerate(zip(*pictures, strict=True)):
        for camera, (jpeg, width, height) in zip(CAMERAS, row, strict=True):
            frame = Frame(
                camera=camera,
                epoch=1,
                sequence=sequence,
                captured_at_ms=start_ms + 200 * sequence,
                interval_ms=200,
                width=width,
                height=height,
                jpeg=jpeg,
            )
            step.append(encode(frame, topic=FRAMES, at_ms=frame.captured_at_ms))
        if len(step) >= STEP:
            member.commit(step, {})
            step = []
    member.commit(step, {})
    member.close()
    return len(pictures) * len(pictures[0])


@contextmanager
def looking(way: str, url: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two detect processes, or a fleet of two; ended at the end."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "OMP_NUM_THREADS": "1", "CLASSPULSE_BUS": url, "CLASSPULSE_MODEL": "paper"}
        environ |= {"CLASSPULSE_DATA": folder}
        words = (
            [["fleet", "up", "--headless", "--most", "2"]]
            if way == FLEET
            else [["detect", "--index", str(n)] for n in (0, 1)]
        )
        with (Path(folder) / "log").open("w") as log:
            started = [
                subprocess.Popen([sys.executable, "-m", "classpulse.cli", *one], env=environ, stdout=log, stderr=log)
                for one in words
            ]
        try:
            yield started
        finally:
            for process in started:
                process.send_signal(signal.SIGTERM)
            for process in started:
                process.wait(timeout=30)


def looked(way: str, pictures: list[list[tuple[bytes, int, int]]]) -> dict[str, float]:
    """All frames once, this way."""
    with running() as (bus, url):
        frames = fill(bus, pictures)
        began_ms = SystemClock().now_ms()
        peak, cpu = [0.0], [0.0]
        with looking(way, url) as processes:
            while detected(bus) < frames:
                check_alive(processes)
                pids = [pid for process in processes for pid in tree(process.pid)]
                peak.append(pss_mib(pids))
                cpu.append(of_ray(pids))
                time.sleep(1.0)
        times = [record.appended_at_ms for record in every(bus, DETECTIONS)]
        seconds = (max(times) - min(times)) / 1000
        return {
            "frames_per_s": frames / seconds,
            "first_detection_s": (min(times) - began_ms) / 1000,
            "pss_mib": max(peak),
            "ray_cpu_s": max(cpu),
        }


def of_ray(pids: list[int]) -> float:
    """CPU seconds of what is Ray's and looks at nothing: head, raylet, supervisor, agents."""
    total = 0.0
    for pid in pids:
        try:
            process = psutil.Process(pid)
            line = " ".join(process.cmdline())
            if "WorkerActor" not in line and "classpulse.cli" not in line:
                times = process.cpu_times()
                total += times.user + times.system
        except psutil.Error:
            continue
    return total


def detected(bus: Bus) -> int:
    """How many records lie in detections.v1, about: markers of transactions count, too, so look twice when it is near."""
    records = sum(end - first for first, end in bus.ends(DETECTIONS).values())
    return (
        records if records < STEP else sum(isinstance(decode(one), FrameDetections) for one in every(bus, DETECTIONS))
    )


def check_alive(processes: list[subprocess.Popen[bytes]]) -> None:
    """Raises RuntimeError where one ended."""
    for process in processes:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")


def after_a_kill(pictures: list[list[tuple[bytes, int, int]]]) -> float:
    """The longest time without a detection of a camera, in seconds, when the busiest worker is killed in the middle."""
    with running() as (bus, url):
        frames = fill(bus, pictures)
        with looking(FLEET, url) as processes:
            while detected(bus) < frames // 4:
                check_alive(processes)
                time.sleep(0.5)
            workers = [psutil.Process(pid) for pid in tree(processes[0].pid) if is_worker(pid)]
            max(workers, key=lambda one: one.cpu_times().user).kill()
            while detected(bus) < frames:
                check_alive(processes)
                time.sleep(1.0)
        times: dict[str, list[int]] = {}
        for record in every(bus, DETECTIONS):
            noun = decode(record)
            if isinstance(noun, FrameDetections):
                times.setdefault(noun.camera, []).append(record.appended_at_ms)
        return max(later - earlier for told in times.values() for earlier, later in pairwise(told)) / 1000


def is_worker(pid: int) -> bool:
    """Whether it is a process that looks."""
    try:
        return "WorkerActor" in " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return False


def swap() -> dict[str, float]:
    """Capture to detection before and during a swap of live cameras."""
    with running() as (bus, url), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = ["[settings]", f'data = "{folder}/data"', f'bus = "{url}"', 'runner = "ray"', "fleet_most = 2", ""]
        for number, camera in enumerate(CAMERAS):
            lines += ["[[rooms]]", f'room = "{room_of(camera)}"', "", "[[cameras]]", f'camera = "{camera}"']
            clip = LESSONS / f"lesson-{1 + number % 3}.mp4"
            lines += [f'source = "file://{clip}?pace=realtime&loop=1"', 'delivery = "live"', "fps = 5.0", ""]
        (folder / "site.toml").write_text("\n".join(lines))
        with (folder / "up.log").open("w") as log:
            command = [sys.executable, "-m", "classpulse.cli", "up", str(folder / "site.toml")]
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            promoted_ms, digest = _promoted(bus, folder, process)
            while not (flips := _looked_with(bus, digest)) or SystemClock().now_ms() < min(flips) + 10_000:
                check_alive([process])
                time.sleep(1.0)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
        return _latencies(bus, promoted_ms, digest)


def _promoted(bus: Bus, folder: Path, process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Let it look for a while, then promote; gives when, and what."""
    while not detected(bus):
        check_alive([process])
        time.sleep(0.5)
    time.sleep(BEFORE_S + 10)
    lines, release = Lines(bus, SystemClock()), find_release("classroom-640")
    lines.register(put(release, str(folder / "data" / "models")))
    lines.change("main", lambda line: promoted(line, release.card.digest))
    return SystemClock().now_ms(), release.card.digest


def _looked_with(bus: Bus, digest: str) -> list[int]:
    """When frames were looked at with a release."""
    nouns = [(one.appended_at_ms, decode(one)) for one in every(bus, DETECTIONS)]
    return [at_ms for at_ms, noun in nouns if isinstance(noun, FrameDetections) and noun.model == digest]


def _latencies(bus: Bus, promoted_ms: int, digest: str) -> dict[str, float]:
    """Of all frames looked at, until the last worker has flipped and a while longer, and of as long before."""
    took: list[tuple[int, int]] = []
    flips: dict[str, int] = {}
    for record in every(bus, DETECTIONS):
        noun = decode(record)
        if isinstance(noun, FrameDetections):
            took.append((record.appended_at_ms, record.appended_at_ms - noun.captured_at_ms))
            if noun.model == digest:
                flips.setdefault(noun.camera, record.appended_at_ms)
    until_ms = max(flips.values()) + int(1000 * AFTER_S)
    span_ms = max(until_ms - promoted_ms, int(1000 * BEFORE_S))
    before = [ms for at_ms, ms in took if promoted_ms - span_ms <= at_ms < promoted_ms]
    during = [ms for at_ms, ms in took if promoted_ms <= at_ms < until_ms]
    p99 = percentile(before, 99), percentile(during, 99)
    return {
        "p50_before_ms": statistics.median(before),
        "p99_before_ms": p99[0],
        "p99_during_ms": p99[1],
        "p99_during_to_before": p99[1] / p99[0],
        "until_the_last_flip_s": (max(flips.values()) - promoted_ms) / 1000,
    }


if __name__ == "__main__":
    main()
