"""Releases sit an exam: figures by hand, on pictures whose judgement is known, and from the files to the table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from benchmarks.exams import examine
from benchmarks.exams.frozen import freeze
from benchmarks.exams.lesson_figures import Watched, event_figures, quiet_figures, watched
from benchmarks.exams.markdown import as_markdown
from benchmarks.exams.picture_figures import LABELS, Sitting, of_size, on_adult, picture_figures, sit
from benchmarks.exams.table import LessonExam, PictureExam

from classpulse.demo.bundled import Lesson
from classpulse.demo.matching import Counts, measure
from classpulse.demo.truth import LessonTruth, TrueBehaviour
from gesturedet.card import find_release
from gesturedet.data.voc import LabelledPicture, Truth, read_split
from gesturedet.evaluation import JudgedPicture
from gesturedet.faults import Fault, faults_of
from gesturedet.labels import BEHAVIOURS
from gesturedet.postprocess import Detection
from synthroom.clip import open_clip
from tests.model.gesturedet.voc_folder import write_voc
from tests.services.fake_release import make_release

HAND, STAND, SLEEP = BEHAVIOURS
Box = tuple[float, float, float, float]
Thing = tuple[str, Box]
THRESHOLDS = dict.fromkeys(BEHAVIOURS, 0.5)
LEFT, RIGHT, ADULTS = (0.0, 0.0, 0.2, 0.2), (0.5, 0.5, 0.52, 0.52), (0.3, 0.0, 0.4, 0.5)


def sat(rooms: Mapping[str, tuple[Sequence[Thing], Sequence[tuple[str, Box, float]]]]) -> Sitting:
    """One picture for each room: what is there, and what was found with which score."""
    judged, alarms = [], []
    for room, (things, found) in rooms.items():
        truth = Truth(
            np.array([box for _, box in things], np.float32).reshape(-1, 4),
            np.array([LABELS.index(name) + 1 for name, _ in things], np.int64),
            np.zeros(len(things), np.bool_),
        )
        picture = LabelledPicture(room, Path(room), (100, 100), room, truth)
        boxes = np.array([box for _, box, _ in found], np.float32).reshape(-1, 4)
        ids = np.array([LABELS.index(name) + 1 for name, _, _ in found], np.int64)
        scores = np.array([score for _, _, score in found], np.float32)
        judged.append(
            JudgedPicture(room, truth.boxes_xyxy, truth.class_ids, truth.ignored, boxes, ids, scores),
        )
        told = [Detection(name, score, box) for name, box, score in found]
        alarms.append(faults_of(picture, told, labels=BEHAVIOURS, thresholds=THRESHOLDS)[0])
    return Sitting(THRESHOLDS, judged, alarms)


def test_no_pictures_have_figures_of_nothing() -> None:
    told = picture_figures(sat({}))

    assert (told["pictures"], told["rooms"], told["map50"], told["map50_interval"]) == (0, 0, None, None)
    assert told["sizes"] == []
    assert told["false_alarms"]["per_picture"] == 0.0
    assert told["calibration"]["error"] is None
    assert [row["truths"] for row in told["behaviours"]] == [0, 0, 0]
    json.dumps(told)


def test_figures_of_three_rooms_by_hand() -> None:
    told = picture_figures(
        sat(
            {
                "a": ([(HAND, LEFT), ("adult", ADULTS)], [(HAND, LEFT, 0.8), (STAND, ADULTS, 0.7)]),
                "b": ([(HAND, LEFT)], [(HAND, LEFT, 0.4)]),
                "c": ([(SLEEP, RIGHT)], [(SLEEP, RIGHT, 0.9), (HAND, RIGHT, 0.6)]),
            }
        )
    )

    hand, stand, sleep = told["behaviours"]
    # hands: right at 0.8, wrong at 0.6, right at 0.4: precision 1 up to half of them, then 2/3
    assert (hand["truths"], hand["ap50"], stand["ap50"], sleep["ap50"]) == (
        2,
        pytest.approx(5 / 6, abs=1e-4),
        None,
        1.0,
    )
    assert told["map50"] == pytest.approx(11 / 12, abs=1e-4)
    assert (hand["right"], hand["wrong"], hand["recall"]) == (1, 1, 0.5)
    assert hand["recall_interval"] == (0.0, 1.0)
    assert told["false_alarms"] | {"per_picture_interval": 0, "on_adults_per_picture_interval": 0} == {
        "all": 2,
        "on_adults": 1,
        "by_behaviour": {HAND: 1, STAND: 1, SLEEP: 0},
        "per_picture": pytest.approx(2 / 3, abs=1e-4),
        "per_picture_interval": 0,
        "on_adults_per_picture": pytest.approx(1 / 3, abs=1e-4),
        "on_adults_per_picture_interval": 0,
    }
    assert told["false_alarms"]["per_picture_interval"] == (0.0, 1.0)
    # each of five detections a bin of its own: gaps 0.1, 0.6, 0.7, 0.2, 0.6
    assert told["calibration"]["detections"] == 5
    assert told["calibration"]["error"] == pytest.approx(2.2 / 5, abs=1e-4)


def test_pictures_of_one_room_are_drawn_together() -> None:
    sitting = sat({name: ([(HAND, LEFT)], [(HAND, LEFT, 0.8)] if name == "a" else []) for name in "ab"})
    together = replace(sitting, judged=[replace(picture, group="r") for picture in sitting.judged])

    apart, told = picture_figures(sitting), picture_figures(together)

    assert (apart["rooms"], told["rooms"], told["pictures"]) == (2, 1, 2)
    assert apart["behaviours"][0]["recall_interval"] == (0.0, 1.0)
    assert told["behaviours"][0]["recall_interval"] == (0.5, 0.5)
    assert told["map50_interval"] == (0.5, 0.5)


def test_objects_are_judged_by_size_and_what_finds_others_does_not_count() -> None:
    large, small = (0.0, 0.0, 0.5, 0.5), (0.6, 0.6, 0.62, 0.62)
    told = picture_figures(
        sat(
            {
                "a": (
                    [(HAND, large), (HAND, small)],
                    [(HAND, large, 0.9), (HAND, (0.6, 0.0, 0.62, 0.02), 0.8), (HAND, (0.5, 0.0, 1.0, 0.5), 0.7)],
                )
            }
        )
    )

    rows = {row["size"]: row for row in told["sizes"]}
    assert list(rows) == ["under 0.1 %", "over 20 %"]
    assert (rows["over 20 %"]["truths"], rows["over 20 %"]["ap50"], rows["over 20 %"]["recall"]) == (1, 1.0, 1.0)
    assert (rows["under 0.1 %"]["truths"], rows["under 0.1 %"]["ap50"], rows["under 0.1 %"]["recall"]) == (1, 0.0, 0.0)


def test_a_detection_of_another_size_counts_where_it_finds_one_of_this() -> None:
    just_below, just_above = (0.0, 0.0, 0.1, 0.199), (0.0, 0.0, 0.1, 0.201)  # 1.99 and 2.01 % of the picture
    (picture,) = sat({"a": ([(HAND, just_above)], [(HAND, just_below, 0.9), (STAND, just_below, 0.9)])}).judged

    assert of_size(picture, 0.02, 0.2).class_ids.tolist() == [1]
    assert of_size(picture, 0.005, 0.02).class_ids.tolist() == [1, 2]
    assert of_size(picture, 0.005, 0.02).truth_ignored.tolist() == [True]


@pytest.mark.parametrize(
    ("box", "on"),
    [((0.3, 0.1, 0.4, 0.3), True), ((0.34, 0.1, 0.44, 0.3), True), ((0.36, 0.1, 0.46, 0.3), False), (LEFT, False)],
)
def test_an_alarm_is_on_an_adult_when_half_of_it_is(box: Box, *, on: bool) -> None:
    sitting = sat({"a": ([("adult", ADULTS)], [])})
    picture = LabelledPicture("a", Path("a"), (100, 100), "a", Truth(*[np.zeros(0)] * 3))  # type: ignore[arg-type]

    assert on_adult(Fault(picture, HAND, box, 0.9), sitting.judged[0]) is on


def test_the_loss_between_two_releases_is_told_in_points() -> None:
    rooms = {name: ([(HAND, LEFT)], [(HAND, LEFT, 0.8)]) for name in "abcd"}
    before, after = sat(rooms), sat({**rooms, "d": ([(HAND, LEFT)], [])})

    told = examine.loss_of(before.rankings(), after.rankings())

    assert told["points"] == 25.0
    assert told["interval"][0] == 0.0
    assert 50.0 <= told["interval"][1] <= 75.0
    assert examine.loss_of(before.rankings(), before.rankings()) == {"points": 0.0, "interval": (0.0, 0.0)}


def counted(hands: Counts, **sizes: Counts) -> dict[str, Watched]:
    nothing = Watched(Counts(), {})
    return {HAND: Watched(hands, sizes), STAND: nothing, SLEEP: nothing}


def quiet_lesson(minutes: float, *spans: TrueBehaviour) -> Lesson:
    truth = LessonTruth(
        fps=5, frames=1, width=4, height=4, duration_ms=round(minutes * 60_000), seed=1, pupils=9, spans=spans
    )
    return Lesson(Path("quiet.mp4"), truth, "demo/school/room-1", "demo/school/room-1/front", 5)


def test_events_of_no_lesson_have_no_shares() -> None:
    told = event_figures([])

    assert [(row["true"], row["f1"], row["f1_interval"]) for row in told["behaviours"]] == [(0, None, None)] * 3


def test_events_are_summed_over_lessons_and_resampled_by_lesson() -> None:
    told = event_figures([counted(Counts(4, 4, 0, 0)), counted(Counts(4, 2, 2, 2))])

    hand = told["behaviours"][0]
    assert (hand["true"], hand["found"], hand["false"]) == (8, 6, 2)
    assert (hand["precision"], hand["recall"], hand["f1"]) == (0.75, 0.75, 0.75)
    assert (hand["precision_interval"], hand["f1_interval"]) == ((0.5, 1.0), (0.5, 1.0))


def test_true_events_are_told_by_size_over_lessons() -> None:
    far = "under 0.1 %"
    told = event_figures(
        [counted(Counts(4, 3, 1), **{far: Counts(2, 1, 1)}), counted(Counts(1, 0, 1), **{far: Counts(1, 0, 1)})]
    )

    assert [(row["behaviour"], row["size"], row["true"], row["found"]) for row in told["sizes"]] == [(HAND, far, 3, 1)]
    assert (told["sizes"][0]["recall"], told["sizes"][0]["recall_interval"]) == (0.3333, (0.0, 0.5))


def test_a_true_event_has_the_size_of_its_box_and_none_without_one() -> None:
    boxes = ((0.1, 0.1, 0.3, 0.4), (0.1, 0.1, 0.12, 0.12), None)
    truths = [
        TrueBehaviour(pupil=n, behaviour=HAND, started_ms=0, ended_ms=900, box_xyxy=b) for n, b in enumerate(boxes)
    ]
    one = watched(truths, measure([(0, 900)] * 3, [(0, 900), (0, 900)]))

    assert one.counts == Counts(3, 2, 1, 0)
    assert one.sizes == {"2 to 20 %": Counts(1, 1, 0), "under 0.1 %": Counts(1, 1, 0)}


def test_false_events_of_quiet_lessons_are_a_rate_with_its_exact_bound() -> None:
    lessons = [quiet_lesson(45), quiet_lesson(75)]

    none = quiet_figures([counted(Counts()), counted(Counts())], lessons)
    some = quiet_figures([counted(Counts(false=1)), counted(Counts(false=2))], lessons)

    assert (none["hours"], none["false"], none["per_room_hour_interval"]) == (2.0, 0, (0.0, 1.8444))  # 3.6889 in 2 h
    assert (some["false"], some["per_room_hour"], some["behaviours"][HAND]["false"]) == (3, 1.5, 3)
    assert some["per_room_hour_interval"] == (0.3093, 4.3836)


def test_a_quiet_exam_with_a_gesture_or_without_lessons_is_refused() -> None:
    gesture = TrueBehaviour(pupil=1, behaviour=HAND, started_ms=0, ended_ms=900)
    with pytest.raises(ValueError, match=r"quiet\.mp4: holds 1 gestures, expected none"):
        quiet_figures([counted(Counts())], [quiet_lesson(1, gesture)])
    with pytest.raises(ValueError, match="there is none, expected lessons without gestures"):
        quiet_figures([], [])


# ------------------------------------------------------------------ from files to the table

PICTURES = PictureExam("rooms", 2)
LESSONS = LessonExam("lessons", first=0, lengths_s=(4,), gestures=True)
QUIET = LessonExam("quiet", first=1, lengths_s=(4,), gestures=False)
EXAMS = {exam.name: exam for exam in (PICTURES, LESSONS, QUIET, PictureExam("dark", 2))}


def write_lesson(folder: Path, *, shade: int, spans: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True)
    with open_clip(folder / "lesson-01.mp4", width=320, height=192, fps=5) as clip:
        for _ in range(20):
            clip.add(np.full((192, 320, 3), shade, np.uint8))
    told = {"fps": 5, "frames": 20, "width": 320, "height": 192, "duration_ms": 4000, "seed": 1, "pupils": 9}
    (folder / "lesson-01.truth.json").write_text(json.dumps(told | {"recipe": 2, "spans": spans}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Exams of the fake release, which sees a raised hand in whatever is bright: a bright and a dark picture and lesson."""
    root = tmp_path / "exams"
    write_voc(root / "rooms", {"one": [(HAND, (1, 1, 40, 40))], "two": [("adult", (1, 1, 40, 40))]}, split="rooms")
    cv2.imwrite(str(root / "rooms" / "JPEGImages" / "one.jpg"), np.full((90, 160, 3), 255, np.uint8))
    cv2.imwrite(str(root / "rooms" / "JPEGImages" / "two.jpg"), np.zeros((90, 160, 3), np.uint8))
    rows = [{"name": name, "seed": seed, "adults": []} for seed, name in enumerate(("one", "two"))]
    made = {"recipe": 3, "width": 160, "height": 90, "counts": {HAND: 1}, "pictures": rows}
    (root / "rooms" / "manifest.json").write_text(json.dumps(made))
    gesture = {"pupil": 1, "behaviour": HAND, "started_ms": 0, "ended_ms": 4000, "visible": True}
    write_lesson(root / "lessons", shade=255, spans=[gesture])
    write_lesson(root / "quiet", shade=255, spans=[])
    for exam in (PICTURES, LESSONS, QUIET):
        freeze(exam, root / exam.name, tmp_path)
    make_release(tmp_path / "release")
    return root


