"""What a demo left, checked: `python -m classpulse.demo.check demo-out/report.json` exits with 1 naming what is wrong.

With `--swapped` in front the demo's model was replaced in the middle: two must have looked.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

LEAST_F1 = 0.75
LEAST_COVERAGE = 0.95
BEHAVIOURS = ("hand-raising", "stand-up", "sleeping")
LEAST_TRUE = 10
MOST_P99_MS = 2_000
"""Generous: a machine that also runs tests is slow, a route that is stuck is slower."""
SWAPPED = "--swapped"
LINES = ("events.jsonl", "timelines.jsonl")
PAGE = "timeline.html"


def faults_of(report: Mapping[str, Any]) -> list[str]:
    """Every figure that is not as promised, one line each: what, found, expected. Empty: all is well."""
    return [*_behaviours(report), *_cameras(report), *_rooms(report), *_others(report)]


def faults_beside(folder: Path) -> Iterator[str]:
    """What is wrong with the other files of a demo."""
    for name in LINES:
        yield from _lines(folder / name)
    page = folder / PAGE
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    if "</html>" not in text:
        yield f"{page}: {len(text)} characters; expected a whole HTML page"


def _lines(path: Path) -> Iterator[str]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    if not lines:
        yield f"{path}: no line; expected at least one record"
    for number, line in enumerate(lines, 1):
        try:
            json.loads(line)
        except ValueError as error:
            yield f"{path}:{number}: {error}; expected one JSON record a line"


def main(arguments: list[str]) -> int:
    """0 when every figure is as promised, 1 when one is not, 2 when there is no report to read."""
    swapped, paths = arguments[:1] == [SWAPPED], [one for one in arguments if one != SWAPPED]
    if len(paths) != 1:
        sys.stderr.write(f"usage: python -m classpulse.demo.check [{SWAPPED}] demo-out/report.json\n")
        return 2
    path = Path(paths[0])
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"report = {str(path)!r}: {error}; expected the report.json of a demo\n")
        return 2
    faults = [*faults_of(report), *_models(report, 2 if swapped else 1), *faults_beside(path.parent)]
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    if not faults:
        sys.stdout.write(f"{path}: every figure is as it must be\n")
    return 1 if faults else 0


def _behaviours(report: Mapping[str, Any]) -> Iterator[str]:
    for name in BEHAVIOURS:
        figures = report.get("behaviours", {}).get(name)
        if figures is None:
            yield f"behaviours.{name}: absent; expected its counts"
            continue
        if figures["true"] < LEAST_TRUE:
            yield f"behaviours.{name}.true = {figures['true']}; expected at least {LEAST_TRUE}"
        if figures["f1"] is None or figures["f1"] < LEAST_F1:
            counts = ", ".join(f"{figures[key]} {key}" for key in ("true", "found", "missed", "false"))
            yield f"behaviours.{name}.f1 = {figures['f1']}; expected at least {LEAST_F1} ({counts})"
        if figures["true"] != figures["found"] + figures["missed"]:
            yield f"behaviours.{name}.true = {figures['true']}; expected found + missed"


def _cameras(report: Mapping[str, Any]) -> Iterator[str]:
    cameras = report.get("cameras", {})
    if not cameras:
        yield "cameras: none; expected at least one"
    for camera, account in cameras.items():
        told = account["in_timelines"] + sum(account["dropped"].values())
        if account["captured"] != told:
            yield (
                f"cameras.{camera}.captured = {account['captured']}; expected in_timelines + dropped = "
                f"{account['in_timelines']} + {account['dropped']} = {told}"
            )
        if account["clip_frames"] != account["captured"]:
            yield f"cameras.{camera}.clip_frames = {account['clip_frames']}; expected captured = {account['captured']}"


def _rooms(report: Mapping[str, Any]) -> Iterator[str]:
    for room, figures in report.get("rooms", {}).items():
        if figures["coverage"] is None or figures["coverage"] < LEAST_COVERAGE:
            yield f"rooms.{room}.coverage = {figures['coverage']}; expected at least {LEAST_COVERAGE}"
        dropped = sum(sum(a["dropped"].values()) for c, a in report["cameras"].items() if c.rpartition("/")[0] == room)
        if sum(figures["missing"].values()) != dropped:
            yield f"rooms.{room}.missing = {figures['missing']}; expected {dropped} frames, as its cameras dropped"


def _others(report: Mapping[str, Any]) -> Iterator[str]:
    latencies = report.get("capture_to_event_ms", {})
    if any(not isinstance(latencies.get(key), int) for key in ("p50", "p99")):
        yield f"capture_to_event_ms = {latencies}; expected p50 and p99 in whole milliseconds"
    elif latencies["p99"] > MOST_P99_MS:
        yield f"capture_to_event_ms.p99 = {latencies['p99']}; expected at most {MOST_P99_MS}"
    if not report.get("frames_per_s"):
        yield f"frames_per_s = {report.get('frames_per_s')}; expected a number above 0"
    if not report.get("model"):
        yield f"model = {report.get('model')!r}; expected the digest of the net"


def _models(report: Mapping[str, Any], number: int) -> Iterator[str]:
    models = report.get("model") or ""
    if models and len(models.split(", ")) != number:
        yield f"model = {models!r}; expected {number} that looked"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
