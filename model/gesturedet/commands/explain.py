"""`explain`: a picture → what the net looks at; an exam → what it got most wrong, as contact sheets."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from gesturedet.annotated import write_picture
from gesturedet.api import load
from gesturedet.card import find_release
from gesturedet.commands.options import (
    JsonOption,
    LeftOut,
    ModelArgument,
    RecipeOfRun,
    RuntimeOption,
    ThreadsOption,
    progress,
    say,
    tell,
)
from gesturedet.data.sources import read_list
from gesturedet.data.voc import LabelledPicture, read_pixels
from gesturedet.faults import Fault, contact_sheet, faults_of, tile, worst_alarms, worst_misses
from gesturedet.judging import LEAST_SCORE, frame_hw
from gesturedet.sources import Bytes, read_picture

app = typer.Typer(rich_markup_mode=None)


@app.command("explain")
def explain_command(
    model: ModelArgument,
    shown: Annotated[Path, typer.Argument(help="A picture, or a folder in VOC or COCO layout as an exam.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the PNGs.")],
    split: Annotated[str, typer.Option(help="Of an exam: its list of pictures.")] = "test",
    most: Annotated[int, typer.Option(min=1, help="Of an exam: so many false alarms and misses.")] = 24,
    recipe: RecipeOfRun = None,
    runtime: RuntimeOption = "onnxruntime",
    threads: ThreadsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Draw what a net looks at, or what it got most wrong in an exam.

    A picture: attention.png, coloured from its least to its most, and level-N.png, the best score at each place of a
    level, coloured from 0 to 1; from a release or a checkpoint (.pt), in torch. An exam: false-alarms.png and misses.png
    at the card's thresholds, from a release; pictures that cannot be read are named, counted and left out.
    """
    if shown.is_dir():
        written = _explain_exam(model, shown, out, split=split, most=most, runtime=runtime, threads=threads)
    elif shown.is_file():
        written = _explain_picture(model, read_picture(shown), out, recipe=recipe)
    else:
        raise FileNotFoundError(
            f"shown: {str(shown)!r} is not there, expected a picture or a folder in VOC or COCO layout"
        )
    if as_json:
        say(json.dumps({"written": [one.told for one in written]}))
        return
    for one in written:
        say(one.line)


@dataclass(frozen=True, slots=True)
class Written:
    """A PNG that was written, or what there was nothing to draw of (then its `file` is null): for scripts and for people."""

    told: dict[str, Any]
    line: str


def _explain_picture(model: str, image_bgr: Bytes, out: Path, *, recipe: str | None) -> Iterator[Written]:
    try:
        from gesturedet import maps  # noqa: PLC0415 - torch: the other half of this command runs without it
    except ModuleNotFoundError as error:
        extra = "pip install '.[train,cpu]'"
        raise ValueError(f"explain: the package {error.name} is not installed, expected `{extra}`") from error

    checkpoint = model.endswith(".pt")
    net = maps.net_of_checkpoint(Path(model), recipe) if checkpoint else maps.net_of_release(find_release(model))
    seen = maps.look(net, image_bgr)
    if seen.attention is None:
        yield Written({"what": "attention", "file": None}, "attention: this net has no spatial attention")
    else:
        yield _write_map(out / "attention.png", seen.attention, maps.heat(maps.stretched(seen.attention), image_bgr))
    for number, level in enumerate(seen.levels, start=1):
        yield _write_map(out / f"level-{number}.png", level, maps.heat(level, image_bgr))


def _write_map(path: Path, values: NDArray[np.float32], drawn: Bytes) -> Written:
    write_picture(path, drawn)
    rows, columns = values.shape
    least, most = round(float(values.min()), 4), round(float(values.max()), 4)
    told = {"what": path.stem, "file": str(path), "columns": columns, "rows": rows, "least": least, "most": most}
    return Written(told, f"{path}: {columns} x {rows} places, {least:.4f} to {most:.4f}")


def _explain_exam(
    model: str, exam: Path, out: Path, *, split: str, most: int, runtime: str, threads: int
) -> Iterator[Written]:
    if model.endswith(".pt"):
        raise ValueError(f"model: {model!r} is a checkpoint, expected a release, as `export` makes one, for an exam")
    detector = load(model, runtime=runtime, threads=threads)
    card = detector.card
    thresholds = {label: card.thresholds[label] for label in card.published}
    pictures = read_list(exam, split, card.labels)
    alarms: list[Fault] = []
    misses: list[Fault] = []
    left_out = LeftOut()
    with progress("pictures", len(pictures)) as advance:
        for picture, image_bgr in _read(pictures, frame_hw(card.input_hw), left_out):
            found = detector.predictor.predict(image_bgr, min_score=LEAST_SCORE)
            wrong, missed = faults_of(picture, found, labels=card.labels, thresholds=thresholds)
            alarms, misses = worst_alarms([*alarms, *wrong], most), worst_misses([*misses, *missed], most)
            advance()
    if left_out.unreadable == len(pictures):
        raise ValueError(f"shown: no readable picture in split {split!r} of {str(exam)!r}, expected at least one")
    if left_out.unreadable:
        tell(left_out.counted(len(pictures) - left_out.unreadable))
    yield _write_sheet(out / "false-alarms.png", alarms, "false alarms")
    yield _write_sheet(out / "misses.png", misses, "misses")


def _read(
    pictures: Sequence[LabelledPicture], at_least_hw: tuple[int, int], left_out: LeftOut
) -> Iterator[tuple[LabelledPicture, Bytes]]:
    for picture in pictures:
        try:
            yield picture, _pixels(picture, at_least_hw)
        except (ValueError, OSError) as error:
            left_out.leave_out(str(error))


def _write_sheet(path: Path, faults: Sequence[Fault], what: str) -> Written:
    if not faults:
        path.unlink(missing_ok=True)
        return Written({"what": what, "file": None}, f"no {what}")
    write_picture(path, contact_sheet([tile(fault, _pixels(fault.picture)) for fault in faults]))
    first, last = faults[0].score, faults[-1].score
    told = {"what": what, "file": str(path), "worst": len(faults), "scores": [round(first, 4), round(last, 4)]}
    return Written(told, f"{path}: the {len(faults)} worst {what}, scores {first:.2f} to {last:.2f}")


def _pixels(picture: LabelledPicture, at_least_hw: tuple[int, int] | None = None) -> Bytes:
    rgb = read_pixels(picture, at_least_hw=at_least_hw)
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), dtype=np.uint8)
