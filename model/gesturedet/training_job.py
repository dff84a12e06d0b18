"""One training run as the command line describes it: pictures and a recipe → a folder with checkpoints, curves, figures."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from gesturedet.card import Release
from gesturedet.data.sources import Listed, Sources, read_listed
from gesturedet.data.training_set import Example
from gesturedet.data.voc import LabelledPicture, readable
from gesturedet.detector import GestureDet
from gesturedet.engine import LAST, EpochFigures, Saved, evaluate, train
from gesturedet.evaluation import JudgedPicture
from gesturedet.figures import ClassFigures, as_text, mean_average_precision, report, summarise
from gesturedet.parallel import Crew
from gesturedet.port import PACKAGE, load_coco_backbone
from gesturedet.recipes import Precision, Recipe, recipe_of, with_labels
from gesturedet.releasing import figures_of, look
from gesturedet.training_run import Run, resume, start
from gesturedet.whole_files import write_whole

FIGURES_FILE = "figures.json"

console, remarks = Console(), Console(stderr=True)


def _as_they_are(pictures: Sequence[LabelledPicture], what: str) -> Iterable[LabelledPicture]:  # noqa: ARG001
    """No bar; a function with a name, because jobs are pickled."""
    return pictures


def _nothing_more(run: Run) -> None:
    """What is saved stays where it is."""


@dataclass(frozen=True)
class TrainJob:
    """Called once in each process. `coco`: the file with the ported weights; `continues`: go on with `last.pt` if there is one.

    `track` follows an epoch's batches and `show` an exam's pictures; `saved`: see `engine.train`. `quiet`: what is told goes
    to standard error.
    """

    sources: Sources
    out: Path
    recipe: Recipe
    weights: Path | None
    champion: Path | None
    continues: bool
    coco: Path | None
    device: str
    threads: int
    workers: int
    save_every: int
    track: Callable[[Crew], Callable[[Iterable[Example], int], Iterable[Example]]]
    show: Callable[[Sequence[LabelledPicture], str], Iterable[LabelledPicture]] = _as_they_are
    quiet: bool = False
    saved: Saved = _nothing_more

    def __call__(self, crew: Crew) -> None:
        """Train, judge after every epoch, keep the last and the best; at the end sit the exam that nothing is chosen on."""
        torch.set_num_threads(self.threads)
        labels = self.recipe.labels
        shown = read_listed(self.sources.train, labels)
        told_to = remarks if self.quiet else console
        val = read_exam(self.sources.val, labels, told_to) if crew.rank == 0 else ()
        run = self._run(shown)
        train(
            run,
            shown,
            self.out,
            sit_exam=(lambda run: _sit(run.best_weights, self.show(val, "exam"), labels)) if val else None,
            after_epoch=partial(_print_epoch, told_to),
            track=self.track(crew),
            crew=crew,
            workers=self.workers,
            save_every=self.save_every,
            saved=self.saved,
        )
        if crew.rank == 0 and self.sources.test:
            examinee = examinee_of(run.best_weights, labels)
            told = examine(examinee, self.sources.test, lambda exam: self.show(exam, "exam"), quiet=self.quiet)
            write_whole(self.out / FIGURES_FILE, (json.dumps(told, indent=2) + "\n").encode())

    def _run(self, shown: Sequence[LabelledPicture]) -> Run:
        port = None if self.coco is None else Ported(self.coco)
        if self.continues and (self.out / LAST).is_file():
            return resume(self.recipe, self.out / LAST, device=self.device, port=port)
        run = start(self.recipe, shown, device=self.device, port=port, weights=self.weights, champion=self.champion)
        if port is not None:
            use = "backbone it is held to" if self.weights or self.champion else "backbone"
            run.lineage = (*run.lineage, f"{use}: {PACKAGE} (Apache-2.0)")
        return run


@dataclass(frozen=True)
class Ported:
    """Puts the weights of a file of `port.fetch_coco_backbone` into a net's backbone."""

    weights: Path

    def __call__(self, model: GestureDet) -> None:
        """See `port.load_coco_backbone`."""
        load_coco_backbone(model.backbone, self.weights)


