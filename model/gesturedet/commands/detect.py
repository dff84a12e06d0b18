"""`detect`: anything that can be looked at → a table, lines of JSON, and annotated pictures or a video."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from gesturedet.annotated import annotated, place_of
from gesturedet.api import Detections, Detector, load
from gesturedet.commands.options import (
    JsonOption,
    LeftOut,
    ModelOption,
    RuntimeOption,
    ThreadsOption,
    progress,
    say,
    tell,
)
from gesturedet.sources import Shown, Source, open_source

app = typer.Typer(rich_markup_mode=None)

SCORE_DIGITS = 4
BOX_DIGITS = 2
"""A hundredth of a pixel: below what the net knows."""

HEADING = f"{'picture':<24} {'time':>9}  {'behaviour':<14} {'score':>5}  {'x0':>6} {'y0':>6} {'x1':>6} {'y1':>6}"


@app.command("detect")
def detect_command(
    source: Annotated[str, typer.Argument(help="A picture, a folder, a video, /dev/video0 or rtsp://camera/stream.")],
    *,
    out: Annotated[
        Path | None, typer.Option(help="Where annotated pictures go: a file, or a folder; videos become .mp4.")
    ] = None,
    as_json: JsonOption = False,
    min_score: Annotated[float | None, typer.Option(help="Least score; default: the card's, by behaviour.")] = None,
    model: ModelOption = "classroom",
    runtime: RuntimeOption = "onnxruntime",
    threads: ThreadsOption = 1,
) -> None:
    """Find behaviours in a picture, a folder, a video or a camera; Ctrl-C ends a camera.

    --json prints one line for each picture. A folder's unreadable pictures are named, counted and left out.
    """
    opened = open_source(source)
    if out is not None:
        place_of(out, opened)  # before the net is loaded
    detector = load(model, runtime=runtime, threads=threads)
    tally = Tally()
    report = _say_json if as_json else _say_rows
    with nullcontext() if out is None else annotated(out, opened) as keep, _until_interrupted():
        for shown, found in _looked_at(detector, opened, min_score, tally):
            if tally.pictures == 1 and not as_json:
                say(HEADING)
            report(shown, found)
            if keep is not None:
                keep(shown, found.draw(shown.image_bgr))
    tell(tally.line())
    if not tally.pictures:
        raise ValueError(f"source: {source!r} holds no readable picture, expected at least one")


@dataclass
class Tally(LeftOut):
    """What was seen in all."""

    pictures: int = 0
    found: Counter[str] = field(default_factory=Counter)

    def line(self) -> str:
        """All of it for people."""
        each = ", ".join(f"{name} {count}" for name, count in sorted(self.found.items())) or "nothing found"
        return f"{self.counted(self.pictures)}: {each}"


def _looked_at(
    detector: Detector, source: Source, min_score: float | None, tally: Tally
) -> Iterator[tuple[Shown, Detections]]:
    with progress(source.name, source.total) as advance:
        for shown in source.pictures(tally.leave_out):
            found = detector.detect(shown.image_bgr, min_score=min_score)
            tally.pictures += 1
            tally.found.update(found.labels)
            yield shown, found
            advance()
    seen = tally.pictures + tally.unreadable
    if source.total is not None and 0 < seen < source.total:
        tell(f"{source.name} ends after {seen} of {source.total} pictures")


@contextmanager
def _until_interrupted() -> Iterator[None]:
    """A camera has no end but Ctrl-C; what was seen until then is kept."""
    try:
        yield
    except KeyboardInterrupt:
        tell("interrupted")


def _say_json(shown: Shown, found: Detections) -> None:
    height, width = shown.image_bgr.shape[:2]
    detections = [
        {"label": label, "score": round(float(score), SCORE_DIGITS), "box_xyxy": _rounded(box)}
        for label, score, box in zip(found.labels, found.scores, found.boxes_xyxy, strict=True)
    ]
    said = {"picture": shown.name, "at_ms": shown.at_ms, "width": width, "height": height, "detections": detections}
    say(json.dumps(said))


def _say_rows(shown: Shown, found: Detections) -> None:
    time = "" if shown.at_ms is None else f"{shown.at_ms / 1000:.2f} s"
    for label, score, box in zip(found.labels, found.scores, found.boxes_xyxy, strict=True):
        corners = " ".join(f"{float(side):>6.0f}" for side in box)
        say(f"{shown.name:<24} {time:>9}  {label:<14} {float(score):>5.2f}  {corners}")


def _rounded(box: Any) -> list[float]:
    return [round(float(side), BOX_DIGITS) for side in box]
