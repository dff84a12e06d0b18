"""What a run does when: how fast it learns, what it averages, which picture comes next."""

from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs torch (the train extra)")

from gesturedet.data.training_set import EpochSampler  # noqa: E402
from gesturedet.recipes import product  # noqa: E402
from gesturedet.schedule import WeightAverage, rate_at  # noqa: E402


def test_the_average_starts_as_the_model_and_follows_it_slowly() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    average: Any = WeightAverage(model, decay=0.5)
    torch.nn.init.ones_(model.weight)

    average.update(model)  # keeps 1 / 11
    average.update(model)  # keeps 2 / 12

    assert average.model.weight.item() == pytest.approx(1 - 1 / 11 * 2 / 12)


def test_the_rate_warms_up_and_decays() -> None:
    cosine = replace(product(), epochs=11, warm_up_epochs=1, learning_rate=1.0, last_rate=0.1, decay="cosine")
    exponential = replace(cosine, decay="exponential")

    assert rate_at(0, cosine) == pytest.approx(0.001)
    assert [rate_at(at, cosine) for at in (0.5, 1, 6, 11)] == pytest.approx([0.5, 1.0, 0.55, 0.1])
    assert [rate_at(at, exponential) for at in (1, 6, 11)] == pytest.approx([1.0, 0.1**0.5, 0.1])


def test_processes_share_an_epoch_without_overlap() -> None:
    samplers = [EpochSampler(11, seed=1, rank=rank, processes=2) for rank in (0, 1)]

    first, second = ([index for _, index in sampler] for sampler in samplers)

    assert len(first) == len(second) == 5
    assert len(set(first) | set(second)) == 10


def test_each_epoch_has_an_order_of_its_own() -> None:
    sampler = EpochSampler(50, seed=1)
    first = list(sampler)
    sampler.epoch = 1

    assert [index for _, index in first] != [index for _, index in sampler]
    assert list(EpochSampler(50, seed=1)) == first
