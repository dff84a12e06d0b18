"""The demo, what came of it: everything is read back from the bus and measured against the truth and the clips."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from classpulse.aggregate.rules import rules_of
from classpulse.bus.base import Bus
from classpulse.codec import canonical, decode
from classpulse.demo.accounts import Account, accounts, clip_frames
from classpulse.demo.bundled import Lesson
from classpulse.demo.latency import capture_to_event_ms, percentile
from classpulse.demo.matching import Counts, Matching, measure
from classpulse.demo.truth import Judged, TrueBehaviour, judged
from classpulse.drawing.lanes import TrueSpan
from classpulse.errors import InvalidRecord
from classpulse.formats import missing_text, share_text
from classpulse.page import Card, Panel, Score, timeline_page
from classpulse.reading import RoomTimeline, Span, read_buckets, read_events, read_room, room_configs, stored_records
from classpulse.records import FrameDetections, IngestState, Record, RoomConfig
from classpulse.topics import DETECTIONS, INGEST_STATE, partition_of

FILES = ("events.jsonl", "timelines.jsonl", "report.json", "timeline.html")
DIGITS = 4
HOW_MEASURED = (
    "A true event counts when the camera could see it and it lasted as long as the room's rule asks. Truth and finding "
    "are matched one to one within room and behaviour where they overlap by at least 0.3 (intersection over union)."
)


@dataclass(frozen=True)
class Result:
    """What the demo measured, before it is written down."""

    panels: tuple[Panel, ...]
    counts: Mapping[str, Counts]
    accounts: tuple[Account, ...]
    latencies_ms: tuple[int, ...]
    frames_per_s: float | None
    models: tuple[str, ...]


def measured(bus: Bus, lessons: Sequence[Lesson], *, whole: bool = True) -> Result:
    """Measure a demo that was played. `whole` says that its clips were played to their ends and so can be counted."""
    panels: list[Panel] = []
    counts: dict[str, Counts] = {}
    for lesson in lessons:
        panel, of_room = _room(bus, lesson)
        panels.append(panel)
        for behaviour, count in of_room.items():
            counts[behaviour] = counts.get(behaviour, Counts()) + count
    clips = {lesson.camera: clip_frames(lesson.clip, lesson.truth.fps) for lesson in lessons} if whole else {}
    rooms = [lesson.room for lesson in lessons]
    return Result(
        panels=tuple(panels),
        counts=counts,
        accounts=tuple(accounts(bus, [lesson.camera for lesson in lessons], clips)),
        latencies_ms=tuple(capture_to_event_ms(bus, rooms)),
        frames_per_s=frames_per_s(bus, rooms),
        models=tuple(sorted({model for panel in panels for model in panel.timeline.models})),
    )


def report_fields(result: Result) -> dict[str, object]:
    """The content of report.json."""
    return {
        "behaviours": {name: _count_fields(counts) for name, counts in result.counts.items()},
        "cameras": {account.camera: _account_fields(account) for account in result.accounts},
        "rooms": {panel.timeline.room: _room_fields(panel.timeline) for panel in result.panels},
        "capture_to_event_ms": {
            "p50": percentile(result.latencies_ms, 0.5),
            "p99": percentile(result.latencies_ms, 0.99),
        },
        "frames_per_s": None if result.frames_per_s is None else round(result.frames_per_s, 2),
        "model": ", ".join(result.models),
    }


def write_all(result: Result, bus: Bus, lessons: Sequence[Lesson], out: Path) -> list[Path]:
    """Leave FILES in `out`; gives their paths."""
    rooms = [lesson.room for lesson in lessons]
    texts = {
        "events.jsonl": _lines(event for room in rooms for event in read_events(bus, room)),
        "timelines.jsonl": _lines(bucket for room in rooms for bucket in read_buckets(bus, room) if bucket.final),
        "report.json": json.dumps(report_fields(result), indent=2, ensure_ascii=False) + "\n",
        "timeline.html": demo_page(result),
    }
    for name in FILES:
        (out / name).write_text(texts[name], encoding="utf-8")
    return [out / name for name in FILES]


def demo_page(result: Result) -> str:
    """The page of a demo: its rooms with truth beside finding."""
    return timeline_page(
        result.panels,
        title="Classroom timelines: the demo's lessons",
        cards=_cards(result),
        scores=scores(result),
        notes=[HOW_MEASURED],
    )


def scores(result: Result) -> list[Score]:
    """Per behaviour what was measured against the truth."""
    return [
        Score(name, c.true, c.found, c.missed, c.false, c.precision, c.recall, c.f1)
        for name, c in result.counts.items()
    ]


def frames_per_s(bus: Bus, rooms: Iterable[str]) -> float | None:
    """Frames that became detections, over the time from the first to the last of them; None for fewer than two."""
    at_ms: list[int] = []
    for partition in sorted({partition_of(room, DETECTIONS.partitions) for room in rooms}):
        for record in stored_records(bus, DETECTIONS, partition):
            try:
                noun = decode(record)
            except InvalidRecord:
                continue
            if isinstance(noun, FrameDetections):
                at_ms.append(record.appended_at_ms)
    if len(at_ms) < 2 or max(at_ms) == min(at_ms):
        return None
    return 1000 * len(at_ms) / (max(at_ms) - min(at_ms))


def started_at_ms(bus: Bus, camera: str) -> int | None:
    """The event time of a clip's first moment, as ingest remembers it; None before it was opened."""
    for record in bus.latest(INGEST_STATE, key=camera):
        state = decode(record)
        if isinstance(state, IngestState):
            return state.started_at_ms
    return None


