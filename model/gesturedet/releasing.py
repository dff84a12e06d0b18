"""Checkpoint → release: thresholds from the validation pictures, figures of the very bytes that are released.

The exam's pictures are used once, at the end: neither weights nor thresholds are chosen on them.
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import cv2
import msgspec
import numpy as np

from gesturedet.calibrating import error_of, fit_calibration, in_calibrated_scores
from gesturedet.card import MODEL_FILE, Exam, ModelCard, Release
from gesturedet.checkpoint import lineage_of, load_weights, read_checkpoint, released_weights, trained_by
from gesturedet.data.voc import LabelledPicture, read_pixels
from gesturedet.detector import GestureDet
from gesturedet.evaluation import JudgedPicture
from gesturedet.export import export_onnx, quantise, take_bytes, write_release
from gesturedet.figures import ClassFigures, summarise
from gesturedet.judging import LEAST_SCORE, frame_hw, judge
from gesturedet.labels import AUXILIARY
from gesturedet.predictor import Predictor
from gesturedet.preprocess import preprocess
from gesturedet.recipes import Recipe
from gesturedet.runtime.base import Floats
from gesturedet.runtime.onnxruntime import OnnxRuntime
from gesturedet.sources import read_picture

Thing = TypeVar("Thing")
Precision = Literal["fp32", "int8"]
Track = Callable[[Sequence[Any], str], Iterable[Any]]
"""Gives the same things one by one, and shows somebody how far it is."""

NMS_IOU = 0.45
FRAME_WIDTH = 640
"""How wide pictures are sent to a net, and wider to a wider one, so that nothing it could see is lost on the way."""
UNCHOSEN = 0.5
"""The threshold of a behaviour for which nobody has chosen one."""


@dataclass(frozen=True, slots=True)
class Material:
    """The pictures of a release. `sources` says for each of train, val and test what made its pictures."""

    train: Sequence[LabelledPicture]
    val: Sequence[LabelledPicture]
    test: Sequence[LabelledPicture]
    sources: Mapping[str, str]


def release(
    checkpoint: Path,
    recipe: Recipe,
    material: Material,
    folder: Path,
    *,
    name: str,
    lineage: tuple[str, ...],
    precision: Precision = "fp32",
    calibration_pictures: int = 200,
    track: Track = lambda pictures, _what: pictures,
) -> dict[Precision, tuple[ClassFigures, ...]]:
    """Write `model.onnx` and `card.json` into `folder`; return the exam's figures of both precisions.

    Each precision gets a calibration of its own, fitted on `material.val`, and thresholds with the best F1 there. The card
    holds the figures of the released one on `material.test`, and `lineage` after what the checkpoint's run began with.
    """
    figures: dict[Precision, tuple[ClassFigures, ...]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        drafts = draft_releases(
            checkpoint,
            recipe,
            material,
            Path(scratch),
            name=name,
            lineage=lineage,
            calibration_pictures=calibration_pictures,
            track=track,
        )
        for kind, drafted in drafts.items():
            seen = look(drafted, track(material.test, f"{kind} test"))
            exam = examined(drafted.card, material.sources["test"], seen)
            figures[kind] = exam.behaviours
            if kind == precision:
                card = msgspec.structs.replace(drafted.card, exams=(exam,))
                write_release(folder, Path(scratch) / kind / MODEL_FILE, card)
    return figures


def draft_releases(
    checkpoint: Path,
    recipe: Recipe,
    material: Material,
    folder: Path,
    *,
    name: str,
    lineage: tuple[str, ...],
    calibration_pictures: int = 200,
    track: Track = lambda pictures, _what: pictures,
) -> dict[Precision, Release]:
    """Write both precisions of a checkpoint into folders of their names; they have sat no exam, and `material.test` is not looked at.

    Each gets a calibration of its own, fitted on `material.val`, and thresholds with the best F1 there.
    """
    state = read_checkpoint(checkpoint)
    net = GestureDet(recipe.net)
    load_weights(net, released_weights(state, recipe), state["file"])
    settings, descent = trained_by(state), lineage_of(state) + lineage
    drafts: dict[Precision, Release] = {}
    with tempfile.TemporaryDirectory() as scratch:
        files: dict[Precision, Path] = {"fp32": Path(scratch) / "fp32.onnx", "int8": Path(scratch) / "int8.onnx"}
        export_onnx(net, files["fp32"])
        ranges = calibration_images(material.train, recipe, calibration_pictures)
        quantise(files["fp32"], files["int8"], track(ranges, "int8 ranges"))
        for kind, file in files.items():
            card = _draft(recipe, material.sources, settings, name=name, lineage=descent, precision=kind)
            drafted = write_release(Path(scratch) / kind, file, card)
            drafts[kind] = write_release(folder / kind, file, _chosen(drafted, material, track))
    return drafts


def export_release(
    checkpoint: Path,
    recipe: Recipe,
    folder: Path,
    *,
    name: str,
    thresholds: Mapping[str, float],
    lineage: tuple[str, ...],
    in_bytes: bool = False,
) -> Release:
    """Write a checkpoint as a release in full precision that has sat no exam.

    `thresholds`: some or all behaviours; the others get `UNCHOSEN`. `in_bytes`: see `export.take_bytes`. Raises ValueError
    for a name that is no behaviour.
    """
    state = read_checkpoint(checkpoint)
    net = GestureDet(recipe.net)
    load_weights(net, released_weights(state, recipe), state["file"])
    descent = lineage_of(state) + lineage
    card = _draft(recipe, {}, trained_by(state), name=name, lineage=descent, precision="fp32")
    if unknown := sorted(set(thresholds) - set(card.labels)):
        raise ValueError(f"thresholds: {unknown[0]!r} is none of {', '.join(card.labels)}")
    chosen = dict.fromkeys(card.labels, UNCHOSEN) | dict(thresholds)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "fp32.onnx"
        export_onnx(net, file)
        if in_bytes:
            take_bytes(file, file)
        return write_release(folder, file, msgspec.structs.replace(card, thresholds=chosen))


def quantise_release(
    full: Release,
    pictures: Sequence[Path],
    source: str,
    folder: Path,
    *,
    symmetric: bool = False,
    track: Track = lambda pictures, _what: pictures,
) -> Release:
    """Write the int8 form of a release in full precision; it keeps thresholds and calibration and has sat no exam.

    `pictures` show what ranges the maps have, and `source` says where they are from. `symmetric`: see `export.quantise`.
    Raises ValueError for a release that is int8 already.
    """
    card = full.card
    if card.precision != "fp32":
        raise ValueError(f"{card.name}: precision is {card.precision}, expected fp32")
    predictor = Predictor(full, OnnxRuntime(full.onnx_bytes))
    images = (predictor.prepare(read_picture(path)) for path in track(pictures, "pictures"))
    with tempfile.TemporaryDirectory() as scratch:
        files = Path(scratch) / "fp32.onnx", Path(scratch) / "int8.onnx"
        files[0].write_bytes(full.onnx_bytes)
        quantise(*files, images, symmetric=symmetric)
        lineage = (*card.lineage, f"{card.name} {card.digest} (fp32)")
        seeds = card.data_seeds | {"calibration": f"{len(pictures)} pictures of {source}"}
        made = msgspec.structs.replace(card, precision="int8", lineage=lineage, data_seeds=seeds, exams=())
        return write_release(folder, files[1], made)


def look(drafted: Release, pictures: Iterable[LabelledPicture], *, threads: int = 1) -> list[JudgedPicture]:
    """Show a release pictures as a service would, and judge what it finds, with the net's own scores.

    Everything above a very low score is asked for, so that average precision sees the whole curve.
    """
    card = drafted.card
    low = msgspec.structs.replace(card, thresholds=dict.fromkeys(card.labels, LEAST_SCORE), calibration=None)
    predictor = Predictor(Release(low, drafted.onnx_bytes), OnnxRuntime(drafted.onnx_bytes, threads=threads))
    return list(judge(pictures, predictor.predict, behaviours=card.labels, at_least_hw=frame_hw(card.input_hw)))


def figures_of(
    card: ModelCard, judged: Sequence[JudgedPicture], thresholds: Mapping[str, float] | None = None
) -> tuple[ClassFigures, ...]:
    """Return the figures of what `look` gave, in the card's scores and in what it publishes; see `figures.summarise`."""
    meant = in_calibrated_scores(judged, card.labels, card.curves)
    all_thresholds = None if thresholds is None else dict.fromkeys(card.labels, 1.0) | dict(thresholds)
    rows = summarise(meant, behaviours=card.labels, thresholds=all_thresholds)
    return tuple(row for row in rows if row.behaviour in card.published)


