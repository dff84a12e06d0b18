"""How many cameras are in which state is always shown; each of them only where they are not too many."""

import pytest

from classpulse.ingest.figures import STATES, Figures
from classpulse.records import CameraReport, CameraState
from tests.support import Shown

ROOM = "district/school/room"


@pytest.fixture
def metrics() -> Shown:
    return Shown()


def report(name: str, state: CameraState = "up") -> CameraReport:
    return CameraReport(camera=f"{ROOM}/{name}", at_ms=0, stage="ingest", state=state)


def counts(metrics: Shown) -> dict[str, float | None]:
    return {state: metrics.value("cameras", state=state) for state in STATES}


def state_of(metrics: Shown, name: str) -> list[str]:
    shown = {state: metrics.value("camera_state", camera=f"{ROOM}/{name}", state=state) for state in STATES}
    assert set(shown.values()) in ({None}, {0, 1}), "all of its states, or none"
    return [state for state, value in shown.items() if value]


def seen_at(metrics: Shown, name: str) -> float | None:
    return metrics.value("camera_last_frame_timestamp_seconds", camera=f"{ROOM}/{name}")


def test_without_cameras_there_are_none_in_any_state(metrics: Shown) -> None:
    Figures(metrics, 10).show([], {})
    assert counts(metrics) == dict.fromkeys(STATES, 0)


def test_cameras_are_counted_by_state_and_shown_each(metrics: Shown) -> None:
    figures = Figures(metrics, 10)
    figures.show([report("a"), report("b"), report("c", "silent")], {f"{ROOM}/a": 5_500})
    assert counts(metrics) == {"up": 2, "connecting": 0, "silent": 1, "off": 0}
    assert (state_of(metrics, "a"), state_of(metrics, "c")) == (["up"], ["silent"])
    assert (seen_at(metrics, "a"), seen_at(metrics, "b")) == (5.5, None)
    figures.show([report("a", "silent"), report("b"), report("c")], {})
    assert (state_of(metrics, "a"), state_of(metrics, "c")) == (["silent"], ["up"])
    assert seen_at(metrics, "a") == 5.5, "a camera that gives no more frames was last seen when it was"


def test_a_camera_that_is_gone_is_shown_no_more(metrics: Shown) -> None:
    figures = Figures(metrics, 10)
    figures.show([report("a"), report("b")], {f"{ROOM}/a": 1_000})
    figures.show([report("b")], {})
    assert (counts(metrics)["up"], state_of(metrics, "a"), seen_at(metrics, "a")) == (1, [], None)
    assert state_of(metrics, "b") == ["up"]


def test_of_more_cameras_than_stated_none_is_shown_and_all_are_counted(metrics: Shown) -> None:
    figures = Figures(metrics, 2)
    figures.show([report("a"), report("b")], {f"{ROOM}/a": 1_000})
    assert state_of(metrics, "a") == ["up"]
    figures.show([report("a"), report("b"), report("c")], {f"{ROOM}/a": 2_000})
    assert [state_of(metrics, name) for name in "abc"] == [[], [], []]
    assert (seen_at(metrics, "a"), counts(metrics)["up"]) == (None, 3)
    figures.show([report("a"), report("b", "off")], {f"{ROOM}/a": 3_000})
    assert (state_of(metrics, "a"), state_of(metrics, "b"), seen_at(metrics, "a")) == (["up"], ["off"], 3)


def test_the_cameras_of_hidden_rooms_are_nobodys(metrics: Shown) -> None:
    lesson = CameraReport(camera="district/school/canary-1/0", at_ms=0, stage="ingest", state="up")
    Figures(metrics, 1).show([lesson, report("a")], {lesson.camera: 1_000})
    assert counts(metrics)["up"] == 1
    assert metrics.value("camera_state", camera=lesson.camera, state="up") is None
    assert metrics.value("camera_last_frame_timestamp_seconds", camera=lesson.camera) is None
    assert state_of(metrics, "a") == ["up"]
