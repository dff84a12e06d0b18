"""The demo, what came of it: everything is read back from the bus and measured against the truth and the clips."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from classpulse.accounts import Account
from classpulse.aggregate.rules import rules_of
from classpulse.bus.base import Bus
from classpulse.codec import Stored, decode
from classpulse.demo.accounts import accounts, clip_frames
from classpulse.demo.bundled import Lesson
from classpulse.demo.latency import capture_to_event_ms
from classpulse.demo.matching import Counts, Matching, measure
from classpulse.demo.truth import Judged, TrueBehaviour, judged
from classpulse.drawing.lanes import TrueSpan
from classpulse.errors import InvalidRecord
from classpulse.page import Panel
from classpulse.reading import Cell, RoomTimeline, Span, read_room, room_configs, stored_records
from classpulse.records import CameraReport, FrameDetections, IngestState, RoomConfig
from classpulse.topics import DETECTIONS, INGEST_STATE, REPORTS, partition_of


@dataclass(frozen=True)
class Result:
    """What the demo measured, before it is written down.

    `not_counted`: true events that were hidden from the camera or shorter than the room's rule asks.
    """

    panels: tuple[Panel, ...]
    counts: Mapping[str, Counts]
    accounts: tuple[Account, ...]
    latencies_ms: tuple[int, ...]
    frames_per_s: float | None
    models: tuple[str, ...]
    not_counted: int = 0


@dataclass(frozen=True)
class _Room:
    """One room with its truth laid over its events, and what that amounts to."""

    panel: Panel
    counts: Mapping[str, Counts]
    not_counted: int


def measured(bus: Bus, lessons: Sequence[Lesson], *, whole: bool = True) -> Result:
    """Measure a demo that was played. `whole` says that its clips were played to their ends and so can be counted."""
    rooms = [_room(bus, lesson, whole=whole) for lesson in lessons]
    counts: dict[str, Counts] = {}
    for room in rooms:
        for behaviour, count in room.counts.items():
            counts[behaviour] = counts.get(behaviour, Counts()) + count
    clips = {lesson.camera: clip_frames(lesson.clip, lesson.fps) for lesson in lessons} if whole else {}
    keys = [lesson.room for lesson in lessons]
    return Result(
        panels=tuple(room.panel for room in rooms),
        counts=counts,
        accounts=tuple(accounts(bus, [lesson.camera for lesson in lessons], clips, whole=whole)),
        latencies_ms=tuple(capture_to_event_ms(bus, keys)),
        frames_per_s=frames_per_s(bus, keys),
        models=tuple(sorted({model for room in rooms for model in room.panel.timeline.models})),
        not_counted=sum(room.not_counted for room in rooms),
    )


def frames_per_s(bus: Bus, rooms: Iterable[str]) -> float | None:
    """Frames that became detections, over the time from the first to the last of them; None for fewer than two."""
    partitions = sorted({partition_of(room, DETECTIONS.partitions) for room in rooms})
    records = (record for partition in partitions for record in stored_records(bus, DETECTIONS, partition))
    at_ms = [record.appended_at_ms for record in records if isinstance(_noun(record), FrameDetections)]
    if len(at_ms) < 2 or max(at_ms) == min(at_ms):
        return None
    return 1000 * len(at_ms) / (max(at_ms) - min(at_ms))


def refusals(bus: Bus) -> list[str]:
    """Why detect workers did not take a release in, as they reported."""
    nouns = (_noun(record) for record in stored_records(bus, REPORTS, 0))
    return sorted({noun.refused_swap for noun in nouns if isinstance(noun, CameraReport) and noun.refused_swap})


def started_at_ms(bus: Bus, camera: str) -> int | None:
    """The event time of a clip's first moment, as ingest remembers it; None before it was opened."""
    for record in bus.latest(INGEST_STATE, key=camera):
        state = decode(record)
        if isinstance(state, IngestState):
            return state.started_at_ms
    return None


