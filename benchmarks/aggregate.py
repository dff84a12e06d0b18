"""Claim: one step of aggregate over 64 FrameDetections of ten detections each takes 15 ms or less.

With encoding its outputs and the changed state, without the bus. CPU time of this process, so that neighbours disturb less.
"""

import random
import statistics
import time

from measured import spread, write_result

from classpulse.aggregate.rooms import Rooms, outgoing
from classpulse.codec import Stored
from classpulse.records import Detection, FrameDetections
from classpulse.topics import DETECTIONS

ROOM = "tenant/school/room"
STEP = 64
START_MS = 1_700_000_000_000
RUNS = 3


def story(camera: str, frames: int, interval_ms: int) -> list[FrameDetections]:
    """Twenty people who each show a behaviour half of the time, each with a period and a beginning of their own."""
    chance = random.Random(camera)
    people = [
        (
            0.05 + 0.09 * (i % 10),
            0.1 + 0.3 * (i // 10),
            chance.choice(["hand-raising", "stand-up", "sleeping"]),
            20 + 3 * i,
            chance.randrange(2 * (20 + 3 * i)),
        )
        for i in range(20)
    ]

    def seen(frame: int) -> tuple[Detection, ...]:
        jitter = chance.uniform(-0.01, 0.01)
        return tuple(
            Detection(behaviour=what, score=0.9, box_xyxy=(x + jitter, y, x + 0.08 + jitter, y + 0.2))
            for x, y, what, period, begun in people
            if (frame + begun) // period % 2 == 0
        )

    return [
        FrameDetections(
            camera=camera,
            epoch=1,
            sequence=k,
            captured_at_ms=START_MS + k * interval_ms,
            interval_ms=interval_ms,
            model="a" * 64,
            detections=seen(k),
        )
        for k in range(frames)
    ]


def steps_ms(cameras: int, interval_ms: int, frames: int) -> tuple[list[float], float]:
    """CPU milliseconds of each step, and bytes of state written per step."""
    stories = [story(f"{ROOM}/c{i}", frames // cameras, interval_ms) for i in range(cameras)]
    log = [noun for at_once in zip(*stories, strict=True) for noun in at_once]
    stored = Stored(DETECTIONS.name, 0, 0, ROOM, b"", (), 0)
    rooms, costs, state_bytes = Rooms(), [], 0
    for first in range(0, len(log), STEP):
        begun = time.process_time()
        outputs = [outgoing(p) for noun in log[first : first + STEP] for p in rooms.take(stored, noun)]
        outputs += map(outgoing, rooms.finals())
        state = rooms.changes()
        costs.append((time.process_time() - begun) * 1000)
        state_bytes += sum(output.size_bytes for output in state)
    return costs, state_bytes / len(costs)


def main() -> None:
    """Measure the shapes that differ, and write them down."""
    figures = {}
    for cameras, interval_ms in ((1, 200), (4, 200), (1, 1_000), (1, 33)):
        runs = [steps_ms(cameras, interval_ms, 6_400) for _ in range(RUNS)]
        figures[f"{cameras} cameras, a frame every {interval_ms} ms"] = {
            "step_ms": spread([statistics.median(costs) for costs, _ in runs]),
            "worst_step_ms": spread([max(costs) for costs, _ in runs]),
            "state_bytes_per_step": round(runs[0][1]),
        }
    write_result("aggregate", {"frames_per_step": STEP, "figures": figures})


if __name__ == "__main__":
    main()
