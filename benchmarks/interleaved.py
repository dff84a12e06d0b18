"""Several things timed in one run, in turns, so that whatever slows the machine slows all of them.

Each group of cases (one runtime with one number of threads) has a process of its own, so that thread pools never share one;
only one process is busy at a time. Every round visits all cases in a new order; a round's figure is the median of its calls.
"""

import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import cv2
from measured import spread
from rich.progress import track

Work = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """`make` is called in the group's process (so it has to be picklable) and gives what is timed."""

    name: str
    group: str
    make: Callable[[], Work]


@dataclass(frozen=True)
class Visit:
    """How long a visit lasts: at least `least_calls` calls and `least_s` seconds, after a rest."""

    least_calls: int = 5
    least_s: float = 0.15
    rest_s: float = 0.04


def conduct(cases: Sequence[Case], *, rounds: int, visit: Visit | None = None) -> dict[str, dict[str, Any]]:
    """Time all cases; for each its spread over the rounds in milliseconds. Raises RuntimeError naming a case that fails."""
    visit = visit or Visit()
    context = multiprocessing.get_context("spawn")
    lines: dict[str, Connection] = {}
    processes = []
    for group in dict.fromkeys(case.group for case in cases):
        lines[group], theirs = context.Pipe()
        processes.append(context.Process(target=_serve, args=(theirs, visit), daemon=True))
        processes[-1].start()
    try:
        for case in track(cases, description="loading"):
            _ask(lines[case.group], case.name, case.make)
        times: dict[str, list[float]] = {case.name: [] for case in cases}
        for number in track(range(rounds), description="rounds"):
            for case in random.Random(number).sample(list(cases), len(cases)):
                time.sleep(visit.rest_s)
                times[case.name].append(_ask(lines[case.group], case.name, None))
    finally:
        for line, process in zip(lines.values(), processes, strict=True):
            line.close()
            process.join(10)
    return {name: spread(found) for name, found in times.items()}


def _ask(line: Connection, name: str, make: Callable[[], Work] | None) -> float:
    """Make a case in its process, or time it there."""
    line.send((name, make))
    fault, found = line.recv()
    if fault:
        raise RuntimeError(f"{name}: {fault}")
    return float(found)


def _serve(line: Connection, visit: Visit) -> None:
    """Make and time what the conductor asks for, until it hangs up."""
    cv2.setNumThreads(1)
    works: dict[str, Work] = {}
    while True:
        try:
            name, make = line.recv()
        except EOFError:
            return
        try:
            if make is not None:
                works[name] = make()
                works[name]()
                line.send(("", 0.0))
            else:
                line.send(("", _median_ms(works[name], visit)))
        except Exception as error:  # noqa: BLE001 - told to the conductor, who names the case
            line.send((f"{type(error).__name__}: {error}", 0.0))


def _median_ms(work: Work, visit: Visit) -> float:
    work()
    times: list[float] = []
    end = time.perf_counter() + visit.least_s
    while len(times) < visit.least_calls or time.perf_counter() < end:
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)
