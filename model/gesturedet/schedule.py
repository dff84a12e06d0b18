"""How training moves: learning rate over time, the running average of the weights, what is frozen (used by engine)."""

import copy
import math

import torch
from torch import nn

from gesturedet.detector import GestureDet
from gesturedet.recipes import Recipe


def rate_at(epoch: float, recipe: Recipe) -> float:
    """Return the learning rate after so many epochs, fractions included."""
    if epoch < recipe.warm_up_epochs:
        return recipe.learning_rate * max(epoch / recipe.warm_up_epochs, 1e-3)
    done = min((epoch - recipe.warm_up_epochs) / max(recipe.epochs - recipe.warm_up_epochs, 1e-9), 1.0)
    if recipe.decay == "exponential":
        return recipe.learning_rate * math.pow(recipe.last_rate, done)
    return recipe.learning_rate * (recipe.last_rate + (1 - recipe.last_rate) * (1 + math.cos(math.pi * done)) / 2)


class WeightAverage:
    """A running average of a model's weights; early on it follows faster, so that it forgets the start."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self.steps = 0
        self._decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take one step's weights in; statistics of batch norm and counters are copied."""
        self.steps += 1
        keep = min(self._decay, self.steps / (self.steps + 10))
        for mean, new in zip(self.model.parameters(), model.parameters(), strict=True):
            mean.lerp_(new, 1.0 - keep)
        for kept, seen in zip(self.model.buffers(), model.buffers(), strict=True):
            kept.copy_(seen)


def freeze(model: GestureDet, blocks: int) -> None:
    """Keep the stem and the first `blocks` blocks as they are: no gradient, batch norm on its running statistics.

    Has to be called again after `model.train()`. Raises ValueError for more blocks than there are.
    """
    if blocks > len(model.backbone.blocks):
        raise ValueError(f"frozen_blocks: {blocks} is more than the backbone's {len(model.backbone.blocks)} blocks")
    if blocks == 0:
        return
    for module in (model.backbone.stem, *list(model.backbone.blocks)[:blocks]):
        module.requires_grad_(False).eval()


def optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over what is not frozen; weight decay only on kernels, not on shifts and scales."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.learning_rate)
    return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
