"""Training on a GPU in pieces of a few minutes, from one packed file of pictures.

    python benchmarks/gpu/train.py pack FOLDER PACK.tar [--width 640] [--quality 80]
    python benchmarks/gpu/train.py run PACK.tar --out FOLDER [--recipe product] [--minutes 9] [--wheels FOLDER]

`pack` puts a folder in VOC layout, its pictures made smaller, into one file below 60 MiB. `run` trains until the next epoch
would not end in time; called again, it goes on where it stopped, until the recipe's epochs are done. The whole checkpoint
stays under build/gpu-train/NAME; `--out` gets what is worth carrying away: `figures.json` with every epoch, and `weights.pt`,
the weights in half precision, which `gesturedet train --weights` and this command begin with elsewhere.
"""

import argparse
import contextlib
import io
import json
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import parts

parts.use_checkout()

MOST_BYTES = 60 * 2**20
PICTURES = (".jpg", ".jpeg", ".png")


class PieceEnded(Exception):
    """The time of this piece is used up; the checkpoint holds the last whole epoch."""


def pack(folder: Path, packed: Path, *, width: int, quality: int) -> int:
    """Write a VOC folder as one file; the number of its bytes.

    Boxes are in pixels of the first size, which the annotations state: a smaller picture keeps them by fractions, so
    size and boxes are scaled with it. Raises SystemExit when there is no picture, or the file would be too large.
    """
    pictures = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES)
    if not pictures:
        raise SystemExit(f"{folder}: no picture, expected a folder in VOC layout")
    scales: dict[str, float] = {}
    partial = packed.with_suffix(".partial")
    with tarfile.open(partial, "w") as archive:
        for path in pictures:
            content, scales[path.stem] = smaller(path, width=width, quality=quality)
            _add(archive, str(path.relative_to(folder)), content)
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path not in pictures:
                content = path.read_bytes()
                if path.suffix == ".xml":
                    content = scaled(content, scales.get(path.stem, 1.0))
                _add(archive, str(path.relative_to(folder)), content)
    size = partial.stat().st_size
    if size > MOST_BYTES:
        partial.unlink()
        raise SystemExit(f"{packed}: {size / 2**20:.1f} MiB, expected at most 60; lower --width or --quality")
    partial.replace(packed)
    return size


def smaller(path: Path, *, width: int, quality: int) -> tuple[bytes, float]:
    """A picture as JPEG of at most so many pixels in width, and how much smaller that is. The name stays, whatever it ends in."""
    import cv2  # noqa: PLC0415 - after what is missing was installed

    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise SystemExit(f"{path}: cannot be read, expected a picture")
    scale = min(1.0, width / picture.shape[1])
    if scale < 1.0:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes(), scale


def scaled(annotation: bytes, scale: float) -> bytes:
    """An annotation for a picture that was made smaller: its size and all boxes."""
    import xml.etree.ElementTree as ET  # noqa: PLC0415 - our own file

    root = ET.fromstring(annotation)
    for tag in ("width", "height"):
        for element in root.findall(f"size/{tag}"):
            element.text = str(round(float(element.text or 0) * scale))
    for box in root.iter("bndbox"):
        for element in box:  # pixels are counted from 1, and the last one is inside
            first = 1.0 if element.tag.endswith("min") else 0.0
            element.text = f"{(float(element.text or 0) - first) * scale + first:.2f}"
    written: bytes = ET.tostring(root)
    return written


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def unpack(packed: Path, folder: Path) -> None:
    """Unpack once; a folder that is there is whole, because it appears under its name last."""
    if folder.is_dir():
        return
    partial = folder.with_name(f"{folder.name}.partial")
    with tarfile.open(packed) as archive:
        archive.extractall(partial, filter="data")
    partial.rename(folder)


