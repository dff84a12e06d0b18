"""camera → frames.v1: one camera's ordered story, apart from all I/O: epochs, sequences, event times, what is told when.

Its caller says what happened and gets items, in the order in which they must be told. Each item carries the state that
the camera's story has once it is told; both are written in one step, so a restart goes on exactly there.
"""

from collections import deque
from dataclasses import dataclass
from statistics import median

from classpulse.ingest.sampling import Grid, LiveClock
from classpulse.ingest.sources.base import Opened, Picture
from classpulse.records import CameraConfig, CameraState, IngestState

BEAT_MS = 1_000
"""A camera that tells nothing else tells at least this often where it stands (event time)."""

HOLD_MS = 10_000
"""Time told already is not told again for so long; a clock that went back further is believed, in a new epoch."""


@dataclass(frozen=True, slots=True)
class Picked:
    """A picture that was given a sequence: `state.next_sequence - 1` of `state.epoch`."""

    state: IngestState
    at_ms: int
    interval_ms: int
    picture: Picture

    @property
    def sequence(self) -> int:
        """Its place in the epoch."""
        return self.state.next_sequence - 1


@dataclass(frozen=True, slots=True)
class Gone:
    """Sequences that were given and will never be pictures."""

    state: IngestState
    first_sequence: int
    last_sequence: int
    first_ms: int
    last_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Beat:
    """The camera's state at a time."""

    state: IngestState
    at_ms: int
    said: CameraState
    detail: str = ""


Item = Picked | Gone | Beat


