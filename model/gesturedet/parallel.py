"""Several training processes that take each step together (used by engine and cli).

On a CPU, one single-threaded process per core is faster than one process with several threads as soon as anything else
runs on the machine.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import wait
from multiprocessing.queues import SimpleQueue
from threading import Thread
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.multiprocessing.spawn import ProcessRaisedException, spawn

Said = TypeVar("Said")


@dataclass(frozen=True, slots=True)
class Crew:
    """Which process of how many this is."""

    rank: int
    processes: int

    def average_gradients(self, model: nn.Module) -> None:
        """Replace every gradient by its mean over the processes, in one message."""
        if self.processes == 1:
            return
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.processes
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def union(self, places: set[int]) -> set[int]:
        """Return what any of the processes has; each has to call it."""
        if self.processes == 1:
            return places
        everybodys: list[set[int]] = [set()] * self.processes
        dist.all_gather_object(everybodys, places)
        return set().union(*everybodys)

    def from_first(self, said: Said) -> Said:
        """Return what the first process says; each has to call it."""
        if self.processes == 1:
            return said
        everybodys = [said]
        dist.broadcast_object_list(everybodys, src=0)
        return everybodys[0]


ALONE = Crew(rank=0, processes=1)


def run_together(processes: int, work: Callable[[Crew], None]) -> None:
    """Call `work` in so many processes at once and wait for all of them. `work` has to be picklable.

    They end with this process, however it ends: those of a killed run would go on writing beside the one that resumes it.
    Raises what the first failing process raised.
    """
    if processes < 1:
        raise ValueError(f"processes: {processes} is not at least 1")
    if processes == 1:
        work(ALONE)
        return
    errors = torch.multiprocessing.get_context("spawn").SimpleQueue()
    try:
        spawn(_member, args=(processes, _free_port(), work, errors), nprocs=processes)  # type: ignore[no-untyped-call]
    except ProcessRaisedException:
        if errors.empty():
            raise
        raise errors.get() from None


def _member(
    rank: int, processes: int, port: int, work: Callable[[Crew], None], errors: "SimpleQueue[Exception]"
) -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=processes)
    try:
        work(Crew(rank, processes))
    except Exception as error:
        errors.put(error)
        raise
    finally:
        dist.destroy_process_group()


def _end_with_parent() -> None:
    """Also where torch's own SIGINT on the parent's death is ignored, as in what a shell runs in the background."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
