"""What a net makes of plain clips: with a finder of white squares in place of a net, all figures are known."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from benchmarks.plain_video import FPS, confirmed, cut, inside, look, mirrored, pictures

from gesturedet.api import Detections, Detector
from gesturedet.card import ModelCard
from gesturedet.labels import BEHAVIOURS
from synthroom.clip import open_clip
from tests.model.gesturedet.cards import card_for

WIDTH, HEIGHT = 160, 96


def found(*boxes: tuple[float, float, float, float], label: str = "sleeping", score: float = 0.9) -> Detections:
    many = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.full(many, score, np.float32), (label,) * many, BEHAVIOURS
    )


@dataclass
class FindsWhite:
    """A detector that calls what is white a raised hand; `shy`: only in the left half of what it is shown."""

    shy: bool = False
    score: float = 1.0
    card: ModelCard = card_for((96, 160))  # noqa: RUF009 - frozen

    def detect(self, image_bgr: np.ndarray, *, min_score: float = 0.5) -> Detections:
        rows, columns = np.nonzero(image_bgr[..., 0] > 128)
        if not len(rows) or self.score < min_score or (self.shy and columns.min() >= image_bgr.shape[1] / 2):
            return found()
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        return found(box, label="hand-raising", score=self.score)


def shown(x: int = 24, y: int = 40) -> np.ndarray:
    """A white square of 24 pixels on black."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[y : y + 24, x : x + 24] = 255
    return picture


def clip(path: Path, frames: int, picture: np.ndarray) -> Path:
    with open_clip(path, width=WIDTH, height=HEIGHT, fps=10) as writer:
        for _ in range(frames):
            writer.add(picture)
    return path


def test_nothing_found_confirms_nothing() -> None:
    one = found((0, 0, 10, 10))
    assert confirmed(found(), one, boxes_xyxy=one.boxes_xyxy) == (0, 0)
    assert confirmed(one, found(), boxes_xyxy=found().boxes_xyxy) == (0, 1)


def test_a_box_is_confirmed_by_one_of_its_label_that_overlaps_it_by_half() -> None:
    one = found((0, 0, 10, 10), (50, 50, 60, 60))
    for other, many in (((0, 0, 10, 10), 1), ((0, 0, 10, 5.1), 1), ((0, 0, 10, 4.9), 0)):
        assert confirmed(one, found(other), boxes_xyxy=found(other).boxes_xyxy) == (many, 2)
    stands = found((0, 0, 10, 10), label="stand-up")
    assert confirmed(one, stands, boxes_xyxy=stands.boxes_xyxy) == (0, 2)


def test_boxes_of_the_mirrored_and_of_the_cut_picture_are_moved_back_to_where_they_were() -> None:
    finder: Detector = FindsWhite()  # type: ignore[assignment]
    for again in (mirrored, cut):
        boxes, _ = again(finder, shown())
        np.testing.assert_allclose(boxes, [(24, 40, 48, 64)], atol=0.5)


def test_what_the_cut_takes_off_is_not_asked_for_again() -> None:
    boxes = ((20, 20, 60, 60), (10, 20, 60, 60), (20, 5, 60, 60), (100, 20, 150, 60), (100, 20, 140, 90))
    kept = inside(found(*boxes), shown())
    assert kept.boxes_xyxy.tolist() == [list(boxes[0])]
    assert kept.labels == ("sleeping",)


@pytest.mark.parametrize(("frames", "looked"), [(1, 1), (2, 1), (20, 10)])
def test_five_pictures_a_second_are_looked_at(tmp_path: Path, frames: int, looked: int) -> None:
    assert FPS == 5
    assert len(list(pictures(clip(tmp_path / "a.mp4", frames, shown())))) == looked


def test_alarms_are_a_rate_and_shares_are_of_boxes(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", 20, shown())
    told, shy, unsure, cut_off, nothing = (
        look(finder, file)  # type: ignore[arg-type]
        for finder, file in (
            (FindsWhite(), path),
            (FindsWhite(shy=True), path),
            (FindsWhite(score=0.4), path),
            (FindsWhite(), clip(tmp_path / "b.mp4", 20, shown(x=4))),
            (FindsWhite(), clip(tmp_path / "c.mp4", 20, shown() * 0)),
        )
    )

    # ten pictures stand for two seconds: 300 in a minute
    assert told["alarms_per_minute"] == {"hand-raising": 300.0, "stand-up": 0.0, "sleeping": 0.0}
    weak = look(FindsWhite(score=0.6), path)  # type: ignore[arg-type]
    assert weak["alarms_per_minute"] == told["alarms_per_minute"]
    assert weak["events"] == {"hand-raising": 0, "stand-up": 0, "sleeping": 0}, "seen, but no rule believes it"
    assert told["events"] == {"hand-raising": 1, "stand-up": 0, "sleeping": 0}
    assert (told["confirmed_when_mirrored"], told["confirmed_when_cut"]) == (1.0, 1.0)
    assert (shy["confirmed_when_mirrored"], shy["confirmed_when_cut"]) == (0.0, 1.0)
    assert (unsure["pictures_times_alarms"], unsure["highest_score"]) == ({}, {"hand-raising": 0.4})
    assert unsure["boxes_compared"] == [10, 10]
    assert (cut_off["boxes_compared"], cut_off["confirmed_when_cut"]) == ([10, 0], None)
    assert (nothing["pictures"], nothing["confirmed_when_mirrored"], nothing["confirmed_when_cut"]) == (10, None, None)
