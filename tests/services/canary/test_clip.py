"""What is asked of the bundled lesson is soon, long, and seen by every model that is bundled."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from classpulse.aggregate.room import Room
from classpulse.canary.clip import CLIP, FPS, RULES, known_events
from classpulse.canary.lesson import EARLY_MS
from classpulse.demo.truth import judged, load_truth
from classpulse.detect.eyes import open_eyes
from classpulse.detect.pictures import Picture
from classpulse.records import BehaviourEvent, FrameDetections, RoomConfig, RoomPlan
from classpulse.settings import Settings

ROOM, CAMERA = "t/s/canary-1", "t/s/canary-1/0"


def test_what_is_asked_for_is_visible_soon_and_lasts_long_beyond_its_rule() -> None:
    truth = load_truth(CLIP.with_name("lesson-1.truth.json"))
    counted = {name: one.counted for name, one in judged(truth.spans, RULES).items()}
    for one in known_events():
        assert any((s.started_ms, s.ended_ms) == (one.started_ms, one.ended_ms) for s in counted[one.behaviour])
        assert one.due_ms - one.started_ms == RULES[one.behaviour].least_duration_ms
        assert one.ended_ms - one.due_ms > 5_000
        assert one.due_ms < 10_000


@pytest.mark.parametrize("model", ["classroom", "classroom-640", "paper"])
def test_every_bundled_model_sees_what_is_asked_for_within_a_second(model: str) -> None:
    eyes, room = open_eyes(Settings(model=Path(model))), Room(ROOM)
    room.take(RoomPlan(config=RoomConfig(room=ROOM, rules=RULES), cameras={CAMERA: "live"}, at_ms=0))
    events: list[tuple[str, int, int]] = []
    for sequence, (at_ms, picture) in enumerate(sampled(10_000)):
        told = FrameDetections(
            camera=CAMERA,
            epoch=0,
            sequence=sequence,
            captured_at_ms=at_ms,
            interval_ms=round(1000 / FPS),
            model=eyes.digest,
            detections=tuple(eyes.see([picture])[0]),
        )
        events += [
            (noun.behaviour, noun.started_at_ms, satisfied_ms)
            for noun, satisfied_ms, _ in room.take(told)
            if isinstance(noun, BehaviourEvent) and noun.phase == "started"
        ]
    for one in known_events():
        assert any(
            behaviour == one.behaviour
            and one.started_ms - EARLY_MS <= started_ms < one.ended_ms
            and satisfied_ms <= one.due_ms + 1_000
            for behaviour, started_ms, satisfied_ms in events
        ), (one, events)


def sampled(to_ms: int) -> Iterator[tuple[int, Picture]]:
    """The pictures that a canary's camera takes of the lesson: the first of each fifth of a second."""
    slot = -1
    with av.open(str(CLIP)) as container:
        for frame in container.decode(video=0):
            at_ms = int((frame.pts or 0) * 1000 * frame.time_base)
            if at_ms >= to_ms:
                return
            if int(at_ms * FPS // 1000) > slot:
                slot = int(at_ms * FPS // 1000)
                yield at_ms, np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)
