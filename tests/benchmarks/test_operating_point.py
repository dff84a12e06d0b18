"""Which score is taken of a curve: not a lone peak, and of scores that are as good the highest; and how a curve comes about."""

from pathlib import Path

import msgspec
import pytest
from benchmarks.operating_point import best, curves_of, main

from classpulse.demo.bundled import Lesson
from classpulse.demo.truth import LessonTruth, TrueBehaviour
from classpulse.records import Detection, FrameDetections
from classpulse.refresh.lessons import START_MS
from gesturedet.card import CARD_FILE, MODEL_FILE, digest_of, write_card
from tests.model.gesturedet.cards import card_for

CAMERA = "t/s/room/cam"


def curve(*f1: float) -> list[dict[str, float]]:
    return [{"score": place / 10, "f1": value} for place, value in enumerate(f1)]


def test_a_broad_top_is_taken_before_a_lone_peak() -> None:
    assert best(curve(0.0, 0.0, 1.0, 0.0, 0.0, 0.6, 0.6, 0.6, 0.6, 0.6, 0.0)) == 0.7


def test_of_scores_that_are_as_good_the_highest_is_taken() -> None:
    assert best(curve(0.5, 0.7, 0.72, 0.72, 0.72, 0.71, 0.71, 0.71, 0.71, 0.7, 0.68, 0.5, 0.2)) == 0.7


def test_a_curve_goes_from_the_threshold_on_and_a_score_decides_what_is_an_event() -> None:
    hand = TrueBehaviour(pupil=1, behaviour="hand-raising", started_ms=0, ended_ms=2_000)
    truth = LessonTruth(fps=5, frames=20, width=640, height=360, duration_ms=4_000, seed=1, pupils=1, spans=(hand,))
    seen = Detection(behaviour="hand-raising", score=0.5, box_xyxy=(0.1, 0.1, 0.2, 0.3))
    frames = [
        FrameDetections(
            camera=CAMERA,
            epoch=0,
            sequence=i,
            captured_at_ms=START_MS + 200 * i,
            interval_ms=200,
            model="m",
            detections=(seen,) if i < 10 else (),
        )
        for i in range(20)
    ]
    thresholds = {"hand-raising": 0.4, "stand-up": 0.9, "sleeping": 0.98}
    curves = curves_of([Lesson(Path("x.mp4"), truth, "t/s/room", CAMERA, 5)], [frames], thresholds)
    assert {name: points[0]["score"] for name, points in curves.items()} == thresholds
    assert {point["score"]: point["found"] for point in curves["hand-raising"][:8]} == {
        0.4: 1,
        0.42: 1,
        0.44: 1,
        0.46: 1,
        0.48: 1,
        0.5: 1,
        0.52: 0,
        0.54: 0,
    }


def test_scores_that_are_the_nets_own_are_refused(tmp_path: Path) -> None:
    (tmp_path / MODEL_FILE).write_bytes(b"a net")
    card = msgspec.structs.replace(card_for((96, 160)), digest=digest_of(b"a net"), calibration=None)
    (tmp_path / CARD_FILE).write_bytes(write_card(card))
    with pytest.raises(SystemExit, match="its scores are the net's own, expected a calibrated release"):
        main(tmp_path, tmp_path)
