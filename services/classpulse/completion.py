"""When a route of recorded clips has told its whole story: every clip is played, and everything after it is committed.

Read from the bus alone, so it does not matter which process did what, or how often it was started again.
"""

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from classpulse.bus.base import Bus, Place
from classpulse.bus.limits import unread
from classpulse.clock import Clock
from classpulse.codec import decode
from classpulse.errors import InvalidRecord
from classpulse.records import CameraConfig, CameraReport, IngestState, hidden, room_of
from classpulse.roster import Roster
from classpulse.topics import DETECTIONS, FRAMES, INGEST_STATE, REPORTS, partition_of

FAILED_AFTER_MS = 5_000
"""A clip that has been reported as failing for so long will not be played by waiting."""

PAGE_RECORDS = 512
PAGE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Failure:
    """Why a clip cannot be played."""

    camera: str
    source: str
    reason: str


class Completion:
    """Follows the cameras' states and reports. `ended` is asked again and again."""

    def __init__(self, bus: Bus, clock: Clock, last: str = "aggregate") -> None:
        """`last`: the stage at the end of the route, which reads the detections."""
        self._bus, self._clock, self._last, self._roster = bus, clock, last, Roster(bus, clock)
        self._next_report = bus.ends(REPORTS)[0][1]
        self._failing: dict[str, tuple[int, str]] = {}
        self.failures: tuple[Failure, ...] = ()
        self.told: tuple[str, ...] = ()

    def ended(self) -> bool:
        """Whether all cameras that are on, hidden ones apart, are clips, each played or failed, and all is aggregated (or forwarded).

        `told` then names those played to their end, `failures` the others. Asked in this order nothing slips through:
        what ingest committed before its end is unread by detect, what detect committed by the last stage.
        """
        cameras = self._due_cameras()
        self._follow_reports()
        if not cameras or not all(map(is_clip, cameras)):
            return False
        told = [camera.camera for camera in cameras if self._told(camera)]
        failures = [self._failure(camera) for camera in cameras if camera.camera not in told]
        if None in failures:
            return False
        if unread(self._bus, "detect", FRAMES) or unread(self._bus, self._last, DETECTIONS):
            return False
        self.told, self.failures = tuple(told), tuple(f for f in failures if f is not None)
        return True

    def _due_cameras(self) -> list[CameraConfig]:
        rooms = self._roster.rooms()
        return [
            camera
            for key, camera in sorted(self._roster.cameras().items())
            if camera.enabled and not hidden(key) and (room_of(key) not in rooms or rooms[room_of(key)].enabled)
        ]

    def _told(self, camera: CameraConfig) -> bool:
        partition = partition_of(camera.camera, INGEST_STATE.partitions)
        for record in self._bus.latest(INGEST_STATE, partition=partition, key=camera.camera):
            try:
                state = decode(record)
            except InvalidRecord:
                return False
            return isinstance(state, IngestState) and state.ended and state.source == camera.source
        return False

    def _failure(self, camera: CameraConfig) -> Failure | None:
        since_ms, reason = self._failing.get(camera.camera, (None, ""))
        if since_ms is None or self._clock.monotonic_ms() - since_ms < FAILED_AFTER_MS:
            return None
        return Failure(camera.camera, camera.source, reason)

    def _follow_reports(self) -> None:
        place = Place(REPORTS.name, 0)
        while page := self._bus.fetch(place, self._next_report, max_records=PAGE_RECORDS, max_bytes=PAGE_BYTES):
            self._next_report = page[-1].offset + 1
            for record in page:
                try:
                    report = decode(record)
                except InvalidRecord:
                    continue
                if isinstance(report, CameraReport) and report.stage == "ingest":
                    self._note(report)

    def _note(self, report: CameraReport) -> None:
        if report.state in ("up", "off"):
            self._failing.pop(report.camera, None)
        elif report.last_error:
            since_ms, _ = self._failing.get(report.camera, (self._clock.monotonic_ms(), ""))
            self._failing[report.camera] = since_ms, report.last_error


def is_clip(camera: CameraConfig) -> bool:
    """Whether a camera is a file that ends."""
    parts = urlsplit(camera.source)
    return parts.scheme == "file" and parse_qs(parts.query).get("loop", ["0"]) == ["0"]
