"""The canary, a round: a lesson in a hidden room for every node that detects, through all that there is between it and its events.

It declares rooms and cameras as an operator does, reads what every stage tells, and takes all of it away again.
"""

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from urllib.parse import quote

from classpulse.bus.base import Bus, Place
from classpulse.canary.clip import CLIP, FPS, RULES, known_events
from classpulse.canary.lesson import NOBODY, Lesson, Verdict
from classpulse.canary.nodes import Nodes, Turn
from classpulse.clock import Clock
from classpulse.codec import Stored, decode
from classpulse.errors import InvalidRecord, Recoverable
from classpulse.reading import offset_at, stored_records
from classpulse.records import HIDDEN, CameraConfig, CameraReport, RoomConfig, hidden, room_of
from classpulse.roster import Declared, Roster, is_bridged
from classpulse.telemetry import Metrics
from classpulse.topics import DETECTIONS, EVENTS, FRAMES, INGEST_STATE, REPORTS, TOPICS, partition_of

LOOK_S = 0.5
REPORTED_WITHIN_MS = 60_000
"""Detect reports every five seconds of each camera of which anything comes: what is older says nothing of now."""

NO_SCHOOL = "canary/school"
"""Where a lesson is played while no camera is declared."""

_log = logging.getLogger("classpulse.canary")


