"""bus → what a candidate sees in pictures that are still there, beside what was told of them. In memory only: no picture is kept."""

from collections.abc import Iterator

from classpulse.bus.base import Bus, Place
from classpulse.codec import Stored, decode, identity
from classpulse.detect.pictures import Picture, decode_picture
from classpulse.detect.swap import Eyes
from classpulse.errors import InvalidRecord
from classpulse.reading import stored_records
from classpulse.records import Detection, Frame, FrameDetections
from classpulse.topics import FRAMES, partition_of


class SecondLook:
    """A candidate's eyes on one bus. `own`: frames that it has looked at itself; `others`: of others; `compared`: of these, looked at."""

    def __init__(self, bus: Bus, eyes: Eyes) -> None:
        self._bus, self._eyes = bus, eyes
        self._since_ms = {partition: _oldest_ms(bus, partition) for partition in range(FRAMES.partitions)}
        self._told: dict[str, FrameDetections] = {}
        self.own = self.others = self.compared = 0

    def __len__(self) -> int:
        """How many pictures may be there."""
        return len(self._told)

    @property
    def labels(self) -> frozenset[str]:
        """The behaviours that the candidate knows."""
        return frozenset(self._eyes.labels)

    @property
    def gone(self) -> int:
        """How many pictures of others' frames were not there any more, once all were looked for."""
        return self.others - self.compared

    def told(self, frame: FrameDetections, appended_at_ms: int) -> None:
        """Remember a frame, if its picture may be there: that was appended before."""
        if frame.model == self._eyes.digest:
            self.own += 1
            return
        self.others += 1
        since_ms = self._since_ms[partition_of(frame.camera, FRAMES.partitions)]
        if since_ms is not None and appended_at_ms >= since_ms:
            self._told[identity(frame)] = frame

    def found(self) -> Iterator[tuple[FrameDetections, list[Detection]]]:
        """What was told of each picture that is there, and what the candidate sees in it; each camera's in their order."""
        for partition in sorted({partition_of(frame.camera, FRAMES.partitions) for frame in self._told.values()}):
            for stored in stored_records(self._bus, FRAMES, partition):
                frame = frame_of(stored)
                told = None if frame is None else self._told.pop(identity(frame), None)
                picture = None if frame is None or told is None else picture_of(frame)
                if told is not None and picture is not None:
                    self.compared += 1
                    yield told, self._eyes.see([picture])[0]


def _oldest_ms(bus: Bus, partition: int) -> int | None:
    """When the oldest record that is left of a partition's pictures was appended; None where none is."""
    first, _ = bus.ends(FRAMES)[partition]
    page = bus.fetch(Place(FRAMES.name, partition), first, max_records=1, max_bytes=1)
    return page[0].appended_at_ms if page else None


def frame_of(stored: Stored) -> Frame | None:
    """The frame of a record of frames.v1; None for what is told between them, and for what cannot be read."""
    try:
        noun = decode(stored)
    except InvalidRecord:
        return None
    return noun if isinstance(noun, Frame) else None


def picture_of(frame: Frame) -> Picture | None:
    """Its picture; None for one that is damaged."""
    try:
        return decode_picture(frame)
    except InvalidRecord:
        return None
