"""An exam is its committed hashes: one changed byte and it is another."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from benchmarks.exams import draw
from benchmarks.exams.frozen import check, freeze
from benchmarks.exams.table import EXAMS, LessonExam, PictureExam

from synthroom.labels import Label
from synthroom.lesson import LESSON_RECIPE, truth_path
from synthroom.pictures import DataSet, Still, write_stills
from synthroom.seeds import LESSON_OFFSET, SEED_RANGES

ROOMS = PictureExam("rooms", 6)
LESSONS = LessonExam("lessons", first=0, lengths_s=(12, 15), gestures=True)


def still(shade: int) -> Still:
    rgb = np.full((60, 100, 3), shade, np.uint8)
    return Still(rgb, (Label("sleeping", 1, (10, 10, 40, 30), 1.0),), ((50, 0, 90, 60),), 90, facts={"hard": 2})


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    """Two rooms of three pictures, frozen."""
    folder = tmp_path / "exams" / "rooms"
    data = DataSet(folder, "rooms")
    for group in (0, 1):
        seed = SEED_RANGES["rooms"].start + group
        data.add(write_stills(folder, "rooms", group, seed, [still(40 * group + 10 * view) for view in range(3)]))
    data.save()
    freeze(ROOMS, folder, tmp_path)
    return folder


@pytest.fixture
def lessons(tmp_path: Path) -> Path:
    """Two lessons whose clips are any bytes, frozen."""
    folder = tmp_path / "exams" / "lessons"
    folder.mkdir(parents=True)
    for place, name in enumerate(LESSONS.clips):
        (folder / f"{name}.mp4").write_bytes(b"clip %d" % place)
        span = {"behaviour": "sleeping", "visible": True}
        told = {"seed": LESSONS.seed(place), "recipe": 2, "duration_ms": 12_000, "pupils": 9, "spans": [span]}
        (folder / f"{name}.truth.json").write_text(json.dumps(told))
    freeze(LESSONS, folder, tmp_path)
    return folder


def test_an_empty_exam_is_not_frozen(tmp_path: Path) -> None:
    empty = tmp_path / "exams" / "rooms"
    DataSet(empty, "rooms").save()

    with pytest.raises(ValueError, match=r"rooms: holds 0 of exam 'rooms', expected 6"):
        freeze(ROOMS, empty, tmp_path)
    with pytest.raises(ValueError, match=r"holds 0 of exam 'rooms', expected 0"):
        freeze(PictureExam("rooms", 0), empty, tmp_path)
    assert not (tmp_path / "rooms.json").exists()


def test_what_is_not_frozen_cannot_be_checked_and_what_is_not_there_neither(tmp_path: Path, rooms: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"hard\.json: not there, expected the hashes of exam 'hard'"):
        check(PictureExam("hard", 6), rooms, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such folder, expected exam 'rooms'"):
        check(ROOMS, tmp_path / "nowhere", tmp_path)


def test_frozen_pictures_are_the_exam_and_their_file_says_what_they_hold(tmp_path: Path, rooms: Path) -> None:
    assert len(check(ROOMS, rooms, tmp_path)) == 64

    told = json.loads((tmp_path / "rooms.json").read_text())
    assert (told["rooms"], told["count"], told["objects"]) == (2, 6, {"sleeping": 6})
    assert (told["adults"], told["look_alikes"]) == (6, 12)
    assert told["files"][3]["name"] == "rooms_000001_0"


@pytest.mark.parametrize("file", ["JPEGImages/rooms_000000_2.jpg", "Annotations/rooms_000001_1.xml"])
def test_one_changed_byte_is_named(tmp_path: Path, rooms: Path, file: str) -> None:
    whole = bytearray((rooms / file).read_bytes())
    whole[-3] ^= 1
    (rooms / file).write_bytes(whole)
    later = rooms / "JPEGImages" / "rooms_000001_2.jpg"
    later.write_bytes(b"another")

    with pytest.raises(ValueError, match=rf"{file}: SHA-256 [0-9a-f]{{64}}, expected [0-9a-f]{{64}} \(exam 'rooms'"):
        check(ROOMS, rooms, tmp_path)


def test_a_missing_file_a_shorter_and_a_longer_list_and_another_room_are_named(tmp_path: Path, rooms: Path) -> None:
    listing, manifest = rooms / "ImageSets" / "Main" / "rooms.txt", rooms / "manifest.json"
    names, told = listing.read_text(), manifest.read_text()

    listing.write_text(names.replace("rooms_000001_2\n", ""))
    with pytest.raises(ValueError, match=r"the list ends at place 6, expected 'rooms_000001_2'"):
        check(ROOMS, rooms, tmp_path)
    listing.write_text(names + "rooms_000002_0\n")
    with pytest.raises(ValueError, match=r"holds 'rooms_000002_0', expected nothing after 6 pieces"):
        check(ROOMS, rooms, tmp_path)
    listing.write_text(names)
    manifest.write_text(told.replace(str(SEED_RANGES["rooms"].start + 1), "7"))
    with pytest.raises(ValueError, match=r"seed of 'rooms_000001_0' is 7, expected "):
        check(ROOMS, rooms, tmp_path)
    manifest.write_text(told)
    (rooms / "JPEGImages" / "rooms_000000_1.jpg").unlink()
    with pytest.raises(ValueError, match=r"rooms_000000_1\.jpg: SHA-256 of no file, expected"):
        check(ROOMS, rooms, tmp_path)


@pytest.mark.parametrize("file", ["lesson-02.mp4", "lesson-01.truth.json"])
def test_a_changed_lesson_or_truth_is_named(tmp_path: Path, lessons: Path, file: str) -> None:
    check(LESSONS, lessons, tmp_path)
    told = json.loads((tmp_path / "lessons.json").read_text())
    assert (told["seconds"], told["visible_gestures"], told["rooms"]) == (24.0, {"sleeping": 2}, 2)

    (lessons / file).write_bytes((lessons / file).read_bytes() + b" ")

    with pytest.raises(ValueError, match=f"{file}: SHA-256"):
        check(LESSONS, lessons, tmp_path)


def test_what_was_drawn_is_frozen_once_and_checked_from_then_on(tmp_path: Path, rooms: Path) -> None:
    frozen = tmp_path / "elsewhere"
    frozen.mkdir()

    assert "to be committed" in draw.settle(ROOMS, rooms, frozen)
    assert draw.settle(ROOMS, rooms, frozen).endswith("is the frozen exam")
    (rooms / "JPEGImages" / "rooms_000000_0.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"rooms_000000_0\.jpg: SHA-256"):
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
