"""Everything that needs a GPU, from a bare checkout and one file, in pieces of a few minutes: speed, ablation, training.

    python benchmarks/gpu/all.py pack PACK.tar --train FOLDER[:LIST] [--train …] --val FOLDER[:LIST] --test FOLDER[:LIST]
    python benchmarks/gpu/all.py run PACK.tar --out FOLDER [--only speed] [--minutes 9] [--wheels FOLDER]

`pack`, where there is a network, puts the listed pictures, made smaller, COCO's backbone and maybe a champion into one file
of at most 60 MiB. `run` needs python with torch and no network; what is not done after `--minutes` goes on when it is called
again, and `--only` chooses among three:

speed: `tensorrt.py`, every runtime that can be had → gpu_tensorrt.json.
ablation: the rows of `ablation.py` with each seed, from COCO's backbone and fresh heads → ablation.json, ablation.png.
training: the recipe, from the champion or from COCO's backbone → figures.json, log.jsonl, curves.png, last.pt, best.pt.

Whole checkpoints and engines stay under build. Exams are of smaller pictures: not to be told beside figures of the frozen ones.
Where the checkout of 92 MiB is too large to travel, `git sparse-checkout set --no-cone '/*' '!/benchmarks/candidates'
'!/services/classpulse/demo' '!/model/gesturedet/weights/*-fp32'` leaves 16; the speed is then that of random weights.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import parts

parts.use_checkout()

if TYPE_CHECKING:
    from benchmarks.gpu.packing import Carried

WHAT = ("speed", "ablation", "training")
WORK = parts.ROOT / "build" / "gpu"


def speed(options: argparse.Namespace, deadline: float) -> None:
    """Run `tensorrt.py` in a process of its own: it may replace itself. Its engines are kept if it does not end in time."""
    told = WORK / "gpu_tensorrt.json"
    if not told.is_file():
        wheels = ["--wheels", str(options.wheels.resolve())] if options.wheels else []
        command = [sys.executable, str(Path(__file__).with_name("tensorrt.py")), "--out", str(told), *wheels]
        try:
            subprocess.run(command, check=False, timeout=max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            print("speed: out of time; the same command begins again with the engines that are built", flush=True)
    if told.is_file():
        shutil.copy(told, options.out)


def ablation(carried: "Carried", options: argparse.Namespace, deadline: float) -> None:
    """Train the rows of the paper's table that are not done, and write the table so far."""
    import ablation as rows_of  # noqa: PLC0415 - after what is missing was installed
    from trained_rows import Row, base_of, parser_of, train_all  # noqa: PLC0415

    train = [word for folder, split in carried.sources.train for word in ("--train", f"{folder}:{split}")]
    ((folder, split),) = carried.sources.test
    given = ["--test", f"{folder}:{split}", "--seeds", options.seeds, "--epochs", str(options.ablation_epochs)]
    place = ["--cache", str(carried.folder), "--out", str(carried.folder / "ablation")]
    pace = ["--device", options.device, "--workers", str(options.workers)]
    asked = [*train, *given, *place, *pace, "--precision", options.precision, "--minutes", str(_left(deadline))]
    args = parser_of("", rows_of.ABLATION, "").parse_args(asked)
    base = base_of(args)
    train_all({name: Row(recipe) for name, recipe in rows_of.ablation(base).items()}, base, args)
    table = rows_of.table_of(base, args)
    write(options.out / "ablation.json", carried, table)
    if "baseline" in table["rows"]:
        rows_of.draw(table["rows"], options.out / "ablation.png")


def training(carried: "Carried", options: argparse.Namespace, deadline: float) -> None:
    """Train one piece and bring out what there is."""
    from benchmarks.gpu.training import bring_out, train_piece  # noqa: PLC0415
    from trained_rows import until  # noqa: PLC0415

    from gesturedet.training_job import described  # noqa: PLC0415

    recipe = described(options.recipe, None, options.epochs, options.precision)
    work = carried.folder / f"training-{recipe.name}"
    told = train_piece(carried, recipe, work, device=options.device, workers=options.workers, track=until(deadline))
    write(options.out / "figures.json", carried, told)
    bring_out(work, options.out)
    print(f"training: epoch {len(told['epochs'])} of {recipe.epochs}, {'done' if told['done'] else 'to be continued'}")


