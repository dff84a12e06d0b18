import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("matplotlib", reason="curves are drawn with matplotlib (the train extra)")

from gesturedet.curves import draw_curves


def drawn(folder: Path, lines: list[dict[str, object]]) -> NDArray[np.uint8]:
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    path = draw_curves(folder)
    assert [file.name for file in folder.glob("*.png")] == ["curves.png"]
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.asarray(picture, dtype=np.uint8)


def step(epoch: int, place: int, loss: float) -> dict[str, object]:
    parts = {"loss": loss, "classification": loss / 2, "localisation": loss / 2, "forgetting": 0.0}
    return {"epoch": epoch, "step": place, "rate": 0.1, **parts}


def coloured(picture: NDArray[np.uint8]) -> int:
    return int((np.ptp(picture.astype(int), axis=2) > 40).sum())


def test_a_log_without_lines_gives_empty_axes(tmp_path: Path) -> None:
    assert coloured(drawn(tmp_path, [])) == 0


def test_steps_and_exams_are_drawn(tmp_path: Path) -> None:
    steps = [step(epoch, place, 5.0 - epoch - place / 10) for epoch in range(3) for place in range(10)]
    only_steps = coloured(drawn(tmp_path, steps))
    rows = [{"behaviour": "sleeping", "ap50": None}, {"behaviour": "stand-up", "ap50": 0.4}]
    exams = [{"epochs": done, "val": {"map50": 0.4, "behaviours": rows}} for done in (1, 2, 3)]

    assert only_steps > 500
    assert coloured(drawn(tmp_path, [*steps, *exams])) > only_steps + 200