@dataclass(frozen=True)
class Examinee:
    """Who sits an exam: its classes, how it looks at pictures, and which figures it gets of what was judged."""

    labels: tuple[str, ...]
    look: Callable[[Iterable[LabelledPicture]], Sequence[JudgedPicture]]
    figures: Callable[[Sequence[JudgedPicture]], tuple[ClassFigures, ...]]


def read_exam(listed: Sequence[Listed], labels: Sequence[str], told_to: Console) -> tuple[LabelledPicture, ...]:
    """Read the pictures of an exam or a release; those whose files are damaged are left out, named and counted.

    Raises ValueError where none is left.
    """
    fine, bad = _readable(listed, labels)
    _say_unreadable(told_to, bad, f" of {len(fine) + len(bad)}")
    return fine


def _readable(listed: Sequence[Listed], labels: Sequence[str]) -> tuple[tuple[LabelledPicture, ...], tuple[str, ...]]:
    fine, bad = readable(read_listed(listed, labels))
    if bad and not fine:
        raise ValueError(
            f"pictures: none of split {listed[0][1]!r} of {listed[0][0]} can be read, expected at least one"
        )
    return fine, bad


def examinee_of(net: GestureDet, labels: tuple[str, ...]) -> Examinee:
    """A net in torch as one who sits an exam."""
    return Examinee(labels, partial(evaluate, net, behaviours=labels), partial(summarise, behaviours=labels))


def released_examinee(released: Release, threads: int) -> Examinee:
    """A release as one who sits an exam, on ONNX Runtime: figures of what it publishes, at its card's thresholds."""
    card = released.card
    figures = partial(figures_of, card, thresholds=card.thresholds)
    return Examinee(card.labels, partial(look, released, threads=threads), figures)


def examine(
    examinee: Examinee,
    listed: Sequence[Listed],
    track: Callable[[Sequence[LabelledPicture]], Iterable[LabelledPicture]] = lambda pictures: pictures,
    *,
    quiet: bool = False,
) -> dict[str, Any]:
    """Hold an exam, print its figures unless `quiet`, and return them with what was left out; see `figures.report`.

    Raises ValueError where no picture can be read.
    """
    pictures, bad = _readable(listed, examinee.labels)
    judged = examinee.look(track(pictures))
    rows = examinee.figures(judged)
    told = report(judged, rows, behaviours=examinee.labels) | {"unreadable": list(bad)}
    if quiet:
        return told
    _say_unreadable(console, bad)
    console.print(as_text(rows))
    console.print(
        f"{told['pictures']} pictures, mAP50 {told['map50']:.3f} by area, {told['map50_11_point']:.3f} by VOC 2007's 11 points"
    )
    return told


def described(recipe: str, labels: tuple[str, ...] | None, epochs: int | None, precision: Precision | None) -> Recipe:
    """Return a recipe for other classes, another length and another precision, where they are given."""
    chosen = recipe_of(recipe) if labels is None else with_labels(recipe_of(recipe), labels)
    chosen = chosen if epochs is None else replace(chosen, epochs=epochs)
    return chosen if precision is None else replace(chosen, precision=precision)


def _sit(net: GestureDet, exam: Iterable[LabelledPicture], labels: Sequence[str]) -> tuple[ClassFigures, ...]:
    return summarise(evaluate(net, exam, behaviours=labels), behaviours=labels)


def _say_unreadable(told_to: Console, names: Sequence[str], among: str = "") -> None:
    if names:
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        told_to.print(f"[yellow]skipped[/] {len(names)}{among} pictures that cannot be read: {shown}")


def _print_epoch(told_to: Console, run: Run, figures: EpochFigures, rows: Sequence[ClassFigures]) -> None:
    judged = f", val mAP50 {mean_average_precision(rows):.3f}" if rows else ""
    told_to.print(
        f"epoch {run.epoch}/{run.recipe.epochs}: loss {figures.loss:.3f} (class {figures.classification:.3f},"
        f" place {figures.localisation:.3f}){judged}"
    )
    if rows:
        told_to.print(as_text(rows))
    _say_unreadable(told_to, figures.unreadable)
