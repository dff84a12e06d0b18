"""The whole route on the memory bus with a manual clock: pictures in, a room's timeline out, and nothing ever sleeps."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
import pytest

from classpulse.codec import Outgoing, encode
from classpulse.reading import read_room
from classpulse.records import Frame, Record
from classpulse.topics import DETECTIONS, FRAMES
from tests.route.rig import BACK, FRONT, LONG_MS, ROOM, STEP_MS, Bright, Route
from tests.services.ingest.making import Act, told


def lesson(until_ms: int = LONG_MS) -> list[Act]:
    return [Bright(at_ms) for at_ms in range(0, until_ms, STEP_MS)]


def test_a_hand_that_was_up_is_one_event_and_a_flash_of_one_is_none() -> None:
    route = Route()
    route.ingest(FRONT, lesson())
    spans = route.timeline().spans
    began_ms = route.clock.now_ms() - 20_000 - LONG_MS  # each loop let 10 s go by; the clip ended when it was read
    assert [(s.behaviour, s.started_at_ms - began_ms, (s.ended_at_ms or 0) - began_ms) for s in spans] == [
        ("hand-raising", 5_000, 9_000)
    ]


def test_every_frame_is_in_the_timeline_and_the_whole_lesson_is_covered() -> None:
    route = Route()
    route.ingest(FRONT, lesson())
    route.timeline()
    buckets = route.buckets()
    assert all(bucket.final for bucket in buckets)
    assert sum(bucket.frames for bucket in buckets) == LONG_MS // STEP_MS
    assert sum(bucket.observed_ms for bucket in buckets) == sum(bucket.due_ms for bucket in buckets) == LONG_MS
    assert not any(bucket.missing for bucket in buckets)


def test_two_cameras_of_a_room_do_not_share_their_frames() -> None:
    route = Route()
    route.ingest(FRONT, lesson())
    route.ingest(BACK, lesson())
    route.timeline()
    assert sum(bucket.frames for bucket in route.buckets()) == 2 * LONG_MS // STEP_MS


def test_aggregating_the_same_detections_again_gives_the_same_bytes() -> None:
    first, second = Route(), Route()
    for route in (first, second):
        route.ingest(FRONT, lesson())
        route.detect()
    first.aggregate()
    for _ in range(3):
        second.aggregate()  # as often as it is started again
    assert first.figures() == second.figures()


Retold = Sequence[Record | Outgoing]


def retold(change: Callable[[Frame], Retold]) -> tuple[Route, Route]:
    """A lesson as it was, and the same lesson with its frames changed on their way to detect."""
    plain, changed = Route(), Route()
    plain.ingest(FRONT, lesson())
    story: list[Record | Outgoing] = []
    for noun in told(plain.bus, FRONT):
        story += change(noun) if isinstance(noun, Frame) else [noun]
    changed.tell(FRONT, story)
    for route in (plain, changed):
        route.timeline()
    return plain, changed


def test_frames_told_twice_count_once() -> None:
    plain, twice = retold(lambda frame: [frame, frame])
    assert twice.figures() == plain.figures()
    assert len(spans(twice)) == 1


def spans(route: Route) -> list[tuple[str, int, int | None]]:
    return [(s.behaviour, s.started_at_ms, s.ended_at_ms) for s in read_room(route.bus, ROOM).spans]


def lags(route: Route) -> tuple[int, int]:
    """Records that detect and aggregate have not read."""
    return route.bus.lag("detect", FRAMES)[0], route.bus.lag("aggregate", DETECTIONS)[0]


def check_hole(plain: Route, holed: Route, place: int, reason: str) -> None:
    """One frame is missing where it was, said once, and nothing else has changed."""
    (hole,) = [bucket for bucket in holed.buckets() if bucket.missing]
    assert hole.missing == read_room(holed.bus, ROOM).missing == {reason: 1}
    assert hole.start_ms == plain.buckets()[place * STEP_MS // 10_000].start_ms
    assert [b.start_ms for b in holed.buckets()] == [b.start_ms for b in plain.buckets()]
    assert sum(bucket.frames for bucket in holed.buckets()) == LONG_MS // STEP_MS - 1
    assert spans(holed) == spans(plain)
    assert holed.dead() == [reason]
    assert lags(holed) == (0, 0)


@pytest.mark.parametrize("place", [3, 30])
def test_a_corrupt_picture_is_a_hole_with_its_reason_and_nothing_else_is_lost(place: int) -> None:
    plain, holed = retold(
        lambda frame: [msgspec.structs.replace(frame, jpeg=frame.jpeg[:40]) if frame.sequence == place else frame]
    )
    check_hole(plain, holed, place, "corrupt_jpeg")
    assert sum(b.due_ms for b in holed.buckets()) - sum(b.observed_ms for b in holed.buckets()) == STEP_MS


AHEAD_MS = 3_600_000
"""So far ahead: whoever believed it would close every bucket before the lesson is over."""


def ahead(frame: Frame) -> Frame:
    return msgspec.structs.replace(frame, captured_at_ms=frame.captured_at_ms + AHEAD_MS)


@pytest.mark.parametrize("first", [True, False])
def test_a_frame_from_the_future_beside_a_true_one_changes_nothing(first: bool) -> None:
    def doubled(frame: Frame) -> Retold:
        both = [ahead(frame), frame] if first else [frame, ahead(frame)]
        return both if frame.sequence == 10 else [frame]

    plain, disturbed = retold(doubled)
    assert disturbed.figures() == plain.figures()
    assert spans(disturbed) == spans(plain)
    assert disturbed.dead() == ["from_the_future"]
    assert lags(disturbed) == (0, 0)


def test_a_frame_from_the_future_in_place_of_a_true_one_is_missing_where_that_one_was() -> None:
    plain, disturbed = retold(lambda frame: [ahead(frame) if frame.sequence == 10 else frame])
    check_hole(plain, disturbed, 10, "from_the_future")


def with_header(record: Outgoing, name: str, value: bytes) -> Outgoing:
    return replace(record, headers=tuple((key, value if key == name else old) for key, old in record.headers))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda record: replace(record, value=None), "empty"),
        (lambda record: replace(record, value=b""), "empty"),
        (lambda record: with_header(record, "ce_type", b"classpulse.Frame.v2"), "unknown_version"),
        (lambda record: with_header(record, "ce_type", b"classpulse.FrameDetections.v1"), "wrong_type"),
        (lambda record: with_header(record, "classpulse", b'{"camera": 7}'), "wrong_type"),
        (lambda record: with_header(record, "classpulse", b"no JSON"), "wrong_type"),
    ],
    ids=["no value", "an empty value", "a later version", "another noun", "a field of another type", "no JSON"],
)
def test_a_frame_that_cannot_be_read_is_a_hole_with_its_reason_and_one_dead_letter(
    spoil: Callable[[Outgoing], Outgoing], reason: str
) -> None:
    def spoilt(frame: Frame) -> Retold:
        record = encode(frame, topic=FRAMES, at_ms=frame.captured_at_ms)
        return [spoil(record) if frame.sequence == 30 else record]

    plain, holed = retold(spoilt)
    check_hole(plain, holed, 30, reason)


def test_a_disk_that_is_full_for_a_while_in_every_stage_costs_nothing() -> None:
    route = Route()
    for work in (lambda: route.ingest(FRONT, lesson()), route.detect, route.aggregate):
        route.bus.refusals = 20
        work()
        assert route.bus.refusals == 0, "it tried until there was room"
    assert [(s.behaviour, (s.ended_at_ms or 0) - s.started_at_ms) for s in read_room(route.bus, ROOM).spans] == [
        ("hand-raising", 4_000)
    ]
    assert sum(bucket.frames for bucket in route.buckets()) == LONG_MS // STEP_MS
    assert sum(bucket.observed_ms for bucket in route.buckets()) == LONG_MS
    assert not any(bucket.missing for bucket in route.buckets())
