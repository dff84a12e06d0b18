"""Nets for latency: released where there is a release, else with random weights that keep every map alive."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gesturedet.card import WEIGHTS, Release, load_release
from gesturedet.convolution import settle_batch_norm
from gesturedet.detector import BASELINE, PAPER, DetectorConfig, GestureDet
from gesturedet.export import export_onnx, quantise
from gesturedet.flops import costs_by_part, total
from gesturedet.recipes import product, product_960

CONFIGS: dict[str, DetectorConfig] = {
    "baseline 300": BASELINE,
    "GestureDet 300": PAPER,
    "classroom-640": product().net,
    "classroom": product_960().net,
}
RELEASES = {"GestureDet 300": "paper", "classroom-640": "classroom-640", "classroom": "classroom"}
"""Nets that are released, by the name of their folder in int8; that in full precision has `-fp32` behind it."""


@dataclass(frozen=True)
class BenchNet:
    """One net as files. `weights`: `released DIGEST` or `random`, for each precision. `release`: that in int8."""

    name: str
    config: DetectorConfig
    mflops: float
    files: dict[str, Path]
    weights: dict[str, str]
    release: Release | None


def make_nets(folder: Path, names: Sequence[str] = tuple(CONFIGS)) -> list[BenchNet]:
    """Write each net in full precision and in int8, as it is released where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_make(folder, name, CONFIGS[name]) for name in names]


def released(name: str, precision: str) -> Release | None:
    """The release of a net in a precision, if there is one."""
    folder = WEIGHTS / (RELEASES.get(name, "none") + ("" if precision == "int8" else f"-{precision}"))
    return load_release(folder) if folder.is_dir() else None


def some_images(config: DetectorConfig, count: int, seed: int = 0) -> Any:
    """images_BCHW with large and small shapes, from -1 to 1."""
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.uniform(-1, 1, (count, 3, 6, 10)).astype(np.float32))
    smooth = torch.nn.functional.interpolate(coarse, size=config.input_hw, mode="bilinear").numpy()
    return (smooth + random.uniform(-0.2, 0.2, smooth.shape).astype(np.float32)).clip(-1, 1)


def _make(folder: Path, name: str, config: DetectorConfig) -> BenchNet:
    torch.manual_seed(0)
    net = GestureDet(config)
    settle_batch_norm(net, torch.from_numpy(some_images(config, 4)))
    stem = name.replace(" ", "-")
    files = {kind: folder / f"{stem}.{kind}.onnx" for kind in ("fp32", "int8")}
    weights = dict.fromkeys(files, "random")
    releases = {kind: released(name, kind) for kind in files}
    if None in releases.values():
        export_onnx(net.eval(), files["fp32"])
        quantise(files["fp32"], files["int8"], some_images(config, 8)[:, None])
    for kind, release in releases.items():
        if release is not None:
            files[kind].write_bytes(release.onnx_bytes)
            weights[kind] = f"released {release.card.digest[:12]}"
    mflops = total(costs_by_part(net, config.input_hw)).mflops
    return BenchNet(name, config, mflops, files, weights, releases["int8"])
