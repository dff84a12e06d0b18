"""A training run between two steps: how it begins, what it consists of, how it goes on after a kill (training leg)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from gesturedet.anchors import alike
from gesturedet.card import ModelCard, find_release
from gesturedet.checkpoint import (
    State,
    check_recipe,
    lineage_of,
    load_weights,
    read_checkpoint,
    recipe_text,
    released_weights,
    write_state,
)
from gesturedet.convolution import settle_batch_norm
from gesturedet.data.training_set import as_input, batches
from gesturedet.data.voc import LabelledPicture
from gesturedet.detector import GestureDet
from gesturedet.distillation import Teacher
from gesturedet.recipes import Recipe
from gesturedet.schedule import WeightAverage, freeze, optimiser
from gesturedet.warm_start import load_released_weights, loosen_mask

Port = Callable[[GestureDet], None]
"""Puts ported weights into a net's backbone."""

FIGURES = ("loss", "classification", "localisation", "forgetting", "positives")
"""What every step is told by; `forgetting`: the weighted distance from the teacher, 0 without one."""


@dataclass
class Run:
    """All that is needed to go on, and what is told about it.

    `epoch`: whole epochs done; `step`: steps done in the one that follows, `sums` their `FIGURES` added up, `unreadable` the
    places of its pictures that could not be read. `best`: highest mean average precision so far, below 0 before the first.
    `teacher`: the ported backbone that the trained one is held to, if the recipe says so. `lineage`: what the champion that
    it began with came from, and that champion; empty without one.
    """

    recipe: Recipe
    model: GestureDet
    optimiser: torch.optim.Optimizer
    average: WeightAverage | None
    device: torch.device
    epoch: int = 0
    step: int = 0
    sums: Tensor = field(default_factory=lambda: torch.zeros(len(FIGURES), dtype=torch.float64))
    unreadable: set[int] = field(default_factory=set)
    best: float = -1.0
    lineage: tuple[str, ...] = ()
    teacher: Teacher | None = None

    @property
    def best_weights(self) -> GestureDet:
        """The net to evaluate and release."""
        net = self.model if self.average is None else self.average.model
        if not isinstance(net, GestureDet):
            raise TypeError(f"average: {type(net).__name__} is no GestureDet")
        return net

    def finish_epoch(self) -> None:
        """Count the epoch and begin the next with nothing told."""
        self.epoch, self.step, self.unreadable = self.epoch + 1, 0, set()
        self.sums = torch.zeros_like(self.sums)


def start(
    recipe: Recipe,
    pictures: Sequence[LabelledPicture],
    *,
    device: str = "cpu",
    port: Port | None = None,
    weights: Path | None = None,
    champion: Path | None = None,
) -> Run:
    """Make a fresh run: random weights, then ported backbone weights, or all weights of a checkpoint or of a champion.

    `weights` is a checkpoint, `champion` a release's name, folder or ONNX file. Ported and released weights carry no statistics of batch
    norm; they are taken from one batch of `pictures`. Raises ValueError where either is of another net, for both, and for a
    device that is not there.
    """
    if weights is not None and champion is not None:
        raise ValueError(f"weights {str(weights)!r} and champion {str(champion)!r}: expected one of them at most")
    torch.manual_seed(recipe.seed)
    model = GestureDet(recipe.net)
    lineage: tuple[str, ...] = ()
    if port is not None:
        port(model)
        _settle(model.backbone, pictures, recipe)
    if champion is not None:
        released = find_release(str(champion))
        lineage = _descent(released.card, recipe)
        known, same_boxes = len(released.card.labels) + 1, _same_boxes(released.card, recipe)
        load_released_weights(model, released.onnx_bytes, classes=known, heads=same_boxes)
        _settle(model, pictures, recipe)
        loosen_mask(model, _first_images(pictures, recipe))
    if weights is not None:
        state = read_checkpoint(weights)
        lineage = lineage_of(state)
        load_weights(model, released_weights(state, recipe), state["file"])
    return replace(_run_of(recipe, model, _device(device), port), lineage=lineage)


