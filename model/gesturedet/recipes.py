"""Training runs, each a function that returns its settings (read by data and engine)."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Literal

from gesturedet.data.augment import SSD_AUGMENTATION, STRONG_AUGMENTATION, AugmentConfig
from gesturedet.data.sources import VOC_CLASSES
from gesturedet.detector import CLASSROOM, PAPER, DetectorConfig, looking_at
from gesturedet.labels import BEHAVIOURS
from gesturedet.loss import LossConfig

Decay = Literal["exponential", "cosine"]
Optimiser = Literal["sgd", "adamw"]
Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what a training run gives, besides the pictures.

    `learning_rate` is reached after `warm_up_epochs` (fractions allowed) and falls to `last_rate` of itself.
    `average`: decay of the running average of the weights, which is what gets evaluated and released; 0 is none.
    `frozen_blocks`: so many of the backbone's first blocks, and its stem, keep their weights and statistics; 0 is none.
    `momentum` is SGD's; AdamW keeps its usual two. `weight_decay` is added to the gradient by SGD, and taken off the
    weights themselves by AdamW, so the same number means something else.
    `labels`: what the net's classes are called, from 1 on; objects of `labels.AUXILIARY` that it does not name are left out.
    `distillation`: weight of staying close to what the ported backbone says of the same pictures (`distillation.py`); 0 is none.
    `precision`: what the net computes in, bf16 through autocast; weights and loss stay fp32. On processors with AVX-512 BF16 and on
    GPUs bf16 takes about half the time, elsewhere it takes longer.
    `least_iou`: overlap from which an anchor is positive; from `background_iou` up to it it is neither positive nor negative.
    """

    name: str
    net: DetectorConfig
    epochs: int
    batch: int
    learning_rate: float
    warm_up_epochs: float
    decay: Decay
    last_rate: float
    augmentation: AugmentConfig
    optimiser: Optimiser = "sgd"
    loss: LossConfig = field(default_factory=LossConfig)
    momentum: float = 0.9
    weight_decay: float = 1e-4
    clip_gradient: float = 10.0
    least_iou: float = 0.5
    background_iou: float = 0.5
    average: float = 0.0
    frozen_blocks: int = 0
    labels: tuple[str, ...] = BEHAVIOURS
    distillation: float = 0.0
    precision: Precision = "fp32"
    seed: int = 0

    def __post_init__(self) -> None:
        for key in ("epochs", "batch", "learning_rate", "last_rate", "clip_gradient"):
            value = getattr(self, key)
            if not value > 0:
                raise ValueError(f"{key}: {value} is not above 0")
        for key in ("momentum", "average"):
            value = getattr(self, key)
            if not 0.0 <= value < 1.0:
                raise ValueError(f"{key}: {value} is not in 0..1, 1 excluded")
        if self.distillation < 0:
            raise ValueError(f"distillation: {self.distillation} is below 0")
        if self.net.num_classes != len(self.labels) + 1:
            raise ValueError(
                f"labels: {len(self.labels)} and background do not fit the net's num_classes, {self.net.num_classes}"
            )


def paper() -> Recipe:
    """Return the paper's own training: 300 x 300, batch 64, learning rate 0.002, exponential decay.

    The paper names neither the number of epochs nor of warm-up epochs nor the rate of decay; those are ours.
    """
    return Recipe(
        name="paper",
        net=PAPER,
        epochs=120,
        batch=64,
        learning_rate=0.002,
        warm_up_epochs=5,
        decay="exponential",
        last_rate=0.01,
        augmentation=SSD_AUGMENTATION,
    )


def product() -> Recipe:
    """Return the control of all candidates, and the recipe of `classroom-640`: 352 x 640 pixels, small default boxes, harder pictures.

    The stem and the first six blocks keep what they learned from photographs: drawings would only spoil it. For pictures
    of whole rooms and moments of lessons together; AdamW goes further in few steps than SGD does (decision 0008). A
    picture in which nobody does anything shows a room full of hard negatives, so it gives more of them. 16:9 would be 360
    rows; 352 is the nearest multiple of 32, so that the three finest levels have whole cells. With so many pixels pupils at
    half their size can still be seen: two pictures of five are mosaics, and what is 5 pixels wide is taught.
    """
    return Recipe(
        name="product",
        net=looking_at(CLASSROOM, (352, 640)),
        epochs=24,
        batch=16,
        learning_rate=4e-4,
        warm_up_epochs=0.3,
        decay="cosine",
        last_rate=0.02,
        augmentation=replace(STRONG_AUGMENTATION, mosaic=0.4, least_side_px=5.0),
        optimiser="adamw",
        weight_decay=0.02,
        average=0.998,
        background_iou=0.4,
        loss=LossConfig(negatives_without_positive=24),
        frozen_blocks=6,
    )


def product_960() -> Recipe:
    """Return the recipe of `classroom`: the product's at 544 x 960 pixels, of which a camera of 540 lines gives all.

    Its default boxes are as large in the picture, so that they lie closer. What is taught is 8 pixels wide, 5 of 640.
    """
    coarser = product()
    net = replace(coarser.net, input_hw=(544, 960))
    return replace(coarser, name="product_960", net=net, augmentation=replace(coarser.augmentation, least_side_px=8.0))


