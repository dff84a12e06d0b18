"""A detect stage on the memory bus, with eyes that need no net."""

from collections.abc import Sequence

import cv2
import numpy as np

from classpulse.bus.base import Place
from classpulse.bus.memory import MemoryBus
from classpulse.clock import ManualClock
from classpulse.codec import Outgoing, Stored, decode, encode
from classpulse.detect.deliveries import Deliveries
from classpulse.detect.pictures import Picture
from classpulse.detect.worker import Detect
from classpulse.records import CameraConfig, DeadLetter, Delivery, Detection, Dropped, Frame, Heartbeat, Record
from classpulse.stage import Loop, Pace
from classpulse.topics import CAMERAS, DEAD_LETTERS, DETECTIONS, FRAMES, TOPICS, Topic
from tests.support import Shown

CAMERA = "t/s/room/front"
OTHER = "t/s/room/back"
FRESHNESS_MS = 5_000


class FakeSight:
    """Sees one raised hand whose score is the picture's mean brightness: each picture has its own answer."""

    refused = ""

    def __init__(self) -> None:
        self.at_once = 1
        self.looks: list[list[str]] = []
        self.sizes: list[tuple[int, ...]] = []
        self.followed = 0

    def digest(self, camera: str) -> str:
        return "fake"

    def follow(self) -> None:
        self.followed += 1

    def see(self, pictures: Sequence[tuple[str, Picture]]) -> list[tuple[str, list[Detection]]]:
        self.looks.append([camera for camera, _ in pictures])
        self.sizes += [picture.shape for _, picture in pictures]
        scores = [round(float(picture.mean()) / 255, 1) for _, picture in pictures]
        return [("fake", [Detection(behaviour="hand-raising", score=score, box_xyxy=(0, 0, 1, 1))]) for score in scores]


def jpeg(level: int = 0, *, width: int = 32, height: int = 24) -> bytes:
    done, data = cv2.imencode(".jpg", np.full((height, width, 3), level, np.uint8))
    assert done
    return data.tobytes()


class Rig:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.bus = MemoryBus(clock=self.clock)
        self.bus.create(tuple(TOPICS.values()))
        self.source = self.bus.member("source", ())
        self.sight = FakeSight()
        self.metrics = Shown()
        deliveries = Deliveries(self.bus, self.clock)
        self.stage = Detect(
            self.sight, deliveries, self.clock, metrics=self.metrics, freshness_ms=FRESHNESS_MS, node="host"
        )
        self.loop = Loop(
            self.stage,
            self.bus,
            self.bus.member("detect", (FRAMES,)),
            self.clock,
            Pace(timeout_ms=0),
            metrics=self.metrics,
        )

    def declare(self, camera: str, delivery: Delivery) -> None:
        config = CameraConfig(camera=camera, source="file:///clip.mp4", delivery=delivery)
        self.publish(encode(config, topic=CAMERAS, at_ms=0))

    def frame(self, sequence: int, *, camera: str = CAMERA, picture: bytes | None = None, age_ms: int = 0) -> Frame:
        return Frame(
            camera=camera,
            epoch=1,
            sequence=sequence,
            captured_at_ms=self.clock.now_ms() - age_ms,
            interval_ms=200,
            width=32,
            height=24,
            jpeg=jpeg() if picture is None else picture,
        )

    def tell(self, *nouns: Frame | Dropped | Heartbeat) -> None:
        for noun in nouns:
            self.publish(encode(noun, topic=FRAMES, at_ms=0))

    def publish(self, *outputs: Outgoing) -> None:
        self.source.commit(outputs, {})

    def turn(self) -> list[Record]:
        """One turn of the loop; gives everything on detections since the beginning."""
        self.loop.turn()
        return self.found(DETECTIONS)

    def found(self, topic: Topic) -> list[Record]:
        return [decode(record) for record in self.stored(topic)]

    def stored(self, topic: Topic) -> list[Stored]:
        return [
            record
            for partition in range(topic.partitions)
            for record in self.bus.fetch(Place(topic.name, partition), 0, max_records=999, max_bytes=1 << 30)
        ]

    def dead(self) -> list[DeadLetter]:
        return [letter for letter in self.found(DEAD_LETTERS) if isinstance(letter, DeadLetter)]
