"""cameras.v1 and rooms.v1 → captures: which cameras this process has open now. Looked at about once a second.

The copies of ingest share a school's cameras as a group over ingest-state.v1, which is partitioned like the cameras: whose
partition that is opens the camera. Where partitions change hands, two copies may have a camera open for a moment; the later
one fences the earlier, so that its frames count once. A camera is open while it and its room are switched on and the room's
timetable says so. Whatever is closed is told `off`; a camera that this process merely stops watching (it exits, the
configuration changed, another copy has it) is not: others will go on.
"""

import logging
from collections.abc import Callable, Sequence

import msgspec

from classpulse.bus.base import Bus, Place
from classpulse.clock import Clock
from classpulse.codec import Outgoing, encode
from classpulse.errors import BadInput, Fatal, Fenced, InvalidRecord, Recoverable
from classpulse.ingest.capture import Capture, tell_off
from classpulse.ingest.figures import Figures
from classpulse.ingest.schedule import observed
from classpulse.records import CameraConfig, CameraReport, RoomConfig, room_of
from classpulse.roster import Roster, is_bridged
from classpulse.telemetry import Metrics
from classpulse.topics import INGEST_STATE, REPORTS, partition_of

ROOM_FAULTS = ("bad_room", "no_room")
"""Faults that a change on rooms.v1 mends."""

AGAIN_MS = 5_000
"""A camera whose threads died, or that another copy took over, is opened again after so long if it is ours then."""

TELLING_MS = 1_000
"""How long one look may spend on telling that cameras are off: the group waits for the next one. The rest follows then."""

KEEP_UP_MS = 50
"""How long a look waits for what the group has to say."""

_log = logging.getLogger("classpulse.ingest")

Open = Callable[[CameraConfig], Capture]