def test_releases_sit_every_exam_that_is_there(folder: Path, tmp_path: Path) -> None:
    release = find_release(tmp_path / "release")

    told = examine.examine([release, release], folder, exams=EXAMS, frozen=tmp_path)

    assert (list(told["exams"]), told["not_sat"]) == (["rooms", "lessons", "quiet"], ["dark"])
    assert told["exams"]["rooms"] | {"digest": ""} == {"digest": "", "byte_equal": 2, "of": 2}
    first, figures = (one["figures"] for one in told["releases"])
    assert (list(first), list(figures)) == (["rooms"], ["rooms", "lessons", "quiet"]), "the last one watches lessons"
    assert (figures["rooms"]["pictures"], figures["rooms"]["rooms"]) == (2, 2)
    assert figures["rooms"]["behaviours"][0]["right"] + figures["rooms"]["behaviours"][0]["wrong"] == 1
    assert (figures["lessons"]["behaviours"][0]["true"], figures["lessons"]["behaviours"][0]["f1"]) == (1, 1.0)
    assert (figures["quiet"]["false"], figures["quiet"]["per_room_hour"]) == (1, 900.0)
    assert told["losses"][0]["map50"]["rooms"]["points"] == 0.0
    text = as_markdown(json.loads(json.dumps(told)))
    assert "| **rooms**, 2 pictures, 2 rooms: mean | 1 |" in text
    assert "| hand-raising | 1 | 1 | 0 | 1.000 | 1.000 to 1.000 |" in text
    assert "| all | 1 | 900.00 | 22.79 to 5014.48 |" in text
    assert "Not drawn, so not measured: dark." in text
    assert "byte for byte" not in text
    for line in text.splitlines():
        assert not line.startswith("|") or line.endswith("|")


