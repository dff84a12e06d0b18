"""The champion beside a canary: it looks at pictures of the canary's cameras while they are there, so that both spoke of the same.

In memory only, a picture of each camera at a time; nothing of it is kept but how many boxes of both had a partner.
"""

from collections.abc import Collection

from classpulse.bus.base import Bus
from classpulse.codec import decode, identity
from classpulse.detect.pictures import Picture
from classpulse.detect.swap import LEAST_MATCHED, Eyes, pairs
from classpulse.errors import InvalidRecord
from classpulse.reading import offset_at, stored_records
from classpulse.records import FrameDetections, room_of
from classpulse.second_look import frame_of, picture_of
from classpulse.topics import DETECTIONS, FRAMES, partition_of

JUDGED_BOXES = 30
"""Of both together: a canary looks for minutes, so it is judged by more than a release on its way into a worker is."""


class Beside:
    """From now on: `digest` looks at these cameras, and `eyes` at some of the same pictures."""

    def __init__(self, bus: Bus, eyes: Eyes, digest: str, cameras: Collection[str]) -> None:
        self._bus, self._eyes, self._digest, self._cameras = bus, eyes, digest, frozenset(cameras)
        ends = bus.ends(DETECTIONS)
        self._at = {partition: ends[partition][1] for partition in map(_partition, self._cameras)}
        self.pictures = self.boxes = self.matched = 0

    def look(self) -> str:
        """Look at the newest picture of each camera; gives what speaks against the canary so far, empty where nothing does."""
        for told in self._newest().values():
            picture = self._picture(told)
            if picture is not None:
                self._add(told, picture)
        if self.boxes < JUDGED_BOXES or self.matched >= LEAST_MATCHED * self.boxes:
            return ""
        share = self.matched / self.boxes
        return (
            f"agrees with the champion on {share:.0%} of {self.boxes} boxes in {self.pictures} pictures;"
            f" expected {LEAST_MATCHED:.0%}"
        )

    def _newest(self) -> dict[str, FrameDetections]:
        """What the canary told last of each camera, since this was asked before."""
        found: dict[str, FrameDetections] = {}
        for partition, start in self._at.items():
            for stored in stored_records(self._bus, DETECTIONS, partition, start=start):
                self._at[partition] = stored.offset + 1
                try:
                    noun = decode(stored)
                except InvalidRecord:
                    continue
                if isinstance(noun, FrameDetections) and noun.camera in self._cameras and noun.model == self._digest:
                    found[noun.camera] = noun
        return found

    def _picture(self, told: FrameDetections) -> Picture | None:
        """The picture of which this was told, if it is still there: it was appended after it was captured."""
        partition = partition_of(told.camera, FRAMES.partitions)
        start = offset_at(self._bus, FRAMES, partition, told.captured_at_ms)
        for stored in stored_records(self._bus, FRAMES, partition, start=start):
            frame = frame_of(stored)
            if frame is not None and identity(frame) == identity(told):
                return picture_of(frame)
        return None

    def _add(self, told: FrameDetections, picture: Picture) -> None:
        ours = [one for one in self._eyes.see([picture])[0] if one.behaviour in self._eyes.labels]
        theirs = [one for one in told.detections if one.behaviour in self._eyes.labels]
        self.pictures += 1
        self.boxes += len(ours) + len(theirs)
        self.matched += 2 * pairs(ours, theirs)


def _partition(camera: str) -> int:
    return partition_of(room_of(camera), DETECTIONS.partitions)
