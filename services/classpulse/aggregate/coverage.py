"""What was seen of the rooms, for people and alerts: by time, from their final buckets, and as of now."""

from collections import Counter
from collections.abc import Iterable, Mapping

from classpulse.aggregate.room import Room
from classpulse.errors import BadInput
from classpulse.records import RoomPlan, TimelineBucket, hidden
from classpulse.telemetry import Metrics
from classpulse.timetable import due

LATE_MS = 60_000
"""A room of which no bucket was seen for so long, and a bucket's length, is not seen now."""

UNLOOKED_AT = ("expired", "lost_in_crash")
"""Why frames are missing of which nobody else counts any: they were never read."""

STATES = ("seen", "unseen", "not_due")


class Coverage:
    """Counts what is committed. Hidden rooms are nobody's."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._seen_ms: dict[str, int] = {}
        for seconds in (metrics.due_seconds, metrics.observed_seconds):
            seconds.inc(0)  # shown from the start: what is first shown at some number has not risen
        for reason in UNLOOKED_AT:
            metrics.missing_frames.labels(reason)

    def count(self, finals: Iterable[TimelineBucket], now_ms: int) -> None:
        """Final buckets that can be read from now on, each of them once."""
        for bucket in finals:
            if hidden(bucket.room):
                continue
            self._metrics.due_seconds.inc(bucket.due_ms / 1000)
            self._metrics.observed_seconds.inc(bucket.observed_ms / 1000)
            for reason, frames in bucket.missing.items():
                self._metrics.missing_frames.labels(reason).inc(frames)
            if bucket.observed_ms:
                self._seen_ms[bucket.room] = now_ms
            elif bucket.due_ms:
                self._seen_ms.pop(bucket.room, None)

    def show(self, rooms: Mapping[str, Room], now_ms: int) -> None:
        """How many of all these rooms are in which state. One without cameras has none."""
        self._seen_ms = {key: at_ms for key, at_ms in self._seen_ms.items() if key in rooms}
        planned = {key: room for key, room in rooms.items() if room.plan and room.plan.cameras and not hidden(key)}
        states = Counter(self._state(room, now_ms) for room in planned.values())
        for state in STATES:
            self._metrics.rooms.labels(state).set(states[state])

    def _state(self, room: Room, now_ms: int) -> str:
        if room.plan is None or not _is_due(room, room.plan, now_ms):
            return "not_due"
        seen_ms = self._seen_ms.get(room.key)
        return "seen" if seen_ms is not None and now_ms - seen_ms <= room.plan.bucket_ms + LATE_MS else "unseen"


def _is_due(room: Room, plan: RoomPlan, now_ms: int) -> bool:
    """Whether a room is to be observed now: by its timetable, whatever its live cameras say; a recording may be over."""
    try:
        scheduled = due(plan.config, now_ms)
    except BadInput:
        return False
    states = (delivery == "live" or room.stories[camera].state != "off" for camera, delivery in plan.cameras.items())
    return scheduled and any(states)
