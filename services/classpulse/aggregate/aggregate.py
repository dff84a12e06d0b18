"""FrameDetections → BehaviourEvent, TimelineBucket: the third leg, as a stage on the bus.

Everything that decides an output lies in detections.v1, in order; what the wall clock or the operator has to say is first
logged there (`idle`), so a replay sees it too. State and outputs leave in the same atomic step as the positions.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from classpulse.aggregate.coverage import Coverage
from classpulse.aggregate.plans import Plans
from classpulse.aggregate.room import FINALITY_LIMIT_MS, Publication, Room
from classpulse.aggregate.rooms import Rooms, outgoing
from classpulse.bus.base import Bus, Place
from classpulse.clock import Clock
from classpulse.codec import Outgoing, Stored, decode, encode
from classpulse.errors import Fatal, InvalidRecord
from classpulse.faults import fault
from classpulse.records import BehaviourEvent, Idle, RoomPlan, StateEntry, TimelineBucket, Told
from classpulse.stage import Step, Taken
from classpulse.telemetry import Metrics
from classpulse.topics import AGGREGATE_STATE, DETECTIONS, partition_of

_log = logging.getLogger("classpulse.aggregate")

SILENT_MS = 10_000
"""A live camera of which nothing came for so long, by the wall clock, is idled: as of now, or, where its story comes over a
bridge, as of FINALITY_LIMIT_MS ago, because a link may be away that long."""


@dataclass(slots=True)
class _Mark:
    """A partition ended at `end` when it was looked at at `at_ms`; everything older than `read_ms` was read."""

    end: int
    at_ms: int
    read_ms: int


class Aggregate:
    """The stage. `assignment` tells which partitions are its own; state is read from the bus when one is first touched.

    `on_its_way_ms`: an `Idle` leaves this much time before now open, because a frame that old may still arrive (detect's
    freshness budget).
    """

    name = "aggregate"

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        assignment: Callable[[], frozenset[Place]],
        *,
        metrics: Metrics,
        bucket_ms: int = 10_000,
        on_its_way_ms: int = 5_000,
    ) -> None:
        self._bus, self._assignment = bus, assignment
        self._capture_to_event = metrics.capture_to_event_seconds
        self._on_its_way_ms = on_its_way_ms
        self._plans = Plans(bus, clock, bucket_ms)
        self._partitions: dict[int, Rooms] = {}
        self._read_to: dict[int, int] = {}
        self._heard_ms: dict[int, dict[str, int]] = {}
        self._marks: dict[int, _Mark] = {}
        self._coverage = Coverage(metrics)
        self._finals: list[TimelineBucket] = []

    def step(self, taken: Sequence[Taken], expired: Mapping[Place, int]) -> Step:
        """Read records in their order; final buckets and changed state follow what they published."""
        step = Step()
        self._finals = []
        touched = sorted({item.stored.partition for item in taken} | {place.partition for place in expired})
        rooms = {partition: self._rooms(partition) for partition in touched}
        for place in expired:
            rooms[place.partition].expire()
        for item in taken:
            self._take(item, rooms[item.stored.partition], step)
        for partition in touched:
            for publication in rooms[partition].finals():
                self._publish(publication, step)
            step.outputs += rooms[partition].changes()
        fault("aggregate.state_taken")
        return step

    def forget(self, places: Collection[Place]) -> None:
        """Rooms of these partitions are read from the bus again when they are next touched."""
        gone = {place.partition for place in places}
        for partition in gone:
            for held in (self._partitions, self._read_to, self._heard_ms, self._marks):
                held.pop(partition, None)

    def committed(self, step: Step, now_ms: int) -> None:
        """Events can be read now: how long after the capture of the frame that satisfied their rule; and final buckets."""
        for captured_at_ms in step.latencies_ms:
            self._capture_to_event.observe(max(0, now_ms - captured_at_ms) / 1000)
        self._coverage.count(self._finals, now_ms)

    def idle(self, now_ms: int) -> list[Outgoing]:
        """Plans that changed, cameras that fell silent, and rooms that owe more final buckets: logged to the input."""
        partitions = sorted(place.partition for place in self._assignment())
        for partition in partitions:
            self._rooms(partition)
        plans = self._plans.due(
            now_ms, lambda room: partition_of(room, DETECTIONS.partitions) in partitions, self._known()
        )
        ends = self._bus.ends(DETECTIONS)
        idles: list[Idle] = []
        for partition in partitions:
            idles += self._silent(partition, self._all_read_ms(partition, ends[partition], now_ms), now_ms)
            idles += self._owed(partition)
        self._coverage.show(self._all_rooms(), now_ms)
        logged: list[RoomPlan | Idle] = [*plans, *idles]
        return [encode(noun, topic=DETECTIONS, at_ms=noun.at_ms) for noun in logged]

    def _take(self, item: Taken, rooms: Rooms, step: Step) -> None:
        self._read_to[item.stored.partition] = item.stored.offset + 1
        if isinstance(item.noun, InvalidRecord):
            rooms.unread(item.stored, item.noun)
            return
        if isinstance(item.noun, Told):
            heard_ms = self._heard_ms.setdefault(item.stored.partition, {})
            heard_ms[item.noun.camera] = max(heard_ms.get(item.noun.camera, 0), item.stored.appended_at_ms)
        try:
            publications = rooms.take(item.stored, item.noun)
        except InvalidRecord as error:
            step.dead.append((item.stored, error))
            return
        for publication in publications:
            self._publish(publication, step)

    def _publish(self, publication: Publication, step: Step) -> None:
        step.outputs.append(outgoing(publication))
        match publication.noun:
            case BehaviourEvent(phase="started"):
                step.latencies_ms.append(publication.at_ms)
            case TimelineBucket(final=True) as bucket:
                self._finals.append(bucket)

    def _rooms(self, partition: int) -> Rooms:
        """The rooms of a partition, as the bus remembers them when it is first asked for."""
        if partition not in self._partitions:
            positions = self._bus.positions(self.name, DETECTIONS)  # waits for an open step of who owned it before
            _log.info("partition %d: reading its state", partition)
            entries = [_entry(record) for record in self._bus.latest(AGGREGATE_STATE, partition=partition)]
            self._partitions[partition] = restored = Rooms(entries)
            self._read_to.setdefault(partition, positions.get(partition, 0))
            _log.info("partition %d: %d rooms from %d pieces", partition, len(restored.rooms()), len(entries))
        return self._partitions[partition]

    def _known(self) -> dict[str, RoomPlan | None]:
        """The plans the rooms go by."""
        return {key: room.plan for key, room in self._all_rooms().items()}

    def _all_rooms(self) -> dict[str, Room]:
        return {key: room for partition in self._partitions.values() for key, room in partition.rooms().items()}

    def _silent(self, partition: int, read_ms: int, now_ms: int) -> list[Idle]:
        """Live cameras of which nothing came for SILENT_MS before `read_ms`, until when all that came was read."""
        quiet, heard = [], self._heard_ms.setdefault(partition, {})
        for key, room in self._partitions[partition].rooms().items():
            plan = room.plan
            for camera, delivery in sorted(plan.cameras.items()) if plan is not None else ():
                heard_ms, story = heard.setdefault(camera, now_ms), room.stories[camera]
                if delivery != "live" or not story.holds or read_ms - heard_ms < SILENT_MS:
                    continue
                at_ms = max(0, read_ms - self._on_its_way_ms)
                if self._plans.bridged(camera):
                    at_ms = max(0, read_ms - FINALITY_LIMIT_MS)
                    told_ms = story.since_ms if story.high_ms is None else story.high_ms
                    if told_ms is not None and at_ms <= told_ms:
                        continue
                quiet.append(Idle(room=key, camera=camera, at_ms=at_ms))
                heard[camera] = read_ms
        return quiet

    def _all_read_ms(self, partition: int, ends: tuple[int, int], now_ms: int) -> int:
        """A time before which everything appended to a partition was read: a busy one always holds something newer."""
        first, end = ends
        read_to = max(first, self._read_to[partition])
        mark = self._marks.setdefault(partition, _Mark(0, 0, 0))
        if read_to >= mark.end:
            mark.read_ms, mark.end, mark.at_ms = now_ms if read_to >= end else mark.at_ms, end, now_ms
        return mark.read_ms

    def _owed(self, partition: int) -> list[Idle]:
        """A turn for each room that owes final buckets: an Idle that tells no time that was not told."""
        owed = [(key, room.owed()) for key, room in self._partitions[partition].rooms().items() if room.owing]
        return [Idle(room=key, camera=one[0], at_ms=one[1]) for key, one in owed if one is not None]


def _entry(record: Stored) -> StateEntry:
    """A piece of state. Raises Fatal for one that cannot be read: without it nothing would be counted right."""
    try:
        noun = decode(record)
    except InvalidRecord as error:
        raise Fatal(f"state {record.key}: {error}; expected what this version wrote") from error
    if not isinstance(noun, StateEntry):
        raise Fatal(f"state {record.key}: found {type(noun).__name__}; expected StateEntry")
    return noun
