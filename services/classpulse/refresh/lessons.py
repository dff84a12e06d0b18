"""A clip and a release → the events that the route would publish: pictures as ingest sends them, rules as aggregate applies them."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import av
import cv2
import numpy as np

from classpulse.aggregate.rooms import Rooms
from classpulse.codec import Stored
from classpulse.ingest.pictures import Printer
from classpulse.ingest.sources.container import AvPicture
from classpulse.records import BehaviourEvent, Detection, FrameDetections, RoomConfig, RoomPlan, Rule
from classpulse.topics import DETECTIONS
from gesturedet.card import Release
from gesturedet.predictor import Predictor
from gesturedet.runtime.onnxruntime import OnnxRuntime

Box = tuple[float, float, float, float]

START_MS = 1_700_000_000_000


def seen(clip: Path, release: Release, camera: str, fps: float) -> list[FrameDetections]:
    """What the net says of every picture of a clip as ingest would send it."""
    predictor = Predictor(release, OnnxRuntime(release.onnx_bytes))
    found, printer = [], Printer(width=release.card.frame_width)
    with av.open(str(clip)) as container:
        for sequence, picture in enumerate(container.decode(video=0)):
            captured_ms = round(1000 * float(picture.time or 0))
            jpeg = printer.print(AvPicture(picture, captured_ms))[2]
            pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            shown = ((d.behaviour, d.score, d.box_xyxy) for d in predictor.predict(np.asarray(pixels, np.uint8)))
            found.append(told(shown, camera, sequence, captured_ms, fps))
    return found


def told(
    shown: Iterable[tuple[str, float, Box]], camera: str, sequence: int, at_ms: int, fps: float
) -> FrameDetections:
    """What detect would publish of a picture of a clip: behaviours, scores, boxes in fractions of the picture."""
    return FrameDetections(
        camera=camera,
        epoch=0,
        sequence=sequence,
        captured_at_ms=START_MS + at_ms,
        interval_ms=round(1000 / fps),
        model="examined",
        detections=tuple(Detection(behaviour=name, score=score, box_xyxy=box) for name, score, box in shown),
    )


def events(frames: list[FrameDetections], room: str, rules: Mapping[str, Rule]) -> dict[str, list[tuple[int, int]]]:
    """The events that aggregate makes of what a camera shows by these rules, per behaviour, in the clip's time."""
    stored, rooms, last_ms = Stored(DETECTIONS.name, 0, 0, room, b"", (), 0), Rooms(), frames[-1].captured_at_ms
    spans: dict[str, tuple[str, int, int]] = {}
    plan = RoomPlan(config=RoomConfig(room=room, rules=dict(rules)), cameras={}, at_ms=START_MS)
    for noun in (plan, *frames):
        for publication in rooms.take(stored, noun):
            if isinstance(event := publication.noun, BehaviourEvent):
                end_ms = event.ended_at_ms or last_ms
                spans[event.id] = (event.behaviour, event.started_at_ms - START_MS, end_ms - START_MS)
    found: dict[str, list[tuple[int, int]]] = {name: [] for name in rules}
    for behaviour, start_ms, end_ms in spans.values():
        found[behaviour].append((start_ms, end_ms))
    return found
