"""Labelled pictures → batches of images and targets (training leg, in front of the net).

B pictures, C channels, H and W the input, A anchors.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from gesturedet.anchors import anchors_cxcywh
from gesturedet.data.augment import augment
from gesturedet.data.voc import LabelledPicture, read_pixels
from gesturedet.judging import frame_hw
from gesturedet.matching import Matcher
from gesturedet.recipes import Recipe


class Example(NamedTuple):
    """One picture for the net: image (C, H, W) uint8 RGB, labels (A,), offsets (A, 4); with a B in front in a batch."""

    image: Tensor
    labels: Tensor
    offsets: Tensor


class TrainingSet(Dataset[Example]):
    """Decodes, augments and matches a picture when it is asked for.

    An item is a function of the recipe's seed, the epoch and the index, so an interrupted run continues as if it had
    not been.
    """

    def __init__(self, pictures: Sequence[LabelledPicture], recipe: Recipe) -> None:
        self._pictures = pictures
        self._recipe = recipe
        anchors = anchors_cxcywh(recipe.net.input_hw, recipe.net.anchors)
        self._matcher = Matcher(anchors, least_iou=recipe.least_iou, background_iou=recipe.background_iou)

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, place: tuple[int, int]) -> Example:
        epoch, index = place
        rng = np.random.default_rng((self._recipe.seed, epoch, index))
        picture = self._pictures[index]
        size_hw = self._recipe.net.input_hw
        pixels = read_pixels(picture, at_least_hw=frame_hw(size_hw))
        pixels, truth = augment(pixels, picture.truth, size_hw, self._recipe.augmentation, rng)
        targets = self._matcher(truth.boxes_xyxy, truth.class_ids, truth.ignored)
        image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        return Example(image, torch.from_numpy(targets.labels), torch.from_numpy(targets.offsets))


class EpochSampler(Sampler[tuple[int, int]]):
    """All pictures in an order of the epoch's own; process `rank` of `processes` takes every n-th of them."""

    def __init__(self, count: int, *, seed: int, rank: int = 0, processes: int = 1) -> None:
        self.epoch = 0
        self._count, self._seed, self._rank, self._processes = count, seed, rank, processes

    def __len__(self) -> int:
        return self._count // self._processes

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng((self._seed, self.epoch)).permutation(self._count)
        whole = len(self) * self._processes
        return ((self.epoch, int(index)) for index in order[self._rank : whole : self._processes])


def batches(
    pictures: Sequence[LabelledPicture], recipe: Recipe, *, rank: int = 0, processes: int = 1, workers: int = 0
) -> DataLoader[Example]:
    """Return a loader of whole batches; its sampler's `epoch` has to be set before each pass.

    `recipe.batch` is shared by the processes. Raises ValueError for fewer pictures than one batch.
    """
    if len(pictures) < recipe.batch:
        raise ValueError(f"pictures: {len(pictures)} do not fill one batch, expected at least {recipe.batch}")
    cv2.setNumThreads(1)
    return DataLoader(
        TrainingSet(pictures, recipe),
        batch_size=recipe.batch // processes,
        sampler=EpochSampler(len(pictures), seed=recipe.seed, rank=rank, processes=processes),
        num_workers=workers,
        drop_last=True,
        persistent_workers=False,
    )