def calibration_images(pictures: Sequence[LabelledPicture], recipe: Recipe, most: int) -> list[Floats]:
    """Return images_1CHW of so many training pictures, evenly spread over them."""
    size_hw = recipe.net.input_hw
    decoded = (read_pixels(picture, at_least_hw=frame_hw(size_hw)) for picture in evenly(pictures, most))
    return [preprocess(np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8), size_hw) for rgb in decoded]


def evenly(things: Sequence[Thing], most: int) -> list[Thing]:
    """Return so many of them at most, evenly spread, in their order."""
    places = sorted(set(np.linspace(0, len(things) - 1, min(most, len(things))).round().astype(int).tolist()))
    return [things[place] for place in places]


def source_of(root: Path, split: str, pictures: Sequence[LabelledPicture]) -> str:
    """Say what made the pictures: the seeds of drawn ones, else the folder's name."""
    manifest = root / "manifest.json"
    if not manifest.is_file():
        return f"{root.name} {split}: {len(pictures)} pictures"
    made = json.loads(manifest.read_text("utf-8"))
    seeds = sorted({int(picture.group) for picture in pictures})
    span = f"{seeds[0]} to {seeds[-1]}" if seeds else "none"
    return (
        f"synthroom recipe {made.get('recipe')}, split {split}, {made.get('width')} x {made.get('height')}: "
        f"{len(pictures)} pictures of {len(seeds)} rooms, seeds {span}"
    )


