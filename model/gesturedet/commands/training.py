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
from gesturedet.data.training_set import Example
from gesturedet.data.voc import LabelledPicture, read_split
from gesturedet.detector import GestureDet
from gesturedet.engine import EpochFigures, Run, evaluate, read_checkpoint, released_weights, resume, start, train
from gesturedet.figures import as_text, mean_average_precision, summarise
from gesturedet.parallel import Crew, run_together
from gesturedet.port import PACKAGE, fetch_coco_backbone, load_coco_backbone
from gesturedet.recipes import recipe_of
from gesturedet.releasing import Material, read_thresholds, release, source_of

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

    def __call__(self, crew: Crew) -> None:
        """Train, judge after every epoch, keep the last and the best."""
        torch.set_num_threads(self.threads)
        shown = [picture for folder in self.pictures for picture in read_split(folder, self.split)]
        exam = read_split(self.val, self.val_split)
        run = self._run(shown)
        best = -1.0

        def after_epoch(run: Run, figures: EpochFigures) -> None:
            nonlocal best
            rows = summarise(evaluate(run.best_weights, exam))
            mean = mean_average_precision(rows)
            console.print(
                f"epoch {run.epoch}/{run.recipe.epochs}: loss {figures.loss:.3f} (class {figures.classification:.3f},"
                f" place {figures.localisation:.3f}), {len(shown)} pictures, val mAP50 {mean:.3f}"
            )
            console.print(as_text(rows))
            if mean > best:
                best = mean
                (self.out / "best.pt").write_bytes((self.out / "last.pt").read_bytes())

        train(run, shown, self.out, after_epoch=after_epoch, track=_track(crew), crew=crew, workers=self.workers)

    def _run(self, shown: Sequence[LabelledPicture]) -> Run:
        recipe = recipe_of(self.recipe)
        if self.epochs is not None:
            recipe = replace(recipe, epochs=self.epochs)
        if self.continues and (self.out / "last.pt").is_file():
            return resume(recipe, self.out / "last.pt", device=self.device)
        port = None if self.coco is None else partial(_port, self.coco)
        run = start(recipe, shown, device=self.device, port=port, weights=self.weights, champion=self.champion)
        if port is not None:
            run.lineage = (f"backbone: {PACKAGE} (Apache-2.0)",)
        return run


@app.command("train")
def train_command(
    pictures: Sets,
    *,
    out: Annotated[Path, typer.Option(help="Folder for last.pt and best.pt.")],
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
    resume: Annotated[bool, typer.Option("--resume", help="Go on with last.pt if there is one.")] = False,
    coco: Annotated[bool, typer.Option(help="Start the backbone from COCO weights.")] = True,
    cache: CacheDir = Path.home() / ".cache" / "gesturedet",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    processes: Annotated[int, typer.Option(help="Processes that take each step together.")] = 1,
    threads: Threads = 1,
    workers: Annotated[int, typer.Option(help="Processes that prepare pictures; 0: none of their own.")] = 0,
) -> None:
    """Train a net on VOC pictures; after every epoch it is judged on the validation pictures."""
    ported = fetch_coco_backbone(cache) if coco and weights is None and champion is None else None
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
    net.load_state_dict(released_weights(read_checkpoint(checkpoint), chosen))
    shown = track(read_split(pictures, split), description="pictures", console=console, transient=True)
    console.print(as_text(summarise(evaluate(net, shown))))


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
