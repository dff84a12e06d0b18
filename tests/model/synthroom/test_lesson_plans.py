"""What a lesson of some length holds, and what the command asks for; nothing is drawn."""

import pytest
from typer.testing import CliRunner

from synthroom.cli import app, lesson_plan
from synthroom.lesson import LessonPlan


def test_a_lesson_without_gestures_has_none_however_long() -> None:
    plan = lesson_plan(300, fps=5, gestures=False)

    assert (plan.hands, plan.stands, plan.sleeps) == (0, 0, 0)
    assert (plan.fps, plan.frames, plan.duration_ms) == (5, 1500, 300_000)


@pytest.mark.parametrize(("seconds", "gestures"), [(100, (18, 7, 6)), (200, (36, 14, 12)), (45, (8, 3, 3))])
def test_gestures_go_with_the_length(seconds: int, gestures: tuple[int, int, int]) -> None:
    plan = lesson_plan(seconds)

    assert (plan.hands, plan.stands, plan.sleeps) == gestures
    assert plan.fps == LessonPlan().fps


def test_no_frame_a_second_is_refused() -> None:
    done = CliRunner().invoke(app, ["lessons", "nowhere", "--fps", "0"])

    assert done.exit_code == 2
