"""A school's detections.v1 → the district's: each camera's story as it was told here, byte for byte and in its order.

What is missing here is told there with its reason: a record that cannot be read, and what the spool had no room for.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from classpulse.bus.base import Place
from classpulse.clock import Clock
from classpulse.codec import Outgoing, Stored, camera_of, encode
from classpulse.errors import InvalidRecord
from classpulse.records import Hole, Told, room_of
from classpulse.stage import Step, Taken
from classpulse.topics import DETECTIONS, partition_of


class Bridge:
    """The stage. It remembers nothing. `cameras`: every camera of this school, for what nobody can say whose it was."""

    name = "bridge"

    def __init__(self, cameras: Callable[[], Collection[str]], clock: Clock) -> None:
        self._cameras, self._clock = cameras, clock

    def step(self, taken: Sequence[Taken], expired: Mapping[Place, int]) -> Step:
        """What crosses: detections, drops, heartbeats and holes. Plans and idles are the district's own to tell."""
        step = Step()
        gone = {place.partition for place in expired}
        if gone:
            step.outputs += self._holes("expired", lambda room: partition_of(room, DETECTIONS.partitions) in gone)
        for item in taken:
            if isinstance(item.noun, InvalidRecord):
                step.outputs += self._unread(item.stored, item.noun)
            elif isinstance(item.noun, Told):
                step.outputs.append(_as_it_is(item.stored))
        return step

    def forget(self, places: Collection[Place]) -> None:
        """Nothing is remembered."""

    def committed(self, step: Step, now_ms: int) -> None:
        """What crossed is the loop's to measure."""

    def idle(self, now_ms: int) -> list[Outgoing]:  # noqa: ARG002 - time alone has nothing to say here
        """Nothing."""
        return []

    def _unread(self, record: Stored, error: InvalidRecord) -> Iterator[Outgoing]:
        """In the place of an unreadable record: why there is a hole, of its camera or else of all of its room."""
        camera = camera_of(record)
        if camera is not None:
            yield _hole(camera, error.reason, self._clock.now_ms())
        else:
            yield from self._holes(error.reason, lambda room: room == record.key)

    def _holes(self, reason: str, concerns: Callable[[str], bool]) -> Iterator[Outgoing]:
        """The next hole of each camera of these rooms has this reason; where there is none, this says nothing."""
        now_ms = self._clock.now_ms()
        for camera in sorted(self._cameras()):
            if concerns(room_of(camera)):
                yield _hole(camera, reason, now_ms)


def _hole(camera: str, reason: str, at_ms: int) -> Outgoing:
    return encode(Hole(camera=camera, epoch=0, reason=reason), topic=DETECTIONS, at_ms=at_ms)


def _as_it_is(record: Stored) -> Outgoing:
    """The same bytes under the same headers: its identity, its time and its trace stay what they were."""
    return Outgoing(DETECTIONS.name, record.partition, record.key, record.value, record.headers)
