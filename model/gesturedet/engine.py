"""The training loop: batches → steps → checkpoints, and pictures → judged pictures (training leg).

B pictures, C channels, H and W the input, A anchors, K classes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from gesturedet.anchors import anchors_cxcywh
from gesturedet.convolution import fold_batch_norm
from gesturedet.curves import draw_curves
from gesturedet.data.training_set import EpochSampler, Example, as_input, batches, pictures_of
from gesturedet.data.voc import LabelledPicture
from gesturedet.detector import GestureDet
from gesturedet.distillation import feature_distance
from gesturedet.evaluation import JudgedPicture
from gesturedet.figures import ClassFigures, mean_average_precision
from gesturedet.journal import Journal
from gesturedet.judging import LEAST_SCORE, frame_hw, judge
from gesturedet.labels import BEHAVIOURS
from gesturedet.loss import multibox_loss
from gesturedet.parallel import ALONE, Crew
from gesturedet.postprocess import Detection, postprocess
from gesturedet.preprocess import normalise, resize
from gesturedet.schedule import freeze, rate_at
from gesturedet.training_run import FIGURES, Run, write_checkpoint

LAST, BEST = "last.pt", "best.pt"
SAVE_EVERY = 100
"""Steps between two checkpoints: on a CPU the work of a few minutes, on a GPU of some seconds."""

Track = Callable[[Iterable[Example], int], Iterable[Example]]
AfterStep = Callable[[dict[str, float]], None]
Saved = Callable[[Run], None]


@dataclass(frozen=True, slots=True)
class EpochFigures:
    """Means over the batches of one epoch, and how many pictures could not be read and were replaced by others.

    `forgetting`: the weighted distance from the teacher, 0 without one.
    """

    loss: float
    classification: float
    localisation: float
    forgetting: float
    positives: float
    unreadable: tuple[str, ...] = ()


def train(
    run: Run,
    pictures: Sequence[LabelledPicture],
    folder: Path,
    *,
    sit_exam: Callable[[Run], Sequence[ClassFigures]] | None = None,
    after_epoch: Callable[[Run, EpochFigures, Sequence[ClassFigures]], None] | None = None,
    track: Track = lambda loader, _epoch: loader,
    crew: Crew = ALONE,
    workers: int = 0,
    save_every: int = SAVE_EVERY,
    saved: Saved = lambda _run: None,
) -> None:
    """Train what is left of the recipe's epochs, and after each let the net sit the exam.

    The first process's `folder` holds `last.pt` (so many steps old at most), `best.pt` (of the epoch with the best mean average
    precision), `log.jsonl` and `curves.png`; `saved` is called in every process whenever the first has written them. A run that
    is killed and resumed tells the same log. Raises FloatingPointError when the loss is no number, OSError when something cannot
    be written; `last.pt` then still is the last good one.
    """
    if save_every < 1:
        raise ValueError(f"save_every: {save_every} is not at least 1 step")
    loader = batches(pictures, run.recipe, rank=crew.rank, processes=crew.processes, workers=workers)
    journal = Journal(folder) if crew.rank == 0 else None
    if journal is not None:
        journal.rewind(epoch=run.epoch, step=run.step)

    def after_step(line: dict[str, float]) -> None:
        if journal is not None:
            journal.add(line)
        if run.step % save_every == 0 and run.step < len(loader):
            if journal is not None:
                write_checkpoint(run, folder / LAST)
            saved(run)

    while run.epoch < run.recipe.epochs:
        figures = train_one_epoch(run, loader, track=track, crew=crew, after_step=after_step)
        if journal is not None:
            rows = sit_exam(run) if sit_exam is not None else ()
            _keep(run, figures, rows, folder, journal)
            if after_epoch is not None:
                after_epoch(run, figures, rows)
        saved(run)


def _keep(run: Run, figures: EpochFigures, rows: Sequence[ClassFigures], folder: Path, journal: Journal) -> None:
    """Write down an epoch. `last.pt` comes last: a kill before it makes the end of the epoch happen again."""
    means = {name: round(getattr(figures, name), 6) for name in FIGURES}
    line = {"epochs": run.epoch, "train": means, "unreadable": list(figures.unreadable)}
    if rows:
        mean = mean_average_precision(rows)
        line["val"] = {"map50": round(mean, 4), "behaviours": [asdict(row) for row in rows]}
        if mean > run.best:
            run.best = mean
            write_checkpoint(run, folder / BEST)
    journal.add(line)
    draw_curves(folder)
    write_checkpoint(run, folder / LAST)


def train_one_epoch(
    run: Run,
    loader: DataLoader[Example],
    *,
    track: Track = lambda loader, _epoch: loader,
    crew: Crew = ALONE,
    after_step: AfterStep = lambda _line: None,
) -> EpochFigures:
    """Go through what is left of the epoch's pictures. Raises FloatingPointError as soon as the loss is no number."""
    if isinstance(loader.sampler, EpochSampler):
        loader.sampler.epoch, loader.sampler.skipped = run.epoch, run.step * (loader.batch_size or 1)
    run.model.train()
    freeze(run.model, run.recipe.frozen_blocks)
    for batch in track(loader, run.epoch):
        rate = rate_at(run.epoch + run.step / len(loader), run.recipe)
        figures = _step(run, batch, rate, crew)
        line = {"epoch": run.epoch, "step": run.step, "rate": rate, **dict(zip(FIGURES, figures.tolist(), strict=True))}
        run.step, run.sums = run.step + 1, run.sums + figures
        run.unreadable.update(place for place in batch.unreadable.tolist() if place >= 0)
        after_step(line)
    means = dict(zip(FIGURES, (run.sums / len(loader)).tolist(), strict=True))
    names = sorted(pictures_of(loader)[place].name for place in crew.union(run.unreadable))
    run.finish_epoch()
    return EpochFigures(**means, unreadable=tuple(names))


