"""`card`: a release's card as people read it."""

from collections.abc import Iterator
from typing import Any

import typer

from gesturedet.calibration import CalibrationError
from gesturedet.card import Exam, ModelCard, Release, find_release, released_names, write_card
from gesturedet.commands.options import JsonOption, ModelArgument, say
from gesturedet.figures import as_text

app = typer.Typer(rich_markup_mode=None)


@app.command("card")
def card_command(model: ModelArgument = "classroom", *, as_json: JsonOption = False) -> None:
    """Show what a release is, how it was made and how good it is."""
    release = find_release(model)
    say(write_card(release.card).decode().rstrip() if as_json else "\n".join(_lines(release)))


def _lines(release: Release) -> Iterator[str]:
    card = release.card
    height, width = card.input_hw
    yield f"{card.name}, {card.precision}, {len(release.onnx_bytes) / 1e6:.1f} MB, input {width} x {height}"
    yield f"digest      {card.digest}"
    yield f"thresholds  {', '.join(f'{label} {card.thresholds[label]:g}' for label in card.published)}"
    if card.calibration is not None:
        yield f"calibration {_error(card.calibration.error)} where it was fitted: {card.calibration.fitted_on}"
    if card.unpublished:
        yield f"unpublished {', '.join(card.unpublished)}"
    smallest = card.anchors.scales[0] * min(card.input_hw)
    yield (
        f"default boxes  from {smallest:.1f} pixels on, {card.anchors.per_cell} at each place; "
        f"suppressed above an overlap of {card.nms_iou:g}"
    )
    yield from _made(card)
    for exam in card.exams:
        yield from _exam(exam)
    if not card.exams:
        yield "\nexams: none, this release has not been examined"
    yield f"\nreleased with this package: {', '.join(released_names())}"


def _made(card: ModelCard) -> Iterator[str]:
    yield from _list("data", card.data_seeds.items())
    yield from _list("lineage", enumerate(card.lineage, start=1))
    yield from _list("recipe", ((key, value) for key, value in card.recipe.items() if not isinstance(value, dict)))


def _list(title: str, rows: Any) -> Iterator[str]:
    lines = [f"  {key}: {value}" for key, value in rows]
    if lines:
        yield f"\n{title}"
        yield from lines


def _exam(exam: Exam) -> Iterator[str]:
    yield f"\nexam: {exam.pictures} pictures, {exam.pictures_from}"
    yield as_text(exam.behaviours)
    if exam.calibration_error is not None:
        yield f"calibration {_error(exam.calibration_error)}"


def _error(error: CalibrationError) -> str:
    before, after = ("-" if value is None else f"{value:.3f}" for value in (error.before, error.after))
    return f"error {before} before, {after} after"
