"""The training loop: batches → steps → checkpoints, and pictures → judged pictures (training leg).

B pictures, C channels, H and W the input, A anchors, K classes.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from gesturedet.anchors import alike, anchors_cxcywh
from gesturedet.card import ModelCard, load_release
from gesturedet.convolution import fold_batch_norm, settle_batch_norm
from gesturedet.data.training_set import EpochSampler, Example, batches
from gesturedet.data.voc import LabelledPicture
from gesturedet.detector import GestureDet
from gesturedet.distillation import Teacher, feature_distance
from gesturedet.evaluation import JudgedPicture
from gesturedet.judging import LEAST_SCORE, frame_hw, judge
from gesturedet.labels import BEHAVIOURS
from gesturedet.loss import multibox_loss
from gesturedet.parallel import ALONE, Crew
from gesturedet.postprocess import Detection, postprocess
from gesturedet.preprocess import preprocess
from gesturedet.recipes import Recipe
from gesturedet.schedule import WeightAverage, freeze, optimiser, rate_at
from gesturedet.warm_start import load_released_weights

Port = Callable[[GestureDet], None]
"""Puts ported weights into a net's backbone."""


@dataclass(frozen=True, slots=True)
class EpochFigures:
    """Means over the batches of one epoch. `forgetting`: the weighted distance from the teacher, 0 without one."""

    loss: float
    classification: float
    localisation: float
    forgetting: float
    positives: float


@dataclass
class Run:
    """A training run between two epochs: all that is needed to go on, and what it is told.

    `teacher`: the ported backbone that the trained one is held to, if the recipe says so. `lineage`: what the champion that
    it began with came from, and that champion; empty without one.
    """

    recipe: Recipe
    model: GestureDet
    optimiser: torch.optim.Optimizer
    average: WeightAverage | None
    device: torch.device
    epoch: int = 0
    lineage: tuple[str, ...] = ()
    teacher: Teacher | None = None

    @property
    def best_weights(self) -> GestureDet:
        """The net to evaluate and release."""
        net = self.model if self.average is None else self.average.model
        if not isinstance(net, GestureDet):
            raise TypeError(f"average: {type(net).__name__} is no GestureDet")
        return net


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

    `weights` is a checkpoint, `champion` the folder of a release. Ported and released weights carry no statistics of batch
    norm; they are taken from one batch of `pictures`. Raises ValueError where either is of another net, or for both.
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
        released = load_release(champion)
        lineage = _descent(released.card, recipe)
        load_released_weights(model, released.onnx_bytes, classes=len(released.card.labels) + 1)
        _settle(model, pictures, recipe)
    if weights is not None:
        state = read_checkpoint(weights)
        lineage = lineage_of(state)
        model.load_state_dict(released_weights(state, recipe))
    return replace(_run_of(recipe, model, torch.device(device), port), lineage=lineage)


def resume(recipe: Recipe, path: Path, *, device: str = "cpu", port: Port | None = None) -> Run:
    """Continue the run of a checkpoint at its next epoch; `port` as in `start`.

    Raises ValueError if it was made by another recipe; only the number of epochs may differ.
    """
    state = read_checkpoint(path)
    if _recipe_text(recipe) != state["recipe"]:
        raise ValueError(f"{path}: recipe is {state['recipe']}, expected {_recipe_text(recipe)}")
    run = _run_of(recipe, GestureDet(recipe.net), torch.device(device), port)
    run.model.load_state_dict(state["model"])
    run.optimiser.load_state_dict(state["optimiser"])
    run.epoch, run.lineage = state["epoch"], lineage_of(state)
    if run.average is not None:
        run.average.model.load_state_dict(state["average"])
        run.average.steps = state["average_steps"]
    return run


def _descent(card: ModelCard, recipe: Recipe) -> tuple[str, ...]:
    """The lineage of a net that goes on from a release.

    The recipe may add labels behind the release's and look at another size. Raises ValueError for a release with other
    labels or other default boxes.
    """
    boxes = (recipe.net.anchors, recipe.net.input_hw)
    for key, fits, found, expected in (
        ("labels", recipe.labels[: len(card.labels)] == card.labels, card.labels, recipe.labels),
        ("anchors", alike((card.anchors, card.input_hw), boxes), card.anchors, recipe.net.anchors),
    ):
        if not fits:
            raise ValueError(f"champion: its {key} are {found}, expected {expected} as in recipe {recipe.name!r}")
    return (*card.lineage, f"{card.name} {card.digest} ({card.precision})")


def _settle(part: torch.nn.Module, pictures: Sequence[LabelledPicture], recipe: Recipe) -> None:
    settle_batch_norm(part, as_input(next(iter(batches(pictures, recipe))).image, torch.device("cpu")))


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


def train(
    run: Run,
    pictures: Sequence[LabelledPicture],
    folder: Path,
    *,
    after_epoch: Callable[[Run, EpochFigures], None] | None = None,
    track: Callable[[Iterable[Example], int], Iterable[Example]] = lambda loader, _epoch: loader,
    crew: Crew = ALONE,
    workers: int = 0,
) -> None:
    """Train what is left of the recipe's epochs; `folder/last.pt` always holds the last whole epoch."""
    loader = batches(pictures, run.recipe, rank=crew.rank, processes=crew.processes, workers=workers)
    while run.epoch < run.recipe.epochs:
        figures = train_one_epoch(run, loader, track=track, crew=crew)
        if crew.rank == 0:
            write_checkpoint(run, folder / "last.pt")
            if after_epoch is not None:
                after_epoch(run, figures)


