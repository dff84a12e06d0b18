"""One lesson: its verdict by what was told of it and by the time."""

import pytest

from classpulse.canary.lesson import Known, Lesson, Verdict
from classpulse.records import BehaviourEvent, CameraReport, FrameDetections, IngestState, Phase

T = 1_800_000_000_000
LATE_MS = 15_000
CAMERA = "t/s/canary-1/0"
SOURCE = "file:///lesson.mp4?pace=realtime#1"
STAND = Known("stand-up", 3_000, 16_000, 4_000)
HAND = Known("hand-raising", 7_000, 15_000, 7_500)


def lesson(node: str = "a", *known: Known) -> Lesson:
    return Lesson(node, CAMERA, SOURCE, known or (STAND, HAND), declared_ms=T, late_ms=LATE_MS)


def begun(started_at_ms: int = T, *, source: str = SOURCE, pictures: int = 1) -> IngestState:
    return IngestState(
        camera=CAMERA,
        source=source,
        epoch=3,
        next_sequence=pictures,
        last_ms=started_at_ms,
        position_ms=0,
        started_at_ms=started_at_ms,
    )


def looked(at_ms: int, camera: str = CAMERA) -> FrameDetections:
    return FrameDetections(
        camera=camera, epoch=3, sequence=0, captured_at_ms=at_ms, interval_ms=200, model="m", detections=()
    )


def report(node: str, stage: str = "detect") -> CameraReport:
    return CameraReport(camera=CAMERA, at_ms=T, stage=stage, state="up", node=node)


def event(behaviour: str, started_at_ms: int, *, camera: str = CAMERA, phase: Phase = "started") -> BehaviourEvent:
    return BehaviourEvent(
        id=f"{camera}/3/{behaviour}/{started_at_ms}/0",
        room="t/s/canary-1",
        behaviour=behaviour,
        phase=phase,
        started_at_ms=started_at_ms,
        model="m",
    )


def missed(one: Lesson, now_ms: int) -> str:
    verdict = one.verdict(now_ms)
    assert verdict is not None
    assert verdict.missed
    return verdict.why


def test_a_lesson_of_which_nothing_comes_is_open_and_then_missed_for_want_of_pictures() -> None:
    one = lesson()
    assert one.verdict(T) is None
    assert one.verdict(T + 2 * LATE_MS - 1) is None
    assert one.verdict(T + 2 * LATE_MS) == Verdict("a", (), "no picture of it was captured")


def test_events_in_time_make_a_lesson_that_came_with_the_delay_of_each() -> None:
    one = lesson()
    one.hear(begun(T + 1_000), T + 1_000)
    one.hear(event("stand-up", T + 1_000 + 3_100), T + 1_000 + 4_300)
    assert one.verdict(T + 6_000) is None
    one.hear(event("hand-raising", T + 1_000 + 7_000), T + 1_000 + 7_500 + LATE_MS)
    assert one.verdict(T + 30_000) == Verdict("a", (300, LATE_MS), "")


def test_an_event_sooner_than_its_rule_would_have_it_came_without_delay() -> None:
    one = lesson("a", HAND)
    one.hear(begun(), T)
    one.hear(event("hand-raising", T + 6_500), T + 7_100)
    assert one.verdict(T + 8_000) == Verdict("a", (0,), "")


def test_an_event_that_is_heard_of_before_the_lesson_s_beginning_counts_all_the_same() -> None:
    one = lesson("a", STAND)
    one.hear(event("stand-up", T + 3_000), T + 4_500)
    assert one.verdict(T + 5_000) is None
    one.hear(begun(), T)
    assert one.verdict(T + 5_000) == Verdict("a", (500,), "")


def test_an_event_that_comes_too_late_is_missed_and_it_is_said_by_how_much() -> None:
    one = lesson()
    one.hear(begun(), T)
    one.hear(event("stand-up", T + 3_000), T + 4_000 + LATE_MS + 2_500)
    assert missed(one, T + 30_000) == "an event came 2.5 s too late"