def played(spans: Iterable[TrueBehaviour], until_ms: int) -> list[TrueBehaviour]:
    """The truth of a demo that was cut short at `until_ms` of the clip: what went on then may be found, but need not be."""
    held = [span for span in spans if span.started_ms < until_ms]
    return [
        span if span.ended_ms <= until_ms else msgspec.structs.replace(span, ended_ms=until_ms, visible=False)
        for span in held
    ]


def _noun(record: Stored) -> object:
    """What a record says; None for one that nobody can read."""
    try:
        return decode(record)
    except InvalidRecord:
        return None


def _room(bus: Bus, lesson: Lesson, *, whole: bool) -> _Room:
    timeline = read_room(bus, lesson.room)
    rules = rules_of(room_configs(bus).get(lesson.room, RoomConfig(room=lesson.room)))
    origin_ms = started_at_ms(bus, lesson.camera)
    if origin_ms is None:
        truth = judged(lesson.truth.spans if whole else (), rules)
        missed = {name: measure(_stretches(held.counted, 0), []).counts for name, held in truth.items()}
        return _Room(Panel(timeline), missed, _others(truth))
    until_ms = max(origin_ms, min(timeline.end_ms, origin_ms + lesson.truth.duration_ms))
    timeline = replace(timeline, start_ms=origin_ms, end_ms=until_ms)
    if not whole:
        timeline, until_ms = _as_far_as_told(timeline)
    truth = judged(played(lesson.truth.spans, until_ms - origin_ms), rules)
    matchings = {name: _matching(timeline, name, held, origin_ms) for name, held in truth.items()}
    counts = {name: matching.counts for name, matching in matchings.items()}
    return _Room(_panel(timeline, truth, matchings, origin_ms), counts, _others(truth))


def _as_far_as_told(timeline: RoomTimeline) -> tuple[RoomTimeline, int]:
    """The timeline of a clip that was cut short, without a record behind the last bucket's; gives the last moment told of.

    A clip is due without a hole from its first moment on: what is due in a cell lies at its beginning. Events are told a
    little before the buckets they are in.
    """
    cells = [replace(cell, start_ms=max(cell.start_ms, timeline.start_ms)) for cell in timeline.cells if cell.due_ms]
    told = [replace(c, end_ms=c.start_ms + c.due_ms, recorded_ms=c.due_ms) for c in cells]
    recorded_ms = told[-1].end_ms if told else timeline.start_ms
    until_ms = max([recorded_ms, *(span.ended_at_ms or span.started_at_ms for span in timeline.spans)])
    rest = [Cell(recorded_ms, timeline.end_ms)] if recorded_ms < timeline.end_ms else []
    spans = [replace(span, ended_at_ms=span.end_or(until_ms)) for span in timeline.spans]
    return replace(timeline, cells=(*told, *rest), spans=tuple(spans)), min(until_ms, timeline.end_ms)


def _panel(
    timeline: RoomTimeline, truth: Mapping[str, Judged], matchings: Mapping[str, Matching], origin_ms: int
) -> Panel:
    truths = tuple(
        TrueSpan(name, origin_ms + span.started_ms, origin_ms + span.ended_ms, found=i in matchings[name].found_of_true)
        for name, held in truth.items()
        for i, span in enumerate(held.counted)
    )
    false_ids = frozenset(
        span.id
        for name, matching in matchings.items()
        for j, span in enumerate(_found(timeline, name))
        if j in matching.false
    )
    return Panel(timeline, truths, false_ids)


def _matching(timeline: RoomTimeline, behaviour: str, truth: Judged, origin_ms: int) -> Matching:
    found = [(span.started_at_ms, span.end_or(timeline.end_ms)) for span in _found(timeline, behaviour)]
    return measure(_stretches(truth.counted, origin_ms), found, _stretches(truth.others, origin_ms))


def _found(timeline: RoomTimeline, behaviour: str) -> list[Span]:
    return [span for span in timeline.spans if span.behaviour == behaviour]


def _others(truth: Mapping[str, Judged]) -> int:
    return sum(len(held.others) for held in truth.values())


def _stretches(spans: Iterable[TrueBehaviour], origin_ms: int) -> list[tuple[int, int]]:
    return [(origin_ms + span.started_ms, origin_ms + span.ended_ms) for span in spans]