def train_one_epoch(
    run: Run,
    loader: DataLoader[Example],
    *,
    track: Callable[[Iterable[Example], int], Iterable[Example]] = lambda loader, _epoch: loader,
    crew: Crew = ALONE,
) -> EpochFigures:
    """Go once through the pictures. Raises FloatingPointError as soon as the loss is no number."""
    if isinstance(loader.sampler, EpochSampler):
        loader.sampler.epoch = run.epoch
    run.model.train()
    freeze(run.model, run.recipe.frozen_blocks)
    sums = torch.zeros(5)
    for step, batch in enumerate(track(loader, run.epoch)):
        rate = rate_at(run.epoch + step / len(loader), run.recipe)
        sums += _step(run, batch, rate, crew)
        if not torch.isfinite(sums[0]):
            raise FloatingPointError(
                f"loss: {sums[0]} in epoch {run.epoch}, step {step}, rate {rate:g}: lower the rate"
            )
    run.epoch += 1
    return EpochFigures(*(sums / len(loader)).tolist())


def _step(run: Run, batch: Example, rate: float, crew: Crew) -> Tensor:
    """Take one step and return the loss, its three parts and the positives."""
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    images_BCHW = as_input(batch.image, run.device)
    maps = run.model.backbone(images_BCHW)
    logits_BAK, offsets_BA4 = run.model.read(*maps)
    labels_BA, targets_BA4 = batch.labels.to(run.device), batch.offsets.to(run.device)
    loss = multibox_loss(logits_BAK, offsets_BA4, labels_BA, targets_BA4, run.recipe.loss)
    total, forgetting = loss.total, torch.zeros(())
    if run.teacher is not None:
        distance = run.recipe.distillation * feature_distance(maps[1:], run.teacher(images_BCHW))
        total, forgetting = total + distance, distance.detach()
    run.optimiser.zero_grad(set_to_none=True)
    total.backward()  # type: ignore[no-untyped-call]
    crew.average_gradients(run.model)
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), run.recipe.clip_gradient)
    run.optimiser.step()
    if run.average is not None:
        run.average.update(run.model)
    parts = (total.detach(), loss.classification, loss.localisation, forgetting)
    return torch.tensor([*(float(part) for part in parts), float(loss.positives)])


def evaluate(
    net: GestureDet, pictures: Iterable[LabelledPicture], *, behaviours: Sequence[str] = BEHAVIOURS
) -> list[JudgedPicture]:
    """Judge a net, in evaluation mode and with batch norm folded, on pictures as cameras would send them."""
    config = net.config
    device = next(net.parameters()).device
    folded = fold_batch_norm(net).to(memory_format=torch.channels_last)
    anchors_cxcywh_A4 = anchors_cxcywh(config.input_hw, config.anchors)
    thresholds = dict.fromkeys(behaviours, LEAST_SCORE)

    @torch.inference_mode()
    def detect(picture_bgr: NDArray[np.uint8]) -> list[Detection]:
        images_BCHW = torch.from_numpy(preprocess(picture_bgr, config.input_hw)).to(device)
        logits_BAK, offsets_BA4 = folded(images_BCHW.contiguous(memory_format=torch.channels_last))
        return postprocess(
            logits_BAK[0].cpu().numpy(), offsets_BA4[0].cpu().numpy(), anchors_cxcywh_A4, thresholds=thresholds
        )

    return list(judge(pictures, detect, behaviours=behaviours, at_least_hw=frame_hw(config.input_hw)))


def as_input(images_BCHW: Tensor, device: torch.device) -> Tensor:
    """Turn RGB bytes into what the net takes: x / 127.5 - 1, channels last."""
    return (images_BCHW.to(device).float() / 127.5 - 1.0).contiguous(memory_format=torch.channels_last)


def write_checkpoint(run: Run, path: Path) -> None:
    """Write all of a run; a kill leaves the old file or the new one, never half of one."""
    state: dict[str, Any] = {
        "recipe": _recipe_text(run.recipe),
        "epoch": run.epoch,
        "model": run.model.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        "lineage": list(run.lineage),
    }
    if run.average is not None:
        state |= {"average": run.average.model.state_dict(), "average_steps": run.average.steps}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint. Raises FileNotFoundError, or ValueError for a file that is none."""
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint: {path} is no file")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"checkpoint: {path} cannot be read ({type(error).__name__}: {error})") from error
    if not isinstance(state, dict) or not {"recipe", "epoch", "model"} <= state.keys():
        raise ValueError(f"checkpoint: {path} holds no training run, expected keys recipe, epoch, model")
    return state


def released_weights(state: dict[str, Any], recipe: Recipe) -> dict[str, Tensor]:
    """Return the weights of a checkpoint that are evaluated and released: the average if there is one.

    Raises ValueError if they were trained for another net than the recipe's, other default boxes included.
    """
    trained, expected = json.loads(state["recipe"])["net"], json.loads(_recipe_text(recipe))["net"]
    if trained != expected:
        keys = ", ".join(key for key in expected if trained.get(key) != expected[key])
        raise ValueError(f"checkpoint: its net differs from recipe {recipe.name!r} in {keys}, expected the same net")
    weights: dict[str, Tensor] = state.get("average", state["model"])
    return weights


def lineage_of(state: dict[str, Any]) -> tuple[str, ...]:
    """Return what a checkpoint's run began with, oldest first; empty for ported or random weights."""
    return tuple(state.get("lineage", ()))


def trained_by(state: dict[str, Any]) -> dict[str, Any]:
    """Return the settings a checkpoint was really trained with, the net's aside, and its whole epochs so far."""
    settings: dict[str, Any] = json.loads(state["recipe"])
    del settings["net"]
    return settings | {"epochs": state["epoch"]}


def _recipe_text(recipe: Recipe) -> str:
    """Write a recipe down so that it can be compared; how long it lasts may change between two starts."""
    settings = asdict(recipe)
    del settings["epochs"]
    return json.dumps(settings, sort_keys=True)
