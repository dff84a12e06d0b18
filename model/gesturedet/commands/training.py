"""The commands that train, judge and release."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    track,
)

from gesturedet.card import PACKAGED
from gesturedet.checkpoint import load_weights, read_checkpoint, released_weights
from gesturedet.data.training_set import Example
from gesturedet.data.voc import LabelledPicture, read_split, readable
from gesturedet.detector import GestureDet
from gesturedet.engine import LAST, SAVE_EVERY, EpochFigures, evaluate, train
from gesturedet.figures import ClassFigures, as_text, mean_average_precision, summarise
from gesturedet.parallel import Crew, run_together
from gesturedet.port import PACKAGE, fetch_coco_backbone, load_coco_backbone
from gesturedet.recipes import recipe_of
from gesturedet.releasing import Material, read_thresholds, release, source_of
from gesturedet.training_run import Run, resume, start

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console()

Pictures = Annotated[Path, typer.Argument(help="Folder in VOC layout.")]
Sets = Annotated[list[Path], typer.Argument(help="Folders in VOC layout, taken together.")]
Split = Annotated[str, typer.Option(help="List of pictures in ImageSets/Main.")]
RecipeName = Annotated[str, typer.Option(help="A function of gesturedet.recipes.")]
CacheDir = Annotated[Path, typer.Option(help="Where ported weights are kept.")]
Threads = Annotated[int, typer.Option(help="Threads of each process.")]


class PrecisionName(StrEnum):
    """What a released net computes in."""

    fp32 = "fp32"
    int8 = "int8"


@dataclass(frozen=True)
class TrainJob:
    """One training run as the command line describes it; called once in each process."""

    pictures: Sequence[Path]
    split: str
    val: Path
    val_split: str
    out: Path
    recipe: str
    epochs: int | None
    weights: Path | None
    champion: Path | None
    continues: bool
    coco: Path | None
    device: str
    threads: int
    workers: int
    save_every: int

    def __call__(self, crew: Crew) -> None:
        """Train, judge after every epoch, keep the last and the best."""
        torch.set_num_threads(self.threads)
        labels = recipe_of(self.recipe).labels
        shown = _read(self.pictures, self.split, labels)
        exam = _readable(_read([self.val], self.val_split, labels)) if crew.rank == 0 else ()
        train(
            self._run(shown),
            shown,
            self.out,
            sit_exam=lambda run: summarise(evaluate(run.best_weights, exam, behaviours=labels), behaviours=labels),
            after_epoch=_print_epoch,
            track=_track(crew),
            crew=crew,
            workers=self.workers,
            save_every=self.save_every,
        )

    def _run(self, shown: Sequence[LabelledPicture]) -> Run:
        recipe = recipe_of(self.recipe)
        if self.epochs is not None:
            recipe = replace(recipe, epochs=self.epochs)
        port = None if self.coco is None else partial(_port, self.coco)
        if self.continues and (self.out / LAST).is_file():
            return resume(recipe, self.out / LAST, device=self.device, port=port)
        run = start(recipe, shown, device=self.device, port=port, weights=self.weights, champion=self.champion)
        if port is not None:
            use = "backbone" if not run.lineage else "backbone it is held to"
            run.lineage = (*run.lineage, f"{use}: {PACKAGE} (Apache-2.0)")
        return run


@app.command("train")
def train_command(
    pictures: Sets,
    *,
    out: Annotated[Path, typer.Option(help="Folder for last.pt, best.pt, log.jsonl and curves.png.")],
    split: Split = "train",
    val: Annotated[Path | None, typer.Option(help="Folder of the validation pictures; default: the first.")] = None,
    val_split: Split = "val",
    recipe: RecipeName = "product",
    epochs: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Start from the weights of this checkpoint.")] = None,
    champion: Annotated[
        Path | None,
        typer.Option(help="Start from the weights of this release: a folder with model.onnx and card.json."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with last.pt of the folder if there is one.")] = False,
    coco: Annotated[bool, typer.Option(help="Start the backbone from COCO weights.")] = True,
    cache: CacheDir = Path.home() / ".cache" / "gesturedet",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    processes: Annotated[int, typer.Option(help="Processes that take each step together.")] = 1,
    threads: Threads = 1,
    workers: Annotated[int, typer.Option(help="Processes that prepare pictures; 0: none of their own.")] = 0,
    save_every: Annotated[int, typer.Option(help="Steps between two checkpoints within an epoch.")] = SAVE_EVERY,
) -> None:
    """Train a net on VOC pictures; after every epoch it is judged on the validation pictures.

    A run may be killed at any moment; --resume goes on from last.pt and comes to the same curve.
    """
    begins_anew = weights is None and champion is None
    ported = fetch_coco_backbone(cache) if coco and (begins_anew or recipe_of(recipe).distillation) else None
    job = TrainJob(
        pictures=pictures,
        split=split,
        val=val or pictures[0],
        val_split=val_split,
        out=out,
        recipe=recipe,
        epochs=epochs,
        weights=weights,
        champion=champion,
        continues=resume,
        coco=ported,
        device=device,
        threads=threads,
        workers=workers,
        save_every=save_every,
    )
    run_together(processes, job)


@app.command("evaluate")
def evaluate_command(
    checkpoint: Annotated[Path, typer.Argument(help="last.pt or best.pt of a run.")],
    pictures: Pictures,
    *,
    split: Split = "test",
    recipe: RecipeName = "product",
    threads: Threads = 1,
) -> None:
    """Judge a checkpoint on VOC pictures."""
    torch.set_num_threads(threads)
    chosen = recipe_of(recipe)
    net = GestureDet(chosen.net)
    state = read_checkpoint(checkpoint)
    load_weights(net, released_weights(state, chosen), state["file"])
    exam = _readable(_read([pictures], split, chosen.labels))
    shown = track(exam, description="pictures", console=console, transient=True)
    console.print(as_text(summarise(evaluate(net, shown, behaviours=chosen.labels), behaviours=chosen.labels)))


@app.command("release")
def release_command(
    checkpoint: Annotated[Path, typer.Argument(help="best.pt or last.pt of a run.")],
    *,
    train_pictures: Annotated[
        list[Path], typer.Option("--train", help="Folder of training pictures; may be repeated.")
    ],
    val: Annotated[Path, typer.Option(help="Folder of the validation pictures: thresholds come from them.")],
    test: Annotated[Path, typer.Option(help="Folder of the frozen exam.")],
    out: Annotated[Path, typer.Option(help="Folder for model.onnx and card.json.")] = PACKAGED,
    recipe: RecipeName = "product",
    precision: Annotated[PrecisionName, typer.Option(help="What is released; both are examined.")] = PrecisionName.fp32,
    thresholds: Annotated[
        Path | None, typer.Option(help="What benchmarks/operating_point.py wrote; without it they come from val.")
    ] = None,
    name: Annotated[str, typer.Option(help="The release's name.")] = "gesturedet-classroom",
    lineage: Annotated[
        list[str] | None, typer.Option(help="To be told after what the run began with; may be repeated.")
    ] = None,
    threads: Threads = 1,
) -> None:
    """Choose thresholds, export, quantise, examine and write a release."""
    torch.set_num_threads(threads)
    folders = {"train": train_pictures, "val": [val], "test": [test]}
    sets = {split: [read_split(folder, split) for folder in some] for split, some in folders.items()}
    pictures = {split: [picture for found in some for picture in found] for split, some in sets.items()}
    sources = {
        split: "; ".join(source_of(folder, split, found) for folder, found in zip(some, sets[split], strict=True))
        for split, some in folders.items()
    }
    chosen: dict[str, float] | None = None
    if thresholds is not None:
        chosen, sources["thresholds"] = read_thresholds(thresholds)
    figures = release(
        checkpoint,
        recipe_of(recipe),
        Material(pictures["train"], pictures["val"], pictures["test"], sources),
        out,
        name=name,
        lineage=tuple(lineage or ()),
        precision="int8" if precision is PrecisionName.int8 else "fp32",
        thresholds=chosen,
        track=lambda shown, what: track(shown, description=what, console=console, transient=True),
    )
    for kind, rows in figures.items():
        console.print(f"{kind}, {sources['test']}")
        console.print(as_text(rows))


def _read(folders: Sequence[Path], split: str, labels: Sequence[str]) -> tuple[LabelledPicture, ...]:
    """Read a split of some folders. Raises ValueError where a folder names no picture for it."""
    found: list[LabelledPicture] = []
    for folder in folders:
        pictures = read_split(folder, split, labels=labels)
        if not pictures:
            raise ValueError(f"pictures: split {split!r} of {folder} names no picture, expected at least one")
        found += pictures
    return tuple(found)


def _readable(pictures: Sequence[LabelledPicture]) -> tuple[LabelledPicture, ...]:
    """Leave out pictures whose files are damaged, and say so."""
    fine, bad = readable(pictures)
    _say_unreadable(bad, len(pictures))
    return fine


def _say_unreadable(names: Sequence[str], among: int | None = None) -> None:
    if names:
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        of = "" if among is None else f" of {among}"
        console.print(f"[yellow]skipped[/] {len(names)}{of} pictures that cannot be read: {shown}")


def _print_epoch(run: Run, figures: EpochFigures, rows: Sequence[ClassFigures]) -> None:
    console.print(
        f"epoch {run.epoch}/{run.recipe.epochs}: loss {figures.loss:.3f} (class {figures.classification:.3f},"
        f" place {figures.localisation:.3f}), val mAP50 {mean_average_precision(rows):.3f}"
    )
    console.print(as_text(rows))
    _say_unreadable(figures.unreadable)


def _port(weights: Path, model: GestureDet) -> None:
    load_coco_backbone(model.backbone, weights)


def _track(crew: Crew) -> "_Bar":
    return _Bar(shown=crew.rank == 0)


@dataclass(frozen=True)
class _Bar:
    """A progress bar over one epoch's batches, in the first process and only on a terminal."""

    shown: bool

    def __call__(self, loader: Iterable[Example], epoch: int) -> Iterable[Example]:
        if not (self.shown and console.is_terminal):
            yield from loader
            return
        columns = (TextColumn("epoch {task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(
            *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True
        ) as progress:
            yield from progress.track(loader, description=str(epoch + 1))
