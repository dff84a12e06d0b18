"""`evaluate` on a release: figures by hand of a net whose finds are known, in the shape of a checkpoint's."""

import json
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

pytest.importorskip("torch", reason="evaluate judges checkpoints too, in torch (the train extra)")

from gesturedet.card import CARD_FILE, load_release, write_card
from tests.model.gesturedet.coco_folder import write_coco
from tests.model.gesturedet.running import Run
from tests.model.gesturedet.voc_folder import Thing, write_voc

pytestmark = pytest.mark.torch

HAND: Thing = ("hand-raising", (3, 2, 5, 6))
"""Where the fake net sees a raised hand in a picture of 160 x 90."""
SLEEPER: Thing = ("sleeping", (90, 10, 150, 80))
SURE, LESS_SURE, UNSURE, DARK = 255, 190, 160, 0
"""Levels of grey: scores of 1, of 0.99, of 0.09 (below the card's 0.5), of nothing."""


@pytest.fixture
def exam(tmp_path: Path) -> Path:
    """Of three hands one is found, one is found below the threshold, one is missed; one false alarm."""
    things = {"found": [HAND], "alarm": [], "low": [HAND], "missed": [HAND, SLEEPER]}
    root = write_voc(tmp_path / "voc", things, split="test")
    for name, level in zip(things, (SURE, LESS_SURE, UNSURE, DARK), strict=True):
        assert cv2.imwrite(str(root / "JPEGImages" / f"{name}.jpg"), np.full((90, 160, 3), level, np.uint8))
    return root


def test_a_release_is_judged_at_its_cards_thresholds(run: Run, release: Path, exam: Path) -> None:
    ran = run("evaluate", release, exam, "--json")

    assert (ran.code, ran.err) == (0, "")
    told = json.loads(ran.out)
    hand, stand, sleep = told["behaviours"]
    # right at 1.0, wrong at 0.99, right at 0.09: precision 1 up to a third of the hands, then 2/3 up to two thirds
    assert (hand["truths"], hand["ap50"]) == (3, pytest.approx(5 / 9, abs=1e-4))
    assert (hand["threshold"], hand["right"], hand["wrong"], hand["recall"]) == (0.5, 1, 1, 0.3333)
    assert (stand["ap50"], sleep["truths"], sleep["ap50"]) == (None, 1, 0.0)
    assert (told["pictures"], told["map50"], told["unreadable"]) == (4, pytest.approx(5 / 18, abs=1e-4), [])
    assert told["ap50_11_point"]["hand-raising"] == pytest.approx((4 + 3 * 2 / 3) / 11, abs=1e-4)


def test_an_exam_in_coco_layout_gives_the_same_figures(run: Run, release: Path, exam: Path, tmp_path: Path) -> None:
    things = {"found.jpg": [HAND], "alarm.jpg": [], "low.jpg": [HAND], "missed.jpg": [HAND, SLEEPER]}
    write_coco(tmp_path / "coco", things, file="annotations/instances_test.json")
    (tmp_path / "coco" / "images").rename(tmp_path / "grey")
    (exam / "JPEGImages").rename(tmp_path / "coco" / "images")
    as_coco = run("evaluate", release, tmp_path / "coco", "--json")
    assert as_coco.code == 0, as_coco.err
    (tmp_path / "coco" / "images").rename(exam / "JPEGImages")

    assert as_coco.out == run("evaluate", release, exam, "--json").out


def test_people_get_the_same_table_as_of_a_checkpoint(run: Run, release: Path, exam: Path) -> None:
    ran = run("evaluate", release / "model.onnx", exam)
    assert ran.code == 0
    assert "hand-raising        3  0.556" in ran.out
    assert "4 pictures, mAP50 0.278 by area" in ran.out


def test_of_a_release_only_what_it_publishes_is_judged(run: Run, release: Path, exam: Path) -> None:
    card = msgspec.structs.replace(load_release(release).card, unpublished=("hand-raising",))
    (release / CARD_FILE).write_bytes(write_card(card))

    told = json.loads(run("evaluate", release, exam, "--json").out)

    assert [(row["behaviour"], row["truths"]) for row in told["behaviours"]] == [("stand-up", 0), ("sleeping", 1)]
    assert told["ap50_11_point"] == {"stand-up": None, "sleeping": 0.0}


def test_a_released_model_is_judged_by_its_name(run: Run, exam: Path) -> None:
    told = json.loads(run("evaluate", "classroom", exam, "--json").out)
    assert [row["threshold"] for row in told["behaviours"]] == pytest.approx(
        list(load_release().card.thresholds.values()), abs=1e-4
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["cake", "{exam}"], "model: 'cake' is none of the released models (classroom"),
        (["{release}", "{exam}", "--recipe", "paper"], "expected it with a checkpoint (.pt) only"),
        (["{release}", "{exam}", "--split", "absent"], "no such list of pictures for split 'absent'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    run: Run, release: Path, exam: Path, arguments: list[str], says: str
) -> None:
    ran = run("evaluate", *(word.format(release=release, exam=exam) for word in arguments))
    assert (ran.code, len(ran.err.splitlines()), ran.out) == (2, 1, "")
    assert says in ran.err


def test_an_exam_of_which_nothing_can_be_read_is_refused(run: Run, release: Path, exam: Path) -> None:
    for jpeg in (exam / "JPEGImages").iterdir():
        jpeg.write_bytes(b"damaged")
    ran = run("evaluate", release, exam, "--json")
    wanted = f"error: pictures: none of split 'test' of {exam} can be read, expected at least one\n"
    assert (ran.code, ran.out, ran.err) == (2, "", wanted)


def test_fewer_than_one_thread_is_refused(run: Run, release: Path, exam: Path) -> None:
    ran = run("evaluate", release, exam, "--threads", "0")
    assert ran.code == 2
    assert "Invalid value for '--threads'" in ran.err