def write(path: Path, carried: "Carried", figures: dict[str, Any]) -> None:
    """Write figures with the machine, and the commit and the pictures' size at packing."""
    import torch  # noqa: PLC0415
    from measured import machine  # noqa: PLC0415

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    whole = {"machine": machine() | {"gpu": gpu, "torch": torch.__version__}, "packed_at_commit": carried.commit}
    whole |= {"pictures": asdict(carried.shrink), **figures}
    path.write_text(json.dumps(whole, indent=2) + "\n")


def _left(deadline: float) -> float:
    return (deadline - time.monotonic()) / 60


def run(options: argparse.Namespace) -> None:
    """Do what is asked for, one after the other, as long as there is time."""
    deadline = time.monotonic() + 60 * options.minutes
    parts.install_missing(options.wheels)
    from benchmarks.gpu.packing import unpack  # noqa: PLC0415

    options.out.mkdir(parents=True, exist_ok=True)
    WORK.mkdir(parents=True, exist_ok=True)
    carried = unpack(options.pack, WORK)
    for what in options.only or WHAT:
        if what == "speed":
            speed(options, deadline)
        else:
            {"ablation": ablation, "training": training}[what](carried, options, deadline)


def pack_up(options: argparse.Namespace) -> None:
    """Pack what the command line lists."""
    from benchmarks.gpu.packing import Shrink, pack  # noqa: PLC0415
    from measured import commit  # noqa: PLC0415

    from gesturedet.data.sources import Sources  # noqa: PLC0415
    from gesturedet.port import fetch_coco_backbone  # noqa: PLC0415

    sources = Sources(tuple(options.train), (options.val,), (options.test,))
    coco, shrink = fetch_coco_backbone(options.cache), Shrink(options.width, options.quality)
    try:
        size = pack(sources, options.pack, coco=coco, champion=options.champion, shrink=shrink, commit=commit())
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from error
    print(f"{options.pack}: {size / 2**20:.1f} MiB")


def parser() -> argparse.ArgumentParser:
    """Return what the command line understands."""
    whole = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = whole.add_subparsers(required=True)
    packing = commands.add_parser("pack")
    packing.set_defaults(do=pack_up)
    packing.add_argument("pack", type=Path)
    packing.add_argument("--train", type=lambda text: listed(text, "train"), action="append", required=True)
    packing.add_argument("--val", type=lambda text: listed(text, "val"), required=True)
    packing.add_argument("--test", type=lambda text: listed(text, "test"), required=True)
    packing.add_argument("--champion", type=Path, help="a release to begin the training with")
    packing.add_argument("--cache", type=Path, default=parts.ROOT / "build", help="where the COCO weights are kept")
    packing.add_argument("--width", type=int, default=960)
    packing.add_argument("--quality", type=int, default=80)
    running = commands.add_parser("run")
    running.set_defaults(do=run)
    running.add_argument("pack", type=Path)
    running.add_argument("--out", type=Path, required=True)
    running.add_argument("--only", choices=WHAT, action="append", help="may be repeated; in the order given")
    running.add_argument("--minutes", type=float, default=9.0, help="of all together")
    running.add_argument("--recipe", default="product_960")
    running.add_argument("--epochs", type=int, help="of the training, instead of the recipe's")
    running.add_argument("--ablation-epochs", type=int, default=1)
    running.add_argument("--seeds", default="0,1,2", help="of the ablation")
    running.add_argument("--precision", default="bf16", choices=("fp32", "bf16"))
    running.add_argument("--device", default="cuda")
    running.add_argument("--workers", type=int, default=14)
    running.add_argument("--wheels", type=Path, help="folder of wheels, where no package index can be reached")
    return whole


def listed(text: str, otherwise: str) -> tuple[Path, str]:
    """A folder, and after a colon the name of its list."""
    folder, _, name = text.partition(":")
    return Path(folder).resolve(), name or otherwise


if __name__ == "__main__":
    given = parser().parse_args()
    given.do(given)
