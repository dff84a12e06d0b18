"""An exam is its seeds, its truths and its looks: drawn on another processor it is the same, another room is not."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from benchmarks.exams import draw
from benchmarks.exams.frozen import Known, check, freeze
from benchmarks.exams.looks import clip_looks, difference, picture_looks
from benchmarks.exams.table import EXAMS, LessonExam, PictureExam
from numpy.typing import NDArray

from synthroom.clip import open_clip
from synthroom.labels import Label
from synthroom.lesson import LESSON_RECIPE, truth_path
from synthroom.pictures import DataSet, Still, write_stills
from synthroom.seeds import LESSON_OFFSET, SEED_RANGES

U8 = NDArray[np.uint8]
ROOMS = PictureExam("rooms", 21)
LESSONS = LessonExam("lessons", first=0, lengths_s=(12, 15), gestures=True)
PUPIL_WH = (80, 110)


def view(number: int, pupil_xy: tuple[int, int] | None = (400, 250)) -> U8:
    """A picture of soft light and dark, another one for each number, and a dark pupil somewhere in it."""
    parts = np.random.default_rng(number).integers(90, 220, (4, 6, 3), dtype=np.uint8)
    rgb = np.asarray(cv2.resize(parts, (960, 540), interpolation=cv2.INTER_LINEAR), np.uint8)
    if pupil_xy:
        (x, y), (width, height) = pupil_xy, PUPIL_WH
        rgb[y : y + height, x : x + width] = 40
    return rgb


def still(number: int) -> Still:
    return Still(
        view(number), (Label("sleeping", 1, (10, 10, 40, 30), 1.0),), ((50, 0, 90, 60),), 90, facts={"hard": 2}
    )


def write_picture(path: Path, rgb: U8, quality: int = 90) -> None:
    cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])


def write_clip(path: Path, number: int, crf: int = 24) -> None:
    """Nine frames that say little and, in the middle, one that says which clip it is."""
    with open_clip(path, width=960, height=540, fps=5, crf=crf) as clip:
        for frame in range(9):
            clip.add(view(number if frame == 4 else 99))


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    """Seven rooms of three pictures, frozen."""
    folder = tmp_path / "exams" / "rooms"
    data = DataSet(folder, "rooms")
    for group in range(7):
        seed = SEED_RANGES["rooms"].start + group
        data.add(write_stills(folder, "rooms", group, seed, [still(3 * group + place) for place in range(3)]))
    data.save()
    freeze(ROOMS, folder, tmp_path)
    return folder


@pytest.fixture
def lessons(tmp_path: Path) -> Path:
    """Two lessons with one gesture each, frozen."""
    folder = tmp_path / "exams" / "lessons"
    folder.mkdir(parents=True)
    for place, name in enumerate(LESSONS.clips):
        write_clip(folder / f"{name}.mp4", place)
        span = {"pupil": 4, "behaviour": "sleeping", "started_ms": 800, "ended_ms": 9000, "visible": True}
        span["box_xyxy"] = [0.1, 0.2, 0.3, 0.4]
        told = {"seed": LESSONS.seed(place), "recipe": 2, "duration_ms": 12_000, "pupils": 9, "spans": [span]}
        (folder / f"{name}.truth.json").write_text(json.dumps(told))
    freeze(LESSONS, folder, tmp_path)
    return folder


def test_an_empty_exam_is_not_frozen(tmp_path: Path) -> None:
    empty = tmp_path / "exams" / "rooms"
    DataSet(empty, "rooms").save()

    with pytest.raises(ValueError, match=r"rooms: holds 0 of exam 'rooms', expected 21"):
        freeze(ROOMS, empty, tmp_path)
    with pytest.raises(ValueError, match=r"holds 0 of exam 'rooms', expected 0"):
        freeze(PictureExam("rooms", 0), empty, tmp_path)
    assert not (tmp_path / "rooms.json").exists()


def test_what_is_not_frozen_cannot_be_checked_and_what_is_not_there_neither(tmp_path: Path, rooms: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"hard\.json: not there, expected the hashes of exam 'hard'"):
        check(PictureExam("hard", 21), rooms, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such folder, expected exam 'rooms'"):
        check(ROOMS, tmp_path / "nowhere", tmp_path)


def test_frozen_pictures_are_the_exam_and_their_file_says_what_they_hold(tmp_path: Path, rooms: Path) -> None:
    known = check(ROOMS, rooms, tmp_path)

    assert (len(known.digest), known.byte_equal, known.of) == (64, 21, 21)
    told = json.loads((tmp_path / "rooms.json").read_text())
    assert (told["rooms"], told["count"], told["objects"]) == (7, 21, {"sleeping": 21})
    assert (told["adults"], told["look_alikes"]) == (21, 42)
    assert (told["files"][3]["name"], len(told["files"][3]["looks"])) == ("rooms_000001_0", 192)


def other_bits(rgb: U8) -> U8:
    """What another processor may make of a picture: single grey levels, here and there far more of them."""
    random = np.random.default_rng(7)
    other = rgb + random.integers(-2, 3, rgb.shape)
    other[random.random(rgb.shape) < 0.0005] += 90
    return np.clip(other, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("quality", [90, 70])
def test_pictures_of_other_last_bits_are_the_exam_and_are_counted(tmp_path: Path, rooms: Path, quality: int) -> None:
    before = check(ROOMS, rooms, tmp_path)
    for number in (5, 6, 20):
        file = rooms / "JPEGImages" / f"rooms_{number // 3:06d}_{number % 3}.jpg"
        write_picture(file, other_bits(view(number)), quality)

    assert check(ROOMS, rooms, tmp_path) == Known(before.digest, 18, 21)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda: view(6), id="another view"),
        pytest.param(lambda: view(5, None), id="a pupil less"),
        pytest.param(lambda: view(5, (480, 250)), id="a pupil one place on"),
        pytest.param(lambda: np.roll(view(5), 16, axis=1), id="the camera turned a little"),
        pytest.param(lambda: np.clip(view(5).astype(int) + 8, 0, 255).astype(np.uint8), id="more light"),
    ],
)
def test_a_picture_that_looks_different_is_refused(tmp_path: Path, rooms: Path, other: Callable[[], U8]) -> None:
    write_picture(rooms / "JPEGImages" / "rooms_000001_2.jpg", other())
    write_picture(rooms / "JPEGImages" / "rooms_000004_0.jpg", view(50))

    told = (
        r"rooms_000001_2\.jpg: looks \d+ of 255 away from what was frozen, expected at most 4 \(exam 'rooms', rooms\.js"
    )
    with pytest.raises(ValueError, match=told):
        check(ROOMS, rooms, tmp_path)


def test_looks_are_the_mean_grey_of_96_parts(tmp_path: Path) -> None:
    halves = np.zeros((540, 960, 3), np.uint8)
    halves[:, 480:] = 200
    write_picture(tmp_path / "halves.png", halves)

    looks = picture_looks(tmp_path / "halves.png")

    assert looks == 8 * (6 * "00" + 6 * "c8")
    assert difference(looks, looks) == 0
    assert difference(looks, "c9" + looks[2:]) == difference("c9" + looks[2:], looks) == 201
    with pytest.raises(ValueError, match="looks: 1 parts, expected 12 x 8"):
        difference(looks, "c9")


def test_what_is_no_picture_and_no_clip_has_no_looks(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(ValueError, match=r"empty\.jpg: 0 bytes are not a readable picture"):
        picture_looks(tmp_path / "empty.jpg")
    with pytest.raises(ValueError, match=r"empty\.mp4"):
        clip_looks(tmp_path / "empty.mp4")


def test_one_truth_in_twenty_may_differ_and_not_two(tmp_path: Path, rooms: Path) -> None:
    def move_a_box(name: str) -> None:
        truth = rooms / "Annotations" / f"{name}.xml"
        truth.write_text(truth.read_text().replace("<xmax>40<", "<xmax>41<"))

    move_a_box("rooms_000003_1")
    assert check(ROOMS, rooms, tmp_path).byte_equal == 21
    move_a_box("rooms_000005_0")
    told = r"rooms_000003_1\.xml: the first of 2 truths that differ, expected 95% of 21 to be equal \(exam 'rooms'"
    with pytest.raises(ValueError, match=told):
        check(ROOMS, rooms, tmp_path)


@pytest.mark.parametrize("file", ["JPEGImages/rooms_000000_1.jpg", "Annotations/rooms_000000_1.xml"])
def test_a_missing_picture_or_truth_is_neither_known_nor_frozen(tmp_path: Path, rooms: Path, file: str) -> None:
    (rooms / file).unlink()

    with pytest.raises(FileNotFoundError, match=rf"{file}: not there, expected it with the rest of its exam"):
        check(ROOMS, rooms, tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"{file}: not there"):
        freeze(ROOMS, rooms, tmp_path)


def test_a_shorter_and_a_longer_list_and_another_room_are_named(tmp_path: Path, rooms: Path) -> None:
    listing, manifest = rooms / "ImageSets" / "Main" / "rooms.txt", rooms / "manifest.json"
    names, told = listing.read_text(), manifest.read_text()

    listing.write_text(names.replace("rooms_000006_2\n", ""))
    with pytest.raises(ValueError, match=r"the list ends at place 21, expected 'rooms_000006_2'"):
        check(ROOMS, rooms, tmp_path)
    listing.write_text(names + "rooms_000007_0\n")
    with pytest.raises(ValueError, match=r"holds 'rooms_000007_0', expected nothing after 21 pieces"):
        check(ROOMS, rooms, tmp_path)
    first, *others = names.splitlines(keepends=True)
    listing.write_text("".join([*others, first]))
    with pytest.raises(ValueError, match=r"found 'rooms_000000_1' at place 1, expected 'rooms_000000_0'"):
        check(ROOMS, rooms, tmp_path)
    listing.write_text(names)
    manifest.write_text(told.replace(str(SEED_RANGES["rooms"].start + 1), "7"))
    with pytest.raises(ValueError, match=r"seed of 'rooms_000001_0' is 7, expected "):
        check(ROOMS, rooms, tmp_path)


def test_a_file_that_was_frozen_without_looks_is_refused(tmp_path: Path, rooms: Path) -> None:
    frozen = tmp_path / "rooms.json"
    told = json.loads(frozen.read_text())
    del told["files"][2]["looks"]
    frozen.write_text(json.dumps(told))

    said = (
        r"rooms\.json: a row with the fields name, seed, sha256, truth_sha256, expected .*looks; delete it and freeze"
    )
    with pytest.raises(ValueError, match=said):
        check(ROOMS, rooms, tmp_path)


def rewrite(truth: Path, **change: Any) -> None:
    """Change fields of the first span."""
    told = json.loads(truth.read_text())
    told["spans"][0] |= change
    truth.write_text(json.dumps(told, indent=1))


def test_a_lesson_filmed_by_another_processor_is_the_exam(tmp_path: Path, lessons: Path) -> None:
    told = json.loads((tmp_path / "lessons.json").read_text())
    assert (told["seconds"], told["visible_gestures"], told["rooms"]) == (24.0, {"sleeping": 2}, 2)
    before = check(LESSONS, lessons, tmp_path)
    assert (before.byte_equal, before.of) == (2, 2)

    write_clip(lessons / "lesson-02.mp4", 1, crf=20)
    rewrite(lessons / "lesson-01.truth.json", visible=False, box_xyxy=[0.1, 0.2, 0.3, 0.41])

    assert check(LESSONS, lessons, tmp_path) == Known(before.digest, 1, 2)


@pytest.mark.parametrize("change", [{"pupil": 5}, {"behaviour": "stand-up"}, {"started_ms": 820}, {"ended_ms": 8980}])
def test_a_lesson_of_another_timeline_is_refused(tmp_path: Path, lessons: Path, change: dict[str, Any]) -> None:
    rewrite(lessons / "lesson-02.truth.json", **change)

    with pytest.raises(
        ValueError, match=r"lesson-02\.truth\.json: the first of 1 truths that differ, expected 100% of 2"
    ):
        check(LESSONS, lessons, tmp_path)


def test_another_clip_and_a_clip_without_truth_are_refused(tmp_path: Path, lessons: Path) -> None:
    write_clip(lessons / "lesson-02.mp4", 7)
    with pytest.raises(ValueError, match=r"lesson-02\.mp4: looks \d+ of 255 away"):
        check(LESSONS, lessons, tmp_path)

    (lessons / "lesson-01.truth.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"lesson-01\.truth\.json: not there"):
        check(LESSONS, lessons, tmp_path)


def test_what_was_drawn_is_frozen_once_and_checked_from_then_on(tmp_path: Path, rooms: Path) -> None:
    frozen = tmp_path / "elsewhere"
    frozen.mkdir()

    assert "to be committed" in draw.settle(ROOMS, rooms, frozen)
    assert draw.settle(ROOMS, rooms, frozen).endswith("is the frozen exam, 21 of 21 byte for byte")
    (rooms / "JPEGImages" / "rooms_000000_0.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"rooms_000000_0\.jpg: 0 bytes"):
        draw.settle(ROOMS, rooms, frozen)


def test_an_exam_that_is_whole_is_not_drawn_again(tmp_path: Path, rooms: Path) -> None:
    draw.draw(ROOMS, rooms, 1)
    check(ROOMS, rooms, tmp_path)

    folder = tmp_path / "played"
    folder.mkdir()
    for job in draw.lesson_jobs(LESSONS, folder):
        job.clip.write_bytes(b"clip")
        plan = {**asdict(job.plan), "pupils": list(job.plan.pupils)}
        truth_path(job.clip).write_text(json.dumps({"seed": job.seed, "recipe": LESSON_RECIPE, "plan": plan}))
    draw.draw(LESSONS, folder, 1)
    assert {clip.read_bytes() for clip in folder.glob("*.mp4")} == {b"clip"}


def test_the_exams_are_as_large_as_promised_and_share_no_seed() -> None:
    lessons, quiet = EXAMS["lessons"], EXAMS["quiet"]
    assert isinstance(lessons, LessonExam)
    assert isinstance(quiet, LessonExam)
    assert len(lessons.lengths_s) == 20
    assert all(120 <= length <= 300 for length in lessons.lengths_s)
    assert sum(quiet.lengths_s) >= 3600
    seeds = [exam.seed(place) for exam in (lessons, quiet) for place in range(len(exam.lengths_s))]
    assert len(set(seeds)) == len(seeds)
    assert set(seeds) <= set(range(SEED_RANGES["test"].start + LESSON_OFFSET, SEED_RANGES["test"].stop))


def test_quiet_lessons_have_no_gestures_and_some_rooms_are_full() -> None:
    quiet = EXAMS["quiet"]
    assert isinstance(quiet, LessonExam)
    plans = [quiet.plan(place) for place in range(len(quiet.lengths_s))]

    assert {(plan.hands, plan.stands, plan.sleeps, plan.fps) for plan in plans} == {(0, 0, 0, 5)}
    assert [plan.duration_ms for plan in plans] == [1000 * length for length in quiet.lengths_s]
    assert max(plan.pupils[0] for plan in plans) >= 30
    assert [(job.seed, job.plan) for job in draw.lesson_jobs(quiet, Path())] == [
        (quiet.seed(place), plan) for place, plan in enumerate(plans)
    ]


def test_every_committed_file_of_hashes_is_of_an_exam_in_the_table() -> None:
    for path in draw.FROZEN.glob("*.json"):
        told, exam = json.loads(path.read_text()), EXAMS[path.stem]
        count = exam.count if isinstance(exam, PictureExam) else len(exam.lengths_s)
        assert (told["exam"], told["count"], len(told["files"])) == (path.stem, count, count)


def test_the_shift_exam_is_drawn_by_the_other_renderer_or_says_what_it_needs(tmp_path: Path) -> None:
    exam, python = PictureExam("shift", 3, drawn_by="shift"), tmp_path / "python"
    with pytest.raises(FileNotFoundError, match=r"expected the environment of benchmarks/exams/shift/README\.md"):
        draw.draw_shift(exam, tmp_path / "shift", 1, python)

    python.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called; exit $(cat {tmp_path}/code)\n')
    python.chmod(0o755)
    (tmp_path / "code").write_text("0")
    draw.draw_shift(exam, tmp_path / "shift", 2, python)
    asked = f"-m benchmarks.exams.shift.draw_exam {tmp_path}/shift --count 3 --workers 2\n"
    assert (tmp_path / "called").read_text() == asked
    (tmp_path / "code").write_text("2")
    with pytest.raises(ValueError, match="shift: its renderer ended with 2, expected 0"):
        draw.draw_shift(exam, tmp_path / "shift", 2, python)


def test_a_folder_of_another_split_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    DataSet(tmp_path / "tiny", "dark").save()

    assert draw.main([str(tmp_path), "--exam", "tiny"]) == 2
    assert "error:" in (told := capsys.readouterr().err)
    assert "split and recipe are ('dark'" in told
    assert told.count("\n") == 1
