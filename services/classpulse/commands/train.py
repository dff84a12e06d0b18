"""`train`: the training of `gesturedet train` on the nodes of a Ray cluster."""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from classpulse.commands.fleet import AddressOption
from classpulse.errors import BadInput

app = typer.Typer(add_completion=False, rich_markup_mode=None)

SAVE_EVERY = 100


@app.command()
def train(
    pictures: Annotated[list[Path], typer.Argument(help="Folders of labelled pictures, VOC or COCO, taken together.")],
    recipe: Annotated[str, typer.Option(help="A function of gesturedet.recipes.")] = "product",
    workers: Annotated[int, typer.Option(min=1, help="Processes that take each step together.")] = 1,
    *,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that is kept at --out.")] = False,
    out: Annotated[
        str, typer.Option(help="Folder, or URL that fsspec knows, for best.pt, last.pt, log.jsonl.")
    ] = "run",
    val: Annotated[Path | None, typer.Option(help="Folder of the validation pictures; default: the first.")] = None,
    champion: Annotated[str | None, typer.Option(help="Start from this release: a name or a folder.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32 or bf16; default: the recipe's.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    save_every: Annotated[int, typer.Option(min=1, help="Steps between two states that are kept.")] = SAVE_EVERY,
    address: AddressOption = "",
) -> None:
    """Train a net on labelled pictures, on the nodes of a Ray cluster.

    After every epoch it is judged on the validation pictures. Whatever dies, the run goes on from its last state; --resume
    goes on with one that was stopped.
    """
    check_trainer()
    from classpulse.train.job import described_job  # noqa: PLC0415 - imports torch
    from classpulse.train.kept import Kept  # noqa: PLC0415
    from classpulse.train.on_ray import Group, train  # noqa: PLC0415 - imports Ray

    job = described_job(
        pictures, val or pictures[0], recipe=recipe, workers=workers, champion=champion, epochs=epochs,
        precision=precision, device=device, save_every=save_every,
    )  # fmt: skip
    kept = Kept(out)
    if kept.begun() and not resume:
        raise BadInput([f"--out = {out!r}: holds a run; expected --resume to go on with it, or another place"])
    train(job, out, Group(workers, device, address), typer.echo)
    typer.echo(f"trained: {out}")


def check_trainer() -> None:
    """Raises BadInput where what trains is not installed."""
    absent = [name for name in ("ray", "torch", "pandas") if importlib.util.find_spec(name) is None]
    if absent:
        raise BadInput([f"train: {', '.join(absent)} not installed; expected `pip install '.[trainer]'`"])
