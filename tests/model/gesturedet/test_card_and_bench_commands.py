import json
from pathlib import Path

import msgspec

from gesturedet.card import CARD_FILE, load_release, write_card
from tests.model.gesturedet.cards import CALIBRATION, EXAM
from tests.model.gesturedet.running import Run


def test_a_card_without_exams_says_that_there_is_none(run: Run, release: Path) -> None:
    ran = run("card", release)
    assert ran.code == 0
    assert ran.out.startswith("fake, fp32, ")
    assert "exams: none, this release has not been examined" in ran.out
    assert "released with this package: classroom" in ran.out


def test_a_card_tells_everything_that_a_reader_decides_by(run: Run, release: Path) -> None:
    made = load_release(release).card
    rich = msgspec.structs.replace(
        made,
        exams=(msgspec.structs.replace(EXAM, calibration_error=CALIBRATION.error),),
        calibration=CALIBRATION,
        lineage=("a champion",),
        data_seeds={"train": "rooms 1 to 9"},
        recipe={"epochs": 7, "loss": {"alpha": 1}},
        unpublished=("stand-up",),
    )
    (release / CARD_FILE).write_bytes(write_card(rich))
    said = run("card", release).out
    wanted = (
        made.digest,
        "input 160 x 96",
        "thresholds  hand-raising 0.5, sleeping 0.5\n",
        "unpublished stand-up",
        "\ndefault boxes  from 3.8 pixels on, 6 at each place; suppressed above an overlap of 0.45\n",
        "calibration error 0.123 before, 0.031 after where it was fitted: synthroom val\n",
        "\ncalibration error 0.123 before, 0.031 after\n",
        "1: a champion",
        "train: rooms 1 to 9",
        "epochs: 7",
        "exam: 100 pictures, synthroom stills, seeds 7000 to 7099",
        "sleeping           12  0.750   0.600-0.875",
    )
    assert [text for text in wanted if text not in said] == []


def test_no_row_of_the_classroom_model_s_card_reads_as_another_model(run: Run) -> None:
    said, _, _ = run("card", "classroom").out.partition("\nreleased with this package")
    assert "classroom-640" not in said
    assert "default boxes  from 17.8 pixels on" in said


def test_the_released_card_as_json_is_the_card(run: Run) -> None:
    ran = run("card", "--json")
    assert msgspec.convert(json.loads(ran.out), type(load_release().card)) == load_release().card


def test_a_release_that_is_not_there_is_one_line_and_exit_code_2(run: Run) -> None:
    ran = run("card", "cake")
    assert ran.code == 2
    assert ran.err.startswith("error: model: 'cake' is none of the released models (classroom")
    assert len(ran.err.splitlines()) == 1


def test_bench_measures_each_runtime_with_each_number_of_threads_in_rounds(run: Run, release: Path) -> None:
    ran = run("bench", release, "--runtime", "onnxruntime", "--rounds", "3", "--runs", "2", "--json")
    assert ran.code == 0
    said = json.loads(ran.out)
    assert (said["model"], said["precision"], said["pictures_a_round"]) == ("fake", "fp32", 2)
    assert said["digest"] == load_release(release).card.digest
    assert said["machine"]["cores"] >= 1
    assert [(case["runtime"], case["threads"]) for case in said["cases"]] == [("onnxruntime", 1), ("onnxruntime", 2)]
    for case in said["cases"]:
        for spread in (case["net_ms"], case["picture_to_boxes_ms"]):
            assert len(spread["rounds"]) == 3
            assert 0 < spread["min"] <= spread["median"] <= spread["max"]
            assert spread["median"] == sorted(spread["rounds"])[1]
        assert case["picture_to_boxes_ms"]["median"] > case["net_ms"]["median"]


def test_bench_names_what_cannot_run_the_release_and_measures_the_rest(run: Run, release: Path) -> None:
    ran = run("bench", release, "--threads", "1", "--rounds", "1", "--runs", "1")
    assert ran.code == 0
    assert "onnxruntime                  1  " in ran.out
    assert "left out: eager: onnx_bytes: metadata has no gesturedet.config" in ran.out


def test_a_runtime_that_was_asked_for_and_cannot_run_the_release_is_an_error(run: Run, release: Path) -> None:
    assert run("bench", release, "--runtime", "eager").code == 2
    ran = run("bench", release, "--runtime", "cake")
    assert (ran.code, ran.err.startswith("error: runtime: 'cake' is none of eager, onnxruntime")) == (2, True)
