"""Aggregate on a memory bus with a manual clock: what detect and the operator write, and what comes of it."""

from collections.abc import Iterable
from typing import TypeVar

from classpulse.aggregate.aggregate import Aggregate
from classpulse.bus.base import Place
from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock
from classpulse.codec import Outgoing, decode, encode
from classpulse.records import CameraConfig, Delivery, Record, RoomConfig
from classpulse.replay import kept
from classpulse.roster import BRIDGED, Roster
from classpulse.stage import Loop, Pace
from classpulse.topics import CAMERAS, DETECTIONS, EVENTS, TIMELINES, TOPICS, Topic
from tests.support import Shown

N = TypeVar("N", bound=Record)


class Rig:
    def __init__(self, bus: MemoryBus | None = None) -> None:
        self.clock = ManualClock()
        self.bus = bus or MemoryBus(clock=self.clock)
        self.bus.create(tuple(TOPICS.values()))
        self.source = self.bus.member("source", ())
        self.metrics = Shown()
        self.start()

    def start(self, *, bucket_ms: int = 10_000, max_records: int = 64) -> None:
        """A fresh process: everything it knows it reads from the bus."""
        member = self.bus.member("aggregate", [DETECTIONS])
        self.stage = Aggregate(self.bus, self.clock, member.assignment, metrics=self.metrics, bucket_ms=bucket_ms)
        self.loop = Loop(
            self.stage, self.bus, member, self.clock, Pace(max_records=max_records, timeout_ms=0), metrics=self.metrics
        )

    def write(self, *outputs: Outgoing) -> None:
        self.source.commit(outputs, {})

    def tell(self, nouns: Iterable[Record]) -> None:
        self.write(*(encode(noun, topic=DETECTIONS, at_ms=0) for noun in nouns))

    def room(self, config: RoomConfig) -> None:
        Roster(self.bus, self.clock).write([config])

    def camera(self, key: str, delivery: Delivery = "complete", *, enabled: bool = True) -> None:
        config = CameraConfig(camera=key, source="file:///x", delivery=delivery, enabled=enabled)
        self.write(encode(config, topic=CAMERAS, at_ms=0))

    def bridged(self, key: str) -> None:
        """A camera whose school forwards what was seen."""
        self.write(encode(CameraConfig(camera=key, source=BRIDGED), topic=CAMERAS, at_ms=0))

    def turn(self, *, after_ms: int = 1_000) -> int:
        """Let time pass, and handle what there is."""
        self.clock.advance(after_ms)
        handled = 0
        while count := self.loop.turn():
            handled += count
        return handled

    def all_of(self, topic: Topic, noun: type[N]) -> list[N]:
        records = (
            record
            for partition in range(topic.partitions)
            for record in self.bus.fetch(Place(topic.name, partition), 0, max_records=10**6, max_bytes=10**9)
            if record.value is not None
        )
        return [found for record in records if isinstance(found := decode(record), noun)]

    def bytes(self) -> list[bytes]:
        nouns = [*self.all_of(EVENTS, Record), *self.all_of(TIMELINES, Record)]
        found = [one for one in map(kept, nouns) if one is not None]
        return [one.body for one in sorted(found)]