def product_300() -> Recipe:
    """Return the product's recipe with the paper's net: 300 x 300 pixels, SSD's default boxes, no mosaics. The paper model is of it.

    The paper's own recipe begins with nothing but a backbone and takes 120 epochs; this one goes on from a classroom net.
    """
    return replace(product(), name="product_300", net=PAPER, augmentation=STRONG_AUGMENTATION)


def product_adult() -> Recipe:
    """Return the product's recipe with one change: adults are a class of their own, to be learned and never published."""
    return _of_classes(product(), (*BEHAVIOURS, "adult"), name="product_adult")


def product_distilled() -> Recipe:
    """Return the product's recipe with one change: the backbone is held to what it said before any training.

    The weight makes forgetting as much as the first released net had (0.27 of C2, 0.36 of C3, on a clip of a walking adult)
    cost about as much as the rest of the loss.
    """
    return replace(product(), name="product_distilled", distillation=4.0)


def product_mixed() -> Recipe:
    """Return the product's recipe with one change: half of the pictures are seen through random filters."""
    return replace(product(), name="product_mixed", augmentation=replace(product().augmentation, mixing=0.5))


def product_unfrozen() -> Recipe:
    """Return the product's recipe with one change: all of the backbone is trained."""
    return replace(product(), name="product_unfrozen", frozen_blocks=0)


def voc() -> Recipe:
    """Return the paper's training for PASCAL VOC 07+12: its twenty classes, 240 epochs of 16,551 pictures.

    The paper says no more about it than about its own pictures; 240 epochs are about what SSD takes (its section 3.2).
    """
    return _of_classes(replace(paper(), epochs=240), VOC_CLASSES, name="voc")


def voc_small() -> Recipe:
    """Return a training for somebody's own few hundred VOC pictures, on a CPU in minutes: `voc` learns nothing in so few steps.

    Small batches, AdamW, a shorter schedule and the first blocks kept. The classes are the pictures' own.
    """
    return replace(
        voc(),
        name="voc_small",
        epochs=20,
        batch=8,
        learning_rate=5e-4,
        warm_up_epochs=0.5,
        decay="cosine",
        last_rate=0.02,
        optimiser="adamw",
        weight_decay=0.02,
        average=0.98,
        frozen_blocks=3,
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "paper": paper,
    "product": product,
    "product_300": product_300,
    "product_960": product_960,
    "product_adult": product_adult,
    "product_distilled": product_distilled,
    "product_mixed": product_mixed,
    "product_unfrozen": product_unfrozen,
    "voc": voc,
    "voc_small": voc_small,
}
"""`product` is the control of all that begin with its name: each differs from it in one stated choice."""


ABLATION: dict[str, tuple[bool, bool, bool, bool]] = {
    "baseline": (False, False, False, False),
    "+ fusion": (True, False, False, False),
    "+ batch": (True, True, False, False),
    "+ channel": (True, False, True, False),
    "+ spatial": (True, False, False, True),
    "all": (True, True, True, True),
}
"""The rows of the paper's table 1: fusion, then batch, channel and spatial attention; each attention alone on top of fusion."""


def ablation(base: Recipe) -> dict[str, Recipe]:
    """Return a recipe for each row of `ABLATION`; nothing else of `base` changes, so that rows can be compared."""
    return {
        row: replace(
            base,
            name=f"{base.name} {row}",
            net=replace(base.net, fusion=fusion, channel_attention=channel, spatial_attention=spatial),
            loss=replace(base.loss, batch_attention=batch),
        )
        for row, (fusion, batch, channel, spatial) in ABLATION.items()
    }


def recipe_of(name: str) -> Recipe:
    """Return the recipe of a name. Raises ValueError for a name that no recipe has."""
    if name not in RECIPES:
        raise ValueError(f"recipe: {name!r} is none of {', '.join(sorted(RECIPES))}")
    return RECIPES[name]()


def with_labels(recipe: Recipe, labels: tuple[str, ...]) -> Recipe:
    """Return the recipe for other classes. Raises ValueError for a list that is empty or names one twice."""
    if not labels or len(set(labels)) < len(labels) or not all(labels):
        raise ValueError(f"labels: {', '.join(labels)!r} is not a list of different names")
    return _of_classes(recipe, labels, name=recipe.name)


def _of_classes(recipe: Recipe, labels: tuple[str, ...], *, name: str) -> Recipe:
    return replace(recipe, name=name, labels=labels, net=replace(recipe.net, num_classes=len(labels) + 1))


def recipe_differences(first: Recipe, second: Recipe) -> list[str]:
    """Name the settings in which two recipes differ, as `key: first, second`."""
    pairs = ((f.name, getattr(first, f.name), getattr(second, f.name)) for f in fields(Recipe))
    return [f"{key}: {a!r}, {b!r}" for key, a, b in pairs if a != b]
