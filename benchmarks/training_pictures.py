"""Question: what the drawn training pictures hold, and how long drawing them takes.

Usage: training_pictures.py FOLDER... with folders of `synthroom.cli pictures` or `moments`; `--draw` so many pictures more are
drawn twice into a scratch folder, few and then many, so that starting up (bodies and clothes are made ready once) is told apart.
Writes results/training_pictures.json: counts by class, size, view and light, seeds, and the SHA-256 of each manifest, which holds
that of every picture.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measured import ROOT, write_result

from synthroom.datacard import data_card

WORKERS = 2


def drawing_s(count: int) -> float:
    """Seconds in which the command draws so many pictures."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "synthroom.cli", "pictures", folder, "--split", "train"]
        started = time.monotonic()
        subprocess.run(
            [*command, "--count", str(count), "--workers", str(WORKERS)],
            check=True,
            cwd=ROOT / "model",
            stdout=subprocess.DEVNULL,
        )
        return time.monotonic() - started


def speed(few: int, many: int) -> dict[str, Any]:
    """Pictures a second once drawing has started, seconds until then, and what 12,000 pictures would take by that."""
    short_s, long_s = drawing_s(few), drawing_s(many)
    rate = (many - few) / (long_s - short_s)
    start_s = short_s - few / rate
    return {
        "workers": WORKERS,
        "drawn": [few, many],
        "seconds": [round(short_s, 1), round(long_s, 1)],
        "pictures_per_s": round(rate, 2),
        "start_s": round(start_s, 1),
        "hours_for_12000": round((start_s + 12_000 / rate) / 3600, 2),
    }


def main() -> None:
    """Count, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--draw", nargs=2, type=int, default=(30, 150), metavar=("FEW", "MANY"))
    args = parser.parse_args()
    few, many = args.draw
    if not 0 < few < many:
        parser.error(f"--draw {few} {many}: expected few pictures and then more")
    sets = [
        {
            "folder": folder.name,
            "manifest_sha256": hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest(),
            **data_card(folder),
        }
        for folder in args.folders
    ]
    write_result("training_pictures", {"drawing": speed(few, many), "sets": sets})


if __name__ == "__main__":
    main()
