"""The demo, what is going on: follows the bus while the route runs. Looks at committed records only, like any reader."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from classpulse.bus.base import Bus, Place
from classpulse.codec import Stored, decode
from classpulse.demo.latency import latency_of
from classpulse.errors import InvalidRecord
from classpulse.reading import PAGE_BYTES, PAGE_RECORDS, Cell, added, cell_of
from classpulse.records import BehaviourEvent, FrameDetections, Heartbeat, TimelineBucket, room_of
from classpulse.topics import DETECTIONS, EVENTS, TIMELINES, partition_of

PACE_WINDOW_MS = 5_000
FOLLOWED = (DETECTIONS, EVENTS, TIMELINES)


@dataclass
class RoomNow:
    """One room as far as it is known: what goes on, what has been, what was seen of it.

    `behind_ms`: how long after its capture the last frame came out of the detector.
    """

    room: str
    going_on: dict[str, str] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    buckets: dict[int, TimelineBucket] = field(default_factory=dict)
    latencies_ms: list[int] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    frames: int = 0
    behind_ms: int = 0
    arrivals_ms: deque[int] = field(default_factory=deque)

    @property
    def now(self) -> dict[str, int]:
        """How many people each behaviour goes on for."""
        behaviours = list(self.going_on.values())
        return {name: behaviours.count(name) for name in sorted(set(behaviours))}

    @property
    def seen(self) -> Cell:
        """All buckets so far, added up."""
        cells = [cell_of(self.buckets[start_ms]) for start_ms in sorted(self.buckets)]
        return added(cells, cells[0].start_ms, cells[-1].end_ms) if cells else Cell(0, 0)

    @property
    def coverage(self) -> float | None:
        """The share of the due time seen so far; None before anybody was due."""
        seen = self.seen
        return seen.observed_ms / seen.due_ms if seen.due_ms else None

    @property
    def done(self) -> bool:
        """Whether all of its cameras have gone off and none of its buckets can change."""
        off = bool(self.states) and set(self.states.values()) == {"off"}
        return off and bool(self.buckets) and all(bucket.final for bucket in self.buckets.values())

    def frames_per_s(self, now_ms: int) -> float:
        """Frames that came out of the detector in the last few seconds."""
        while self.arrivals_ms and self.arrivals_ms[0] <= now_ms - PACE_WINDOW_MS:
            self.arrivals_ms.popleft()
        return len(self.arrivals_ms) / (PACE_WINDOW_MS / 1000)


class Follower:
    """Follows the rooms' detections, events and timelines from their beginnings on."""

    def __init__(self, bus: Bus, rooms: Sequence[str]) -> None:
        self.rooms = {room: RoomNow(room) for room in rooms}
        self._bus = bus
        self._next: dict[Place, int] = {
            Place(topic.name, partition_of(room, topic.partitions)): 0 for topic in FOLLOWED for room in rooms
        }

    def look(self) -> int:
        """Take in everything committed since the last look; gives the number of records. May raise Recoverable."""
        ends = {Place(t.name, p): end for t in FOLLOWED for p, (_, end) in self._bus.ends(t).items()}
        return sum(self._follow(place, ends[place]) for place in list(self._next))

    @property
    def done(self) -> bool:
        """Whether every room is told to its end."""
        return all(room.done for room in self.rooms.values())

    @property
    def latencies_ms(self) -> list[int]:
        """Capture → event of every event of every room."""
        return [latency for room in self.rooms.values() for latency in room.latencies_ms]

    @property
    def behind_ms(self) -> int:
        """How far the room that is furthest behind is behind."""
        return max((room.behind_ms for room in self.rooms.values()), default=0)

    def _follow(self, place: Place, end: int) -> int:
        """Up to `end`, behind which the markers of transactions may lie, that are no records."""
        taken = 0
        while self._next[place] < end:
            page = self._bus.fetch(place, self._next[place], max_records=PAGE_RECORDS, max_bytes=PAGE_BYTES)
            self._next[place] = page[-1].offset + 1 if page else end
            taken += len(page)
            for record in page:
                self._take(record)
        return taken

    def _take(self, record: Stored) -> None:
        try:
            noun = decode(record)
        except InvalidRecord:
            return
        takers: dict[type, Callable[..., None]] = {
            FrameDetections: self._frame,
            Heartbeat: self._heartbeat,
            BehaviourEvent: self._event,
            TimelineBucket: self._bucket,
        }
        taker = takers.get(type(noun))
        if taker is not None:
            taker(noun, record)

    def _frame(self, frame: FrameDetections, record: Stored) -> None:
        room = self.rooms.get(room_of(frame.camera))
        if room is not None:
            room.frames += 1
            room.arrivals_ms.append(record.appended_at_ms)
            room.behind_ms = record.appended_at_ms - frame.captured_at_ms
            room.states[frame.camera] = "up"

    def _heartbeat(self, heartbeat: Heartbeat, _: Stored) -> None:
        room = self.rooms.get(room_of(heartbeat.camera))
        if room is not None:
            room.states[heartbeat.camera] = heartbeat.state

    def _event(self, event: BehaviourEvent, record: Stored) -> None:
        room = self.rooms.get(event.room)
        if room is None:
            return
        if event.phase == "ended":
            room.going_on.pop(event.id, None)
            return
        room.going_on[event.id] = event.behaviour
        room.events[event.behaviour] = room.events.get(event.behaviour, 0) + 1
        latency_ms = latency_of(record)
        if latency_ms is not None:
            room.latencies_ms.append(latency_ms)

    def _bucket(self, bucket: TimelineBucket, _: Stored) -> None:
        room = self.rooms.get(bucket.room)
        if room is not None:
            held = room.buckets.get(bucket.start_ms)
            if held is None or held.revision <= bucket.revision:
                room.buckets[bucket.start_ms] = bucket
