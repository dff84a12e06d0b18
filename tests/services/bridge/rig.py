"""A school and its district on two memory buses with one clock, a bridge between them, and an aggregator at the far end."""

from collections.abc import Callable, Mapping, Sequence

from classpulse.bridge.crossing import Crossing, Dial
from classpulse.bridge.forward import Bridge
from classpulse.bus.base import Bus, Member, Place
from classpulse.bus.memory import MemoryBus
from classpulse.codec import Outgoing, Stored, encode
from classpulse.records import Record
from classpulse.stage import Loop, Pace
from classpulse.topics import DETECTIONS, TOPICS, Topic
from tests.services.aggregate.rig import Rig
from tests.services.aggregate.stories import A, B
from tests.support import Shown

SITE = "0123456789abcdef"


class Killed(BaseException):
    """The process is gone: nothing after this point was done."""


class Faulty:
    """A member of which commits fail while `errors` are left; `after`: not until it is written."""

    def __init__(self, inner: Member, errors: list[BaseException], *, after: bool = False) -> None:
        self.inner, self.errors, self.after = inner, errors, after

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def commit(self, outputs: Sequence[Outgoing], positions: Mapping[Place, int]) -> None:
        if self.errors and not self.after:
            raise self.errors.pop(0)
        self.inner.commit(outputs, positions)
        if self.errors:
            raise self.errors.pop(0)


class School:
    """One school of a district: what detect writes there crosses when its bridge has its turns."""

    def __init__(self, *cameras: str) -> None:
        self.district = Rig()
        self.clock = self.district.clock
        self.bus = MemoryBus(clock=self.clock)
        self.bus.create(tuple(TOPICS.values()))
        self.detect = self.bus.member("detect", ())
        self.metrics = Shown()
        self.cameras = cameras or (A, B)
        for camera in self.cameras:
            self.district.camera(camera)
        self.district.turn()

    def tell(self, nouns: Sequence[Record]) -> None:
        """Detect writes, one step a record."""
        for noun in nouns:
            self.detect.commit([encode(noun, topic=DETECTIONS, at_ms=self.clock.now_ms())], {})

    def dial(self, site: str = SITE) -> tuple[Bus, Member]:
        """The place of a site on the district's bus."""
        bus = self.district.bus
        return bus, bus.member(Bridge.name, [], slot=site)

    def bridge(
        self,
        dial: Dial | None = None,
        *,
        local: Callable[[Member], Member] = lambda member: member,
        max_records: int = 64,
    ) -> Loop:
        """A fresh bridge process."""
        member = local(self.bus.member(Bridge.name, [DETECTIONS]))
        crossing = Crossing(member, dial or self.dial, self.clock, pause_ms=0)
        stage = Bridge(lambda: self.cameras, self.clock)
        return Loop(
            stage, self.bus, crossing, self.clock, Pace(max_records=max_records, timeout_ms=0), metrics=self.metrics
        )

    def cross(self, loop: Loop | None = None) -> None:
        """Until nothing is left to forward; then the district aggregates."""
        loop = loop or self.bridge()
        while loop.turn():
            pass
        self.district.turn()

    def crossed(self) -> list[Stored]:
        """What lies on the district's detections, but for its own plans."""
        return [r for r in stored(self.district.bus, DETECTIONS) if dict(r.headers)["ce_type"] != PLAN]


PLAN = b"classpulse.RoomPlan.v1"


def stored(bus: Bus, topic: Topic) -> list[Stored]:
    """Everything on a topic."""
    return [
        record
        for partition in range(topic.partitions)
        for record in bus.fetch(Place(topic.name, partition), 0, max_records=10**6, max_bytes=10**9)
    ]


def without_bridge(*stories: Sequence[Record], cameras: Sequence[str] = (A, B)) -> list[bytes]:
    """The bytes of the same stories in a school that aggregates itself."""
    rig = Rig()
    for camera in cameras:
        rig.camera(camera)
    rig.turn()
    for story in stories:
        rig.tell(story)
    rig.turn()
    return rig.bytes()
