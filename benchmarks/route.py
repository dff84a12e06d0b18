"""Claim: four 720p clips at once run from file to final timeline at 100 frames/s or more on 2 cores, with the paper model.

H.264, `complete` delivery; the classroom model, which looks at more pixels, is measured beside it.
The clips are the bundled lessons, scaled to 1280x720 and encoded again (the fourth is the first, mirrored). A run is
`classpulse up` on a fresh data folder, and ends when every bucket is final. Reported: frames/s from the first frame appended
to the last bucket committed, and over the whole command with its start; CPU seconds per frame of each stage, which
say what the bound is; and, between the runs, how many pictures a second the net alone manages in two processes side by
side, which no route on this machine can exceed.

A camera's frames stay on one worker, by the hash of its name: four cameras fall two and two in the first way, and
three and one in the last, as also happens.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
from measured import ROOT, pss_mib, spread, tree, write_result

from classpulse.bus.base import Place, open_bus
from classpulse.records import room_of
from classpulse.topics import FRAMES, TIMELINES, partition_of
from gesturedet.card import WEIGHTS, load_release
from gesturedet.runtime.onnxruntime import OnnxRuntime

LESSONS = ROOT / "services" / "classpulse" / "demo" / "lessons"
STAGES = ("ingest", "detect", "aggregate")


def clip_720p(source: Path, target: Path, *, mirrored: bool, most_frames: int) -> int:
    """Encode `source` again at 1280x720; the number of frames written."""
    count = 0
    with av.open(str(source)) as clip, av.open(str(target), "w") as out:
        rate = Fraction(clip.streams.video[0].average_rate or 12)
        stream = out.add_stream(
            "libx264", rate=rate, options={"preset": "veryfast", "crf": "23", "g": str(int(rate) * 2)}
        )
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for frame in clip.decode(video=0):
            picture = frame.reformat(1280, 720, "bgr24").to_ndarray()
            again = av.VideoFrame.from_ndarray(picture[:, ::-1].copy() if mirrored else picture, "bgr24")
            out.mux(stream.encode(again))
            count += 1
            if count == most_frames:
                break
        out.mux(stream.encode(None))
    return count


@dataclass(frozen=True)
class Way:
    """How two cores are used: the release, workers, threads of each, and the rooms whose cameras are shared out."""

    model: Path
    workers: int
    threads: int
    rooms: tuple[int, ...]


EVEN, UNEVEN = (1, 2, 3, 6), (1, 2, 3, 4)
"""Numbers of rooms whose cameras two workers share two and two, and three and one."""
PAPER, CLASSROOM = WEIGHTS / "paper", WEIGHTS / "classroom"
WAYS = {
    "paper, 2 workers x 1 thread": Way(PAPER, 2, 1, EVEN),
    "paper, 1 worker x 2 threads": Way(PAPER, 1, 2, EVEN),
    "paper, 2 workers x 1 thread, 3 cameras on one": Way(PAPER, 2, 1, UNEVEN),
    "classroom, 2 workers x 1 thread": Way(CLASSROOM, 2, 1, EVEN),
}


def cameras_of(way: Way) -> list[str]:
    """Keys of the cameras of a way."""
    return [f"bench/school/room-{number}/front" for number in way.rooms]


def shares(way: Way) -> list[int]:
    """How many cameras each worker has, most first."""
    owners = [partition_of(camera, FRAMES.partitions) % way.workers for camera in cameras_of(way)]
    return sorted((owners.count(index) for index in range(way.workers)), reverse=True)


def site(folder: Path, clips: list[Path], way: Way, bus: str) -> Path:
    """A site file with one room and one camera for each clip."""
    lines = ["[settings]", f'data = "{folder}/data"', f'bus = "{bus}"', f"detect_workers = {way.workers}"]
    lines += [f"runtime_threads = {way.threads}", f'model = "{way.model}"', ""]
    for camera, clip in zip(cameras_of(way), clips, strict=True):
        lines += ["[[rooms]]", f'room = "{room_of(camera)}"', "", "[[cameras]]", f'camera = "{camera}"']
        lines += [f'source = "file://{clip}"', 'delivery = "complete"', "fps = 60.0", "frame_width = 640", ""]
    path = folder / "site.toml"
    path.write_text("\n".join(lines))
    return path


def watch(process: subprocess.Popen[bytes], seen: dict[str, dict[int, float]], peak: list[float]) -> None:
    """Sample CPU seconds of every stage's process and the memory of all until the command ends."""
    while process.poll() is None:
        pids = tree(process.pid)
        peak.append(pss_mib(pids))
        for pid in pids:
            try:
                child = psutil.Process(pid)
                name = next((stage for stage in STAGES if stage in child.cmdline()), "supervisor")
                times = child.cpu_times()
                seen.setdefault(name, {})[pid] = times.user + times.system
            except psutil.Error:
                continue
        time.sleep(0.5)


