"""The shift exam's parts that need no Blender: poses, joints, labels, files."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from benchmarks.exams.shift.bodies import HAND_RIGHT, HEAD, LEGS, UPPER, pose_body
from benchmarks.exams.shift.draw_exam import main
from benchmarks.exams.shift.labels import PARTS, Label, Piece, label, silhouette, visible_box
from benchmarks.exams.shift.poses import Mood, asleep, draw_mood, pupil, raised_hand, standing, teacher
from benchmarks.exams.shift.posture import HAND_RAISING, SLEEPING, STAND_UP, Arm, Pose
from benchmarks.exams.shift.reach import arms_of
from benchmarks.exams.shift.skeleton import Build, Place, desk_height, draw_build, seat_height, trunk_of
from benchmarks.exams.shift.still import Still
from benchmarks.exams.shift.vectors import bend, frame, turn
from benchmarks.exams.shift.view import look
from benchmarks.exams.shift.voc import RECIPE, VIEWS, Exam, annotation, picture_name, room_seed, write_room

from gesturedet.data.voc import read_split

ROOT = Path(__file__).resolve().parents[2]
AGES = (6.5, 10.0, 14.0, 17.5)


def body_at(years: float, seed: int) -> tuple[Build, Place]:
    build = draw_build(np.random.default_rng(seed), years)
    return build, Place(seat_height(build), desk_height(build))


def square(part: int, x: float, y: float, size: float) -> Piece:
    """A square of two triangles, five metres away."""
    corners = np.array([(x, y, 5), (x + size, y, 5), (x + size, y + size, 5), (x, y + size, 5)], dtype=np.float64)
    return Piece(part, corners, np.array([(0, 1, 2), (0, 2, 3)], dtype=np.int32))


def picture_of(*squares: tuple[int, int, int, int, int]) -> np.ndarray:
    """Ids of a 200×200 picture with squares of (person, part, x, y, size)."""
    ids = np.zeros((200, 200), dtype=np.int32)
    for person, part, x, y, size in squares:
        ids[y : y + size, x : x + size] = person * PARTS + part
    return ids


ARMS = Arm("lap")
RAISING = Pose("raise", ARMS, ARMS, behaviour=HAND_RAISING, raised="R")
STANDING = Pose("stand", ARMS, ARMS, behaviour=STAND_UP, seated=False)
SLEEPER = Pose("sleep", ARMS, ARMS, behaviour=SLEEPING)


def test_an_empty_mask_has_no_box() -> None:
    with pytest.raises(ValueError, match="at least one visible pixel"):
        visible_box(np.zeros((4, 4), dtype=np.bool_))


def test_a_pupil_whom_nothing_shows_is_not_labelled() -> None:
    assert label(picture_of(), 1, STANDING, [square(HEAD, 10, 10, 40)]) is None


def test_who_does_nothing_is_not_labelled() -> None:
    assert label(picture_of((1, HEAD, 10, 10, 40)), 1, Pose("idle", ARMS, ARMS), [square(HEAD, 10, 10, 40)]) is None


def test_a_box_leaves_out_the_outermost_thousandth_of_its_pixels() -> None:
    mask = np.zeros((200, 200), dtype=np.bool_)
    mask[50:100, 50:100] = True
    mask[10, 75] = True
    assert visible_box(mask) == (50, 50, 100, 100)


def test_a_silhouette_counts_what_overlaps_once_and_what_lies_outside_the_picture() -> None:
    assert silhouette([]) == 0
    assert silhouette([square(HEAD, -20, -20, 100), square(UPPER, -20, -20, 100)]) == pytest.approx(10_000, rel=0.03)


def test_a_silhouette_that_reaches_behind_the_camera_is_endless() -> None:
    behind = square(HEAD, 0, 0, 10)
    behind.corners[0, 2] = -1
    assert silhouette([behind]) == float("inf")


def test_a_raised_hand_boxes_the_upper_body_without_the_legs() -> None:
    ids = picture_of((1, UPPER, 40, 60, 40), (1, HAND_RIGHT, 70, 20, 20), (1, LEGS, 40, 100, 60))
    pieces = [square(UPPER, 40, 60, 40), square(HAND_RIGHT, 70, 20, 20), square(LEGS, 40, 100, 60)]
    found = label(ids, 1, RAISING, pieces)
    assert found is not None
    assert found.box_xyxy == (40, 20, 90, 100)


def test_a_standing_pupil_is_boxed_with_the_legs_and_a_sleeping_one_without() -> None:
    ids = picture_of((1, UPPER, 40, 60, 40), (1, LEGS, 40, 100, 60))
    pieces = [square(UPPER, 40, 60, 40), square(LEGS, 40, 100, 60)]
    standing_up, sleeping = label(ids, 1, STANDING, pieces), label(ids, 1, SLEEPER, pieces)
    assert standing_up is not None
    assert sleeping is not None
    assert standing_up.box_xyxy == (40, 60, 100, 160)
    assert sleeping.box_xyxy == (40, 60, 80, 100)


@pytest.mark.parametrize(("shown", "labelled"), [(7, False), (10, True)])
def test_a_raised_hand_counts_from_two_fifths_of_it_on(shown: int, *, labelled: bool) -> None:
    ids = picture_of((1, UPPER, 40, 60, 40))
    ids[20 : 20 + shown, 70:90] = PARTS + HAND_RIGHT
    pieces = [square(UPPER, 40, 60, 40), square(HAND_RIGHT, 70, 20, 20)]
    assert (label(ids, 1, RAISING, pieces) is not None) == labelled


@pytest.mark.parametrize(("size", "labelled"), [(15, False), (17, True)])
def test_a_box_counts_from_sixteen_pixels_on(size: int, *, labelled: bool) -> None:
    found = label(picture_of((1, UPPER, 5, 5, size)), 1, SLEEPER, [square(UPPER, 5, 5, size)])
    assert (found is not None) == labelled


def test_who_is_mostly_hidden_is_not_labelled() -> None:
    assert label(picture_of((1, UPPER, 5, 5, 40)), 1, SLEEPER, [square(UPPER, 5, 5, 90)]) is None


def test_another_persons_pixels_are_not_ones_own() -> None:
    ids = picture_of((1, UPPER, 10, 10, 40), (2, UPPER, 100, 100, 40))
    found = label(ids, 2, SLEEPER, [square(UPPER, 100, 100, 40)])
    assert found is not None
    assert found.box_xyxy == (100, 100, 140, 140)


@pytest.mark.parametrize("years", AGES)
@pytest.mark.parametrize("seed", range(12))
def test_a_raised_hand_is_over_its_elbow_and_reaches_the_face(years: float, seed: int) -> None:
    build, place = body_at(years, seed)
    pose = raised_hand(np.random.default_rng(seed))
    trunk = trunk_of(build, pose, place)
    arm = arms_of(trunk, pose)["LR".index(str(pose.raised))]
    tip = arm.wrist + arm.fingers * build.hand
    assert arm.fingers[2] > 0.8
    assert arm.wrist[2] > arm.elbow[2] + 0.8 * build.forearm * arm.fingers[2]
    assert tip[2] > trunk.head[2] - 0.35 * build.head


@pytest.mark.parametrize("years", AGES)
@pytest.mark.parametrize("seed", range(12))
def test_the_usual_raised_hand_has_its_elbow_on_the_desk(years: float, seed: int) -> None:
    build, place = body_at(years, seed)
    rng = np.random.default_rng(seed)
    pose = next(p for p in iter(lambda: raised_hand(rng), None) if p.name == "raise-desk")
    arm = arms_of(trunk_of(build, pose, place), pose)["LR".index(str(pose.raised))]
    assert arm.elbow[2] == pytest.approx(place.desk_m + 0.032, abs=0.03)


@pytest.mark.parametrize("years", AGES)
@pytest.mark.parametrize("seed", range(12))
def test_a_sleeping_head_lies_on_the_desk(years: float, seed: int) -> None:
    build, place = body_at(years, seed)
    trunk = trunk_of(build, asleep(np.random.default_rng(seed)), place)
    assert place.desk_m + 0.3 * build.head < trunk.head[2] < place.desk_m + 0.7 * build.head
    assert trunk.head[1] > place.edge_m - 0.05


@pytest.mark.parametrize("seed", range(40))
def test_bones_keep_their_length_whatever_a_pupil_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    build, place = body_at(9, seed)
    body = pose_body(build, pupil(rng, draw_mood(rng)), place)
    for arm in body.arms:
        assert np.linalg.norm(arm.elbow - arm.shoulder) == pytest.approx(build.upper_arm, rel=1e-6)
        assert np.linalg.norm(arm.wrist - arm.elbow) == pytest.approx(build.forearm, rel=1e-6)
    for leg in body.legs:
        assert np.linalg.norm(leg.knee - leg.hip) == pytest.approx(build.thigh, rel=1e-6)
        assert np.linalg.norm(leg.ankle - leg.knee) == pytest.approx(build.shin, rel=1e-6)


def test_a_standing_head_is_as_high_as_the_body_is_tall() -> None:
    for years in AGES:
        build, place = body_at(years, 3)
        trunk = trunk_of(build, standing(np.random.default_rng(2)), place)
        assert trunk.head[2] + build.head / 2 == pytest.approx(build.stature, rel=0.08)


def test_an_act_that_no_arm_knows_is_named() -> None:
    build, place = body_at(9, 1)
    pose = Pose("odd", Arm("juggle"), ARMS)
    with pytest.raises(ValueError, match="act 'juggle': expected one of"):
        arms_of(trunk_of(build, pose, place), pose)


def test_a_quiet_class_does_none_of_the_three_and_the_teacher_never_does() -> None:
    rng = np.random.default_rng(4)
    assert {pupil(rng, Mood(0, 0, 0)).behaviour for _ in range(300)} == {None}
    assert {teacher(rng).behaviour for _ in range(50)} == {None}


def test_negatives_outnumber_positives_and_every_behaviour_comes_in_both_hands() -> None:
    rng = np.random.default_rng(5)
    drawn = [pupil(rng, draw_mood(rng)) for _ in range(4000)]
    counts = Counter(pose.behaviour for pose in drawn)
    assert counts[None] > 2 * (len(drawn) - counts[None])
    assert min(counts[b] for b in (HAND_RAISING, STAND_UP, SLEEPING)) > 100
    assert {pose.raised for pose in drawn if pose.behaviour == HAND_RAISING} == {"L", "R"}
    assert all((pose.raised is not None) == (pose.behaviour == HAND_RAISING) for pose in drawn)
    assert all(pose.seated == (pose.behaviour != STAND_UP) for pose in drawn)


def test_poses_follow_from_their_seed() -> None:
    mood = Mood(0.3, 0.3, 0.3)
    first, second = (pupil(np.random.default_rng(8), mood) for _ in range(2))
    assert first == second
    assert first != pupil(np.random.default_rng(9), mood)


def test_a_limb_reaches_what_is_near_and_points_at_what_is_far() -> None:
    elbow, wrist = bend((0, 0, 0), (0.3, 0, 0), 0.25, 0.2, (0, 0, -1))
    assert wrist == pytest.approx((0.3, 0, 0))
    assert elbow[2] < 0
    _, far = bend((0, 0, 0), (9, 0, 0), 0.25, 0.2, (0, 0, -1))
    assert far == pytest.approx((0.45 * 0.995, 0, 0))


def test_turns_go_where_their_names_say() -> None:
    assert (turn(pitch=90) @ (0, 0, 1)) == pytest.approx((0, 1, 0))
    assert (turn(roll=90) @ (0, 0, 1)) == pytest.approx((1, 0, 0))
    assert (turn(yaw=90) @ (0, 1, 0)) == pytest.approx((-1, 0, 0))
    assert np.linalg.det(frame((0.3, 1, 0.2), (0, 0, 1))) == pytest.approx(1)


def test_a_camera_sees_the_left_at_the_left_and_the_high_above() -> None:
    camera = look(np.array((0.0, 10, 2)), np.array((0.0, 0, 2)), 0, 60)
    middle, left, high = camera.project(np.array([(0.0, 0, 2), (1.0, 0, 2), (0.0, 0, 3)]), 960, 540)
    assert middle == pytest.approx((480, 270, 10))
    assert left[0] < 480  # who looks back at the class has its right at the left
    assert high[1] < 270


def still(*labels: Label) -> Still:
    return Still(np.full((540, 960, 3), 90, dtype=np.uint8), labels, ((1, 2, 30, 40),), 80)


def test_boxes_are_written_from_one_and_inclusive() -> None:
    text = annotation("shift_000000_0", still(Label(SLEEPING, 1, (0, 10, 100, 540), 0.5)))
    for key, value in (("xmin", 1), ("ymin", 11), ("xmax", 100), ("ymax", 540), ("truncated", 1), ("occluded", 1)):
        assert f"<{key}>{value}</{key}>" in text


def test_an_exam_is_read_as_it_was_written(tmp_path: Path) -> None:
    exam = Exam(tmp_path)
    assert exam.missing(4) == [0, 1]
    shown = Label(HAND_RAISING, 3, (96, 54, 192, 108), 0.9)
    exam.add(write_room(tmp_path, 0, [still(), still(shown), still()]))
    assert Exam(tmp_path).missing(4) == [1]
    pictures = read_split(tmp_path, "shift")
    assert [len(p.truth) for p in pictures] == [0, 1, 0]
    assert {p.group for p in pictures} == {str(room_seed(0))}
    assert pictures[1].truth.boxes_xyxy[0] == pytest.approx((0.1, 0.1, 0.2, 0.2))


def test_a_damaged_picture_is_drawn_again(tmp_path: Path) -> None:
    exam = Exam(tmp_path)
    exam.add(write_room(tmp_path, 0, [still() for _ in range(VIEWS)]))
    (tmp_path / "JPEGImages" / f"{picture_name(0, 1)}.jpg").write_bytes(b"half")
    assert Exam(tmp_path).missing(VIEWS) == [0]


def test_another_recipes_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"recipe": "shift-0", "pictures": []}))
    assert main([str(tmp_path)]) == 2
    assert f"recipe is 'shift-0': expected '{RECIPE}'" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--count", "--workers"])
def test_a_number_below_one_is_refused(flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), flag, "0"]) == 2
    assert f"{flag} 0: expected 1 or more" in capsys.readouterr().err


def test_a_room_below_zero_has_no_seed() -> None:
    with pytest.raises(ValueError, match="room -1: expected 0 or more"):
        room_seed(-1)


def test_nothing_of_the_training_drawings_is_shared() -> None:
    modules = " ".join(f"benchmarks.exams.shift.{m}" for m in ("poses", "reach", "bodies", "labels", "room", "voc"))
    code = (
        f"import importlib, sys; [importlib.import_module(m) for m in {modules!r}.split()]; "
        "print([m for m in sys.modules if m.split('.')[0] in ('synthroom', 'gesturedet', 'bpy')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
