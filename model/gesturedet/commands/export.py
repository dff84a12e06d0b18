"""`export` and `quantize`: a checkpoint → a release in full precision → its int8 form. Neither is examined."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gesturedet.card import Release, find_release
from gesturedet.checkpoint import read_checkpoint, recipe_behind
from gesturedet.commands.options import (
    JsonOption,
    LeftOut,
    ModelArgument,
    RecipeOfRun,
    about,
    progress,
    say,
    tell,
    tracked,
)
from gesturedet.releasing import UNCHOSEN, evenly, export_release, quantise_release
from gesturedet.sources import pictures_in, readable

app = typer.Typer(rich_markup_mode=None)

OutOption = Annotated[Path, typer.Option(help="Folder for model.onnx and card.json.")]


@app.command("export")
def export_command(
    checkpoint: Annotated[Path, typer.Argument(help="best.pt or last.pt of a run.")],
    *,
    out: OutOption,
    recipe: RecipeOfRun = None,
    name: Annotated[str, typer.Option(help="The release's name.")] = "gesturedet",
    threshold: Annotated[
        list[str] | None, typer.Option(help=f"BEHAVIOUR=SCORE, may be repeated; {UNCHOSEN:g} where not given.")
    ] = None,
    lineage: Annotated[
        list[str] | None, typer.Option(help="To be told after what the run began with; may be repeated.")
    ] = None,
    in_bytes: Annotated[
        bool, typer.Option("--bytes", help="The net takes bytes, as OpenCV decodes them, and normalises them itself.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Turn a checkpoint into a release in full precision, not examined; `release` does all, with figures."""
    thresholds = read_pairs(threshold or ())
    chosen = recipe_behind(read_checkpoint(checkpoint), recipe)
    with progress("export", None):
        made = export_release(
            checkpoint,
            chosen,
            out,
            name=name,
            thresholds=thresholds,
            lineage=tuple(lineage or ()),
            in_bytes=in_bytes,
        )
    _say_written(made, out, as_json=as_json)


@app.command("quantize")
def quantize_command(
    model: ModelArgument,
    pictures: Annotated[
        Path, typer.Argument(help="Folder of pictures of the kind that will be seen, or a VOC folder.")
    ],
    *,
    out: OutOption,
    most: Annotated[int, typer.Option(min=1, help="So many of the pictures, evenly spread.")] = 200,
    symmetric: Annotated[
        bool, typer.Option("--symmetric", help="The form that TensorRT needs; for a CPU it is coarser and large.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Turn a release in full precision into one in int8, not examined; its maps' ranges come from the pictures.

    Pictures that cannot be read are named, counted and left out.
    """
    if not pictures.is_dir():
        raise FileNotFoundError(f"pictures: {str(pictures)!r} is no folder, expected one with pictures")
    full = find_release(model)
    chosen, left_out = evenly(pictures_in(pictures), most), LeftOut()
    fine = readable(chosen, left_out.leave_out)
    if left_out.unreadable:
        tell(left_out.counted(len(fine)))
    made = quantise_release(full, fine, pictures.name, out, symmetric=symmetric, track=tracked)
    _say_written(made, out, as_json=as_json)


def read_pairs(texts: Sequence[str]) -> dict[str, float]:
    """Read `BEHAVIOUR=SCORE`. Raises ValueError naming what is none."""
    pairs = {}
    for text in texts:
        name, _, score = text.partition("=")
        try:
            pairs[name] = float(score)
        except ValueError as error:
            raise ValueError(f"threshold: {text!r} is no BEHAVIOUR=SCORE, such as hand-raising=0.5") from error
    return pairs


def _say_written(released: Release, out: Path, *, as_json: bool) -> None:
    told = about(released, out)
    line = "{out}: {name}, {precision}, {size:.1f} MB, digest {digest}"
    say(json.dumps(told) if as_json else line.format(size=told["bytes"] / 1e6, **told))
