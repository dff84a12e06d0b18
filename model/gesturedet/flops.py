"""What a net costs, part by part: the figures that tie this code to the paper's table."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one part: MFLOPs as 2 x multiply-accumulate of convolutions, and thousands of trainable numbers."""

    mflops: float
    kparams: float


@torch.no_grad()
def costs_by_part(model: nn.Module, input_hw: tuple[int, int]) -> dict[str, Cost]:
    """Run one picture of zeros and return the cost of each named child of the net, in the order of definition."""
    macs = dict.fromkeys((name for name, _ in model.named_children()), 0)

    def count(part: str, module: nn.Conv2d, output_BCHW: Tensor) -> None:
        macs[part] += output_BCHW.numel() * module.weight[0].numel()

    handles = [
        module.register_forward_hook(lambda m, _i, o, part=part: count(part, m, o))
        for part, child in model.named_children()
        for module in child.modules()
        if isinstance(module, nn.Conv2d)
    ]
    was_training = model.training
    model.eval()(torch.zeros(1, 3, *input_hw))
    model.train(was_training)
    for handle in handles:
        handle.remove()
    return {part: Cost(2 * macs[part] / 1e6, _count_parameters(child) / 1e3) for part, child in model.named_children()}


def total(costs: dict[str, Cost]) -> Cost:
    """Add up all parts."""
    return Cost(sum(cost.mflops for cost in costs.values()), sum(cost.kparams for cost in costs.values()))


def _count_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
