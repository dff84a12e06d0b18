"""The nouns that travel (frozen). Times are integer milliseconds of event time; boxes are fractions 0..1 of the picture.

A camera's key is `tenant/school/room/camera`, a room's is `tenant/school/room`. Behaviours are names. Nothing here but
`Frame` can hold pixels, and nothing can hold a face, an embedding or a lasting person id.
"""

from typing import Literal

import msgspec

Delivery = Literal["live", "complete"]
Views = Literal["overlapping", "disjoint"]
CameraState = Literal["up", "connecting", "silent", "off"]
Phase = Literal["started", "ended"]

HIDDEN = "canary-"
"""How the names of rooms begin in which no pupils are: a canary lesson is played there, and nobody wants to see it."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What all nouns share: immutable and keyword-only. Unknown fields are ignored, so that a newer writer may add one."""


class CameraConfig(Record, frozen=True, kw_only=True):
    """How one camera is watched. `source` never holds a password: `credentials_ref` names the file that does."""

    camera: str
    source: str
    credentials_ref: str | None = None
    fps: float = 5.0
    frame_width: int | None = None
    masks: tuple[tuple[tuple[float, float], ...], ...] = ()
    delivery: Delivery = "live"
    enabled: bool = True


class Lesson(Record, frozen=True, kw_only=True):
    """A stretch of the week in which a room is observed: weekday 0 is Monday; minutes since local midnight, half-open."""

    weekday: int
    start_minute: int
    end_minute: int


class Rule(Record, frozen=True, kw_only=True):
    """When detections of a behaviour make an event.

    Those with at least `least_score` must last `least_duration_ms` without a gap longer than `longest_gap_ms`. Weaker ones
    make no event; but one that is made begins with the first and ends with the last of either, without such a gap.
    """

    least_score: float
    least_duration_ms: int
    longest_gap_ms: int


class RoomConfig(Record, frozen=True, kw_only=True):
    """How one room is observed. An empty timetable means always; holidays are local dates `YYYY-MM-DD`.

    Before `valid_from_ms` a room goes by `until_then`, what held when this was written, or is not observed where nothing did.
    """

    room: str
    valid_from_ms: int = 0
    time_zone: str = "UTC"
    timetable: tuple[Lesson, ...] = ()
    holidays: tuple[str, ...] = ()
    views: Views = "overlapping"
    rules: dict[str, Rule] = {}
    samples_allowed: bool = False
    enabled: bool = True
    until_then: "RoomConfig | None" = None


class Told(Record, frozen=True, kw_only=True):
    """One piece of a camera's ordered story. Epochs only rise; sequences start at 0 and have no holes at capture."""

    camera: str
    epoch: int


class Frame(Told, frozen=True, kw_only=True):
    """One sampled picture: JPEG bytes, its size in pixels, and the nominal time until the next sample."""

    sequence: int
    captured_at_ms: int
    interval_ms: int
    width: int
    height: int
    jpeg: bytes


class Dropped(Told, frozen=True, kw_only=True):
    """Sequences `first_sequence`..`last_sequence` (both included) were captured and will never be detections."""

    first_sequence: int
    last_sequence: int
    first_ms: int
    last_ms: int
    reason: str


class Heartbeat(Told, frozen=True, kw_only=True):
    """The camera is followed: everything up to `last_sequence` (-1: nothing yet) and `at_ms` has been told.

    `state`: `up`; `connecting` or `silent` (it should be seen and is not); `off` (nobody is to be observed).
    """

    last_sequence: int
    at_ms: int
    state: CameraState
    detail: str = ""


class Hole(Told, frozen=True, kw_only=True):
    """The sequences missing before this camera's next record are missing for `reason` (their extent is unknown here)."""

    reason: str


class Detection(Record, frozen=True, kw_only=True):
    """One behaviour seen in one picture: score 0..1, box as fractions of the picture."""

    behaviour: str
    score: float
    box_xyxy: tuple[float, float, float, float]


class FrameDetections(Told, frozen=True, kw_only=True):
    """What the detector saw in one frame, under the frame's identity. `model` is the digest of the net used."""

    sequence: int
    captured_at_ms: int
    interval_ms: int
    model: str
    detections: tuple[Detection, ...]


class RoomPlan(Record, frozen=True, kw_only=True):
    """What the aggregator goes by from here on; logged to its own input, so that a replay sees it too.

    `cameras` maps each expected camera's key to its delivery: a bucket waits for all of them. `bucket_ms` is the length
    of the buckets from the next one on. `due`: whether the room was to be observed at `at_ms`; where it was not, a camera
    that is new to the plan is due only from its own first word on. `turns`: when that has changed since the plan before, and to
    what: a live camera that has no word of its own then (its ingest is dead) is due from there on, or no longer.
    """

    config: RoomConfig
    cameras: dict[str, Delivery]
    at_ms: int
    bucket_ms: int = 10_000
    due: bool = True
    turns: tuple[tuple[int, bool], ...] = ()


