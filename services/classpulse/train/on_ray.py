"""A training run as a group of processes on a Ray cluster: the very job of `gesturedet train`, data-parallel under Ray Train v2.

Ray places the processes, connects them (gloo on CPUs, nccl on GPUs) and starts all of them again when one dies; they go on from the
last state that was kept. Pictures are read by each process where it runs, so their folders are there on every node.
"""

import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray.exceptions import RayError
from ray.train.torch import TorchConfig, TorchTrainer

from classpulse.errors import BadInput, Fatal
from classpulse.ray_cluster import CLIENT, connected, first_line
from classpulse.train.kept import Kept
from gesturedet.checkpoint import check_recipe, read_checkpoint
from gesturedet.data.training_set import Example
from gesturedet.engine import LAST
from gesturedet.journal import FILE, read_log
from gesturedet.parallel import Crew
from gesturedet.port import fetch_coco_backbone
from gesturedet.training_job import TrainJob
from gesturedet.training_run import Run

FAILURES = 5
"""So often a group that lost a process, or could not keep its state, is started again."""
NICENESS = 15
"""Whatever looks at pictures on the same machine goes first."""

LISTEN_S = 0.5

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Group:
    """So many processes, each on a core or a GPU of its own, on the cluster at `address` (empty: one of this process's own)."""

    workers: int
    device: str = "cpu"
    address: str = ""


def train(job: TrainJob, out: str, group: Group, tell: Tell) -> None:
    """Run a job and leave its files at `out`, a folder or a URL that fsspec knows; goes on where states are kept there.

    `tell`: is given a line whenever a state is kept, and when a process is lost. Raises BadInput for a cluster that is not
    there or too small, Recoverable where `out` does not answer, Fatal where the processes fail again and again.
    """
    if group.address.startswith(CLIENT):
        raise BadInput(
            [
                f"--address = {group.address!r}: a training run is led from a node; expected HOST:PORT of Ray's head, or auto"
            ]
        )
    kept = Kept(out)
    _check_recipe(job, kept)
    kept.check()
    with connected(group.address, niceness=NICENESS), tempfile.TemporaryDirectory() as scratch:
        _check_room(group)
        cuda = group.device == "cuda"
        said = ray.remote(num_cpus=0)(Said).remote()
        trainer = TorchTrainer(
            partial(_work, job, kept.url, said),
            scaling_config=ray.train.ScalingConfig(num_workers=group.workers, use_gpu=cuda),
            torch_config=TorchConfig(backend="nccl" if cuda else "gloo"),
            run_config=ray.train.RunConfig(
                name=f"train-{uuid.uuid4().hex[:8]}",
                storage_path=scratch,
                failure_config=ray.train.FailureConfig(max_failures=FAILURES),
                callbacks=[Losses(said)],
            ),
        )
        with _told(said, tell):
            try:
                trainer.fit()
            except ray.train.TrainingFailedError as error:
                raise Fatal(f"train: {_reason(error)}; what was kept at {out} is whole: --resume goes on") from error
    kept.finish()


class Said:
    """Lines from wherever the processes run, for whoever waits; an actor."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        """Say a line."""
        self._lines.append(line)

    def since(self, count: int) -> list[str]:
        """All lines but the first so many."""
        return self._lines[count:]


class Losses(ray.train.UserCallback):  # type: ignore[misc]
    """Says that a process was lost, and why; Ray starts all of them again."""

    def __init__(self, said: Any) -> None:
        self._said = said

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, BaseException]) -> None:  # noqa: ARG002 - Ray's
        """Ray calls it before it decides whether to start them again."""
        self._said.add.remote(f"lost: {_reason_of(worker_exceptions)}")


def _work(job: TrainJob, out: str, said: Any) -> None:
    """What each process does. Its own folder is gone at the end; what counts is kept at `out`."""
    context = ray.train.get_context()
    crew, kept = Crew(context.get_world_rank(), context.get_world_size()), Kept(out)
    if job.coco is not None:
        fetch_coco_backbone(job.coco.parent)  # on this node, where it is not there yet
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        newest = crew.from_first(next(reversed(kept.states()), None) if crew.rank == 0 else None)
        if newest is not None:
            kept.fetch(folder, newest)
        if newest is not None and crew.rank == 0:
            said.add.remote(f"going on from {newest}")

        def saved(run: Run) -> None:
            if crew.rank == 0:
                kept.keep(folder, _state(run.epoch, run.step))
                said.add.remote(_progress(run, folder))

        replace(job, out=folder, continues=True, saved=saved)(crew)
        if crew.rank == 0:
            kept.keep(folder, _state(job.recipe.epochs, 0))  # again, with what the last exam left


def _state(epoch: int, step: int) -> str:
    """Names rise as a run goes on, also one that gets more epochs."""
    return f"{epoch:05d}-{step:07d}"


def _progress(run: Run, folder: Path) -> str:
    """How far a run is, from the last line of its log."""
    *_, last = read_log(folder / FILE)
    figures = last.get("train", last)
    judged = f", val mAP50 {last['val']['map50']:.3f}" if "val" in last else ""
    return f"epoch {run.epoch}/{run.recipe.epochs}, step {run.step}: loss {figures['loss']:.3f}{judged}"


@contextmanager
def _told(said: Any, tell: Tell) -> Iterator[None]:
    """Pass on what the processes say, until the end."""
    stop, told = threading.Event(), 0

    def rest() -> None:
        nonlocal told
        for line in ray.get(said.since.remote(told)):
            tell(line)
            told += 1

    def follow() -> None:
        with suppress(RayError):
            while not stop.wait(LISTEN_S):
                rest()

    listener = threading.Thread(target=follow, daemon=True)
    listener.start()
    try:
        yield
    finally:
        stop.set()
        listener.join()
        with suppress(RayError):
            rest()


def no_bars(crew: Crew) -> Callable[[Iterable[Example], int], Iterable[Example]]:  # noqa: ARG001
    """A job's `track` where nobody sees a bar."""
    return lambda loader, _epoch: loader


def _check_recipe(job: TrainJob, kept: Kept) -> None:
    """Raises BadInput where another recipe's run is kept; only the number of epochs may differ."""
    if not (states := kept.states()):
        return
    with tempfile.TemporaryDirectory() as scratch:
        kept.fetch(Path(scratch), states[-1])
        try:
            check_recipe(read_checkpoint(Path(scratch) / LAST), job.recipe)
        except (ValueError, FileNotFoundError) as error:
            raise BadInput([f"--out = {kept.url!r}: {error}"]) from error


def _check_room(group: Group) -> None:
    """Raises BadInput where the cluster can never hold the group: Ray would wait for more nodes."""
    kind = "GPU" if group.device == "cuda" else "CPU"
    there = int(ray.cluster_resources().get(kind, 0))
    if group.workers > there:
        raise BadInput([f"--workers = {group.workers}: the cluster has {there} {kind}s; expected no more than that"])


def _reason(error: Any) -> str:
    """What the process that failed first says, of all that failed with it."""
    return _reason_of(getattr(error, "worker_failures", {})) or first_line(error)


def _reason_of(failures: dict[int, BaseException]) -> str:
    """Who is left behind by another only says that it lost its connection."""
    said = [first_line(_cause(failures[rank])) for rank in sorted(failures)]
    own = [line for line in said if "gloo" not in line and "NCCL" not in line]
    return (own or said or [""])[0]


def _cause(error: BaseException) -> BaseException:
    """What was raised in the process, below what Ray wrapped it in."""
    inner = getattr(error, "cause", None) or getattr(error, "_base_exc", None)
    return _cause(inner) if isinstance(inner, BaseException) else error