def train_piece(options: argparse.Namespace) -> dict[str, Any]:
    """Train for the minutes there are. Returns the figures of all pieces so far."""
    import torch  # noqa: PLC0415

    from gesturedet.data.voc import read_split  # noqa: PLC0415
    from gesturedet.engine import EpochFigures, Run, resume, start, train  # noqa: PLC0415
    from gesturedet.recipes import recipe_of  # noqa: PLC0415

    device = "cuda" if torch.cuda.is_available() else "cpu"
    work = parts.ROOT / "build" / "gpu-train" / f"{options.pack.stem}-{options.recipe}"
    work.mkdir(parents=True, exist_ok=True)
    unpack(options.pack, work / "pictures")
    pictures, recipe = read_split(work / "pictures", "train"), recipe_of(options.recipe)
    checkpoint, told = work / "last.pt", work / "figures.json"
    figures: dict[str, Any] = json.loads(told.read_text()) if told.is_file() else {"epochs": []}
    if checkpoint.is_file():
        run = resume(recipe, checkpoint, device=device)
    else:
        run = start(recipe, pictures, device=device, weights=options.weights)
    began = last = time.monotonic()

    def after_epoch(run: Run, epoch: EpochFigures) -> None:
        nonlocal last
        now = time.monotonic()
        figures["epochs"].append(
            {
                "epoch": run.epoch,
                "loss": round(epoch.loss, 5),
                "classification": round(epoch.classification, 5),
                "localisation": round(epoch.localisation, 5),
                "pictures_per_s": round(len(pictures) / (now - last), 1),
            }
        )
        told.write_text(json.dumps(figures))
        print(figures["epochs"][-1], flush=True)
        if now + 1.2 * (now - last) - began > 60 * options.minutes:
            raise PieceEnded
        last = now

    with contextlib.suppress(PieceEnded):
        train(run, pictures, work, after_epoch=after_epoch, workers=options.workers)
    save_light(checkpoint, options.out / "weights.pt")
    name = torch.cuda.get_device_name(0) if device == "cuda" else "cpu"
    return {
        "name": "gpu_train",
        "recipe": recipe.name,
        "device": name,
        "torch": torch.__version__,
        "pictures": len(pictures),
        "epochs_of": recipe.epochs,
        "done": run.epoch >= recipe.epochs,
        **figures,
    }


def save_light(checkpoint: Path, out: Path) -> None:
    """Write the weights to evaluate, in half precision and without the optimiser, as a checkpoint that a run can begin with."""
    import torch  # noqa: PLC0415

    from gesturedet.engine import read_checkpoint  # noqa: PLC0415

    state = read_checkpoint(checkpoint)
    weights = state.get("average", state["model"])
    light = {name: one.half() if one.is_floating_point() else one for name, one in weights.items()}
    kept = {key: state[key] for key in ("recipe", "epoch", "lineage") if key in state}
    torch.save({**kept, "model": light}, out)


def main() -> None:
    """Pack, or train one piece."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("folder", type=Path)
    packing.add_argument("pack", type=Path)
    packing.add_argument("--width", type=int, default=640)
    packing.add_argument("--quality", type=int, default=80)
    running = commands.add_parser("run")
    running.add_argument("pack", type=Path)
    running.add_argument("--out", type=Path, required=True)
    running.add_argument("--recipe", default="product")
    running.add_argument("--minutes", type=float, default=9.0)
    running.add_argument("--weights", type=Path, help="begin with these weights, where there is nothing to go on with")
    running.add_argument("--workers", type=int, default=8)
    running.add_argument("--wheels", type=Path, help="folder of wheels, where no package index can be reached")
    options = parser.parse_args()
    if options.command == "pack":
        size = pack(options.folder, options.pack, width=options.width, quality=options.quality)
        print(f"{options.pack}: {size / 2**20:.1f} MiB")
        return
    parts.install_missing(options.wheels)
    options.out.mkdir(parents=True, exist_ok=True)
    result = train_piece(options)
    (options.out / "figures.json").write_text(json.dumps(result, indent=2) + "\n")
    print(f"epoch {len(result['epochs'])} of {result['epochs_of']}, {'done' if result['done'] else 'to be continued'}")


if __name__ == "__main__":
    main()
