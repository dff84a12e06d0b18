"""The whole route on the memory bus with a manual clock: pictures in, a room's timeline out, and nothing ever sleeps."""

from collections.abc import Callable, Mapping, Sequence

import msgspec
import pytest

from classpulse.aggregate.aggregate import Aggregate
from classpulse.bus.base import Place
from classpulse.bus.memory import MemoryBus, MemoryMember
from classpulse.clock import ManualClock
from classpulse.codec import Outgoing, decode, encode
from classpulse.detect.deliveries import Deliveries
from classpulse.detect.pictures import Picture
from classpulse.detect.worker import Detect
from classpulse.errors import StorageFull
from classpulse.reading import RoomTimeline, read_room
from classpulse.records import CameraConfig, DeadLetter, Detection, Frame, Record, RoomConfig, TimelineBucket
from classpulse.stage import Loop, Pace
from classpulse.topics import CAMERAS, DEAD_LETTERS, DETECTIONS, FRAMES, ROOMS, TIMELINES, TOPICS
from tests.services.ingest.making import ScriptedSource, StillPicture, play, told

ROOM = "district/school/room"
FRONT, BACK = f"{ROOM}/front", f"{ROOM}/back"
NOW_MS = 1_795_000_000_000
LONG_MS = 30_000
STEP_MS = 200


class BrightEyes:
    """Sees a raised hand in bright pictures; a scripted picture is as bright as its stream time says."""

    digest = "b" * 64

    def see(self, picture: Picture) -> list[Detection]:
        if picture.mean() < 128:
            return []
        return [Detection(behaviour="hand-raising", score=0.9, box_xyxy=(0.1, 0.1, 0.4, 0.6))]


class Bright(StillPicture):
    """A still picture, bright while a hand is up: from 5 to 9 s and from 20 to 20.4 s of the clip."""

    def scaled(self, width: int, height: int) -> Picture:
        up = 5_000 <= self.pts_ms < 9_000 or 20_000 <= self.pts_ms < 20_400
        picture = super().scaled(width, height)
        picture[:] = 200 if up else 20
        return picture


class Disk(MemoryBus):
    """A bus whose disk can be full: it refuses so many commits of the stages, then there is room again."""

    refusals = 0

    def apply(self, member: MemoryMember, outputs: Sequence[Outgoing], positions: Mapping[Place, int]) -> None:
        if self.refusals and not any(output.topic == CAMERAS.name for output in outputs):
            self.refusals -= 1
            raise StorageFull("no room; expected some")
        super().apply(member, outputs, positions)


class Route:
    """One room with as many cameras as are played, each in complete delivery."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW_MS)
        self.bus = Disk(clock=self.clock)
        self.bus.create(tuple(TOPICS.values()))
        self.operator = self.bus.member("operator", ())
        self.operator.commit([encode(RoomConfig(room=ROOM), topic=ROOMS, at_ms=NOW_MS)], {})

    def ingest(self, camera: str, *scripts: list[object]) -> None:
        config = CameraConfig(camera=camera, source=f"file:///{camera}.mp4", delivery="complete")
        self.operator.commit([encode(config, topic=CAMERAS, at_ms=NOW_MS)], {})
        source = ScriptedSource(*scripts, recorded=True, paced=False, duration_ms=LONG_MS)  # type: ignore[arg-type]
        play(config, self.bus, self.clock, source=source)

    def tell(self, camera: str, story: list[Record]) -> None:
        """Put a camera's story on the bus as it is, without a camera."""
        config = CameraConfig(camera=camera, source="file:///told.mp4", delivery="complete")
        self.operator.commit([encode(config, topic=CAMERAS, at_ms=NOW_MS)], {})
        for noun in story:
            self.operator.commit([encode(noun, topic=FRAMES, at_ms=self.clock.now_ms())], {})

    def detect(self) -> None:
        with Detect(BrightEyes(), Deliveries(self.bus, self.clock), self.clock, freshness_ms=5_000) as stage:
            self._drain(Loop(stage, self.bus, self.bus.member("detect", [FRAMES]), self.clock, Pace(timeout_ms=0)))

    def aggregate(self) -> None:
        member = self.bus.member("aggregate", [DETECTIONS])
        stage = Aggregate(self.bus, self.clock, member.assignment, bucket_ms=10_000)
        self._drain(Loop(stage, self.bus, member, self.clock, Pace(timeout_ms=0)))

    def _drain(self, loop: Loop) -> None:
        for _ in range(10):
            self.clock.advance(1_000)
            while loop.turn():
                continue

    def timeline(self) -> RoomTimeline:
        self.detect()
        self.aggregate()
        return read_room(self.bus, ROOM)

    def buckets(self) -> list[TimelineBucket]:
        found = [decode(record) for record in self.bus.latest(TIMELINES)]
        return sorted((b for b in found if isinstance(b, TimelineBucket)), key=lambda b: b.start_ms)

    def dead(self) -> list[str]:
        """The reasons of all dead letters."""
        records = self.bus.fetch(Place(DEAD_LETTERS.name, 0), 0, max_records=1_000, max_bytes=1 << 30)
        return [noun.reason for noun in map(decode, records) if isinstance(noun, DeadLetter)]


