"""What is drawn, from the seed to the file: pictures, moments of lessons, lessons. The set-up of a room costs seconds."""

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from classpulse.demo.bundled import LESSONS
from classpulse.demo.truth import load_truth
from gesturedet.data.voc import read_split
from synthroom.crew import own_renderer
from synthroom.lesson import LessonPlan, is_done, make_lesson, staged, truth_path
from synthroom.moments import MOMENTS_MS, moments
from synthroom.pictures import DataSet, Still, write_scene, write_stills
from synthroom.renderer import Renderer
from synthroom.seeds import lesson_seed
from tests.model.synthroom.conftest import HEIGHT, WIDTH

pytestmark = [pytest.mark.synth, pytest.mark.xdist_group("synth")]

PLAN = LessonPlan(pupils=(12, 12), hands=30, stands=10, sleeps=6, width=WIDTH, height=HEIGHT)


def drawn_moments(renderer: Renderer, lesson: int) -> list[Still]:
    with staged(renderer, lesson_seed("train", lesson), PLAN) as scene:
        return list(moments(scene))


@pytest.fixture(scope="module")
def stills(renderer: Renderer) -> list[Still]:
    return drawn_moments(renderer, 0)


def test_the_same_seed_draws_the_same_moments_and_another_others(renderer: Renderer, stills: list[Still]) -> None:
    again, other = drawn_moments(renderer, 0), drawn_moments(renderer, 1)

    assert len(stills) == len(MOMENTS_MS)
    for one, same in zip(stills, again, strict=True):
        assert np.array_equal(one.rgb, same.rgb)
        assert replace(one, rgb=same.rgb) == same
    assert not np.array_equal(stills[0].rgb, other[0].rgb)


def test_moments_hold_gestures_and_gestures_on_their_way(stills: list[Still]) -> None:
    held = [one.behaviour for still in stills for one in still.labels]

    assert {"hand-raising", "stand-up", "sleeping"} <= set(held)
    assert any(still.unsure for still in stills)
    for still in stills:
        assert {one.person for one in still.labels}.isdisjoint(one.person for one in still.unsure)


def test_what_is_written_is_what_training_reads(stills: list[Still], tmp_path: Path) -> None:
    data = DataSet(tmp_path, "train", recipe="moments", views=len(stills))
    data.add(write_stills(tmp_path, "train", 0, 15_000_000, stills))
    data.save()

    read = {picture.name: picture.truth for picture in read_split(tmp_path, "train")}

    for view, still in enumerate(stills):
        truth = read[f"train_000000_{view}"]
        both = (*still.labels, *still.unsure)
        boxes = np.array([one.box_xyxy for one in both], dtype=np.float64).reshape(-1, 4)
        np.testing.assert_allclose(truth.boxes_xyxy, boxes / (WIDTH, HEIGHT, WIDTH, HEIGHT), atol=1e-6)
        assert truth.ignored.tolist() == [False] * len(still.labels) + [True] * len(still.unsure)


def test_a_set_of_pictures_knows_what_it_lacks_and_draws_that_again(renderer: Renderer, tmp_path: Path) -> None:
    whole = DataSet(tmp_path, "train")
    assert whole.missing(6) == [0, 1]
    whole.add(write_scene(renderer, tmp_path, "train", 0))
    whole.save()
    assert DataSet(tmp_path, "train").missing(6) == [1]

    jpeg = tmp_path / "JPEGImages" / "train_000000_1.jpg"
    before = jpeg.read_bytes()
    jpeg.write_bytes(before[:-10])
    damaged = DataSet(tmp_path, "train")
    assert damaged.missing(3) == [0]
    write_scene(renderer, tmp_path, "train", 0)
    assert jpeg.read_bytes() == before


@pytest.mark.parametrize(("split", "recipe"), [("val", 5), ("train", 4), ("train", "moments")])
def test_a_folder_of_another_split_or_recipe_is_refused(tmp_path: Path, split: str, recipe: int | str) -> None:
    DataSet(tmp_path, "train").save()

    found = r"manifest\.json: split and recipe are \('train', 5\): expected .*another folder"
    with pytest.raises(ValueError, match=found):
        DataSet(tmp_path, split, recipe=recipe)


def test_a_lesson_is_filmed_the_same_again_and_its_boxes_say_where_it_was_seen(
    renderer: Renderer, tmp_path: Path
) -> None:
    plan = replace(PLAN, hands=6, stands=0, sleeps=0, duration_ms=16_000, fps=2)
    clips = [tmp_path / "one.mp4", tmp_path / "two.mp4"]
    for clip in clips:
        make_lesson(renderer, clip, lesson_seed("train", 0), plan, lambda: None)

    assert frames(clips[0]) == frames(clips[1])
    assert truth_path(clips[0]).read_bytes() == truth_path(clips[1]).read_bytes()
    told = json.loads(truth_path(clips[0]).read_text())
    assert told["frames"] == plan.frames == len(frames(clips[0]))
    assert any(span["visible"] for span in told["spans"])
    for span in told["spans"]:
        assert 0 <= span["started_ms"] < span["ended_ms"] <= plan.duration_ms
        assert "box_xyxy" in span or not span["visible"]


def test_a_lesson_without_gestures_is_filmed_and_its_truth_is_empty(renderer: Renderer, tmp_path: Path) -> None:
    plan = replace(PLAN, hands=0, stands=0, sleeps=0, duration_ms=12_000, fps=1)
    clip, seed = tmp_path / "quiet.mp4", lesson_seed("train", 1)
    make_lesson(renderer, clip, seed, plan, lambda: None)

    told = load_truth(truth_path(clip))
    shown = frames(clip)
    assert (told.spans, told.fps, told.duration_ms, told.pupils) == ((), 1, 12_000, 12)
    assert len(shown) == 12
    assert len(set(shown)) == 12, "they do nothing that counts, yet they move"
    assert is_done(clip, seed, plan)
    for other in (replace(plan, hands=1), replace(plan, fps=2), replace(plan, pupils=(12, 13))):
        assert not is_done(clip, seed, other)
    assert not is_done(clip, seed + 1, plan)


def frames(clip: Path) -> list[bytes]:
    with av.open(str(clip)) as container:
        return [frame.to_ndarray(format="rgb24").tobytes() for frame in container.decode(video=0)]


def test_the_bundled_lessons_are_played_by_this_code_from_their_seeds() -> None:
    bundled = json.loads((LESSONS / "lesson-1.truth.json").read_text())
    plan = LessonPlan()

    with staged(own_renderer(plan.width, plan.height), lesson_seed("demo", 0), plan) as scene:
        played = [(span.pupil, span.behaviour, span.started_ms, span.ended_ms) for span in scene.play.spans]

    assert bundled["seed"] == lesson_seed("demo", 0)
    assert played == [
        tuple(span[key] for key in ("pupil", "behaviour", "started_ms", "ended_ms")) for span in bundled["spans"]
    ]
