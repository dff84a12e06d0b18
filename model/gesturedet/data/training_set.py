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
from gesturedet.data.augment import augment, mosaic
from gesturedet.data.voc import LabelledPicture, Picture, Truth, read_pixels
from gesturedet.judging import frame_hw
from gesturedet.matching import Matcher
from gesturedet.recipes import Recipe


class Example(NamedTuple):
    """One picture for the net: image (C, H, W) uint8 RGB, labels (A,), offsets (A, 4); with a B in front in a batch.

    `unreadable` (): place of the picture whose file could not be read and that this one stands in for, else -1.
    """

    image: Tensor
    labels: Tensor
    offsets: Tensor
    unreadable: Tensor


class TrainingSet(Dataset[Example]):
    """Decodes, augments and matches a picture when it is asked for.

    An item is a function of the recipe's seed, the epoch and the index, so an interrupted run continues as if it had
    not been. The next readable picture stands in for one whose file is damaged or gone: one bad file among thousands must
    not end a night's training, and batches stay whole.
    """

    def __init__(self, pictures: Sequence[LabelledPicture], recipe: Recipe) -> None:
        self.pictures = pictures
        self._recipe = recipe
        anchors = anchors_cxcywh(recipe.net.input_hw, recipe.net.anchors)
        self._matcher = Matcher(anchors, least_iou=recipe.least_iou, background_iou=recipe.background_iou)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, place: tuple[int, int]) -> Example:
        epoch, index = place
        rng = np.random.default_rng((self._recipe.seed, epoch, index))
        size_hw, config = self._recipe.net.input_hw, self._recipe.augmentation
        if config.mosaic and rng.random() < config.mosaic:
            part_hw = (size_hw[0] // 2, size_hw[1] // 2)
            shown, *others = (self._first_readable(at, part_hw) for at in (index, *rng.integers(len(self), size=3)))
            pixels, truth = mosaic([self._with_truth(*one) for one in (shown, *others)], size_hw, config, rng)
        else:
            shown = self._first_readable(index, size_hw)
            pixels, truth = augment(*self._with_truth(*shown), size_hw, config, rng)
        targets = self._matcher(truth.boxes_xyxy, truth.class_ids, truth.ignored)
        image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        unreadable = torch.tensor(-1 if shown[0] == index else index)
        return Example(image, torch.from_numpy(targets.labels), torch.from_numpy(targets.offsets), unreadable)

    def _with_truth(self, place: int, pixels: Picture) -> tuple[Picture, Truth]:
        return pixels, self.pictures[place].truth

    def _first_readable(self, index: int, for_hw: tuple[int, int]) -> tuple[int, Picture]:
        """Return the first picture from `index` on that can be read, and its pixels. Raises ValueError if none can."""
        count, fault = len(self.pictures), ""
        for place in (*range(index, count), *range(index)):
            try:
                return place, read_pixels(self.pictures[place], at_least_hw=frame_hw(for_hw))
            except (OSError, ValueError) as error:
                fault = str(error)
        raise ValueError(f"pictures: none of {count} can be read, the last because {fault}")


class EpochSampler(Sampler[tuple[int, int]]):
    """All pictures in an order of the epoch's own; process `rank` of `processes` takes every n-th of them.

    `skipped`: so many of them were taken before an interruption.
    """

    def __init__(self, count: int, *, seed: int, rank: int = 0, processes: int = 1) -> None:
        self.epoch, self.skipped = 0, 0
        self._count, self._seed, self._rank, self._processes = count, seed, rank, processes

    def __len__(self) -> int:
        return self._count // self._processes

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng((self._seed, self.epoch)).permutation(self._count)
        whole = len(self) * self._processes
        return ((self.epoch, int(index)) for index in order[self._rank : whole : self._processes][self.skipped :])


def batches(
    pictures: Sequence[LabelledPicture], recipe: Recipe, *, rank: int = 0, processes: int = 1, workers: int = 0
) -> DataLoader[Example]:
    """Return a loader of whole batches; its sampler's `epoch` and `skipped` have to be set before each pass.

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


def pictures_of(loader: DataLoader[Example]) -> Sequence[LabelledPicture]:
    """Return the pictures that a loader of `batches` shows, by their places."""
    if not isinstance(loader.dataset, TrainingSet):
        raise TypeError(f"loader: its data set is a {type(loader.dataset).__name__}, expected a TrainingSet")
    return loader.dataset.pictures


def as_input(images_BCHW: Tensor, device: torch.device) -> Tensor:
    """Turn RGB bytes into what the net takes: x / 127.5 - 1, channels last."""
    return (images_BCHW.to(device).float() / 127.5 - 1.0).contiguous(memory_format=torch.channels_last)
