"""The route's parts on one memory bus with one manual clock: what its tests share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from classpulse.aggregate.aggregate import Aggregate
from classpulse.bus.base import Member, Place
from classpulse.bus.memory import MemoryBus, MemoryMember
from classpulse.clock import ManualClock
from classpulse.codec import Outgoing, decode, encode
from classpulse.detect.deliveries import Deliveries
from classpulse.detect.pictures import Picture
from classpulse.detect.worker import Detect
from classpulse.errors import StorageFull
from classpulse.reading import RoomTimeline, read_room
from classpulse.records import CameraConfig, DeadLetter, Detection, Record, RoomConfig, TimelineBucket
from classpulse.stage import Loop, Pace, Stage
from classpulse.topics import CAMERAS, DEAD_LETTERS, DETECTIONS, FRAMES, ROOMS, TIMELINES, TOPICS
from classpulse.tracing import Tracer
from tests.services.ingest.making import Act, ScriptedSource, StillPicture, play
from tests.support import Shown

ROOM = "district/school/room"
FRONT, BACK = f"{ROOM}/front", f"{ROOM}/back"
NOW_MS = 1_795_000_000_000
LONG_MS = 30_000
STEP_MS = 200
FRESHNESS_MS = 5_000


class BrightSight:
    """Sees a raised hand in bright pictures; a scripted picture is as bright as its time says."""

    refused, at_once = "", 1

    def digest(self, camera: str) -> str:
        return "b" * 64

    def follow(self) -> None:
        """There is no other."""

    def see(self, pictures: Sequence[tuple[str, Picture]]) -> list[tuple[str, list[Detection]]]:
        hand = Detection(behaviour="hand-raising", score=1.0, box_xyxy=(0.1, 0.1, 0.4, 0.6))
        return [(self.digest(camera), [] if picture.mean() < 128 else [hand]) for camera, picture in pictures]


@dataclass
class Bright(StillPicture):
    """A still picture, bright while a hand is up: from 5 to 9 s and from 20 to 20.4 s of the lesson.

    `ahead_ms`: how far the camera's clock is ahead of the lesson's.
    """

    ahead_ms: int = 0

    def scaled(self, width: int, height: int) -> Picture:
        at_ms = self.pts_ms - self.ahead_ms
        up = 5_000 <= at_ms < 9_000 or 20_000 <= at_ms < 20_400
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
    """One room with as many cameras as are played, each in complete delivery. `tracers`: of stages that are traced."""

    def __init__(self, tracers: Mapping[str, Tracer] | None = None) -> None:
        self.tracers = dict(tracers or {})
        self.clock = ManualClock(NOW_MS)
        self.bus = Disk(clock=self.clock)
        self.bus.create(tuple(TOPICS.values()))
        self.operator = self.bus.member("operator", ())
        self.operator.commit([encode(RoomConfig(room=ROOM), topic=ROOMS, at_ms=NOW_MS)], {})

    def declare(self, config: CameraConfig) -> None:
        self.operator.commit([encode(config, topic=CAMERAS, at_ms=NOW_MS)], {})

    def ingest(self, camera: str, *scripts: list[Act]) -> None:
        config = CameraConfig(camera=camera, source=f"file:///{camera}.mp4", delivery="complete")
        self.declare(config)
        source = ScriptedSource(*scripts, recorded=True, paced=False, duration_ms=LONG_MS)
        play(config, self.bus, self.clock, source=source, tracer=self.tracers.get("ingest"))

    def tell(self, camera: str, story: Sequence[Record | Outgoing]) -> None:
        """Put a camera's story on the bus as it is, without a camera; a part of it may be no noun at all."""
        self.declare(CameraConfig(camera=camera, source="file:///told.mp4", delivery="complete"))
        for told in story:
            record = told if isinstance(told, Outgoing) else encode(told, topic=FRAMES, at_ms=self.clock.now_ms())
            self.operator.commit([record], {})

    def detect(self) -> None:
        with self.worker() as stage:
            self._drain(self.detecting(stage))

    def aggregate(self) -> None:
        self._drain(self.aggregating())

    def worker(self) -> Detect:
        return Detect(
            BrightSight(), Deliveries(self.bus, self.clock), self.clock, metrics=Shown(), freshness_ms=FRESHNESS_MS
        )

    def detecting(self, stage: Detect) -> Loop:
        return self._loop(stage, self.bus.member("detect", [FRAMES]))

    def aggregating(self) -> Loop:
        member = self.bus.member("aggregate", [DETECTIONS])
        stage = Aggregate(
            self.bus, self.clock, member.assignment, metrics=Shown(), bucket_ms=10_000, on_its_way_ms=FRESHNESS_MS
        )
        return self._loop(stage, member)

    def _loop(self, stage: Stage, member: Member) -> Loop:
        tracer = self.tracers.get(stage.name)
        return Loop(stage, self.bus, member, self.clock, Pace(timeout_ms=0), metrics=Shown(), tracer=tracer)

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

    def figures(self) -> list[TimelineBucket]:
        """The buckets but for the number of times they were published."""
        return [msgspec.structs.replace(bucket, revision=0) for bucket in self.buckets()]

    def dead(self) -> list[str]:
        """The reasons of all dead letters."""
        records = self.bus.fetch(Place(DEAD_LETTERS.name, 0), 0, max_records=1_000, max_bytes=1 << 30)
        return [noun.reason for noun in map(decode, records) if isinstance(noun, DeadLetter)]
