"""The demo, written down: report.json, the events and the timelines as lines, and the page."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from classpulse.accounts import Account
from classpulse.bus.base import Bus
from classpulse.codec import canonical
from classpulse.demo.accounts import on_their_way
from classpulse.demo.bundled import Lesson
from classpulse.demo.latency import percentile
from classpulse.demo.matching import Counts
from classpulse.demo.measuring import Result
from classpulse.formats import missing_text, share_text
from classpulse.page import Card, Score, timeline_page
from classpulse.reading import RoomTimeline, read_buckets, read_events
from classpulse.records import Record

FILES = ("events.jsonl", "timelines.jsonl", "report.json", "timeline.html")
DIGITS = 4
HOW_MEASURED = (
    "A true event counts when the camera could see it and it lasted as long as the room's rule asks; {not_counted} did not. "
    "Truth and finding are matched one to one within room and behaviour where they overlap by at least 0.3 "
    "(intersection over union)."
)
CUT_SHORT = (
    " It was stopped before its lessons were told: what was not told yet is shown without a record, and no event of it is "
    "counted; timelines.jsonl leaves out what could still change."
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


def how_measured(result: Result) -> str:
    """What the figures mean, for people."""
    cut = any(account.not_yet for account in result.accounts)
    return HOW_MEASURED.format(not_counted=result.not_counted) + (CUT_SHORT if cut else "")


def demo_page(result: Result) -> str:
    """The page of a demo: its rooms with truth beside finding."""
    return timeline_page(
        result.panels,
        title="Classroom timelines: the demo's lessons",
        cards=_cards(result),
        scores=scores(result),
        notes=[how_measured(result)],
    )


def scores(result: Result) -> list[Score]:
    """Per behaviour what was measured against the truth."""
    return [
        Score(name, c.true, c.found, c.missed, c.false, c.precision, c.recall, c.f1)
        for name, c in result.counts.items()
    ]


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
        "not_yet": account.not_yet,
    }


def _room_fields(timeline: RoomTimeline) -> dict[str, object]:
    return {"coverage": _rounded(timeline.coverage), "frames": timeline.frames, "missing": timeline.missing}


def _cards(result: Result) -> list[Card]:
    cells = [cell for panel in result.panels for cell in panel.timeline.cells]
    due_ms = sum(cell.due_ms for cell in cells)
    seen = sum(cell.observed_ms for cell in cells) / due_ms if due_ms else None
    recorded = "" if all(panel.timeline.whole for panel in result.panels) else "recorded "
    true, found = (sum(getattr(c, key) for c in result.counts.values()) for key in ("true", "found"))
    events = sum(len(panel.timeline.spans) for panel in result.panels)
    lost: dict[str, int] = {}
    for account in result.accounts:
        for reason, count in account.dropped.items():
            lost[reason] = lost.get(reason, 0) + count
    p50, p99 = (percentile(result.latencies_ms, share) for share in (0.5, 0.99))
    return [
        Card("events", str(events), f"{found} of {true} true ones found"),
        Card("seen", share_text(seen), f"of the {recorded}time in which somebody was to be observed"),
        Card("capture → event", "–" if p50 is None else f"{p50} ms", "" if p99 is None else f"median; 99 %: {p99} ms"),
        Card(
            "frames per second",
            "–" if result.frames_per_s is None else f"{result.frames_per_s:.1f}",
            _frames_text(result),
        ),
        Card("missing frames", str(sum(lost.values())), _fate_text(result.accounts, lost)),
        Card(
            "model",
            ", ".join(model.removeprefix("sha256:")[:8] for model in result.models) or "–",
            "digest of the net used",
        ),
    ]


def _fate_text(accounts: Iterable[Account], lost: Mapping[str, int]) -> str:
    """Say what became of the frames that are in no timeline, those of a demo that was cut short too."""
    return (
        "; ".join(filter(None, (missing_text(lost), on_their_way(accounts)))) or "every captured frame is in a timeline"
    )


def _frames_text(result: Result) -> str:
    return f"{sum(account.captured for account in result.accounts):,} frames of {len(result.accounts)} cameras"


def _lines(nouns: Iterable[Record]) -> str:
    return "".join(canonical(noun).decode() + "\n" for noun in nouns)


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, DIGITS)
