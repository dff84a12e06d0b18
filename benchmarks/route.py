"""Claim: four 720p H.264 clips at once in `complete` delivery run from file to final timeline at 100 frames/s or more on 2 cores.

The clips are the bundled lessons, scaled to 1280x720 and encoded again (the fourth is the first, mirrored). A run is
`classpulse up` on a fresh data folder, and ends when every bucket is final. Reported: frames/s from the first frame appended
to the last detection committed, and over the whole command with its start; CPU seconds per frame of each stage, which
say what the bound is.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import psutil
from measured import ROOT, pss_mib, spread, tree, write_result

from classpulse.bus.base import Place, open_bus
from classpulse.topics import DETECTIONS, FRAMES

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


def site(folder: Path, clips: list[Path], workers: int, threads: int) -> Path:
    """A site file with one room and one camera for each clip."""
    lines = ["[settings]", f'data = "{folder}/data"', f"detect_workers = {workers}", f"runtime_threads = {threads}", ""]
    for number, clip in enumerate(clips, 1):
        room = f"bench/school/room-{number}"
        lines += ["[[rooms]]", f'room = "{room}"', "", "[[cameras]]", f'camera = "{room}/front"']
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


def run(clips: list[Path], frames: int, workers: int, threads: int) -> dict[str, object]:
    """One run on a fresh data folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = site(folder, clips, workers, threads)
        cpu: dict[str, dict[int, float]] = {}
        peak: list[float] = []
        started = time.monotonic()
        environ = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "classpulse.cli", "up", str(path)]
        process = subprocess.Popen(
            command, cwd=folder, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        watch(process, cpu, peak)
        wall = time.monotonic() - started
        if process.returncode != 0:
            raise SystemExit(f"classpulse up ended with {process.returncode}; expected 0")
        first, last = span_ms(folder / "data" / "bus.sqlite")
        per_frame = {stage: round(1000 * sum(seconds.values()) / frames, 3) for stage, seconds in cpu.items()}
        return {
            "frames_per_s": frames / ((last - first) / 1000),
            "frames_per_s_with_start": frames / wall,
            "cpu_ms_per_frame": per_frame,
            "pss_mib": max(peak),
        }


def span_ms(path: Path) -> tuple[int, int]:
    """Append times of the first frame and the last detection."""
    bus = open_bus(f"sqlite://{path}")
    try:
        times = [
            record.appended_at_ms
            for topic in (FRAMES, DETECTIONS)
            for partition, (first, end) in bus.ends(topic).items()
            for record in bus.fetch(Place(topic.name, partition), first, max_records=end - first + 1, max_bytes=2**33)
        ]
        return min(times), max(times)
    finally:
        bus.close()


def main() -> None:
    """Interleave the two ways to use two cores, `--runs` times each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--frames", type=int, default=900, help="frames of each clip")
    options = parser.parse_args()
    ways = {"2 workers x 1 thread": (2, 1), "1 worker x 2 threads": (1, 2)}
    with tempfile.TemporaryDirectory() as name:
        clips = [Path(name) / f"clip-{number}.mp4" for number in range(4)]
        sources = [LESSONS / f"lesson-{1 + number % 3}.mp4" for number in range(4)]
        frames = 0
        for number, (source, clip) in enumerate(zip(sources, clips, strict=True)):
            frames += clip_720p(source, clip, mirrored=number == 3, most_frames=options.frames)
        runs: dict[str, list[dict[str, object]]] = {way: [] for way in ways}
        for _ in range(options.runs):
            for way, (workers, threads) in ways.items():
                runs[way].append(run(clips, frames, workers, threads))
    write_result(
        "route", {"claim": __doc__, "clips": 4, "frames": frames, "limit_frames_per_s": 100, "ways": summary(runs)}
    )


def summary(runs: dict[str, list[dict[str, object]]]) -> dict[str, object]:
    """Spread of every figure of every way."""
    found: dict[str, object] = {}
    for way, results in runs.items():
        figures = ("frames_per_s", "frames_per_s_with_start", "pss_mib")
        found[way] = {figure: spread([float(str(r[figure])) for r in results]) for figure in figures}
        found[way]["cpu_ms_per_frame"] = [r["cpu_ms_per_frame"] for r in results]  # type: ignore[index]
    return found


if __name__ == "__main__":
    main()
