"""A route that plays canary lessons on a memory bus with a manual clock, as its stages would: any of them may be dead."""

import threading
from collections.abc import Callable

from classpulse.bus.memory import MemoryBus
from classpulse.canary.clip import known_events
from classpulse.canary.rounds import Canary
from classpulse.clock import ManualClock
from classpulse.codec import encode
from classpulse.records import (
    BehaviourEvent,
    CameraConfig,
    CameraReport,
    FrameDetections,
    IngestState,
    Record,
    hidden,
    room_of,
)
from classpulse.roster import Roster
from classpulse.topics import DETECTIONS, EVENTS, FRAMES, INGEST_STATE, REPORTS, TOPICS, Topic, partition_of
from tests.support import Shown

LATE_MS = 15_000


class Passing(threading.Event):
    """A stop that nobody waits for: where it is waited for, the clock goes on and the route works, `most` times."""

    def __init__(self, clock: ManualClock, work: Callable[[], None], most: int = 1_000) -> None:
        super().__init__()
        self._clock, self._work, self._left = clock, work, most

    def wait(self, timeout: float | None = None) -> bool:
        self._left -= 1
        assert self._left, "the round does not end"
        self._clock.advance(int(1000 * (timeout or 0)))
        self._work()
        return self.is_set()


class Route:
    """`ingest`, `aggregate`: whether it lives; `node_of`: who looks at a partition, None where nobody does."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.bus = MemoryBus(clock=self.clock)
        self.bus.create(tuple(TOPICS.values()))
        self.roster = Roster(self.bus, self.clock)
        self.ingest = self.aggregate = True
        self.node_of: Callable[[int], str | None] = lambda _: "a"
        self.delay_ms = 0
        self.played: list[CameraConfig] = []
        self._writer = self.bus.member("route", ())
        self._begun_ms: dict[str, int] = {}
        self._told: set[tuple[str, int]] = set()
        self.metrics = Shown()
        self.canary = Canary(self.bus, self.clock, metrics=self.metrics, late_ms=LATE_MS)

    def missed(self, node: str) -> float | None:
        """How many lessons of a node were missed; None where it has no such figure."""
        return self.metrics.value("canary_missed_total", node=node)

    def came(self, node: str) -> float | None:
        """How many events of a node's lessons came."""
        return self.metrics.value("canary_delay_seconds_count", node=node)

    def tell(self, noun: Record, topic: Topic) -> None:
        self._writer.commit([encode(noun, topic=topic, at_ms=self.clock.now_ms())], {})

    def report(self, node: str, camera: str) -> None:
        now_ms = self.clock.now_ms()
        self.tell(CameraReport(camera=camera, at_ms=now_ms, stage="detect", state="up", node=node), REPORTS)

    def play(self, pause_ms: int = 300_000) -> None:
        """A round of the canary's, and the time until the next one."""
        self.canary.play(Passing(self.clock, self.work))
        self.clock.advance(pause_ms)

    def work(self) -> None:
        for key, config in self.roster.cameras().items():
            if hidden(key) and self.ingest:
                self._see(config)

    def _see(self, config: CameraConfig) -> None:
        now_ms = self.clock.now_ms()
        if config not in self.played:
            self.played.append(config)
        begun_ms = self._begun_ms.setdefault(config.source, now_ms)
        self.tell(state_of(config, begun_ms), INGEST_STATE)
        node = self.node_of(partition_of(config.camera, FRAMES.partitions))
        if node is None:
            return
        self.tell(seen(config.camera, now_ms), DETECTIONS)
        self.report(node, config.camera)
        if self.aggregate:
            self._tell_events(config, begun_ms)

    def _tell_events(self, config: CameraConfig, begun_ms: int) -> None:
        for number, one in enumerate(known_events()):
            due = self.clock.now_ms() >= begun_ms + one.due_ms + self.delay_ms
            if due and (f"{config.camera} {config.source}", number) not in self._told:
                self._told.add((f"{config.camera} {config.source}", number))
                self.tell(event(config.camera, one.behaviour, begun_ms + one.started_ms), EVENTS)


def state_of(config: CameraConfig, begun_ms: int) -> IngestState:
    return IngestState(
        camera=config.camera,
        source=config.source,
        epoch=1,
        next_sequence=1,
        last_ms=begun_ms,
        position_ms=0,
        started_at_ms=begun_ms,
    )


def seen(camera: str, at_ms: int) -> FrameDetections:
    return FrameDetections(
        camera=camera, epoch=1, sequence=0, captured_at_ms=at_ms, interval_ms=200, model="m", detections=()
    )


def event(camera: str, behaviour: str, started_at_ms: int) -> BehaviourEvent:
    return BehaviourEvent(
        id=f"{camera}/1/{behaviour}/{started_at_ms}/0",
        room=room_of(camera),
        behaviour=behaviour,
        phase="started",
        started_at_ms=started_at_ms,
        model="m",
    )
