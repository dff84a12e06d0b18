from collections import Counter

import numpy as np
import pytest

from synthroom.bodies import F32, HEAD, body_model
from synthroom.classroom import draw_activities, place_teachers, pose_class
from synthroom.idle import HARD, IDLE, idle
from synthroom.people import Spot, furniture_circles
from synthroom.pictures import place_everybody
from synthroom.poses import LIE_AWAKE, RAISES, SLEEPS, STANDS, hand_raising, lie_awake, sleeping, stand_up
from synthroom.props import held_mesh, placed
from synthroom.renderer import Renderer
from synthroom.scene import Scene, build_scene
from synthroom.seeds import picture_seed
from synthroom.sitting import HAND_RAISING, SLEEPING, STAND_UP, Draw
from synthroom.teacher import TEACHING, teach
from synthroom.worlds import GENERAL, WORLDS

pytestmark = [pytest.mark.synth, pytest.mark.xdist_group("synth")]


@pytest.fixture(scope="module")
def scene(renderer: Renderer) -> Scene:
    del renderer  # its absence is what this module would skip for
    return build_scene(picture_seed("train", 11), pupils=(10, 10), teachers=1, desks=("double",))


def test_a_class_of_nobody_does_nothing() -> None:
    assert draw_activities(np.random.default_rng(0), 0) == []


@pytest.mark.parametrize("world", [GENERAL, *WORLDS.values()])
def test_every_world_shows_all_behaviours_in_about_its_shares(world: object) -> None:
    assert isinstance(world, type(GENERAL))
    rng = np.random.default_rng(5)
    counts = Counter(name for _ in range(600) for name in draw_activities(rng, 25, world))
    for name in (HAND_RAISING, STAND_UP, SLEEPING):
        assert counts[name] / 15_000 == pytest.approx(world.shares[name], rel=0.25)


def test_in_training_and_in_the_hard_exam_hard_negatives_outnumber_positives(scene: Scene) -> None:
    for split in ("train", "hard"):
        rng = np.random.default_rng(1)
        kinds = [pose.kind for _ in range(30) for pose in pose_class(scene, rng, WORLDS[split])]
        hard = sum(kind in (*HARD, LIE_AWAKE) for kind in kinds)
        assert hard > sum("/" in kind for kind in kinds)


def test_what_resembles_a_behaviour_is_a_hard_negative_and_sitting_quietly_is_none() -> None:
    near_a_raised_hand = {"propped", "mouth", "both-hands", "stretch", "tie-hair", "scratch", "reach-up-both", "pencil"}
    near_sleeping_or_standing = {"write-low", "face-down", "bend-to-bag", "crossed", "turned", "point-low", "pass-on"}
    assert near_a_raised_hand | near_sleeping_or_standing | {"drink", "read", "clasped", "show"} == set(HARD)


def test_a_raised_hand_is_above_the_elbow_in_every_mode(scene: Scene) -> None:
    pupil = scene.pupils[0]
    assert pupil.place is not None
    index = body_model().skeleton.index
    for mode in RAISES:
        for seed in range(5):
            pose = hand_raising(pupil.sitter, pupil.place, Draw(np.random.default_rng(seed)), mode)
            joints = pupil.joints(pose.quaternions, pose.shift)
            wrist, elbow = joints[index[f"wrist.{pose.raised}"]], joints[index[f"lowerarm01.{pose.raised}"]]
            assert wrist[2] - elbow[2] > 0.6 * np.linalg.norm(wrist - elbow)


def test_an_elbow_on_the_desk_lies_on_it(scene: Scene) -> None:
    pupil = scene.pupils[0]
    assert pupil.place is not None
    top = pupil.place.top - pupil.sitter.floor
    row = body_model().skeleton.index
    for seed in range(8):
        pose = hand_raising(pupil.sitter, pupil.place, Draw(np.random.default_rng(seed)), "elbow")
        elbow = pupil.joints(pose.quaternions, pose.shift)[row[f"lowerarm01.{pose.raised}"]]
        assert elbow[2] == pytest.approx(top, abs=0.08)


def test_who_stands_has_the_head_above_those_who_sit_and_who_sleeps_below(scene: Scene) -> None:
    pupil = scene.pupils[0]
    assert pupil.place is not None
    head = body_model().skeleton.index["head"]

    def height(pose: object) -> float:
        return float(pupil.joints(pose.quaternions, pose.shift)[head, 2])  # type: ignore[attr-defined]

    d = Draw(np.random.default_rng(2))
    sitting = height(idle(pupil.sitter, pupil.place, d, "listen"))
    assert all(height(stand_up(pupil.sitter, pupil.place, d, mode)) > sitting + 0.1 for mode in STANDS)
    assert all(height(sleeping(pupil.sitter, pupil.place, d, mode)) < sitting - 0.03 for mode in SLEEPS)


def test_who_lies_awake_looks_up_and_is_not_asleep(scene: Scene) -> None:
    pupil = scene.pupils[0]
    assert pupil.place is not None
    row = body_model().skeleton.index["head"]
    awake = lie_awake(pupil.sitter, pupil.place, Draw(np.random.default_rng(2)))
    asleep = sleeping(pupil.sitter, pupil.place, Draw(np.random.default_rng(2)), "folded")
    up = [float(pupil.joints(pose.quaternions, pose.shift)[row, 2]) for pose in (asleep, awake)]
    assert up[0] + 0.02 < up[1]
    assert awake.behaviour is None


