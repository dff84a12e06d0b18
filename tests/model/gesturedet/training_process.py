"""Trains a tiny net in a process of its own, for tests that kill it. Usage: training_process.py PICTURES FOLDER."""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from gesturedet.data.augment import NO_AUGMENTATION
from gesturedet.data.voc import read_split
from gesturedet.detector import CLASSROOM
from gesturedet.engine import train
from gesturedet.recipes import Recipe
from gesturedet.training_run import resume, start

RECIPE = Recipe(
    name="killed",
    net=replace(CLASSROOM, input_hw=(64, 96)),
    epochs=2,
    batch=2,
    learning_rate=0.01,
    warm_up_epochs=0.5,
    decay="cosine",
    last_rate=0.1,
    augmentation=replace(NO_AUGMENTATION, flip=0.5),
    average=0.9,
    optimiser="adamw",
)


def main(root: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    pictures = read_split(root, "train")
    last = folder / "last.pt"
    run = resume(RECIPE, last) if last.is_file() else start(RECIPE, pictures)
    train(run, pictures, folder, save_every=2)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
