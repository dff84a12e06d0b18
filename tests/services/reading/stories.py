"""Rooms written to a memory bus by hand, as the aggregator would."""

from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock
from classpulse.codec import encode
from classpulse.records import BehaviourEvent, BehaviourTotals, Record, RoomConfig, TimelineBucket
from classpulse.topics import EVENTS, ROOMS, TIMELINES, TOPICS, Topic

ROOM = "demo/school/room-1"
CAMERA = f"{ROOM}/cam-1"
EIGHT_MS = 1_772_434_800_000  # 2026-03-02T07:00:00Z = 08:00 in Berlin


def bus_with(*records: tuple[Topic, Record]) -> MemoryBus:
    bus = MemoryBus(clock=ManualClock(EIGHT_MS))
    bus.create(list(TOPICS.values()))
    bus.member("writer", []).commit([encode(noun, topic=topic, at_ms=EIGHT_MS) for topic, noun in records], {})
    return bus


def a_room(*, time_zone: str = "Europe/Berlin", room: str = ROOM) -> tuple[Topic, Record]:
    return ROOMS, RoomConfig(room=room, time_zone=time_zone)


def a_bucket(
    index: int,
    *,
    hands: tuple[int, int, int] | None = None,
    due_ms: int = 10_000,
    observed_ms: int = 10_000,
    missing: dict[str, int] | None = None,
    revision: int = 1,
    final: bool = True,
    room: str = ROOM,
) -> tuple[Topic, Record]:
    """Bucket `index` after eight o'clock; `hands` is (events, person_ms, peak) of hand-raising."""
    totals = {"hand-raising": BehaviourTotals(events=hands[0], person_ms=hands[1], peak=hands[2])} if hands else {}
    return TIMELINES, TimelineBucket(
        room=room,
        start_ms=EIGHT_MS + 10_000 * index,
        end_ms=EIGHT_MS + 10_000 * (index + 1),
        behaviours=totals,
        due_ms=due_ms,
        observed_ms=observed_ms,
        frames=observed_ms // 100,
        missing=missing or {},
        models=("sha256:9f2c",) if observed_ms else (),
        revision=revision,
        final=final,
    )


def an_event(
    start_ms: int, end_ms: int | None = None, *, behaviour: str = "hand-raising", room: str = ROOM
) -> tuple[Topic, Record]:
    """Milliseconds after eight o'clock; without an end it only started."""
    return EVENTS, BehaviourEvent(
        id=f"{room}/cam-1/0/{behaviour}/{EIGHT_MS + start_ms}/0",
        room=room,
        behaviour=behaviour,
        phase="started" if end_ms is None else "ended",
        started_at_ms=EIGHT_MS + start_ms,
        ended_at_ms=None if end_ms is None else EIGHT_MS + end_ms,
        model="sha256:9f2c",
    )