def test_pictures_that_nobody_looks_at_are_said() -> None:
    one = lesson()
    one.hear(begun(pictures=20), T)
    assert one.verdict(T + 4_000 + 2 * LATE_MS - 1) is None
    assert missed(one, T + 4_000 + 2 * LATE_MS) == "pictures of it were captured (20) and none was looked at"


def test_a_node_that_stops_looking_is_said_with_when() -> None:
    one = lesson()
    one.hear(begun(), T)
    one.hear(begun(pictures=70), T)
    one.hear(looked(T + 2_200), T + 2_300)
    why = "pictures of it were captured (70), and looked at up to its second 2.2"
    assert missed(one, T + 60_000) == why


def test_pictures_that_were_looked_at_and_no_event_are_said() -> None:
    one = lesson()
    one.hear(begun(pictures=70), T)
    one.hear(looked(T + 14_000), T + 14_100)
    one.hear(event("stand-up", T + 3_000), T + 4_100)
    why = "it was looked at up to its second 14.0, and no hand-raising became an event"
    assert missed(one, T + 60_000) == why


def test_a_bus_that_does_not_answer_is_said() -> None:
    one = lesson()
    one.trouble = "database is locked"
    assert missed(one, T + 60_000) == "the bus does not answer: database is locked"


@pytest.mark.parametrize(
    "told",
    [
        event("stand-up", T + 3_000, camera="t/s/canary-1/01"),
        event("stand-up", T + 3_000, phase="ended"),
        event("sleeping", T + 3_000),
        event("stand-up", T + 1_900),
        event("stand-up", T + 16_000),
        event("stand-up", T - 290_000),
        looked(T + 4_000, camera="t/s/canary-1/1"),
    ],
)
def test_what_is_not_of_this_lesson_changes_nothing(told: BehaviourEvent | FrameDetections) -> None:
    one = lesson("a", STAND)
    one.hear(begun(), T)
    one.hear(told, T + 4_000)
    assert missed(one, T + 60_000) == "pictures of it were captured (1) and none was looked at"


def test_what_comes_late_of_an_earlier_lesson_is_no_sign_of_life() -> None:
    one = lesson("a", STAND)
    one.hear(begun(T - 300_000, source="file:///lesson.mp4?pace=realtime#0"), T)
    one.hear(begun(T, pictures=0), T)
    assert missed(one, T + 60_000) == "no picture of it was captured"
    one.hear(looked(T - 290_000), T)
    one.hear(begun(T), T)
    assert missed(one, T + 60_000) == "pictures of it were captured (1) and none was looked at"


def test_one_event_does_not_stand_for_two() -> None:
    one = lesson("a", HAND, Known("hand-raising", 8_000, 15_000, 8_500))
    one.hear(begun(), T)
    one.hear(event("hand-raising", T + 8_000), T + 8_600)
    assert one.verdict(T + 20_000) is None
    one.hear(event("hand-raising", T + 8_100), T + 8_700)
    assert one.verdict(T + 20_000) == Verdict("a", (1_100, 200), "")


def test_a_lesson_that_came_is_of_the_node_that_looked_and_one_that_was_missed_of_the_one_that_was_to() -> None:
    one = lesson("a", STAND)
    one.hear(report("i", stage="ingest"), T)
    one.hear(report("b"), T)
    assert (verdict := one.verdict(T + 60_000)) is not None
    assert verdict.node == "a"
    one.hear(begun(), T)
    one.hear(event("stand-up", T + 3_000), T + 4_000)
    assert one.verdict(T + 5_000) == Verdict("b", (0,), "")


def test_where_nobody_was_to_look_it_is_who_looked_or_none() -> None:
    one = lesson("")
    assert (verdict := one.verdict(T + 60_000)) is not None
    assert verdict.node == "none"
    one.hear(report("b"), T)
    assert (verdict := one.verdict(T + 60_000)) is not None
    assert verdict.node == "b"