class CameraStory:
    """What is told about one camera. `recorded`: its source has a beginning of its own and can be resumed.

    A live camera's epoch is the second in which it begins, or the one above the last: so it stands above all that another
    machine, or this one before its data folder was lost, has told of the camera.
    """

    def __init__(self, config: CameraConfig, stored: IngestState | None, *, recorded: bool, now_ms: int = 0) -> None:
        self._camera, self._source, self.recorded = config.camera, config.source, recorded
        self._complete = config.delivery == "complete"
        self._fps = config.fps
        same = stored is not None and stored.source == config.source and recorded
        resumes = same and self._complete
        self.epoch = 0 if stored is None else stored.epoch + (not resumes)
        if not recorded:
            self.epoch = max(self.epoch, now_ms // 1000)
        self._next_sequence = stored.next_sequence if stored is not None and resumes else 0
        self._last_ms = 0 if stored is None else stored.last_ms
        self._position_ms = stored.position_ms if stored is not None and same else -1
        self._started_ms = stored.started_at_ms if stored is not None and same else 0
        self._rejoins = not self._complete and self._started_ms > 0
        self.ended = stored is not None and same and stored.ended
        self.said: CameraState = "off" if self.ended else "connecting"
        self.detail = ""
        self.late_ms = 0
        self._moving = not recorded
        self._dated = False
        self._announced = False
        self._last_frame_ms = 0
        self._slot = -1
        self._begin_counting(1000.0 / config.fps)

    # opening

    def resume_after(self, now_ms: int, *, paced: bool) -> int:
        """The stream time after which a recording goes on. Played live, it has gone on while nobody looked."""
        if self._rejoins and paced:
            self._position_ms = max(self._position_ms, now_ms - self._started_ms - 1)
        return self._position_ms

    def connect(self, now_ms: int) -> list[Item]:
        """A connection is being made. Opening a recording takes no time, and is not told."""
        if self.recorded:
            return []
        changed = self.said != "connecting" or not self._announced
        self.said, self.detail = "connecting", ""
        return [self._beat(now_ms)] if changed else []

    def begin(self, now_ms: int, opened: Opened, *, paced: bool) -> None:
        """The source is open: its pictures follow. A live stream's connection is an epoch of its own."""
        if not self.recorded and self._next_sequence:
            self._new_epoch()
        if self.recorded and not self._started_ms:
            start_ms = opened.started_at_ms
            if start_ms is None:
                start_ms = now_ms if paced or opened.duration_ms is None else now_ms - opened.duration_ms
            self._started_ms = max(start_ms, self._last_ms if self._last_ms <= now_ms + HOLD_MS else 0)
        self._rejoins = False
        self._dated = opened.started_at_ms is not None
        self._begin_counting(1000.0 / (opened.frames_per_s or self._fps) if self.recorded else 0.0)

    # pictures

    def wanted_from(self) -> int:
        """The stream time of the next picture that will be told of: the next slot's, or the next sign of life."""
        due_ms = self._grid.start_of(self._slot + 1) + self._origin_ms
        return min(due_ms, self._spoken_pts_ms + BEAT_MS) if self._spoken_pts_ms >= 0 else due_ms

    def time_of(self, pts_ms: int) -> int:
        """When a recording's picture was captured. Time told already is left out, by a new epoch that starts later."""
        behind_ms = self._last_ms - (self._started_ms + pts_ms)
        if behind_ms > 0:
            self._new_epoch()
            self._started_ms += behind_ms
        return self._started_ms + pts_ms

    def concerns(self, pts_ms: int) -> bool:
        """Whether a picture of a recording is to be told of, as a frame or as a sign of life."""
        if pts_ms <= self._position_ms:
            return False
        return self._grid.slot(pts_ms) > self._slot or self._started_ms + pts_ms >= self._last_ms + BEAT_MS

    def see(self, picture: Picture, now_ms: int) -> list[Item]:
        """A picture came. Gives it as a frame if its slot has not had one, as a sign of life if one is due.

        Pictures that a live stream held back and now sends at once are left out, but for the first: two samples are
        never closer than half an interval, so what comes closer is such a backlog.
        """
        pts_ms = picture.pts_ms
        if self.recorded:
            return self._take(picture, self.time_of(pts_ms)) if self.concerns(pts_ms) else []
        at_ms = self._clock.place(pts_ms, now_ms)
        if at_ms is None:
            self._new_epoch()
            self._begin_counting(0.0)
            at_ms = self._clock.place(pts_ms, now_ms) or now_ms
        self.late_ms = now_ms - at_ms
        self._note_step(pts_ms)
        held = at_ms < self._last_ms <= at_ms + HOLD_MS
        return [] if held else self._take(picture, at_ms)

    # what else happens

    def fail(self, reason: str, now_ms: int, *, progressed: bool) -> list[Item]:
        """There are no pictures. A recording that got on since it was opened holds its time for one more attempt.

        One that is dated by itself always does: what follows in its own time has nothing to do with how long it is away now.
        """
        self._moving = not (self.recorded and (progressed or self._dated))
        self.said, self.detail = "silent", reason
        return [self._beat(now_ms)]

    def tick(self, now_ms: int) -> list[Item]:
        """Time passes: while the camera should be seen and is not, that is said once a second."""
        waiting = self.said == "silent" or (self.said == "connecting" and not self.recorded)
        due = not self._last_ms - HOLD_MS <= now_ms < self._last_ms + BEAT_MS
        return [self._beat(now_ms)] if waiting and self._moving and due else []

    def end_at(self, end_ms: int) -> int:
        """When a recording is over that ends at that stream time."""
        return self._started_ms + end_ms

    def end(self, end_ms: int, *, loops: bool, now_ms: int) -> list[Item]:
        """A recording is over at that stream time: nobody is to be observed any more, or it begins again."""
        at_ms = max(self._last_ms, self.end_at(end_ms))
        if loops:
            self._new_epoch()
            self._position_ms, self._started_ms = -1, max(now_ms, at_ms)
            return []
        self.ended, self.said, self.detail = True, "off", ""
        return [self._beat(at_ms)]

    def close(self, now_ms: int, *, forget: bool = False) -> list[Item]:
        """Nobody is to be observed from now on. `forget` lets the same recording be played again, should it come back."""
        self.said, self.detail = "off", ""
        self._source = "" if forget else self._source
        if self.ended and not forget:
            return []
        return [self._beat(self._last_ms if self.recorded and self._last_ms else now_ms)]

    # inside

    @property
    def last_ms(self) -> int:
        """The latest time told."""
        return self._last_ms

    def _take(self, picture: Picture, at_ms: int) -> list[Item]:
        self.said, self.detail, self._announced = "up", "", True
        slot = self._grid.slot(picture.pts_ms - self._origin_ms)
        backlog = not self.recorded and 2 * abs(at_ms - self._last_frame_ms) < self._grid.interval_ms
        if slot > self._slot and not backlog:
            self._slot = slot
            self._next_sequence += 1
            self._position_ms = picture.pts_ms
            self._last_frame_ms = at_ms
            self._tell(at_ms, picture.pts_ms)
            return [Picked(self._state(), at_ms, self._interval_ms(), picture)]
        if at_ms < self._last_ms + BEAT_MS:
            return []
        self._tell(at_ms, picture.pts_ms)
        return [Beat(self._state(), at_ms, "up")]

    def _beat(self, now_ms: int) -> Beat:
        if self._last_ms > now_ms + HOLD_MS:
            self._new_epoch()
            self._last_ms = now_ms
        self._announced = True
        moves = self._moving or self._last_ms == 0 or self.said == "off"
        self._last_ms = max(self._last_ms, now_ms) if moves else self._last_ms
        return Beat(self._state(), self._last_ms, self.said, self.detail)

    def _tell(self, at_ms: int, pts_ms: int) -> None:
        self._last_ms, self._spoken_pts_ms = at_ms, pts_ms

    def _new_epoch(self) -> None:
        self.epoch += 1
        self._next_sequence = 0

    def _begin_counting(self, period_ms: float) -> None:
        """A new connection, or a clock that jumped: the grid starts at its first picture; a recording's at time 0."""
        self._grid = Grid(self._fps, tolerant=not self.recorded)
        self._clock = LiveClock()
        self._period_ms = period_ms
        self._steps_ms: deque[int] = deque(maxlen=5)
        self._seen_ms: int | None = None
        self._spoken_pts_ms = -1
        self._origin_ms = 0
        self._slot = self._grid.slot(self._position_ms) if self.recorded and self._position_ms >= 0 else -1

    def _note_step(self, pts_ms: int) -> None:
        """Learn a live stream's own period; after a jump, its grid starts here."""
        if self._seen_ms is None:
            self._origin_ms = pts_ms
        elif pts_ms > self._seen_ms:
            self._steps_ms.append(pts_ms - self._seen_ms)
            self._period_ms = float(median(self._steps_ms))
        self._seen_ms = pts_ms

    def _interval_ms(self) -> int:
        """How long until the next frame, as far as is known: never less than the stream's own period."""
        return max(self._grid.interval_ms, round(self._period_ms))

    def _state(self) -> IngestState:
        return IngestState(
            camera=self._camera,
            source=self._source,
            epoch=self.epoch,
            next_sequence=self._next_sequence,
            last_ms=self._last_ms,
            position_ms=self._position_ms,
            started_at_ms=self._started_ms,
            ended=self.ended and bool(self._source),
        )