def examined(card: ModelCard, pictures_from: str, seen: Sequence[JudgedPicture]) -> Exam:
    """The figures of what `look` gave of an exam's pictures, at the card's thresholds."""
    return Exam(
        pictures_from=pictures_from,
        pictures=len(seen),
        behaviours=figures_of(card, seen, card.thresholds),
        calibration_error=error_of(seen, card.labels, card.published, card.curves),
    )


def _chosen(drafted: Release, material: Material, track: Track) -> ModelCard:
    """Return the card with what the validation pictures decide: what scores mean, and then the thresholds."""
    card = drafted.card
    seen = look(drafted, track(material.val, f"{card.precision} val"))
    calibration = fit_calibration(seen, card.labels, card.published, fitted_on=material.sources["val"])
    card = msgspec.structs.replace(card, calibration=calibration)
    chosen = dict.fromkeys(card.labels, 1.0) | _thresholds(figures_of(card, seen))
    return msgspec.structs.replace(card, thresholds=chosen)


def _thresholds(figures: Sequence[ClassFigures]) -> dict[str, float]:
    """Take each behaviour's best threshold; a behaviour that was never found keeps silent."""
    return {row.behaviour: row.threshold for row in figures}


def _draft(
    recipe: Recipe,
    sources: Mapping[str, str],
    settings: dict[str, Any],
    *,
    name: str,
    lineage: tuple[str, ...],
    precision: Precision,
) -> ModelCard:
    return ModelCard(
        name=name,
        digest="",
        precision=precision,
        labels=recipe.labels,
        unpublished=tuple(label for label in recipe.labels if label in AUXILIARY),
        input_hw=recipe.net.input_hw,
        frame_width=max(FRAME_WIDTH, recipe.net.input_hw[1]),
        thresholds=dict.fromkeys(recipe.labels, 1.0),
        nms_iou=NMS_IOU,
        anchors=recipe.net.anchors,
        data_seeds=dict(sources),
        recipe=settings,
        lineage=lineage,
        exams=(),
    )
