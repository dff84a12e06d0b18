"""What a training run tells while it runs: one JSON line for each step and each epoch, in `log.jsonl` beside its checkpoints.

A step's line holds `epoch` (whole epochs before it), `step`, `rate` and `training_run.FIGURES`; an epoch's line holds `epochs`
(done), `train` (means), `unreadable` (names) and, where there was an exam, `val`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gesturedet.whole_files import write_whole

FILE = "log.jsonl"

Line = dict[str, Any]


class Journal:
    """Appends lines to the log of a run's folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def rewind(self, *, epoch: int, step: int) -> None:
        """Forget what was told after so many epochs and steps: a run that goes on from there tells it again."""
        kept = [line for line in read_log(self._path) if _told_by(line, epoch, step)]
        write_whole(self._path, "".join(json.dumps(line) + "\n" for line in kept).encode())

    def add(self, line: Line) -> None:
        """Append a line; it stays even if the process is killed in the next moment."""
        with self._path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")


def read_log(path: Path) -> Iterator[Line]:
    """Read a log, nothing where there is none; a last line that a kill cut short is left out."""
    if not path.is_file():
        return
    for text in path.read_text("utf-8").splitlines(keepends=True):
        if text.endswith("\n"):
            yield json.loads(text)


def _told_by(line: Line, epoch: int, step: int) -> bool:
    if "epochs" in line:
        return bool(line["epochs"] <= epoch)
    return bool((line["epoch"], line["step"]) < (epoch, step))