def _step(run: Run, batch: Example, rate: float, crew: Crew) -> Tensor:
    """Take one step and return its `FIGURES`; raises FloatingPointError, weights untouched, if there is no number to step by."""
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    images_BCHW = as_input(batch.image, run.device)
    with torch.autocast(run.device.type, torch.bfloat16, enabled=run.recipe.precision == "bf16"):
        maps = run.model.backbone(images_BCHW)
        logits_BAK, offsets_BA4 = (said.float() for said in run.model.read(*maps))
        taught = () if run.teacher is None else run.teacher(images_BCHW)
    labels_BA, targets_BA4 = batch.labels.to(run.device), batch.offsets.to(run.device)
    loss = multibox_loss(logits_BAK, offsets_BA4, labels_BA, targets_BA4, run.recipe.loss)
    total, forgetting = loss.total, torch.zeros(())
    if run.teacher is not None:
        distance = run.recipe.distillation * feature_distance(maps[1:], taught)
        total, forgetting = total + distance, distance.detach()
    run.optimiser.zero_grad(set_to_none=True)
    total.backward()  # type: ignore[no-untyped-call]
    crew.average_gradients(run.model)
    norm = torch.nn.utils.clip_grad_norm_(run.model.parameters(), run.recipe.clip_gradient)
    for name, value in (("loss", total.detach()), ("gradient", norm)):
        if not torch.isfinite(value):
            raise FloatingPointError(
                f"{name}: {value} in epoch {run.epoch}, step {run.step}, rate {rate:g}: lower the rate;"
                f" {LAST} holds a state before it"
            )
    run.optimiser.step()
    if run.average is not None:
        run.average.update(run.model)
    parts = (total.detach(), loss.classification, loss.localisation, forgetting)
    return torch.tensor([*(float(part) for part in parts), float(loss.positives)], dtype=torch.float64)


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
        images_BCHW = torch.from_numpy(normalise(resize(picture_bgr, config.input_hw))).to(device)
        logits_BAK, offsets_BA4 = folded(images_BCHW.contiguous(memory_format=torch.channels_last))
        return postprocess(
            logits_BAK[0].cpu().numpy(), offsets_BA4[0].cpu().numpy(), anchors_cxcywh_A4, thresholds=thresholds
        )

    return list(judge(pictures, detect, behaviours=behaviours, at_least_hw=frame_hw(config.input_hw)))