def test_an_exam_drawn_by_another_processor_is_sat_and_the_tables_say_so(folder: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(folder / "rooms" / "JPEGImages" / "two.jpg"), np.ones((90, 160, 3), np.uint8))

    told = examine.examine([find_release(tmp_path / "release")], folder, exams=EXAMS, frozen=tmp_path)

    assert (told["exams"]["rooms"]["byte_equal"], told["exams"]["rooms"]["of"]) == (1, 2)
    assert "The same rooms as frozen, byte for byte equal: rooms 1 of 2.\n" in as_markdown(told)


def test_a_release_sees_what_a_service_would_report_and_more(folder: Path, tmp_path: Path) -> None:
    pictures = read_split(folder / "rooms", "rooms", labels=LABELS)

    sitting = sit(find_release(tmp_path / "release"), pictures)

    assert [picture.group for picture in sitting.judged] == ["0", "1"]
    assert sitting.judged[1].truth_class_ids.tolist() == [4]
    assert [len(picture.scores) for picture in sitting.judged] == [1, 0]


def test_what_is_below_the_cards_threshold_is_ranked_and_is_no_alarm(folder: Path, tmp_path: Path) -> None:
    for shade, name in ((160, "one"), (255, "two")):  # a score of 0.087 and one of 1
        cv2.imwrite(str(folder / "rooms" / "JPEGImages" / f"{name}.jpg"), np.full((90, 160, 3), shade, np.uint8))
    pictures = read_split(folder / "rooms", "rooms", labels=LABELS)

    sitting = sit(find_release(tmp_path / "release"), pictures)

    unsure, sure = sitting.judged
    assert unsure.scores.tolist() == pytest.approx([0.087], abs=0.01)
    assert sure.scores.tolist() == pytest.approx([1.0], abs=0.01)
    assert [len(alarms) for alarms in sitting.alarms] == [0, 1]
    assert sitting.alarms[1][0].behaviour == HAND


