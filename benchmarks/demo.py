"""Claims: what a first look costs, from a fresh clone with empty caches to the demo's end.

`make demo` takes at most 3 minutes beside the lessons' own time; its processes together hold at most 700 MB (proportional
set size); the first detection comes within 5 s of the start of `classpulse demo`. Each run clones the repository and installs
everything anew. What the demo measured against the truth is kept as well, and the same of `make demo BUS=kafka` in that clone.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from measured import ROOT, pss_mib, spread, tree, write_result

from classpulse.bus.base import Place, open_bus
from classpulse.topics import DETECTIONS


def demo_process(pid: int) -> psutil.Process | None:
    """The `classpulse demo` among a process's descendants, once it runs."""
    for found in tree(pid):
        try:
            process = psutil.Process(found)
            if "demo" in process.cmdline() and any(word.endswith("classpulse") for word in process.cmdline()):
                return process
        except psutil.Error:
            continue
    return None


def first_detection_ms(path: Path) -> int:
    """When the first detections were appended, milliseconds since 1970."""
    bus = open_bus(f"sqlite://{path}")
    try:
        return min(
            record.appended_at_ms
            for partition, (first, end) in bus.ends(DETECTIONS).items()
            for record in bus.fetch(Place(DETECTIONS.name, partition), first, max_records=1, max_bytes=2**30)
            if end > first
        )
    finally:
        bus.close()


def run(caches: Path) -> dict[str, Any]:
    """One demo, from a clone with empty caches."""
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name) / "clone"
        environ = {**os.environ, "UV_CACHE_DIR": str(caches / "uv"), "PIP_CACHE_DIR": str(caches / "pip")}
        began = time.monotonic()
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        command = ["make", "demo", "DEMO_FLAGS=--headless"]
        process = subprocess.Popen(command, cwd=clone, env=environ, stdout=subprocess.DEVNULL)
        started_s, peak_mib, longest_s = 0.0, 0.0, 0.0
        while process.poll() is None:
            demo = demo_process(process.pid)
            if demo is not None:
                started_s = started_s or demo.create_time()
                peak_mib = max(peak_mib, pss_mib(tree(demo.pid)))
            time.sleep(0.5)
        wall_s = time.monotonic() - began
        if process.returncode != 0:
            raise SystemExit(f"make demo ended with {process.returncode}; expected 0")
        out = clone / "demo-out"
        report = json.loads((out / "report.json").read_text())
        events = ended_events(out)
        first_ms = first_detection_ms(out / "data" / "bus.sqlite")
        subprocess.run(["make", "demo", "BUS=kafka", "DEMO_FLAGS=--headless"], cwd=clone, env=environ, check=True)
        for truth in (clone / "services/classpulse/demo/lessons").glob("*.truth.json"):
            longest_s = max(longest_s, json.loads(truth.read_text())["duration_ms"] / 1000)
        return {
            "wall_s": wall_s,
            "beside_the_lessons_s": wall_s - longest_s,
            "first_detection_s": first_ms / 1000 - started_s,
            "pss_mib": peak_mib,
            "report": report,
            "over_kafka": {
                **json.loads((out / "report.json").read_text()),
                "ended_events": len(events),
                "same_events": ended_events(out) == events,
            },
        }


def ended_events(out: Path) -> list[tuple[str, str, int]]:
    """What a demo found: room, behaviour and how long it lasted, in order. When it began depends on when the demo did."""
    lines = map(json.loads, (out / "events.jsonl").read_text().splitlines())
    ended = [
        (one["room"], one["behaviour"], one["ended_at_ms"] - one["started_at_ms"])
        for one in lines
        if one["phase"] == "ended"
    ]
    return sorted(ended)


def f1s(reports: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Each report's F1 by behaviour."""
    return [{name: found["f1"] for name, found in one["behaviours"].items()} for one in reports]


def main() -> None:
    """Several runs, each with caches of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    runs = []
    for _ in range(parser.parse_args().runs):
        with tempfile.TemporaryDirectory() as caches:
            runs.append(run(Path(caches)))
    figures = {
        key: spread([one[key] for one in runs])
        for key in ("wall_s", "beside_the_lessons_s", "first_detection_s", "pss_mib")
    }
    figures["capture_to_event_ms"] = [one["report"]["capture_to_event_ms"] for one in runs]
    figures["f1"] = f1s([one["report"] for one in runs])
    kafka = [one["over_kafka"] for one in runs]
    figures["over_kafka"] = {
        **{key: [one[key] for one in kafka] for key in ("capture_to_event_ms", "ended_events", "same_events")},
        "f1": f1s(kafka),
    }
    write_result("demo", {"figures": figures, "last_report": runs[-1]["report"]})


if __name__ == "__main__":
    main()
