"""`log.jsonl` → `curves.png`: the loss and its parts, the rate, and what the exam says after every epoch (training leg)."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gesturedet.journal import FILE, Line, read_log
from gesturedet.whole_files import write_whole

CURVES = "curves.png"
_PARTS = ("loss", "classification", "localisation", "forgetting")
_SMOOTH = 50
"""Steps that a drawn point is the mean of; a single step's loss says little."""


def draw_curves(folder: Path) -> Path:
    """Draw the curves of a run's folder and return the picture's path. A log without lines gives empty axes."""
    lines = list(read_log(folder / FILE))
    steps, epochs = [line for line in lines if "step" in line], [line for line in lines if "epochs" in line]
    figure = Figure(figsize=(9, 8), layout="constrained")
    losses, rate, exam = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1, 2))
    at = _epochs_of(steps)
    for part in _PARTS:
        if any(line[part] for line in steps):
            losses.plot(_smooth(at), _smooth([line[part] for line in steps]), label=part)
    rate.plot(at, [line["rate"] for line in steps])
    _draw_exam(exam, [line for line in epochs if "val" in line])
    for axes, name in ((losses, "loss"), (rate, "learning rate"), (exam, "AP at IoU 0.5")):
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="best", fontsize="small")
    exam.set_xlabel("epochs")
    path, drawn = folder / CURVES, BytesIO()
    figure.savefig(drawn, dpi=100, format="png")
    write_whole(path, drawn.getbuffer())
    return path


def _draw_exam(axes: Axes, epochs: Sequence[Line]) -> None:
    axes.set_ylim(0.0, 1.0)
    if not epochs:
        return
    at = [line["epochs"] for line in epochs]
    axes.plot(at, [line["val"]["map50"] for line in epochs], label="mean", linewidth=2, marker=".")
    names = [row["behaviour"] for row in epochs[-1]["val"]["behaviours"]]
    for place, name in enumerate(names[:6]):
        values = [line["val"]["behaviours"][place]["ap50"] for line in epochs]
        axes.plot(at, [np.nan if value is None else value for value in values], label=name, alpha=0.6)


def _epochs_of(steps: Sequence[Line]) -> list[float]:
    """Say when each step was, in epochs; an epoch has as many steps as were ever told of one."""
    most = max((line["step"] for line in steps), default=0) + 1
    return [line["epoch"] + line["step"] / most for line in steps]


def _smooth(values: Sequence[float]) -> list[float]:
    width = min(_SMOOTH, max(len(values) // 20, 1))
    if len(values) < width:
        return list(values)
    means: list[float] = np.convolve(values, np.full(width, 1 / width), mode="valid").tolist()
    return means