def test_a_release_that_keeps_a_behaviour_to_itself_does_not_sit(folder: Path, tmp_path: Path) -> None:
    release = find_release(tmp_path / "release")
    hushed = replace(release, card=msgspec.structs.replace(release.card, unpublished=(STAND,)))
    with pytest.raises(ValueError, match="fake: publishes hand-raising, sleeping, expected hand-raising, stand-up, sl"):
        sit(hushed, [])


def test_another_exam_than_the_frozen_one_and_no_exam_at_all_are_refused(folder: Path, tmp_path: Path) -> None:
    release = find_release(tmp_path / "release")
    with pytest.raises(ValueError, match=r"exams: .*holds none of rooms, lessons, quiet, dark"):
        examine.examine([release], tmp_path / "release", exams=EXAMS, frozen=tmp_path)
    (folder / "rooms" / "JPEGImages" / "two.jpg").write_bytes(b"another")
    with pytest.raises(ValueError, match=r"two\.jpg: 7 bytes are not a readable picture"):
        examine.examine([release], folder, exams=EXAMS, frozen=tmp_path)


def test_a_release_that_is_not_there_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert examine.main([str(tmp_path / "none"), "--exams", str(tmp_path)]) == 2
    assert (told := capsys.readouterr().err).startswith("error: model:")
    assert told.count("\n") == 1