class Watch:
    """The cameras of copy `index` of `count`, of one school (`TENANT/SCHOOL`) or of all. `node`: where it runs, for reports."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        open_camera: Open,
        *,
        metrics: Metrics,
        index: int = 0,
        count: int = 1,
        school: str = "",
        node: str = "",
        camera_series: int = 100,
    ) -> None:
        self._bus, self._clock, self._open_camera, self._metrics = bus, clock, open_camera, metrics
        self._figures = Figures(metrics, camera_series)
        for frames in (metrics.frames_captured, metrics.frames_published):
            frames.inc(0)  # shown from the start: what is first shown at 1 has not risen
        for result in ("committed", "retried"):
            metrics.transactions.labels(result)
        self._school = f"{school}/" if school else ""
        self._node = node
        self._roster = Roster(bus, clock)
        self._group = bus.member(f"ingest/{school}".rstrip("/"), [INGEST_STATE], index=index, count=count)
        self._place = f"{school}/{index}"
        self._member = bus.member("ingest-reports", (), slot=self._place)
        self._known: dict[str, CameraConfig] = {}
        self._captures: dict[str, Capture] = {}
        self._closing: dict[str, Capture] = {}
        self._told_off: set[str] = set()
        self._again_ms: dict[str, int] = {}
        self._faults: dict[str, str] = {}
        self._tell_until_ms = 0
        self._looked = False
        self.turned_ms = clock.monotonic_ms()

    def owns(self, camera: str) -> bool:
        """Whether a camera is this copy's now."""
        place = Place(INGEST_STATE.name, partition_of(camera, INGEST_STATE.partitions))
        return camera.startswith(self._school) and place in self._group.assignment()

    def missing(self) -> str:
        """What is missing before it does its part; empty for nothing. May be asked from any thread."""
        if not self._looked:
            return "ingest: cameras.v1 and rooms.v1 have not been read yet; expected the bus to answer"
        if not self._group.assignment():
            return "ingest: no partition is assigned to this copy; expected one at least, and no more copies than partitions"
        return ""

    def turn(self) -> None:
        """Look at what is wanted, open and close accordingly, and report. Raises Fatal, not for one camera's trouble."""
        try:
            self._group.poll(max_records=0, max_bytes=0, timeout_ms=KEEP_UP_MS)
            self._tell_until_ms = self._clock.monotonic_ms() + TELLING_MS
            rooms = self._roster.rooms()
            cameras = {key: config for key, config in self._roster.cameras().items() if self._concerns(config)}
            self._bury()
            for key in [key for key in self._known if key not in cameras]:
                if self.owns(key):
                    self._remove(key)
                else:
                    self._release(key)
            for key, config in cameras.items():
                self._known[key] = config
                self._see_to(config, self._wanted(config, rooms))
            self._report(cameras)
            self._looked = True
        except Recoverable as error:
            _log.warning("%s; looking again soon", error)
        self.turned_ms = self._clock.monotonic_ms()

    def stop(self, timeout_ms: int) -> bool:
        """Stop all captures without a word about the cameras' state; whether all were done in time."""
        captures = [*self._captures.values(), *self._closing.values()]
        for capture in self._captures.values():
            capture.stop()
        until_ms = self._clock.monotonic_ms() + timeout_ms
        done = [one.join(max(0, until_ms - self._clock.monotonic_ms()) / 1000) for one in captures]
        return all(done)

    @property
    def captures(self) -> dict[str, Capture]:
        """The cameras that are open, or over."""
        return dict(self._captures)

    # which are wanted

    def _concerns(self, config: CameraConfig) -> bool:
        """Whether this copy has anything to do with a camera: it is its own, and no other place opens it."""
        return self.owns(config.camera) and not is_bridged(config)

    def _wanted(self, config: CameraConfig, rooms: dict[str, RoomConfig]) -> bool:
        try:
            room = rooms.get(room_of(config.camera))
            wanted = observed(config, room, self._clock.now_ms())
        except (BadInput, ValueError) as error:
            self._note_fault(config.camera, "bad_room", str(error))
            return False
        if room is None:
            self._note_fault(config.camera, "no_room", f"room {room_of(config.camera)!r} is not on rooms.v1")
        elif self._faults.get(config.camera) in ROOM_FAULTS:
            del self._faults[config.camera]
        return wanted

    def _note_fault(self, camera: str, fault: str, detail: str) -> None:
        if self._faults.get(camera) != fault:
            _log.error("%s: %s: %s; not observed", camera, fault, detail)
        self._faults[camera] = fault

    def _see_to(self, config: CameraConfig, wanted: bool) -> None:
        """Bring one camera to what is wanted of it, as far as that can be done now."""
        key = config.camera
        capture = self._captures.get(key)
        if capture is not None and (not wanted or capture.config != config):
            self._close(key, off=not wanted)
        elif capture is None and key not in self._closing:
            if wanted:
                self._open(config)
            elif key not in self._told_off and self._tell_off(config):
                self._told_off.add(key)

    def _tell_off(self, config: CameraConfig, *, forget: bool = False) -> bool:
        """Whether there is nothing more to be told of a camera that is not open. Its story may be unreadable: asking again is no remedy."""
        if self._clock.monotonic_ms() >= self._tell_until_ms:
            return False
        try:
            told = tell_off(config, self._bus, self._clock, self._metrics, forget=forget)
        except (Fenced, Recoverable) as error:  # another copy took it over this moment; or nobody answers
            _log.warning("%s: %s; telling that it is off later", config.camera, error)
            return False
        except InvalidRecord as error:
            self._note_fault(config.camera, "bad_state", str(error))
            return True
        if told:
            _log.info("%s: nobody is to be observed now", config.camera)
        return told

    def _open(self, config: CameraConfig) -> None:
        if self._clock.monotonic_ms() < self._again_ms.get(config.camera, 0):
            return
        self._told_off.discard(config.camera)
        capture = self._open_camera(config)
        self._captures[config.camera] = capture
        capture.start()
        _log.info("%s: opened", config.camera)

    def _close(self, key: str, *, off: bool, forget: bool = False) -> None:
        capture = self._captures.pop(key)
        capture.stop(off=off, forget=forget)
        self._closing[key] = capture

    def _remove(self, key: str) -> None:
        """A camera that was taken off cameras.v1: its recording, should it be added again, is played again."""
        capture = self._captures.get(key)
        if capture is not None and capture.alive:
            self._close(key, off=True, forget=True)
        elif key not in self._closing and not self._tell_off(self._known[key], forget=True):
            return
        self._captures.pop(key, None)
        self._forget(key)

    def _release(self, key: str) -> None:
        """A camera that is another copy's now: it goes on with the story, so nothing is told of it here."""
        if key in self._captures:
            self._close(key, off=False)
        _log.info("%s: left to another copy", key)
        self._forget(key)

    def _forget(self, key: str) -> None:
        self._told_off.discard(key)
        self._faults.pop(key, None)
        del self._known[key]

    def _bury(self) -> None:
        """Notice which captures have ended, and why."""
        for capture in (*self._captures.values(), *self._closing.values()):
            if isinstance(capture.error, Fenced):
                _log.warning("%s: another copy publishes it now", capture.config.camera)
            elif isinstance(capture.error, Fatal):
                _log.error("%s: %s", capture.config.camera, capture.error)
        for key in [key for key, one in self._closing.items() if not one.alive]:
            if self._closing.pop(key).told_off:
                self._told_off.add(key)
        for key in [key for key, one in self._captures.items() if not one.alive and not one.ended]:
            del self._captures[key]
            self._again_ms[key] = self._clock.monotonic_ms() + AGAIN_MS

    # reports

    def _report(self, cameras: dict[str, CameraConfig]) -> None:
        now_ms = self._clock.now_ms()
        reports = [msgspec.structs.replace(self._report_of(key, now_ms), node=self._node) for key in cameras]
        last_ms = {key: at_ms for key, one in self._captures.items() if (at_ms := one.last_frame_ms) is not None}
        self._figures.show(reports, last_ms)
        if reports:
            self._publish([encode(report, topic=REPORTS, at_ms=now_ms) for report in reports])

    def _publish(self, outputs: Sequence[Outgoing]) -> None:
        """Reports are for people only: what becomes of them costs no camera. Raises Fenced: another process is this copy."""
        try:
            self._member.commit(outputs, {})
        except Fenced:
            raise
        except Fatal as error:
            _log.warning("reports: %s", error)
            self._member.close()
            self._member = self._bus.member("ingest-reports", (), slot=self._place)

    def _report_of(self, key: str, now_ms: int) -> CameraReport:
        if key in self._captures:
            return self._captures[key].report(now_ms)
        fault = self._faults.get(key, "failed" if key in self._again_ms else "")
        return CameraReport(camera=key, at_ms=now_ms, stage="ingest", state="off", last_error=fault)
