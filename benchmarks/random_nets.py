"""Nets for latency: released where there is a release, else with random weights that keep every map alive."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gesturedet.card import PACKAGED, Release, load_release
from gesturedet.convolution import settle_batch_norm
from gesturedet.detector import BASELINE, CLASSROOM, PAPER, DetectorConfig, GestureDet
from gesturedet.export import export_onnx, quantise
from gesturedet.flops import costs_by_part, total

CONFIGS: dict[str, DetectorConfig] = {"baseline 300": BASELINE, "GestureDet 300": PAPER, "classroom": CLASSROOM}
RELEASES = {"GestureDet 300": "paper", "classroom": "classroom"}
"""Nets that are released, or will be, by the name of their folder."""


@dataclass(frozen=True)
class BenchNet:
    """One net as files. `weights`: `released DIGEST` or `random`, for each precision."""

    name: str
    config: DetectorConfig
    mflops: float
    files: dict[str, Path]
    weights: dict[str, str]
    release: Release | None


def make_nets(folder: Path, names: Sequence[str] = tuple(CONFIGS)) -> list[BenchNet]:
    """Write each net in full precision and in int8; a release gives the precision that it has."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_make(folder, name, CONFIGS[name]) for name in names]


def released(name: str) -> Release | None:
    """The release of a net, if there is one of its size."""
    folder = PACKAGED.parent / RELEASES.get(name, "none")
    found = load_release(folder) if folder.is_dir() else load_release() if name == "classroom" else None
    return found if found is not None and found.card.input_hw == CONFIGS[name].input_hw else None


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
    export_onnx(net.eval(), files["fp32"])
    quantise(files["fp32"], files["int8"], some_images(config, 8)[:, None])
    release = released(name)
    if release is not None:
        files[release.card.precision].write_bytes(release.onnx_bytes)
        weights[release.card.precision] = f"released {release.card.digest[:12]}"
    return BenchNet(name, config, total(costs_by_part(net, config.input_hw)).mflops, files, weights, release)
