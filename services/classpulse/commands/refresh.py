"""`refresh`: from new labelled pictures to a new champion, a step at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from classpulse.bus.base import Bus
from classpulse.clock import SystemClock
from classpulse.commands.fleet import AddressOption
from classpulse.commands.options import DataOption, opened_bus, settings_of
from classpulse.commands.reports import looks_now, whole_keys
from classpulse.commands.train import check_trainer
from classpulse.detect.eyes import eyes_of, open_release
from classpulse.errors import BadInput
from classpulse.lines import Lines
from classpulse.refresh.beside import Beside
from classpulse.refresh.folder import CHAMPION_FOLDER, Folder, Plan
from classpulse.registry import fetch
from classpulse.settings import Settings
from gesturedet.card import PACKAGED, Release, load_release

LATER = {"out", "resume", "canary", "minutes", "promote", "refuse", "line", "address", "data"}
"""What may be said when a refresh goes on; all else is written down when it begins."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def refresh(
    context: typer.Context,
    pictures: Annotated[
        list[Path] | None, typer.Argument(help="Folders of new labelled pictures, VOC or COCO; none with --resume.")
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="Folder of this refresh: what was asked for, and what each step gave.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the refresh in --out.")] = False,
    base: Annotated[list[Path] | None, typer.Option(help="Folder that the champion was trained with, too.")] = None,
    drawn: Annotated[int, typer.Option(min=0, help="Pictures that synthroom draws besides.")] = 0,
    val: Annotated[
        Path | None, typer.Option(help="Folder whose list val chooses the best epoch and thresholds.")
    ] = None,
    exam: Annotated[list[Path] | None, typer.Option(help="Folder whose list test is a frozen exam; repeat.")] = None,
    quiet: Annotated[list[Path] | None, typer.Option(help="Clip, or folder of clips, where nothing happens.")] = None,
    begin: Annotated[
        str | None, typer.Option(help="Release to train on from, such as the champion's fp32 form; default: itself.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="A function of gesturedet.recipes; default: the champion's.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Training processes on Ray.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    margin: Annotated[float, typer.Option(min=0.0, max=1.0, help="AP50 that a behaviour may lose on an exam.")] = 0.03,
    canary: Annotated[list[str] | None, typer.Option(help="Camera that the candidate looks at first; repeat.")] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="How long the canary looks before it is judged.")] = 10.0,
    promote: Annotated[bool, typer.Option("--promote", help="Make it the champion when the canary did well.")] = False,
    refuse: Annotated[str, typer.Option(help="Go no further, and why: takes the canary back.")] = "",
    line: Annotated[str | None, typer.Option(help="Name of the line; default: the setting `line`.")] = None,
    address: AddressOption = "",
    data: DataOption = None,
) -> None:
    """New labelled pictures to a new champion: train, judge, try, promote.

    A candidate looks at cameras only where --canary says so, and at all of them only with --promote. Every step is written
    down in --out: a refresh that was stopped goes on with --resume.
    """
    check_trainer()
    from classpulse.refresh.material import recipe_for  # noqa: PLC0415 - imports torch and Ray
    from classpulse.refresh.run import BEGINNING_FOLDER, Live, Refresh, keep_release  # noqa: PLC0415
    from classpulse.train.on_ray import Group  # noqa: PLC0415

    settings, folder = settings_of(data), Folder(out)
    with opened_bus(settings) as bus:
        name = line or settings.line
        known = folder.plan()
        if known is None:
            _check_new(out, pictures, val, exam, quiet, resume=resume or bool(refuse))
            champion = _champion(bus, settings, name)
            keep_release(champion, out / CHAMPION_FOLDER)
            keep_release(champion if begin is None else open_release(begin), out / BEGINNING_FOLDER)
            known = Plan(
                pictures=_absolute(pictures),
                base=_absolute(base),
                drawn=drawn,
                val=_absolute([val] if val else None)[0],
                exams=_absolute(exam),
                quiet=_absolute(quiet),
                recipe=recipe or str(champion.card.recipe.get("name", "product")),
                epochs=epochs,
                workers=workers,
                device=device,
                margin=margin,
                champion=champion.card.digest,
            )
            recipe_for(known)
            folder.begin(known)
        elif not resume and not refuse:
            raise BadInput([f"--out = {str(out)!r}: holds a refresh; expected --resume to go on, or another folder"])
        elif late := sorted(_given(context) - LATER):
            raise BadInput(
                [
                    f"{', '.join(late)}: given with --resume; expected them where a refresh begins: it goes on as it began"
                ]
            )
        live = Live(
            bus, SystemClock(), settings.registry_url, name, partial(looks_now, bus), partial(beside, settings, out)
        )
        run = Refresh(folder, known, live, Group(known.workers, known.device, address), typer.echo)
        if refuse:
            run.refuse(refuse)
            typer.echo(f"refused: {refuse}")
            return
        run.run(canary=whole_keys(bus, canary or ()), minutes=minutes, promote=promote)


def _given(context: typer.Context) -> set[str]:
    """The options that stand on the command line, by their Python names."""
    return {
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    }


def _check_new(
    out: Path,
    pictures: list[Path] | None,
    val: Path | None,
    exam: list[Path] | None,
    quiet: list[Path] | None,
    *,
    resume: bool,
) -> None:
    """Raises BadInput for all that is absent."""
    if resume:
        raise BadInput([f"--out = {str(out)!r}: holds no refresh; expected one to go on with"])
    absent = [
        f"{name}: none; expected {what}"
        for name, given, what in (
            ("pictures", pictures, "a folder of new labelled pictures at least"),
            ("--val", val, "a folder whose list val chooses epoch and thresholds"),
            ("--exam", exam, "a frozen exam at least"),
            ("--quiet", quiet, "clips of empty lessons, to count false alarms"),
        )
        if not given
    ]
    if absent:
        raise BadInput(absent)


def _champion(bus: Bus, settings: Settings, line: str) -> Release:
    """The line's champion; where it has none, what detect looks with."""
    lines = Lines(bus, SystemClock())
    known = lines.lines().get(line)
    if known and known.champion:
        return fetch(lines.release(known.champion))
    return open_release(str(settings.model or PACKAGED))


@contextmanager
def beside(settings: Settings, out: Path, digest: str, cameras: tuple[str, ...]) -> Iterator[Callable[[], str]]:
    """The champion of a refresh beside its canary. Pictures are read by detect's rights: nobody else may."""
    eyes = eyes_of(load_release(out / CHAMPION_FOLDER), settings)
    with opened_bus(settings, to_read=True, user="detect") as bus:
        yield Beside(bus, eyes, digest, cameras).look


def _absolute(paths: list[Path] | None) -> tuple[str, ...]:
    return tuple(str(path.resolve()) for path in paths or ())
