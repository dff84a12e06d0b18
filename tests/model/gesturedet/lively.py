"""A net with random weights that says much, and pictures for it: what exporting and runtimes are held to."""

from typing import Any

import numpy as np
import torch

from gesturedet.detector import DetectorConfig, GestureDet
from gesturedet.heads import Head

LEAST_LOGIT = 2.0
"""A comparison with an absolute tolerance proves nothing where all logits are near 0."""


def lively_net(config: DetectorConfig) -> GestureDet:
    """Random weights whose maps and logits are as large as a trained net's on pictures that differ.

    Most ReLUs are open (mean 2 of 0..6): with half of them shut, forty random layers blow up every rounding error.
    """
    torch.manual_seed(1)
    net = GestureDet(config)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.8, 1.2)
            torch.nn.init.normal_(module.bias, mean=2.0, std=0.2)
            module.momentum = 1.0
        if isinstance(module, Head):
            torch.nn.init.normal_(module.point.weight, std=0.3 / module.point.in_channels**0.5)
            torch.nn.init.normal_(module.point.bias)
    with torch.no_grad():
        net.train()(torch.from_numpy(pictures(6, config, seed=3)))
    return net.eval()


def pictures(count: int, config: DetectorConfig, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    coarse = random.uniform(-1, 1, (count, 3, 6, 10)).astype(np.float32)
    fine = random.uniform(-0.3, 0.3, (count, 3, *config.input_hw)).astype(np.float32)
    shown = torch.nn.functional.interpolate(torch.from_numpy(coarse), size=config.input_hw, mode="bilinear")
    return (shown.numpy() + fine).clip(-1, 1)