class Idle(Record, frozen=True, kw_only=True):
    """Nothing came from a live camera of this room for a while: it holds no bucket back before `at_ms`."""

    room: str
    camera: str
    at_ms: int


class BehaviourEvent(Record, frozen=True, kw_only=True):
    """A behaviour of somebody in a room began or ended. No box, picture or track; `id` says camera, epoch, behaviour, start, ordinal."""

    id: str
    room: str
    behaviour: str
    phase: Phase
    started_at_ms: int
    ended_at_ms: int | None = None
    model: str


class BehaviourTotals(Record, frozen=True, kw_only=True):
    """One behaviour in one bucket: events confirmed in it, person-milliseconds seen, most people at once."""

    events: int
    person_ms: int
    peak: int


class TimelineBucket(Record, frozen=True, kw_only=True):
    """A room during `[start_ms, end_ms)`: what was seen, and how much of it.

    `due_ms`: time in which somebody was to be observed; `observed_ms`: the part of it that was seen; `frames`: frames
    in this timeline; `missing`: captured frames that are not, by reason. Provisional until `final`.
    """

    room: str
    start_ms: int
    end_ms: int
    behaviours: dict[str, BehaviourTotals]
    due_ms: int
    observed_ms: int
    frames: int
    missing: dict[str, int]
    models: tuple[str, ...]
    revision: int
    final: bool


class CameraReport(Record, frozen=True, kw_only=True):
    """For people and alerts only, never for accounts: counters since the process started, state, last error class.

    `model`: what looks at the camera; `refused_swap`: the release that the line names and that does not, and why. `node`: the
    host on which the reporting process runs.
    """

    camera: str
    at_ms: int
    stage: str
    state: CameraState
    captured: int = 0
    published: int = 0
    detected: int = 0
    dropped: dict[str, int] = {}
    last_error: str = ""
    model: str = ""
    refused_swap: str = ""
    capture_to_detection_ms: int | None = None
    node: str = ""


class IngestState(Record, frozen=True, kw_only=True):
    """Where a camera's story stands, written together with the record it describes, so that a restart goes on there.

    `position_ms` is the stream's own time of the last frame published (PTS), `started_at_ms` the event time of PTS 0.
    """

    camera: str
    source: str
    epoch: int
    next_sequence: int
    last_ms: int
    position_ms: int
    started_at_ms: int
    ended: bool = False


class StateEntry(Record, frozen=True, kw_only=True):
    """One small piece of a stage's state under a room: the payload belongs to the stage that wrote it."""

    room: str
    name: str
    payload: bytes


class ExamFigures(Record, frozen=True, kw_only=True):
    """How a release did on one exam, for one behaviour: `ap50` is average precision at IoU 0.5, absent without objects."""

    exam: str
    behaviour: str
    truths: int
    ap50: float | None
    precision: float | None
    recall: float | None


class ModelRelease(Record, frozen=True, kw_only=True):
    """A net that may be used, by the SHA-256 of its file: immutable, so one digest says one thing for ever.

    `input_hw`: height and width of its input. `lineage`: what it was trained from, oldest first. `artefact`: URI of the folder
    with the net and its card.
    """

    digest: str
    name: str
    labels: tuple[str, ...]
    input_hw: tuple[int, int]
    figures: tuple[ExamFigures, ...]
    lineage: tuple[str, ...]
    artefact: str


class ModelLine(Record, frozen=True, kw_only=True):
    """Which releases a line of workers uses, by digest: the champion, and a canary on the cameras named.

    `revision` rises by one with every change; who changes it says which one was read, and is refused if that is not the latest.
    `taken_back`: the champion looked before and is to look again: workers do not compare it with what is to go.
    """

    line: str
    champion: str
    canary: str | None = None
    canary_cameras: tuple[str, ...] = ()
    previous: str | None = None
    taken_back: bool = False
    revision: int = 0


class DeadLetter(Record, frozen=True, kw_only=True):
    """An unreadable record: where it lies and why; its payload (base64) only for topics without pictures."""

    topic: str
    partition: int
    offset: int
    key: str
    reason: str
    detail: str
    at_ms: int
    stage: str
    payload: bytes | None = None


class Retried(Record, frozen=True, kw_only=True):
    """The record of a dead letter was published again: `letter` is the letter's offset, `topic` the record's."""

    letter: int
    topic: str
    at_ms: int


def room_of(camera: str) -> str:
    """The room's key of a camera's key. Raises ValueError unless it has the form tenant/school/room/camera."""
    parts = camera.split("/")
    if len(parts) != 4 or not all(parts):
        raise ValueError(f"camera {camera!r} is no camera key; expected tenant/school/room/camera")
    return "/".join(parts[:3])


def hidden(key: str) -> bool:
    """Whether a room's key, or any that begins with one (a camera's, a bucket's, a piece of state's), is a hidden room's."""
    parts = key.split("/")
    return len(parts) > 2 and parts[2].startswith(HIDDEN)
