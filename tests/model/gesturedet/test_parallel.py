import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs torch (the train extra)")

from gesturedet.parallel import ALONE, Crew, run_together  # noqa: E402


@dataclass(frozen=True)
class Share:
    """Give each process a gradient of its own and write down what it becomes."""

    folder: Path

    def __call__(self, crew: Crew) -> None:
        model = torch.nn.Linear(2, 2)
        model.weight.grad = torch.full((2, 2), 1.0 + 2.0 * crew.rank)
        model.bias.grad = torch.full((2,), 10.0 * crew.rank)
        crew.average_gradients(model)
        torch.save((model.weight.grad, model.bias.grad), self.folder / f"{crew.rank}.pt")


def test_one_process_works_alone(tmp_path: Path) -> None:
    run_together(1, Share(tmp_path))

    weight, bias = torch.load(tmp_path / "0.pt")
    assert weight.unique().tolist() == [1.0]
    assert bias.unique().tolist() == [0.0]
    assert Crew(rank=0, processes=1) == ALONE


def test_two_processes_take_the_mean_of_their_gradients(tmp_path: Path) -> None:
    run_together(2, Share(tmp_path))

    for rank in (0, 1):
        weight, bias = torch.load(tmp_path / f"{rank}.pt")
        assert weight.unique().tolist() == [2.0]
        assert bias.unique().tolist() == [5.0]


@dataclass(frozen=True)
class Fails:
    """The second of the processes finds bad input."""

    def __call__(self, crew: Crew) -> None:
        if crew.rank == 1:
            raise ValueError("pictures: none")


@dataclass(frozen=True)
class Collects:
    """Each process has places of its own and writes down everybody's."""

    folder: Path

    def __call__(self, crew: Crew) -> None:
        (self.folder / f"{crew.rank}").write_text(str(sorted(crew.union({crew.rank, 7}))), "utf-8")


def test_what_one_process_raises_is_raised() -> None:
    with pytest.raises(ValueError, match=r"^pictures: none$"):
        run_together(2, Fails())


def test_processes_tell_each_other_what_they_have(tmp_path: Path) -> None:
    run_together(2, Collects(tmp_path))

    assert [(tmp_path / rank).read_text("utf-8") for rank in "01"] == ["[0, 1, 7]"] * 2
    assert ALONE.union({3}) == {3}


def test_no_process_is_refused() -> None:
    with pytest.raises(ValueError, match="processes: 0 is not at least 1"):
        run_together(0, Share(Path()))


@dataclass(frozen=True)
class Lingers:
    """Each process writes down its number and then takes longer than anybody waits."""

    folder: Path

    def __call__(self, crew: Crew) -> None:
        (self.folder / f"{crew.rank}").write_text(str(os.getpid()), "utf-8")
        time.sleep(600)


def lives(process: int) -> bool:
    """Whether a process still runs; one that only waits to be buried does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text("utf-8")
    except OSError:
        return False


def run_in_background(processes: int, work: Lingers) -> None:
    """As a shell starts a command with &: what Ctrl-C sends, and torch to the processes of one that is gone, is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run_together(processes, work)


def test_no_process_outlives_a_run_that_is_killed(tmp_path: Path) -> None:
    run = multiprocessing.get_context("spawn").Process(target=run_in_background, args=(2, Lingers(tmp_path)))
    run.start()
    numbers = [int(told) for rank in "01" if (told := eventually_read(tmp_path / rank))]
    assert [lives(number) for number in numbers] == [True, True]

    run.kill()
    run.join()

    deadline = time.monotonic() + 120
    while any(map(lives, numbers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [lives(number) for number in numbers] == [False, False]


def eventually_read(path: Path) -> str:
    """What a file holds as soon as there is one, or nothing after five minutes: a process that loads torch beside others is slow."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if path.exists() and (told := path.read_text("utf-8")):
            return told
        time.sleep(0.05)
    return ""
