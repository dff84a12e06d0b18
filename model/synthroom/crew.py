"""Crew: worker processes, each with one renderer of its own and one thread."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TypeVar

from synthroom.renderer import Renderer

Job = TypeVar("Job")
Result = TypeVar("Result")


def one_thread() -> None:
    """Keep this process to one thread: Mesa's rasteriser and the maths libraries. Call before the first drawing."""
    for name in ("LP_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")


@cache
def own_renderer(width: int, height: int) -> Renderer:
    """Give this process its renderer for one size of picture."""
    one_thread()
    return Renderer(width, height)


def work(task: Callable[[Job], Result], jobs: Iterable[Job], workers: int) -> Iterator[Result]:
    """Do jobs in order: here for one worker, else in spawned processes; `task` must be importable."""
    if workers < 1:
        raise ValueError(f"workers {workers}: expected at least 1")
    one_thread()
    if workers == 1:
        yield from map(task, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers, initializer=one_thread) as pool:
        yield from pool.imap(task, jobs)