def lesson(until_ms: int = LONG_MS) -> list[object]:
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
    plain = [[msgspec.structs.replace(b, revision=0) for b in route.buckets()] for route in (first, second)]
    assert plain[0] == plain[1]


def retold(change: Callable[[Frame], list[Record]]) -> tuple[Route, Route]:
    """A lesson as it was, and the same lesson with its frames changed on their way to detect."""
    plain, changed = Route(), Route()
    plain.ingest(FRONT, lesson())
    story: list[Record] = []
    for noun in told(plain.bus, FRONT):
        story += change(noun) if isinstance(noun, Frame) else [noun]
    changed.tell(FRONT, story)
    for route in (plain, changed):
        route.timeline()
    return plain, changed


def figures(route: Route) -> list[TimelineBucket]:
    return [msgspec.structs.replace(bucket, revision=0) for bucket in route.buckets()]


def test_frames_told_twice_count_once() -> None:
    plain, twice = retold(lambda frame: [frame, frame])
    assert figures(twice) == figures(plain)
    assert len(read_room(twice.bus, ROOM).spans) == 1


@pytest.mark.parametrize(("place", "spans"), [(3, 1), (30, 1)])
def test_a_corrupt_picture_is_a_hole_with_its_reason_and_nothing_else_is_lost(place: int, spans: int) -> None:
    plain, holed = retold(
        lambda frame: [msgspec.structs.replace(frame, jpeg=frame.jpeg[:40]) if frame.sequence == place else frame]
    )
    (hole,) = [bucket for bucket in holed.buckets() if bucket.missing]
    assert hole.missing == {"corrupt_jpeg": 1}
    assert hole.start_ms == plain.buckets()[place * STEP_MS // 10_000].start_ms
    assert sum(bucket.frames for bucket in holed.buckets()) == LONG_MS // STEP_MS - 1
    assert sum(b.due_ms for b in holed.buckets()) - sum(b.observed_ms for b in holed.buckets()) == STEP_MS
    assert holed.dead() == ["corrupt_jpeg"]
    assert len(read_room(holed.bus, ROOM).spans) == spans


def test_a_frame_from_the_future_is_a_dead_letter_and_the_timeline_stays_true() -> None:
    """An hour ahead: whoever believed it would close every bucket before the lesson is over."""

    def ahead(frame: Frame) -> list[Record]:
        future = msgspec.structs.replace(
            frame, camera=BACK, sequence=0, captured_at_ms=frame.captured_at_ms + 3_600_000
        )
        return [future, frame] if frame.sequence == 10 else [frame]

    plain, disturbed = retold(ahead)
    assert figures(disturbed) == figures(plain)
    assert disturbed.dead() == ["from_the_future"]


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
