"""The commands that train, judge and release."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

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
)

from gesturedet import journal
from gesturedet.card import find_release, load_release
from gesturedet.checkpoint import load_weights, read_checkpoint, recipe_behind, released_weights
from gesturedet.commands.options import MODEL_HELP, JsonOption, RecipeOfRun, about, say, tracked
from gesturedet.data.sources import VOC_CLASSES, Sources, hold_apart, names_in, sources_of
from gesturedet.data.training_set import Example
from gesturedet.detector import GestureDet
from gesturedet.engine import BEST, LAST, SAVE_EVERY
from gesturedet.figures import ClassFigures, as_text, mean_average_precision
from gesturedet.parallel import Crew, run_together
from gesturedet.port import fetch_coco_backbone
from gesturedet.recipes import Precision
from gesturedet.releasing import Material, release, source_of
from gesturedet.training_job import (
    FIGURES_FILE,
    Examinee,
    TrainJob,
    described,
    examine,
    examinee_of,
    read_exam,
    released_examinee,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console, bars = Console(), Console(stderr=True)

Split = Annotated[
    str, typer.Option(help="List of pictures: ImageSets/Main/SPLIT.txt or annotations/instances_SPLIT.json.")
]
CacheDir = Annotated[Path, typer.Option(help="Where ported weights are kept.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of each process.")]


class PrecisionName(StrEnum):
    """What a released net computes in."""

    fp32 = "fp32"
    int8 = "int8"


@app.command("train")
def train_command(
    pictures: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders with the behaviours' pictures in VOC or COCO layout, taken together."),
    ] = None,
    *,
    data: Annotated[
        Path | None,
        typer.Option(help="Instead: a VOCdevkit, or a folder in VOC or COCO layout with classes of its own."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Classes of --data, by comma; default: VOC's, or all its objects' names.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder for last.pt, best.pt, log.jsonl, curves.png and, with --data, figures.json.")
    ] = Path("run"),
    split: Split = "train",
    val: Annotated[Path | None, typer.Option(help="Folder of the validation pictures; default: the first.")] = None,
    val_split: Split = "val",
    recipe: Annotated[
        str | None, typer.Option(help="A function of gesturedet.recipes; default: product, or voc for --data.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    precision: Annotated[Precision | None, typer.Option(help="bf16 is faster where the processor has it.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Start from the weights of this checkpoint.")] = None,
    champion: Annotated[
        Path | None,
        typer.Option(help=f"Start from the weights of this release. {MODEL_HELP}"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with last.pt of the folder if there is one.")] = False,
    coco: Annotated[bool, typer.Option(help="Start the backbone from COCO weights.")] = True,
    cache: CacheDir = Path.home() / ".cache" / "gesturedet",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    processes: Annotated[int, typer.Option(min=1, help="Processes that take each step together.")] = 1,
    threads: Threads = 1,
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare pictures; 0: none of their own.")] = 0,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between two checkpoints within an epoch.")] = SAVE_EVERY,
    as_json: JsonOption = False,
) -> None:
    """Train a net on labelled pictures; after every epoch it is judged on the validation pictures.

    A run may be killed at any moment; --resume goes on from last.pt and comes to the same curve. With --data the net is
    judged at the end on the folder's test pictures, on which nothing is chosen. --json prints one object at the end, and
    what is told on the way goes to standard error.
    """
    sources = _sources(pictures or [], data, split, val, val_split)
    hold_apart(sources)
    name = recipe or ("product" if data is None else "voc")
    chosen = described(name, _labels(sources, data, labels), epochs, precision)
    if (out / LAST).is_file() and not resume:
        raise ValueError(f"out: {out} holds a run, expected --resume to go on with it, or another folder")
    begins_anew = weights is None and champion is None
    job = TrainJob(
        sources=sources,
        out=out,
        recipe=chosen,
        weights=weights,
        champion=champion,
        continues=resume,
        coco=fetch_coco_backbone(cache) if coco and (begins_anew or chosen.distillation) else None,
        device=device,
        threads=threads,
        workers=workers,
        save_every=save_every,
        track=_track,
        show=tracked,
        quiet=as_json,
    )
    run_together(processes, job)
    if as_json:
        say(json.dumps(_left_by(job)))


@app.command("evaluate")
def evaluate_command(
    model: Annotated[str, typer.Argument(help=f"last.pt or best.pt of a run. Or: {MODEL_HELP}")],
    pictures: Annotated[
        Path, typer.Argument(help="Folder in VOC or COCO layout, or a VOCdevkit: its 2007 test pictures.")
    ],
    *,
    split: Split = "test",
    recipe: RecipeOfRun = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON, nothing else.")] = False,
    threads: Threads = 1,
) -> None:
    """Judge a checkpoint or a release on labelled pictures.

    A checkpoint, in torch, gets the thresholds with the best F1 on these pictures; a release, on ONNX Runtime, keeps those
    of its card.
    """
    torch.set_num_threads(threads)
    examinee = _checkpoint(model, recipe) if model.endswith(".pt") else _released(model, recipe, threads)
    shown = partial(tracked, what="pictures")
    listed = ((pictures / "VOC2007" if (pictures / "VOC2007").is_dir() else pictures, split),)
    told = examine(examinee, listed, shown, quiet=as_json)
    if as_json:
        say(json.dumps(told, indent=2))


@app.command("release")
def release_command(
    checkpoint: Annotated[Path, typer.Argument(help="best.pt or last.pt of a run.")],
    *,
    train_pictures: Annotated[
        list[Path], typer.Option("--train", help="Folder of training pictures; may be repeated.")
    ],
    val: Annotated[Path, typer.Option(help="Folder of the validation pictures: thresholds come from them.")],
    test: Annotated[Path, typer.Option(help="Folder of the frozen exam.")],
    test_split: Annotated[str, typer.Option(help="The exam's list of pictures.")] = "test",
    out: Annotated[Path, typer.Option(help="Folder for model.onnx and card.json.")],
    recipe: RecipeOfRun = None,
    precision: Annotated[PrecisionName, typer.Option(help="What is released; both are examined.")] = PrecisionName.fp32,
    name: Annotated[str, typer.Option(help="The release's name.")] = "gesturedet-classroom",
    lineage: Annotated[
        list[str] | None, typer.Option(help="To be told after what the run began with; may be repeated.")
    ] = None,
    threads: Threads = 1,
    as_json: JsonOption = False,
) -> None:
    """Choose thresholds, export, quantise, examine and write a release.

    Pictures that cannot be read are named, counted and left out.
    """
    torch.set_num_threads(threads)
    folders, lists = {"train": train_pictures, "val": [val], "test": [test]}, {"test": test_split}
    shown = tuple((folder, "train") for folder in train_pictures)
    hold_apart(Sources(shown, ((val, "val"),), ((test, test_split),)))
    chosen, told_to = recipe_behind(read_checkpoint(checkpoint), recipe), bars if as_json else console
    labels = chosen.labels
    sets = {
        use: [read_exam(((folder, lists.get(use, use)),), labels, told_to) for folder in some]
        for use, some in folders.items()
    }
    pictures = {use: [picture for found in some for picture in found] for use, some in sets.items()}
    sources = {
        use: "; ".join(
            source_of(folder, lists.get(use, use), found) for folder, found in zip(some, sets[use], strict=True)
        )
        for use, some in folders.items()
    }
    figures = release(
        checkpoint,
        chosen,
        Material(pictures["train"], pictures["val"], pictures["test"], sources),
        out,
        name=name,
        lineage=tuple(lineage or ()),
        precision="int8" if precision is PrecisionName.int8 else "fp32",
        track=tracked,
    )
    if as_json:
        exams = {kind: _figures(rows) for kind, rows in figures.items()}
        say(json.dumps(about(load_release(out), out) | {"pictures_from": sources["test"], "exams": exams}))
        return
    for kind, rows in figures.items():
        console.print(f"{kind}, {sources['test']}")
        console.print(as_text(rows))


def _checkpoint(model: str, recipe: str | None) -> Examinee:
    state = read_checkpoint(Path(model))
    chosen = recipe_behind(state, recipe)
    net = GestureDet(chosen.net)
    load_weights(net, released_weights(state, chosen), state["file"])
    return examinee_of(net, chosen.labels)


def _released(model: str, recipe: str | None, threads: int) -> Examinee:
    if recipe is not None:
        raise ValueError(f"recipe: {recipe!r} for the release {model!r}, expected it with a checkpoint (.pt) only")
    return released_examinee(find_release(model), threads)


def _left_by(job: TrainJob) -> dict[str, Any]:
    """What a run that has ended left in its folder, and how well it did."""
    epochs = [line for line in journal.read_log(job.out / journal.FILE) if "epochs" in line]
    exams = [line["val"] for line in epochs if "val" in line]
    return {
        "out": str(job.out),
        "last": _if_there(job.out / LAST),
        "best": _if_there(job.out / BEST) if exams else None,
        "epochs": len(epochs),
        "loss": epochs[-1]["train"]["loss"] if epochs else None,
        "val": max(exams, key=itemgetter("map50"), default=None),
        "test": json.loads((job.out / FIGURES_FILE).read_text("utf-8")) if job.sources.test else None,
    }


def _if_there(path: Path) -> str | None:
    return str(path) if path.is_file() else None


def _figures(rows: Sequence[ClassFigures]) -> dict[str, Any]:
    return {"map50": round(mean_average_precision(rows), 4), "behaviours": [asdict(row) for row in rows]}


def _sources(pictures: Sequence[Path], data: Path | None, split: str, val: Path | None, val_split: str) -> Sources:
    """What trains and examines; `val` is an exam of its own for --data too."""
    if bool(pictures) == (data is not None):
        raise ValueError(f"pictures: {len(pictures)} folders and --data {data}, expected either folders or --data")
    if data is None:
        return Sources(tuple((folder, split) for folder in pictures), ((val or pictures[0], val_split),))
    found = sources_of(data)
    return found if val is None else replace(found, val=((val, val_split),))


def _labels(sources: Sources, data: Path | None, labels: str | None) -> tuple[str, ...] | None:
    """The classes of --data; None for the recipe's own."""
    if data is None:
        if labels is not None:
            raise ValueError(f"labels: {labels!r} without --data, expected them with pictures of other classes only")
        return None
    if labels is not None:
        return tuple(name.strip() for name in labels.split(","))
    return VOC_CLASSES if sources.official else names_in(sources.train)


def _track(crew: Crew) -> "_Bar":
    return _Bar(shown=crew.rank == 0)


@dataclass(frozen=True)
class _Bar:
    """A progress bar over one epoch's batches, in the first process and only on a terminal."""

    shown: bool

    def __call__(self, loader: Iterable[Example], epoch: int) -> Iterable[Example]:
        if not (self.shown and bars.is_terminal):
            yield from loader
            return
        columns = (TextColumn("epoch {task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=bars, transient=True) as progress:
            yield from progress.track(loader, description=str(epoch + 1))