@pytest.mark.parametrize("kind", list(IDLE))
def test_every_other_thing_that_pupils_do_can_be_posed_and_is_no_behaviour(scene: Scene, kind: str) -> None:
    for pupil in scene.pupils[:3]:
        assert pupil.place is not None
        pose = idle(pupil.sitter, pupil.place, Draw(np.random.default_rng(4)), kind)
        assert (pose.kind, pose.behaviour) == (kind, None)
        assert np.isfinite(pose.quaternions).all()


def test_a_held_thing_is_in_the_hand(scene: Scene) -> None:
    pupil = scene.pupils[1]
    assert pupil.place is not None
    pose = idle(pupil.sitter, pupil.place, Draw(np.random.default_rng(3)), "drink")
    (prop,) = pose.props
    turned = Spot(1.0, 2.0, 115.0)
    middle, axes = placed(pupil, pose, turned, prop)
    body = pupil.posed(pose, turned)
    hands = body[np.isin(pupil.sitter.model.parts, (5, 6)), :3]
    assert np.linalg.norm(hands - middle, axis=1).min() < 0.09
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-5)


def test_a_cup_is_in_the_hand_that_is_at_the_mouth(scene: Scene) -> None:
    for pupil in scene.pupils[:3]:
        assert pupil.place is not None
        pose = idle(pupil.sitter, pupil.place, Draw(np.random.default_rng(3)), "drink")
        middle, _ = placed(pupil, pose, pupil.spot, pose.props[0])
        head = pupil.posed(pose)[pupil.sitter.model.parts == HEAD, :3]
        assert np.linalg.norm(head - middle, axis=1).min() < 0.12


def test_a_held_thing_hides_as_its_holder_and_is_no_part_of_the_body(scene: Scene) -> None:
    pupil = scene.pupils[1]
    assert pupil.place is not None
    holding, empty = (
        idle(pupil.sitter, pupil.place, Draw(np.random.default_rng(3)), kind) for kind in ("drink", "listen")
    )
    assert held_mesh([(pupil, empty, pupil.spot)]) is None
    mesh = held_mesh([(pupil, empty, pupil.spot), (pupil, holding, pupil.spot)])
    assert mesh is not None
    assert {tuple(marks[:2]) for marks in mesh.fixed["marks"].tolist()} == {(pupil.number, 0)}


@pytest.mark.parametrize("kind", list(TEACHING))
def test_nothing_that_a_teacher_does_is_a_behaviour(scene: Scene, kind: str) -> None:
    (teacher,) = scene.teachers
    pose = teach(teacher.sitter, Draw(np.random.default_rng(1)), kind)
    assert (pose.kind, pose.behaviour) == (f"teacher-{kind}", None)
    feet = teacher.posed(pose)[:, 2].min()
    assert feet == pytest.approx(0, abs=0.08)


def test_teachers_stand_between_the_walls_beside_desks_and_pupils(scene: Scene) -> None:
    x0, y0, x1, y1 = scene.plan.bounds
    taken = [(p.spot.x, p.spot.y, 0.5) for p in scene.pupils] + furniture_circles(scene.plan.desks, scene.plan.near)
    placed_ones = [one for seed in range(25) for one in place_teachers(scene, np.random.default_rng(seed))]
    assert len(placed_ones) > 15
    for _, pose, spot in placed_ones:
        assert x0 < spot.x < x1
        assert y0 < spot.y < y1
        if pose.kind != "teacher-board":
            assert all(np.hypot(spot.x - x, spot.y - y) > radius for x, y, radius in taken)


class Stage:
    """Stands for a crowd: who was placed, and who was taken out of sight."""

    def __init__(self) -> None:
        self.placed, self.gone = dict[int, F32](), list[int]()

    def place(self, number: int, moving: F32) -> None:
        self.placed[number] = moving

    def vanish(self, number: int) -> None:
        self.gone.append(number)


def test_a_teacher_without_a_place_is_out_of_sight_and_everybody_else_is_in_the_room(scene: Scene) -> None:
    poses = pose_class(scene, np.random.default_rng(1))
    for teachers in (
        [],
        [(scene.teachers[0], teach(scene.teachers[0].sitter, Draw(np.random.default_rng(1))), scene.pupils[0].spot)],
    ):
        stage = Stage()
        bodies = place_everybody(stage, scene, poses, teachers)  # type: ignore[arg-type]
        assert stage.gone == ([] if teachers else [scene.teachers[0].number])
        assert set(stage.placed) == set(bodies) == {p.number for p in scene.people} - set(stage.gone)


def test_clothes_bear_their_wearers_number(scene: Scene) -> None:
    for somebody in scene.people:
        assert {int(number) for number in somebody.fixed["marks"][:, 0]} == {somebody.number}


def test_a_pose_that_turns_away_turns_the_body_about_its_own_axis(scene: Scene) -> None:
    pupil = scene.pupils[0]
    assert pupil.place is not None
    poses = [
        stand_up(pupil.sitter, pupil.place, Draw(np.random.default_rng(s)), "down", turned=True) for s in range(30)
    ]
    turned = next(pose for pose in poses if pose.turn_deg)
    assert pupil.turned(turned).yaw == pytest.approx(pupil.spot.yaw + turned.turn_deg)
    assert all(stand_up(pupil.sitter, pupil.place, Draw(np.random.default_rng(s))).turn_deg == 0 for s in range(30))
