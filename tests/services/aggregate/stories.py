"""A harness for aggregate's tests: nouns told in order, and what came of them, without a bus."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from classpulse.aggregate.room import Publication
from classpulse.aggregate.rooms import Rooms
from classpulse.codec import Outgoing, Stored, decode, encode
from classpulse.records import (
    BehaviourEvent,
    CameraState,
    Delivery,
    Detection,
    Dropped,
    FrameDetections,
    Heartbeat,
    Record,
    RoomConfig,
    RoomPlan,
    StateEntry,
    TimelineBucket,
)
from classpulse.replay import kept
from classpulse.topics import AGGREGATE_STATE, DETECTIONS

ROOM = "t/s/room"
CAM = f"{ROOM}/cam"
A, B = f"{ROOM}/a", f"{ROOM}/b"
MODEL = "digest-1"
HAND, STAND, SLEEP = "hand-raising", "stand-up", "sleeping"


def at(place: int, behaviour: str = HAND, score: float = 1.0) -> Detection:
    """A detection at one of ten places side by side, numbered from the left."""
    return Detection(behaviour=behaviour, score=score, box_xyxy=(0.1 * place, 0.4, 0.1 * place + 0.08, 0.6))


def frame(
    sequence: int,
    at_ms: int,
    *detections: Detection,
    camera: str = CAM,
    epoch: int = 1,
    interval_ms: int = 200,
    model: str = MODEL,
) -> FrameDetections:
    return FrameDetections(
        camera=camera,
        epoch=epoch,
        sequence=sequence,
        captured_at_ms=at_ms,
        interval_ms=interval_ms,
        model=model,
        detections=detections,
    )


def beat(last_sequence: int, at_ms: int, state: CameraState = "up", *, camera: str = CAM, epoch: int = 1) -> Heartbeat:
    return Heartbeat(camera=camera, epoch=epoch, last_sequence=last_sequence, at_ms=at_ms, state=state)


def dropped(
    first: int, last: int, first_ms: int, last_ms: int, reason: str = "queue_full", *, camera: str = CAM, epoch: int = 1
) -> Dropped:
    return Dropped(
        camera=camera,
        epoch=epoch,
        first_sequence=first,
        last_sequence=last,
        first_ms=first_ms,
        last_ms=last_ms,
        reason=reason,
    )


def plan(
    *cameras: str,
    at_ms: int = 0,
    delivery: Delivery = "complete",
    bucket_ms: int = 10_000,
    config: RoomConfig | None = None,
) -> RoomPlan:
    return RoomPlan(
        config=config or RoomConfig(room=ROOM),
        cameras=dict.fromkeys(cameras, delivery),
        at_ms=at_ms,
        bucket_ms=bucket_ms,
    )


def frames(
    first_ms: int,
    last_ms: int,
    *detections: Detection,
    camera: str = CAM,
    epoch: int = 1,
    step_ms: int = 200,
    first: int = 0,
) -> list[FrameDetections]:
    """Frames every `step_ms` from `first_ms` up to and including `last_ms`, all showing the same."""
    times = range(first_ms, last_ms + 1, step_ms)
    return [
        frame(first + i, ms, *detections, camera=camera, epoch=epoch, interval_ms=step_ms) for i, ms in enumerate(times)
    ]


@dataclass
class Told:
    """What was published, in order, and the state as a compacted topic would keep it."""

    events: list[BehaviourEvent] = field(default_factory=list)
    buckets: list[TimelineBucket] = field(default_factory=list)
    state: dict[str, StateEntry] = field(default_factory=dict)
    state_writes: int = 0

    @property
    def ended(self) -> list[BehaviourEvent]:
        return [event for event in self.events if event.phase == "ended"]

    @property
    def latest(self) -> list[TimelineBucket]:
        """The latest revision of each bucket, in time order."""
        return list(dict(sorted({b.start_ms: b for b in self.buckets}.items())).values())

    @property
    def finals(self) -> list[TimelineBucket]:
        return [bucket for bucket in self.buckets if bucket.final]

    @property
    def spans(self) -> list[tuple[str, int, int | None]]:
        return [(event.behaviour, event.started_at_ms, event.ended_at_ms) for event in self.ended]

    def bytes(self) -> list[bytes]:
        """What promise 2 is about: ended events and final buckets, canonical, sorted by key; twice published stays twice."""
        kept_ = [one for noun in (*self.events, *self.buckets) if (one := kept(noun)) is not None]
        return [one.body for one in sorted(kept_)]

    def publish(self, publications: Iterable[Publication]) -> None:
        for publication in publications:
            noun = publication.noun
            if isinstance(noun, BehaviourEvent):
                self.events.append(noun)
            else:
                self.buckets.append(noun)

    def remember(self, outputs: Iterable[Outgoing]) -> None:
        """What the state topic would keep of these outputs."""
        for output in outputs:
            assert output.topic == AGGREGATE_STATE.name
            self.state_writes += 1
            if output.value is None:
                del self.state[output.key]  # a tombstone for what never lay there is a fault
                continue
            entry = decode(stored(output))
            assert isinstance(entry, StateEntry)
            self.state[output.key] = entry


def stored(output: Outgoing, offset: int = 0) -> Stored:
    return Stored(output.topic, output.partition, offset, output.key, output.value, output.headers, 0)


def told(noun: Record, offset: int = 0) -> Stored:
    """The noun as it lies on detections.v1."""
    return stored(encode(noun, topic=DETECTIONS, at_ms=0), offset)


def remembered(rooms: Rooms) -> list[tuple[object, ...]]:
    """All that rooms know, to be compared; a room of which only a silence was told knows nothing, and lies nowhere."""
    return [
        (room.plan, room.clock_ms, room.frontier, room.stories, room.parts, room.newest, room.owing)
        for _, room in sorted(rooms.rooms().items())
        if room.plan is not None or room.stories
    ]


def play(
    nouns: Sequence[Record], *, batches: Sequence[int] = (), restarts: Iterable[int] = (), finish: bool = True
) -> Told:
    """Aggregate these nouns, all at once or in batches of these sizes over and over, restarted after the batches numbered.

    Every batch is one atomic step; a restart goes on from what lies on the state topic. `finish`: draw all final buckets.
    """
    result, rooms, restarts = Told(), Rooms(), set(restarts)
    sizes = list(batches) or [len(nouns)]
    place = number = 0
    while place < len(nouns):
        size = sizes[number % len(sizes)]
        for offset, noun in enumerate(nouns[place : place + size], start=place):
            result.publish(rooms.take(Stored(DETECTIONS.name, 0, offset, ROOM, b"", (), 0), noun))
        result.publish(rooms.finals())
        if restarts:
            result.remember(rooms.changes())
        if number in restarts:
            before, rooms = rooms, Rooms(list(result.state.values()))
            assert remembered(rooms) == remembered(before), "what lies on the bus is not what was in memory"
        place, number = place + size, number + 1
    while finish and (published := rooms.finals()):
        result.publish(published)
    return result
