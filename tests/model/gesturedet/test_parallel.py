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