def net_alone(model: Path, seconds: float = 5.0) -> float:
    """Pictures a second through the net alone, in two processes of one thread side by side."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(run_net, [(model, 0.5)] * 2, chunksize=1)  # both processes are up and warm
        return sum(pool.map(run_net, [(model, seconds)] * 2, chunksize=1))


def run_net(what: tuple[Path, float]) -> float:
    """Pictures a second in this process, of a release and for so many seconds."""
    model, seconds = what
    release = load_release(model)
    runtime = OnnxRuntime(release.onnx_bytes, threads=1)
    black = np.zeros((1, 3, *release.card.input_hw), dtype=np.float32)
    started, count = time.monotonic(), 0
    while time.monotonic() < started + seconds:
        runtime.run(black)
        count += 1
    return count / (time.monotonic() - started)


def run(clips: list[Path], frames: int, way: Way, bus: str = "") -> dict[str, object]:
    """One run on a fresh data folder, and on an empty bus where one is named."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bus = bus or f"sqlite://{folder}/data/bus.sqlite"
        path = site(folder, clips, way, bus)
        cpu: dict[str, dict[int, float]] = {}
        peak: list[float] = []
        started = time.monotonic()
        environ = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "classpulse.cli", "up", str(path), "--keep-pictures"]
        process = subprocess.Popen(
            command, cwd=folder, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        watch(process, cpu, peak)
        wall = time.monotonic() - started
        if process.returncode != 0:
            raise SystemExit(f"classpulse up ended with {process.returncode}; expected 0")
        first, last = span_ms(bus)
        per_frame = {stage: round(1000 * sum(seconds.values()) / frames, 3) for stage, seconds in cpu.items()}
        return {
            "frames_per_s": frames / ((last - first) / 1000),
            "frames_per_s_with_start": frames / wall,
            "cpu_ms_per_frame": per_frame,
            "pss_mib": max(peak),
        }


def span_ms(url: str) -> tuple[int, int]:
    """Append times of the first frame and the last bucket."""
    bus = open_bus(url)
    try:
        times = [
            record.appended_at_ms
            for topic in (FRAMES, TIMELINES)
            for partition, (first, end) in bus.ends(topic).items()
            for record in bus.fetch(Place(topic.name, partition), first, max_records=end - first + 1, max_bytes=2**33)
        ]
        return min(times), max(times)
    finally:
        bus.close()


def four_clips(folder: Path, most_frames: int) -> tuple[list[Path], int]:
    """Four 720p clips in a folder, and how many frames they have in all."""
    clips = [folder / f"clip-{number}.mp4" for number in range(4)]
    sources = [LESSONS / f"lesson-{1 + number % 3}.mp4" for number in range(4)]
    written = [
        clip_720p(source, clip, mirrored=number == 3, most_frames=most_frames)
        for number, (source, clip) in enumerate(zip(sources, clips, strict=True))
    ]
    return clips, sum(written)


def main() -> None:
    """Interleave the ways to use two cores, and the net alone, `--runs` times each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--frames", type=int, default=900, help="frames of each clip")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clips, frames = four_clips(Path(folder), options.frames)
        runs: dict[str, list[dict[str, object]]] = {name: [] for name in WAYS}
        alone: dict[str, list[float]] = {model.name: [] for model in (PAPER, CLASSROOM)}
        for _ in range(options.runs):
            for model in (PAPER, CLASSROOM):
                alone[model.name].append(net_alone(model))
            for name, way in WAYS.items():
                runs[name].append(run(clips, frames, way))
    write_result(
        "route",
        {
            "claim": __doc__,
            "clips": 4,
            "frames": frames,
            "limit_frames_per_s": 100,
            "net_alone_frames_per_s": {name: spread(found) for name, found in alone.items()},
            "ways": summary(runs),
        },
    )


def summary(runs: dict[str, list[dict[str, object]]]) -> dict[str, object]:
    """Spread of every figure of every way."""
    found: dict[str, object] = {}
    for way, results in runs.items():
        figures = ("frames_per_s", "frames_per_s_with_start", "pss_mib")
        spreads = {figure: spread([float(str(r[figure])) for r in results]) for figure in figures}
        cpu = [r["cpu_ms_per_frame"] for r in results]
        found[way] = {"cameras_of_a_worker": shares(WAYS[way]), **spreads, "cpu_ms_per_frame": cpu}
    return found


if __name__ == "__main__":
    main()