def write_checkpoint(run: Run, path: Path) -> None:
    """Write all of a run. Raises OSError naming the file when it cannot be written; an older one is kept."""
    state: State = {
        "recipe": recipe_text(run.recipe),
        "epoch": run.epoch,
        "step": run.step,
        "sums": run.sums,
        "unreadable": sorted(run.unreadable),
        "best": run.best,
        "model": run.model.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        "lineage": list(run.lineage),
    }
    if run.average is not None:
        state |= {"average": run.average.model.state_dict(), "average_steps": run.average.steps}
    write_state(state, path)


def resume(recipe: Recipe, path: Path, *, device: str = "cpu", port: Port | None = None) -> Run:
    """Continue the run of a checkpoint at its next step; `port` as in `start`.

    Raises ValueError if it was made by another recipe; only the number of epochs may differ.
    """
    state = read_checkpoint(path)
    check_recipe(state, recipe)
    run = _run_of(recipe, GestureDet(recipe.net), _device(device), port)
    load_weights(run.model, state["model"], state["file"])
    run.optimiser.load_state_dict(state["optimiser"])
    run.epoch, run.step, run.sums, run.best = state["epoch"], state["step"], state["sums"], state["best"]
    run.unreadable, run.lineage = set(state["unreadable"]), lineage_of(state)
    if run.average is not None:
        load_weights(run.average.model, state["average"], state["file"])
        run.average.steps = state["average_steps"]
    return run


def _descent(card: ModelCard, recipe: Recipe) -> tuple[str, ...]:
    """The lineage of a net that goes on from a release.

    The recipe may add labels behind the release's and look at another size. Raises ValueError for a release with other
    labels.
    """
    if recipe.labels[: len(card.labels)] != card.labels:
        raise ValueError(
            f"champion: its labels are {card.labels}, expected {recipe.labels} as in recipe {recipe.name!r}"
        )
    without = "" if _same_boxes(card, recipe) else ", without its heads"
    return (*card.lineage, f"{card.name} {card.digest} ({card.precision}){without}")


def _same_boxes(card: ModelCard, recipe: Recipe) -> bool:
    """Whether a release speaks about the recipe's default boxes, so that its heads can go on."""
    return alike((card.anchors, card.input_hw), (recipe.net.anchors, recipe.net.input_hw))


def _settle(part: torch.nn.Module, pictures: Sequence[LabelledPicture], recipe: Recipe) -> None:
    settle_batch_norm(part, _first_images(pictures, recipe))


def _first_images(pictures: Sequence[LabelledPicture], recipe: Recipe) -> torch.Tensor:
    return as_input(next(iter(batches(pictures, recipe))).image, torch.device("cpu"))


def _device(name: str) -> torch.device:
    """Return a device that can be computed on. Raises ValueError for one that torch does not know or does not find."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for the device
        told = str(error).splitlines()[0]
        raise ValueError(
            f"device: {name!r} cannot be had ({told}), expected cpu, or cuda where there is a GPU"
        ) from error
    return device


def _run_of(recipe: Recipe, model: GestureDet, device: torch.device, port: Port | None) -> Run:
    teacher = _teacher(recipe, port).to(device) if recipe.distillation else None
    model = model.to(device).to(memory_format=torch.channels_last)
    freeze(model, recipe.frozen_blocks)
    average = WeightAverage(model, recipe.average) if recipe.average else None
    return Run(recipe, model, optimiser(model, recipe), average, device, teacher=teacher)


def _teacher(recipe: Recipe, port: Port | None) -> Teacher:
    """Make the teacher out of a net of its own, so that it stays what it was ported as, wherever the run is."""
    if port is None:
        raise ValueError(
            f"distillation: recipe {recipe.name!r} holds the backbone to the ported one, expected its weights (--coco)"
        )
    original = GestureDet(recipe.net)
    port(original)
    return Teacher(original.backbone)
