"""Claim: tracing that is off costs nothing that can be measured.

`classpulse up` on the four 720p clips of benchmarks/route.py (paper model, two workers), in rounds of four runs, in turns: with what
a record carries for tracing taken out (no `traceparent` is made), with tracing off, as it comes, with one frame in 1,000 sent to a
receiver of OTLP on the same two cores, and with every frame sent there. Reported: frames/s, CPU ms a frame of all processes, and how
many percent of CPU a frame each way takes more than the one before it, round by round (both ways of tracing: more than off).
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measured import spread, write_result
from tests.otlp import receiving

from route import EVEN, PAPER, Way, four_clips, run

WAY = Way(PAPER, 2, 1, EVEN)
NONE, OFF, SOME, ALL = "without", "off", "1 frame in 1,000", "every frame"
ONE_IN = {SOME: "1000", ALL: "1"}
MORE_THAN = {OFF: NONE, SOME: OFF, ALL: OFF}
TAKEN_OUT = """
from classpulse import codec


def bare(name, identity_, topic, subject, at_ms, trace):
    return (
        ("ce_specversion", b"1.0"),
        ("ce_id", identity_.encode()),
        ("ce_source", f"/classpulse/{codec.short_name(topic)}".encode()),
        ("ce_type", f"classpulse.{name}.v{codec.VERSION}".encode()),
        ("ce_subject", subject.encode()),
        ("ce_time", codec.rfc3339(at_ms).encode()),
        ("content-type", b"image/jpeg" if name == "Frame" else b"application/json"),
    )


told = ("Frame", "i", codec.FRAMES, "s", 0, "0" * 32)
assert bare(*told) == codec._cloud_event(*told)[:-1] and codec._cloud_event(*told)[-1][0] == "traceparent"
codec._cloud_event, codec._trace = bare, lambda noun, told: "-"
"""
"""Imported by every process before anything else; `codec.frame_trace` alone is still asked, where aggregate makes an event."""


@contextmanager
def environ(way: str, folder: Path) -> Iterator[None]:
    """As this way wants it. Raises SystemExit where no span came though every frame has some, or some came though none should."""
    before = dict(os.environ)
    with receiving() as receiver:
        if way == NONE:
            (folder / "sitecustomize.py").write_text(TAKEN_OUT)
            os.environ["PYTHONPATH"] = f"{folder}{os.pathsep}{before.get('PYTHONPATH', '')}"
        elif way in ONE_IN:
            os.environ |= {"CLASSPULSE_OTLP_ENDPOINT": receiver.url, "CLASSPULSE_TRACE_ONE_IN": ONE_IN[way]}
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
    if way != SOME and bool(receiver.spans) != (way == ALL):
        raise SystemExit(f"{way}: {len(receiver.spans)} spans came; expected {'some' if way == ALL else 'none'}")


def main() -> None:
    """Rounds of the four ways, each beginning with another one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--frames", type=int, default=600, help="frames of each clip")
    options = parser.parse_args()
    ways = (NONE, OFF, SOME, ALL)
    rates: dict[str, list[float]] = {way: [] for way in ways}
    cpu_ms: dict[str, list[float]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        clips, frames = four_clips(Path(folder), options.frames)
        for number in range(options.rounds):
            for way in ways[number % 4 :] + ways[: number % 4]:
                with environ(way, Path(folder)):
                    found = run(clips, frames, WAY)
                rates[way].append(float(str(found["frames_per_s"])))
                cpu_ms[way].append(sum(dict(found["cpu_ms_per_frame"]).values()))  # type: ignore[call-overload]
    more = {
        way: spread([100 * (a / b - 1) for a, b in zip(cpu_ms[way], cpu_ms[other], strict=True)])
        for way, other in MORE_THAN.items()
    }
    write_result(
        "tracing",
        {
            "claim": __doc__,
            "frames": frames,
            "frames_per_s": {way: spread(found) for way, found in rates.items()},
            "cpu_ms_per_frame": {way: spread(found) for way, found in cpu_ms.items()},
            "more_cpu_percent": more,
        },
    )


if __name__ == "__main__":
    main()
