"""Question: does the net learn from somebody else's VOC files, with the two commands that anybody would type.

364 pictures of blood cells, three classes, lists of their own (BCCD, MIT). Usage: voc.py BCCD.TAR [EPOCHS] [FOLDER], where
FOLDER keeps the COCO weights and the run, so that a killed one goes on. The figure on PASCAL VOC itself is not measured: its
pictures were not given.
"""

import json
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measured import ROOT, write_result

RECIPE = "voc_small"


def gesturedet(*arguments: str) -> str:
    """Run the command from this checkout and return what it printed."""
    command = [sys.executable, "-m", "gesturedet.cli", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT / "model").stdout


def measure(root: Path, epochs: int, work: Path, command: Callable[..., str] = gesturedet) -> dict[str, Any]:
    """Train and examine; both commands have to say the same of the test pictures."""
    run, started, before = work / "run", time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    options = ("--recipe", RECIPE, "--epochs", str(epochs), "--out", str(run), "--cache", str(work), "--resume")
    print(command("train", "--data", str(root), *options))
    trained_s, cpu_s = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    told = json.loads((run / "figures.json").read_text())
    again = json.loads(command("evaluate", str(run / "last.pt"), str(root), "--json"))
    if told != again:
        raise SystemExit(f"train said {told}, evaluate {again}")
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    ends = [line for line in log if "epochs" in line]
    return {
        "recipe": RECIPE,
        "epochs": epochs,
        "train_s": round(trained_s, 1),
        "train_cpu_s": round(cpu_s, 1),
        "steps": sum("step" in line for line in log),
        "loss_by_epoch": [round(line["train"]["loss"], 3) for line in ends],
        "val_map50_by_epoch": [line["val"]["map50"] for line in ends],
        "test": told,
    }


def main(tar: Path, epochs: int, work: Path) -> None:
    """Unpack, measure, write."""
    with tempfile.TemporaryDirectory() as folder, tarfile.open(tar) as archive:
        archive.extractall(folder, filter="data")
        figures = measure(next(Path(folder).glob("*/ImageSets")).parent, epochs, work)
    write_result("voc", {"bccd": figures, "pascal_voc": "not measured: its pictures were not given"})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        rest = sys.argv[2:]
        main(Path(sys.argv[1]), int(rest[0]) if rest else 8, Path(rest[1]) if len(rest) > 1 else Path(scratch))