def _room(bus: Bus, lesson: Lesson) -> tuple[Panel, dict[str, Counts]]:
    """A room with its truth laid over its events, and what that amounts to."""
    timeline = read_room(bus, lesson.room)
    origin_ms = started_at_ms(bus, lesson.camera)
    rules = rules_of(room_configs(bus).get(lesson.room, RoomConfig(room=lesson.room)))
    if origin_ms is None:
        truth = judged(lesson.truth.spans, rules)
        return Panel(timeline), {name: measure(_stretches(held.counted, 0), []).counts for name, held in truth.items()}
    until_ms = min(timeline.end_ms, origin_ms + lesson.truth.duration_ms)
    timeline = replace(timeline, start_ms=origin_ms, end_ms=max(origin_ms, until_ms))
    truth = judged(played(lesson.truth.spans, timeline.end_ms - origin_ms), rules)
    matchings = {name: _matching(timeline, name, held, origin_ms) for name, held in truth.items()}
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
    return Panel(timeline, truths, false_ids), {name: matching.counts for name, matching in matchings.items()}


def played(spans: Iterable[TrueBehaviour], until_ms: int) -> list[TrueBehaviour]:
    """The part of the truth that lies before `until_ms` of the clip: a demo may be cut short."""
    return [span for span in spans if span.ended_ms <= until_ms]


def _matching(timeline: RoomTimeline, behaviour: str, truth: Judged, origin_ms: int) -> Matching:
    found = [(span.started_at_ms, span.end_or(timeline.end_ms)) for span in _found(timeline, behaviour)]
    return measure(_stretches(truth.counted, origin_ms), found, _stretches(truth.others, origin_ms))


def _found(timeline: RoomTimeline, behaviour: str) -> list[Span]:
    return [span for span in timeline.spans if span.behaviour == behaviour]


def _stretches(spans: Iterable[TrueBehaviour], origin_ms: int) -> list[tuple[int, int]]:
    return [(origin_ms + span.started_ms, origin_ms + span.ended_ms) for span in spans]


def _count_fields(counts: Counts) -> dict[str, object]:
    return {
        "true": counts.true,
        "found": counts.found,
        "missed": counts.missed,
        "false": counts.false,
        "precision": _rounded(counts.precision),
        "recall": _rounded(counts.recall),
        "f1": _rounded(counts.f1),
    }


def _account_fields(account: Account) -> dict[str, object]:
    return {
        "captured": account.captured,
        "in_timelines": account.in_timelines,
        "dropped": account.dropped,
        "clip_frames": account.clip_frames,
    }


def _room_fields(timeline: RoomTimeline) -> dict[str, object]:
    return {"coverage": _rounded(timeline.coverage), "frames": timeline.frames, "missing": timeline.missing}


def _cards(result: Result) -> list[Card]:
    cells = [cell for panel in result.panels for cell in panel.timeline.cells]
    due_ms = sum(cell.due_ms for cell in cells)
    seen = sum(cell.observed_ms for cell in cells) / due_ms if due_ms else None
    true, found = (sum(getattr(c, key) for c in result.counts.values()) for key in ("true", "found"))
    events = sum(len(panel.timeline.spans) for panel in result.panels)
    lost: dict[str, int] = {}
    for account in result.accounts:
        for reason, count in account.dropped.items():
            lost[reason] = lost.get(reason, 0) + count
    p50, p99 = (percentile(result.latencies_ms, share) for share in (0.5, 0.99))
    return [
        Card("events", str(events), f"{found} of {true} true ones found"),
        Card("seen", share_text(seen), "of the time in which somebody was to be observed"),
        Card("capture → event", "–" if p50 is None else f"{p50} ms", "" if p99 is None else f"median; 99 %: {p99} ms"),
        Card(
            "frames per second",
            "–" if result.frames_per_s is None else f"{result.frames_per_s:.1f}",
            _frames_text(result),
        ),
        Card("missing frames", str(sum(lost.values())), missing_text(lost) or "every captured frame is in a timeline"),
        Card(
            "model",
            ", ".join(model.removeprefix("sha256:")[:10] for model in result.models) or "–",
            "digest of the net used",
        ),
    ]


def _frames_text(result: Result) -> str:
    return f"{sum(account.captured for account in result.accounts):,} frames of {len(result.accounts)} cameras"


def _lines(nouns: Iterable[Record]) -> str:
    return "".join(canonical(noun).decode() + "\n" for noun in nouns)


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, DIGITS)