class Canary:
    """Plays rounds of lessons. `late_ms`: an event that can be read no later than so much after it was due came in time."""

    def __init__(self, bus: Bus, clock: Clock, *, metrics: Metrics, late_ms: int, clip: Path = CLIP) -> None:
        self._metrics = metrics
        self._bus, self._clock, self._late_ms, self._clip = bus, clock, late_ms, clip
        self._known = known_events(clip)
        self._roster = Roster(bus, clock)
        self._nodes = Nodes()
        self._shown: frozenset[str] = frozenset()
        self._at: dict[Place, int] = {}
        self._lessons: list[tuple[Turn, Lesson]] = []
        self.alive_ms = clock.monotonic_ms()

    def rest(self, until_ms: int, stop: threading.Event) -> bool:
        """Wait until that time of the monotonic clock, or until `stop` is set: whether it is."""
        while not stop.is_set() and (left_ms := until_ms - self._clock.monotonic_ms()) > 0:
            self.alive_ms = self._clock.monotonic_ms()
            stop.wait(min(left_ms / 1000, LOOK_S))
        return stop.is_set()

    def play(self, stop: threading.Event) -> None:
        """One round, until every lesson has its verdict or `stop` is set; then none is declared any more."""
        with suppress(Recoverable):  # a bus that does not answer now is told below
            self._hear_reports()
        turns = self._turns()
        try:
            self._begin(turns)
        except Recoverable as error:
            for turn in turns:
                self._judge(turn, Verdict(turn.node or NOBODY, (), f"the bus does not answer: {error}"))
        else:
            self._follow(stop)
        self.clear()

    def clear(self) -> None:
        """Take every lesson away that is declared. What was seen of it stays for as long as its topics keep it."""
        self._lessons = []
        try:
            self._declare((), ())
        except Recoverable as error:
            _log.warning("%s; the cameras of canary lessons are taken away after the next ones", error)

    # its beginning

    def _hear_reports(self) -> None:
        """What was reported since the last round, as far as it says who looks now."""
        place, since_ms = Place(REPORTS.name, 0), self._clock.now_ms() - REPORTED_WITHIN_MS
        self._at = {place: max(self._at.get(place, 0), offset_at(self._bus, REPORTS, 0, since_ms))}
        self._look()

    def _turns(self) -> list[Turn]:
        """Whose turn it is: where nobody is known to look, whoever does."""
        turns = self._nodes.turns()
        for node in self._nodes.names - self._shown:
            self._metrics.canary_missed.labels(node)
        for node in self._shown - self._nodes.names:
            self._metrics.canary_missed.remove(node)
            self._metrics.canary_delay_seconds.remove(node)
        self._shown = self._nodes.names
        return turns or [Turn("", None, "")]

    def _begin(self, turns: Sequence[Turn]) -> None:
        """Declare a lesson for each, from where on all that is told of it will be read. May raise Recoverable."""
        now_ms = self._clock.now_ms()
        source = f"file://{quote(str(self._clip))}?pace=realtime#{now_ms}"  # another one each time, so that it is played again
        for number, turn in enumerate(turns, start=1):
            camera = _camera(f"{turn.school or self._school()}/{HIDDEN}{number}", turn.partition)
            self._mark(camera)
            lesson = Lesson(turn.node, camera, source, self._known, declared_ms=now_ms, late_ms=self._late_ms)
            self._lessons.append((turn, lesson))
        cameras = [lesson.camera for _, lesson in self._lessons]
        self._declare(
            [RoomConfig(room=room_of(camera), rules=RULES) for camera in cameras],
            [CameraConfig(camera=camera, source=source, fps=FPS) for camera in cameras],
        )

    def _school(self) -> str:
        """A school whose cameras this route opens."""
        cameras = self._roster.cameras().items()
        ours = sorted(key for key, config in cameras if not hidden(key) and not is_bridged(config))
        return room_of(ours[0]).rpartition("/")[0] if ours else NO_SCHOOL

    def _mark(self, camera: str) -> None:
        room = room_of(camera)
        for topic, key in ((INGEST_STATE, camera), (DETECTIONS, room), (EVENTS, room)):
            partition = partition_of(key, topic.partitions)
            self._at.setdefault(Place(topic.name, partition), self._bus.ends(topic)[partition][1])

    def _declare(self, rooms: Sequence[RoomConfig], cameras: Sequence[CameraConfig]) -> None:
        """Make these the hidden ones that there are."""
        before = Declared(tuple(filter(hidden, self._roster.rooms())), tuple(filter(hidden, self._roster.cameras())))
        self._roster.apply(rooms, cameras, before=before)

    # what comes of it

    def _follow(self, stop: threading.Event) -> None:
        while self._lessons and not stop.wait(LOOK_S):
            self.alive_ms = self._clock.monotonic_ms()
            trouble = ""
            try:
                self._look()
            except Recoverable as error:
                trouble = str(error)
            now_ms = self._clock.now_ms()
            for turn, lesson in list(self._lessons):
                lesson.trouble = trouble
                if (verdict := lesson.verdict(now_ms)) is not None:
                    self._lessons.remove((turn, lesson))
                    self._judge(turn, verdict)

    def _look(self) -> None:
        """Read on, everywhere. May raise Recoverable."""
        keys = {key for _, lesson in self._lessons for key in (lesson.camera, room_of(lesson.camera))}
        for place in list(self._at):
            for record in stored_records(self._bus, TOPICS[place.topic], place.partition, start=self._at[place]):
                self._at[place] = record.offset + 1
                if place.topic == REPORTS.name or record.key in keys:
                    self._hear(record)

    def _hear(self, record: Stored) -> None:
        try:
            noun = decode(record)
        except InvalidRecord:
            return
        if isinstance(noun, CameraReport):
            self._nodes.hear(noun)
        for _, lesson in self._lessons:
            lesson.hear(noun, record.appended_at_ms)

    def _judge(self, turn: Turn, verdict: Verdict) -> None:
        self._nodes.judge(turn.node, missed=verdict.missed)
        for delay_ms in verdict.delays_ms:
            self._metrics.canary_delay_seconds.labels(verdict.node).observe(delay_ms / 1000)
        if verdict.missed:
            self._metrics.canary_missed.labels(verdict.node).inc()
            _log.warning("node %s: canary lesson missed: %s", verdict.node, verdict.why)
        else:
            delays = ", ".join(f"{delay_ms / 1000:.1f}" for delay_ms in verdict.delays_ms)
            _log.info("node %s: canary lesson came; its events could be read after %s s", verdict.node, delays)


def _camera(room: str, partition: int | None) -> str:
    """The first camera of a room that lies in a partition of frames.v1 (None: in any): always the same one."""
    names = (f"{room}/{number}" for number in count())
    return next(one for one in names if partition in (None, partition_of(one, FRAMES.partitions)))
