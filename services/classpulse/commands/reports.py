"""What the stages say of cameras, for people."""

from collections.abc import Sequence

from classpulse.bus.base import Bus, Place
from classpulse.clock import SystemClock
from classpulse.codec import decode
from classpulse.errors import InvalidRecord
from classpulse.reading import PAGE_BYTES, PAGE_RECORDS
from classpulse.records import CameraReport
from classpulse.roster import Roster
from classpulse.topics import REPORTS

REPORTED_WITHIN_MS = 30_000
REPORTS_PER_CAMERA = 4
LEAST_REPORTS = 64
"""How far back to read: ingest and detect report in turns, and a day of reports is kept."""


def latest_reports(bus: Bus, cameras: int, *, stage: str, since_ms: int) -> dict[str, CameraReport]:
    """What a stage said last of each of so many cameras, not before `since_ms`."""
    first, end = bus.ends(REPORTS)[0]
    place, at = Place(REPORTS.name, 0), max(first, end - LEAST_REPORTS - REPORTS_PER_CAMERA * cameras)
    reports: dict[str, CameraReport] = {}
    while page := bus.fetch(place, at, max_records=PAGE_RECORDS, max_bytes=PAGE_BYTES):
        at = page[-1].offset + 1
        for record in page:
            try:
                report = decode(record)
            except InvalidRecord:
                continue
            if isinstance(report, CameraReport) and report.stage == stage and report.at_ms >= since_ms:
                reports[report.camera] = report
    return reports


def looks_now(bus: Bus) -> dict[str, CameraReport]:
    """What detect said last of each camera, within half a minute."""
    clock = SystemClock()
    cameras = len(Roster(bus, clock).cameras())
    return latest_reports(bus, cameras, stage="detect", since_ms=clock.now_ms() - REPORTED_WITHIN_MS)


def whole_keys(bus: Bus, wanted: Sequence[str]) -> tuple[str, ...]:
    """The whole keys of cameras. Raises BadInput for unknown ones."""
    roster = Roster(bus, SystemClock())
    return tuple(sorted({roster.camera(key).camera for key in wanted}))
