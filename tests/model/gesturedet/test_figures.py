import numpy as np
import pytest

from gesturedet.evaluation import JudgedPicture
from gesturedet.figures import as_text, mean_average_precision, report, summarise
from gesturedet.labels import BEHAVIOURS


def judged(truth_class: int, found_class: int, score: float, group: str) -> JudgedPicture:
    box = np.array([[0.1, 0.1, 0.3, 0.3]], dtype=np.float32)
    return JudgedPicture(
        group,
        box,
        np.array([truth_class]),
        np.array([False]),
        box,
        np.array([found_class]),
        np.array([score], dtype=np.float32),
    )


def test_no_pictures_have_figures_without_averages() -> None:
    rows = summarise([])

    assert [row.behaviour for row in rows] == ["hand-raising", "stand-up", "sleeping"]
    assert all(row.ap50 is None and row.ap50_interval is None and row.truths == 0 for row in rows)
    assert mean_average_precision(rows) == 0.0
    assert "-" in as_text(rows)


def test_each_behaviour_gets_its_counts_and_best_threshold() -> None:
    pictures = [judged(1, 1, 0.81239, "a"), judged(1, 1, 0.7, "b"), judged(2, 1, 0.3, "c")]

    hand, stand, _ = summarise(pictures)

    assert (hand.truths, hand.right, hand.wrong, hand.ap50, hand.f1) == (2, 2, 0, 1.0, 1.0)
    assert hand.threshold == pytest.approx(0.6999)
    assert (stand.truths, stand.right, stand.ap50) == (1, 0, 0.0)
    assert mean_average_precision((hand, stand)) == 0.5


def test_a_class_that_is_never_published_is_told_and_not_averaged() -> None:
    rows = summarise([judged(1, 1, 0.8, "a"), judged(4, 1, 0.1, "b")], behaviours=(*BEHAVIOURS, "adult"))

    assert (rows[3].behaviour, rows[3].ap50) == ("adult", 0.0)
    assert mean_average_precision(rows) == 1.0


def test_a_report_has_both_averages() -> None:
    pictures = [judged(1, 1, 0.8, "a"), judged(1, 2, 0.7, "b")]
    told = report(pictures, summarise(pictures))

    assert (told["pictures"], told["map50"], told["map50_11_point"]) == (
        2,
        0.5,
        0.5455,
    )  # one of two found: 6 of 11 points
    assert told["ap50_11_point"] == {"hand-raising": 0.5455, "stand-up": None, "sleeping": None}
    assert [row["truths"] for row in told["behaviours"]] == [2, 0, 0]
    assert report([], summarise([]))["map50_11_point"] == 0.0


def test_given_thresholds_are_kept() -> None:
    thresholds = {"hand-raising": 0.75, "stand-up": 0.5, "sleeping": 0.5}

    hand = summarise([judged(1, 1, 0.8, "a"), judged(1, 1, 0.7, "b")], thresholds=thresholds)[0]

    assert (hand.threshold, hand.right, hand.recall, hand.ap50) == (0.75, 1, 0.5, 1.0)


def test_a_table_names_every_behaviour() -> None:
    text = as_text(summarise([judged(1, 1, 0.8, "a")]))

    assert text.splitlines()[1].startswith("hand-raising        1  1.000   1.000-1.000")
    assert len(text.splitlines()) == 4
