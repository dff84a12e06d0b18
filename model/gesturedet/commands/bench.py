"""`bench`: how long a release takes on this machine, by runtime and threads, rounds of all of them interleaved.

Each round loads every case afresh, so that no case lives from another's warm memory and a runtime whose threads are the
whole process's (torch's) cannot spoil the next one.
"""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from gesturedet.api import Detector, load
from gesturedet.card import ModelCard, find_release
from gesturedet.commands.options import JsonOption, ModelArgument, progress, say
from gesturedet.runtime.base import RUNTIMES

app = typer.Typer(rich_markup_mode=None)

WARM_UPS = 3
PICTURE_HW = (360, 640)
"""A frame as cameras send it to the detector."""


@dataclass
class Case:
    """One runtime with so many threads; a median in milliseconds for each round."""

    runtime: str
    threads: int
    net_ms: list[float] = field(default_factory=list)
    picture_ms: list[float] = field(default_factory=list)


@app.command("bench")
def bench_command(
    model: ModelArgument = "classroom",
    *,
    runtime: Annotated[
        list[str] | None, typer.Option(help="A runtime; may be repeated. Default: all that can run this release.")
    ] = None,
    threads: Annotated[list[int] | None, typer.Option(help="Threads; may be repeated. Default: 1 and 2.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each case is measured.")] = 12,
    runs: Annotated[int, typer.Option(min=1, help="Pictures in each round.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Measure how long a release takes, by runtime and threads: medians over interleaved rounds, with their spread.

    `net` is the runtime alone; `picture to boxes` begins with a decoded picture of 640 x 360 and ends with detections.
    """
    card = find_release(model).card
    able, unable = _sorted_out(model, runtime or list(RUNTIMES), asked=runtime is not None)
    cases = [Case(name, count) for name in able for count in threads or [1, 2]]
    with progress("rounds", rounds * len(cases)) as advance:
        for _ in range(rounds):
            for case in cases:
                _measure(case, load(model, runtime=case.runtime, threads=case.threads), runs)
                advance()
    say(json.dumps(_figures(card, cases, unable, runs), indent=2) if as_json else _table(card, cases, unable, runs))


def _sorted_out(model: str, names: Sequence[str], *, asked: bool) -> tuple[list[str], dict[str, str]]:
    """Say which runtimes can run the release, and why the others cannot. Raises ValueError if one was asked for."""
    able, unable = [], {}
    for name in names:
        try:
            load(model, runtime=name)
            able.append(name)
        except ValueError as error:
            if asked:
                raise
            unable[name] = str(error)
    return able, unable


def _measure(case: Case, detector: Detector, runs: int) -> None:
    shown = _picture()
    prepared = detector.predictor.prepare(shown)
    case.net_ms.append(_median_ms(lambda: detector.predictor.runtime.run(prepared), runs))
    case.picture_ms.append(_median_ms(lambda: detector.predictor.predict(shown), runs))


def _median_ms(call: Callable[[], Any], runs: int) -> float:
    for _ in range(WARM_UPS):
        call()
    taken = []
    for _ in range(runs):
        began = time.perf_counter()
        call()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def _picture() -> NDArray[np.uint8]:
    """A picture with soft shapes: no net has an easier time with it than with a room."""
    coarse = np.random.default_rng(0).integers(0, 256, (9, 16, 3), dtype=np.uint8)
    soft = cv2.resize(coarse, PICTURE_HW[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(soft, dtype=np.uint8)


def _figures(card: ModelCard, cases: Sequence[Case], unable: dict[str, str], runs: int) -> dict[str, Any]:
    return {
        "model": card.name,
        "digest": card.digest,
        "precision": card.precision,
        "input_hw": card.input_hw,
        "picture_hw": PICTURE_HW,
        "pictures_a_round": runs,
        "machine": {"cpu": _cpu(), "cores": os.cpu_count(), "python": platform.python_version()},
        "cases": [
            {
                "runtime": case.runtime,
                "threads": case.threads,
                "net_ms": _spread(case.net_ms),
                "picture_to_boxes_ms": _spread(case.picture_ms),
            }
            for case in cases
        ],
        "left_out": unable,
    }


def _spread(values: Sequence[float]) -> dict[str, Any]:
    rounded = [round(value, 3) for value in values]
    return {
        "median": round(statistics.median(values), 3),
        "min": min(rounded),
        "max": max(rounded),
        "rounds": rounded,
    }


def _table(card: ModelCard, cases: Sequence[Case], unable: dict[str, str], runs: int) -> str:
    height, width = card.input_hw
    lines = [
        f"{card.name}, {card.precision}, input {width} x {height}, on {_cpu()}, {os.cpu_count()} cores",
        f"ms, median (least to most) of {len(cases[0].net_ms) if cases else 0} rounds of {runs} pictures",
        f"{'runtime':<22} {'threads':>7}  {'net':>24}  {'picture to boxes':>24}",
    ]
    for case in cases:
        spreads = "  ".join(f"{_told(values):>24}" for values in (case.net_ms, case.picture_ms))
        lines.append(f"{case.runtime:<22} {case.threads:>7}  {spreads}")
    return "\n".join(lines + [f"left out: {name}: {reason}" for name, reason in unable.items()])


def _told(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _cpu() -> str:
    """Return the processor's name as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.is_file() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unknown processor")
