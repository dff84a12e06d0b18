"""What a person asks a trainer for → the job of `gesturedet train`, checked before anything starts."""

from pathlib import Path
from typing import cast, get_args

from classpulse.errors import BadInput
from classpulse.train.on_ray import no_bars
from gesturedet.card import find_release
from gesturedet.data.sources import Listed, Sources, hold_apart, list_in, read_listed
from gesturedet.port import fetch_coco_backbone
from gesturedet.recipes import Precision, Recipe
from gesturedet.training_job import TrainJob, described

CACHE = Path.home() / ".cache" / "gesturedet"


def described_job(
    pictures: list[Path],
    val: Path,
    *,
    recipe: str,
    workers: int,
    champion: str | None,
    epochs: int | None,
    precision: str | None,
    device: str,
    save_every: int,
) -> TrainJob:
    """The job. Raises BadInput for what no run could begin with: pictures, a recipe, a champion that are none."""
    if precision is not None and precision not in get_args(Precision):
        raise BadInput([f"--precision = {precision!r}: expected one of {', '.join(get_args(Precision))}"])
    train: tuple[Listed, ...] = tuple(list_in(folder.resolve(), "train") for folder in pictures)
    exam: tuple[Listed, ...] = ((val.resolve(), "val"),)
    try:
        chosen = described(recipe, None, epochs, cast("Precision | None", precision))
        _check(chosen, train, exam, workers, champion)
        return TrainJob(
            sources=Sources(train, exam),
            out=Path(),
            recipe=chosen,
            weights=None,
            champion=None if champion is None else _found(champion),
            continues=True,
            coco=fetch_coco_backbone(CACHE) if champion is None or chosen.distillation else None,
            device=device,
            threads=1,
            workers=0,
            save_every=save_every,
            track=no_bars,
        )
    except (ValueError, FileNotFoundError) as error:
        raise BadInput([f"train: {error}"]) from error


def _check(
    recipe: Recipe, train: tuple[Listed, ...], exam: tuple[Listed, ...], workers: int, champion: str | None
) -> None:
    """Raises ValueError or FileNotFoundError for what would only be found out in the processes."""
    hold_apart(Sources(train, exam))
    if recipe.batch % workers:
        raise ValueError(f"--workers = {workers}: a batch is {recipe.batch} pictures; expected a divisor of that")
    if (found := len(read_listed(train, recipe.labels))) < recipe.batch:
        raise ValueError(f"pictures: {found} do not fill one batch, expected at least {recipe.batch}")
    read_listed(exam, recipe.labels)
    if champion is not None:
        find_release(champion)


def _found(champion: str) -> Path:
    """A release's name as it is, a folder from the root on: the processes run elsewhere."""
    return Path(champion).resolve() if Path(champion).exists() else Path(champion)
