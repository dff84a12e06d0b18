"""The canary, one lesson: what is to come of it, what came, and the verdict. Pure: no bus, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass

from classpulse.records import BehaviourEvent, CameraReport, FrameDetections, IngestState, Record

NOBODY = "none"
"""The node that is named where none is known."""

EARLY_MS = 1_000
"""An event may have begun so much before it truly did: a hand on its way up is half a raised hand."""

PATIENCE = 2
"""A lesson is given up after so many times what may be late, so that it can be said by how much it was."""


@dataclass(frozen=True, slots=True)
class Known:
    """An event that is sure to be seen in a lesson, during `[started_ms, ended_ms)` of it; it is one from `due_ms` on."""

    behaviour: str
    started_ms: int
    ended_ms: int
    due_ms: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a lesson: how long after they were due its events could be read, and why it counts as missed, if it does."""

    node: str
    delays_ms: tuple[int, ...]
    why: str

    @property
    def missed(self) -> bool:
        """Whether an event did not come in time."""
        return bool(self.why)


class Lesson:
    """A lesson from the moment its camera was declared. `node`: who is to look at it; empty where nobody is known to look.

    Its events count from when ingest says that it began. `trouble`: why nothing can be read of it now.
    """

    def __init__(
        self, node: str, camera: str, source: str, known: Sequence[Known], *, declared_ms: int, late_ms: int
    ) -> None:
        self.camera, self.source, self.trouble = camera, source, ""
        self._node, self._declared_ms, self._late_ms = node, declared_ms, late_ms
        self._known = sorted(known, key=lambda one: one.due_ms)
        self._begun_ms: int | None = None
        self._captured = 0
        self._looked_ms = 0
        self._looker = ""
        self._events: list[tuple[BehaviourEvent, int]] = []

    def hear(self, noun: Record, appended_at_ms: int) -> None:
        """Something that was appended to the bus since the lesson was declared."""
        match noun:
            case IngestState() if (noun.camera, noun.source) == (self.camera, self.source) and noun.next_sequence:
                self._begun_ms = noun.started_at_ms
                self._captured = max(self._captured, noun.next_sequence)
            case FrameDetections() if noun.camera == self.camera:
                self._looked_ms = max(self._looked_ms, noun.captured_at_ms)
            case CameraReport() if noun.camera == self.camera and noun.stage == "detect":
                self._looker = noun.node
            case BehaviourEvent() if noun.id.startswith(f"{self.camera}/") and noun.phase == "started":
                self._events.append((noun, appended_at_ms))
            case _:
                pass

    def verdict(self, now_ms: int) -> Verdict | None:
        """What became of it; None while that is open."""
        delays = self._delays()
        absent = [one for one in self._known if one not in delays]
        worst_ms = max(delays.values(), default=0)
        came = tuple(delays.values())
        if worst_ms > self._late_ms:
            late = f"an event came {(worst_ms - self._late_ms) / 1000:.1f} s too late"
            return Verdict(self._node or self._looker or NOBODY, came, late)
        if not absent:
            return Verdict(self._looker or self._node or NOBODY, came, "")
        if now_ms < self._given_up_ms(absent[0]):
            return None
        return Verdict(self._node or self._looker or NOBODY, came, self._how_far(absent[0]))

    def _delays(self) -> dict[Known, int]:
        """Of the known events that came: how long after it was due each could be read. One event stands for one that is known."""
        delays: dict[Known, int] = {}
        begun_ms = self._begun_ms
        if begun_ms is None:
            return delays
        for event, appended_at_ms in self._events:
            began_ms = event.started_at_ms - begun_ms
            for one in self._known:
                during = one.started_ms - EARLY_MS <= began_ms < one.ended_ms
                if one not in delays and one.behaviour == event.behaviour and during:
                    delays[one] = max(0, appended_at_ms - begun_ms - one.due_ms)
                    break
        return delays

    def _given_up_ms(self, absent: Known) -> int:
        due_ms = self._declared_ms if self._begun_ms is None else self._begun_ms + absent.due_ms
        return due_ms + PATIENCE * self._late_ms

    def _how_far(self, absent: Known) -> str:
        """How far it came, for people."""
        if self.trouble:
            return f"the bus does not answer: {self.trouble}"
        if self._begun_ms is None:
            return "no picture of it was captured"
        looked_ms = self._looked_ms - self._begun_ms
        if looked_ms < 0:
            return f"pictures of it were captured ({self._captured}) and none was looked at"
        if looked_ms < absent.due_ms:
            return f"pictures of it were captured ({self._captured}), and looked at up to its second {looked_ms / 1000:.1f}"
        return f"it was looked at up to its second {looked_ms / 1000:.1f}, and no {absent.behaviour} became an event"
