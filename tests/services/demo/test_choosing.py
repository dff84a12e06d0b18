import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from classpulse.demo.bundled import MOST_FPS, bundled_lessons, site_text
from classpulse.demo.choosing import LIGHTER, Choice, choice, pictures_per_s
from classpulse.errors import BadInput
from classpulse.settings import Settings
from classpulse.site import parse_site
from gesturedet.card import released_names

LESSONS = bundled_lessons()
NEEDED = sum(lesson.fps for lesson in LESSONS)
WORKERS, THREADS, RUNNER = "CLASSPULSE_DETECT_WORKERS", "CLASSPULSE_RUNTIME_THREADS", "CLASSPULSE_RUNNER"


def rates(bundled: float, lighter: float = 1000.0) -> Callable[[Settings], float]:
    """So many pictures a second with either."""
    return lambda settings: lighter if settings.model == Path(LIGHTER) else bundled


@pytest.mark.parametrize(
    ("rate", "cores", "environ", "broker", "model"),
    [
        (NEEDED / 1.5, 2, {}, False, ""),
        (NEEDED / 1.5 - 0.1, 2, {}, False, LIGHTER),
        (NEEDED / 1.5, 2, {}, True, LIGHTER),
        (NEEDED / 1.19, 2, {}, True, ""),
        (NEEDED / 1.19, 2, {RUNNER: "ray"}, True, LIGHTER),
        (NEEDED / 2, 64, {}, False, ""),
        (NEEDED / 2 - 0.1, 64, {}, False, LIGHTER),  # two workers look, however many cores there are
        (NEEDED / 8, 64, {WORKERS: "8"}, False, ""),
        (NEEDED - 0.1, 64, {WORKERS: "1"}, False, LIGHTER),
        (NEEDED / 1.5, 2, {THREADS: "2"}, False, LIGHTER),
        (NEEDED * 2 - 0.1, 1, {}, False, LIGHTER),
        (NEEDED * 4, 1, {RUNNER: "ray"}, True, ""),
    ],
)
def test_the_lighter_model_plays_where_the_cores_do_not_keep_up_beside_the_rest(
    rate: float, cores: int, environ: dict[str, str], broker: bool, model: str
) -> None:
    told = choice(environ, LESSONS, broker=broker, measure=rates(rate), count=lambda: cores)
    assert (told.model, told.fps, bool(told.why)) == (model, MOST_FPS, bool(model))


def test_it_is_said_what_was_measured_and_how_to_have_the_other() -> None:
    told = choice({}, LESSONS, measure=rates(4.0), count=lambda: 2)
    assert f"at 6.0 pictures a second beside the rest of its work, and the lessons have {NEEDED:.1f}" in told.why
    assert f"playing with {LIGHTER}" in told.why
    assert "CLASSPULSE_MODEL=classroom " in told.why
    assert LIGHTER in released_names()


@pytest.mark.parametrize(("rate", "fps"), [(11.9, 5.0), (8.0, 4.0), (1.0, 2.0)])
def test_who_names_a_model_has_it_with_as_many_pictures_as_it_can_look_at(rate: float, fps: float) -> None:
    told = choice({"CLASSPULSE_MODEL": "classroom"}, LESSONS, measure=lambda _: rate, count=lambda: 2)
    assert (told.model, told.fps) == ("", fps)
    assert told.why.endswith(f"playing at {fps:g} pictures a second of each lesson")


def test_where_the_lighter_model_is_too_slow_as_well_it_looks_at_fewer() -> None:
    told = choice({}, LESSONS, measure=rates(4.0, 9.0), count=lambda: 2)
    assert (told.model, told.fps) == (LIGHTER, 4.0)
    assert told.why.endswith("and at 4 pictures a second of each lesson")


def test_where_nothing_can_be_measured_the_settings_hold() -> None:
    assert choice({}, LESSONS, measure=lambda _: None) == Choice()


def test_a_variable_that_is_no_setting_is_refused_before_anything_is_played() -> None:
    with pytest.raises(BadInput, match="CLASSPULSE_RUNTIM"):
        choice({"CLASSPULSE_RUNTIM": "auto"}, LESSONS)


def test_this_machine_is_measured_with_the_lighter_model_being_faster() -> None:
    bundled, lighter = (pictures_per_s(Settings(model=model)) for model in (None, Path(LIGHTER)))
    assert bundled is not None
    assert lighter is not None
    assert bundled < lighter


def test_the_site_of_a_demo_names_the_model_where_one_was_chosen(tmp_path: Path) -> None:
    for model in ("", LIGHTER):
        site = parse_site(tomllib.loads(site_text(LESSONS, tmp_path, "UTC", model=model)), base=tmp_path, environ={})
        assert site.settings.model == (Path(model) if model else None)
