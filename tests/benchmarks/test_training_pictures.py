"""How fast pictures are drawn, from two times that are known; nothing is drawn."""

import pytest

pytest.importorskip("moderngl", reason="pictures are drawn (the synth extra)")

from benchmarks import training_pictures


def test_starting_up_is_told_apart_from_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_pictures, "drawing_s", {20: 14.0, 100: 30.0}.__getitem__)
    told = training_pictures.speed(20, 100)  # 80 more in 16 s
    assert (told["pictures_per_s"], told["start_s"], told["seconds"]) == (5.0, 10.0, [14.0, 30.0])
    assert told["hours_for_12000"] == 0.67
