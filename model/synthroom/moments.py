"""Moments: a lesson is played, not filmed, and a picture taken every few seconds; they become a labelled data set.

Training on them shows the net what a lesson's camera sees: the same corner, the same pupils, mostly nobody doing anything.
A gesture that holds is labelled; one that is on its way up or down is `difficult`, neither taught nor counted.
"""

from collections.abc import Iterator
from pathlib import Path

from synthroom.labels import Label, label, visible_box
from synthroom.lesson import LessonPlan, Staged, staged
from synthroom.pictures import LEAST_ADULT_PIXELS, Entry, Still, write_stills
from synthroom.renderer import Picture, Renderer
from synthroom.seeds import lesson_seed
from synthroom.sensor import expose

PLAN = LessonPlan(hands=40, stands=12, sleeps=8)
"""More gestures than a usual lesson has."""
MOMENTS_MS = range(2_000, PLAN.duration_ms - 1_000, 4_000)
RECIPE = "moments of lessons, recipe 3"  # raise it whenever the same seed would draw another picture
RISES_MS, FALLS_MS = 1_500, 2_000
"""How long before its span a gesture may be on its way, and after it on its way back."""


def write_moments(renderer: Renderer, out: Path, split: str, lesson: int) -> list[Entry]:
    """Draw one lesson's moments into the data set."""
    seed = lesson_seed(split, lesson)
    with staged(renderer, seed, PLAN) as scene:
        return write_stills(out, split, lesson, seed, moments(scene))


def moments(lesson: Staged) -> Iterator[Still]:
    """All moments of one lesson, in order; exposure is that of the first."""
    mean = None
    for at_ms in MOMENTS_MS:
        picture = lesson.film.frame(at_ms)
        mean = float(picture.rgb.mean()) if mean is None else mean
        held, unsure = labels_at(lesson, picture, at_ms)
        rgb = expose(picture.rgb, lesson.sensor, lesson.rng, mean=mean)
        yield Still(rgb, held, adults(lesson, picture), int(lesson.rng.integers(62, 93)), unsure, {"view": "lesson"})


def adults(lesson: Staged, picture: Picture) -> tuple[tuple[int, int, int, int], ...]:
    """Boxes of the teachers, as far as they show."""
    masks = [picture.persons == teacher.number for teacher in lesson.play.scene.teachers]
    return tuple(visible_box(mask) for mask in masks if mask.sum() >= LEAST_ADULT_PIXELS)


def labels_at(lesson: Staged, picture: Picture, at_ms: int) -> tuple[tuple[Label, ...], tuple[Label, ...]]:
    """Labels of gestures that hold at a moment, and of those on their way."""
    pupils = {pupil.number: pupil for pupil in lesson.play.scene.pupils}
    held, unsure = list[Label](), list[Label]()
    for span in lesson.play.spans:
        if not span.started_ms - RISES_MS <= at_ms < span.ended_ms + FALLS_MS:
            continue
        body = lesson.film.bodies[span.pupil][:, :3]
        found = label(picture, pupils[span.pupil], span.pose, body, lesson.backdrop.view_projection)
        if found is not None:
            (held if span.started_ms <= at_ms < span.ended_ms else unsure).append(found)
    busy = {one.person for one in held}
    return tuple(held), tuple(one for one in unsure if one.person not in busy)
