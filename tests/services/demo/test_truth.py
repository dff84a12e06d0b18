import json
from pathlib import Path
from typing import Any

import pytest

from classpulse.demo.bundled import bundled_lessons, local_zone, site_text
from classpulse.demo.truth import TrueBehaviour, joined, judged, load_truth
from classpulse.errors import BadInput
from classpulse.records import Rule
from classpulse.site import parse_site

RULES = {"hand-raising": Rule(least_score=0.5, least_duration_ms=500, longest_gap_ms=1000)}
TRUTH = {
    "fps": 12.0,
    "frames": 24,
    "width": 960,
    "height": 540,
    "duration_ms": 2000,
    "seed": 7,
    "pupils": 12,
    "spans": [
        {
            "pupil": 3,
            "behaviour": "hand-raising",
            "started_ms": 100,
            "ended_ms": 900,
            "visible": True,
            "box_xyxy": [0.1, 0.1, 0.2, 0.3],
        }
    ],
}


def hand(started_ms: int, ended_ms: int, *, pupil: int = 1, visible: bool = True) -> TrueBehaviour:
    return TrueBehaviour(
        pupil=pupil, behaviour="hand-raising", started_ms=started_ms, ended_ms=ended_ms, visible=visible
    )


def a_lesson(folder: Path, number: int = 1, **changes: Any) -> Path:
    path = folder / f"lesson-{number}.truth.json"
    (folder / f"lesson-{number}.mp4").write_bytes(b"")
    path.write_text(json.dumps(TRUTH | changes))
    return path


def test_a_lesson_without_spans_has_nothing_to_find(tmp_path: Path) -> None:
    truth = load_truth(a_lesson(tmp_path, spans=[]))
    held = judged(truth.spans, RULES)["hand-raising"]
    assert (held.counted, held.others) == ((), ())


def test_a_truth_file_is_read_with_its_figures(tmp_path: Path) -> None:
    truth = load_truth(a_lesson(tmp_path))
    assert (truth.fps, truth.frames, truth.duration_ms) == (12.0, 24, 2000)
    assert (truth.spans[0].started_ms, truth.spans[0].ended_ms, truth.spans[0].visible) == (100, 900, True)


def test_an_absent_truth_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"truth = '.*none\.truth\.json': No such file.*; expected the truth beside the clip"
    ):
        load_truth(tmp_path / "none.truth.json")


def test_a_truth_file_without_a_key_names_it_and_the_keys_there_should_be(tmp_path: Path) -> None:
    path = tmp_path / "lesson-1.truth.json"
    path.write_text(json.dumps({key: value for key, value in TRUTH.items() if key != "fps"}))
    with pytest.raises(BadInput, match=r"lesson-1\.truth\.json': .*`fps`.*; expected the keys fps, frames, width"):
        load_truth(path)


def test_a_span_that_ends_before_it_starts_is_named(tmp_path: Path) -> None:
    span = TRUTH["spans"][0] | {"ended_ms": 50}  # type: ignore[index]
    with pytest.raises(BadInput, match=r"spans\[1\] lasts 100\.\.50 ms; expected 0 <= start < end"):
        load_truth(a_lesson(tmp_path, spans=[TRUTH["spans"][0], span]))  # type: ignore[index]


def test_only_what_was_visible_and_lasted_as_the_rule_asks_is_counted() -> None:
    spans = [hand(0, 500), hand(5000, 5499, pupil=2), hand(0, 9000, pupil=3, visible=False)]
    held = judged(spans, RULES)["hand-raising"]
    assert held.counted == (spans[0],)
    assert set(held.others) == {spans[1], spans[2]}


def test_a_behaviour_without_a_rule_is_not_judged() -> None:
    assert set(judged([hand(0, 900)], {})) == set()


def test_a_short_gap_of_one_pupil_does_not_part_an_event_and_a_longer_one_does() -> None:
    assert joined([hand(0, 400), hand(1400, 1800), hand(2801, 3300)], 1000) == [hand(0, 1800), hand(2801, 3300)]


def test_the_same_gap_between_two_pupils_parts_two_events() -> None:
    spans = [hand(0, 400), hand(900, 1800, pupil=2)]
    assert joined(spans, 1000) == spans


def test_a_folder_without_clips_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"lessons = '.*': holds no clip; expected lesson-1\.mp4"):
        bundled_lessons(tmp_path)


def test_each_clip_gets_a_room_and_a_camera_of_its_own(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        a_lesson(tmp_path, number)
    lessons = bundled_lessons(tmp_path)
    assert [lesson.camera for lesson in lessons] == [f"demo/school/room-{n}/front" for n in (1, 2, 3)]


def test_the_demos_site_is_one_that_a_site_reader_accepts(tmp_path: Path) -> None:
    import tomllib

    folder = tmp_path / 'a "quoted" folder'
    folder.mkdir()
    a_lesson(folder)
    lessons = bundled_lessons(folder)
    site = parse_site(tomllib.loads(site_text(lessons, folder / "data", "Europe/Berlin")), base=tmp_path, environ={})
    (camera,) = site.cameras
    assert (camera.camera, camera.delivery, camera.fps) == (lessons[0].camera, "complete", 6.0)
    assert camera.source == f"file://{lessons[0].clip}?pace=realtime"
    assert site.settings.detect_workers == 2, "one alone does not keep up on a slow core"
    assert (site.rooms[0].time_zone, site.settings.data) == ("Europe/Berlin", folder / "data")


def test_the_local_zone_is_what_the_machine_links_to_and_utc_where_it_links_to_nothing(tmp_path: Path) -> None:
    zone = tmp_path / "zoneinfo" / "Europe" / "Berlin"
    zone.parent.mkdir(parents=True)
    zone.write_bytes(b"")
    (tmp_path / "localtime").symlink_to(zone)
    assert local_zone(tmp_path / "localtime") == "Europe/Berlin"
    (tmp_path / "utc").symlink_to(zone.parent.parent / "Etc" / "UTC")
    assert local_zone(tmp_path / "utc") == local_zone(tmp_path / "nothing") == "UTC"
