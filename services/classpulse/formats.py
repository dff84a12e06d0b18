"""bus → eyes, second half: a room's timeline and events as a table, JSON or CSV.

A number that nobody could have seen is never written as 0: it is empty in CSV, null in JSON, hatched in the table.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from classpulse.clock import rfc3339
from classpulse.drawing.palette import STATE_GLYPHS, STATE_STYLES, ink_of
from classpulse.drawing.scale import least_step
from classpulse.reading import Cell, RoomTimeline, Span, State, collapsed, local, merged

FORMATS = ("table", "json", "csv", "html")
MOST_ROWS = 120
MOST_EVENTS = 500
"""What a person scrolls through; a table of a week's buckets would take minutes to draw."""

TIGHT = (0, 1, 0, 0)
_SEEN = (State.ACTIVE, State.QUIET)


def timeline_table(timeline: RoomTimeline) -> Table:
    """One line per bucket, or per longer step where those were too many; neighbouring uneventful lines are one."""
    cells, step_ms = tuple(collapsed(timeline.cells)), 0
    if len(cells) > MOST_ROWS:
        step_ms = least_step(timeline.end_ms - timeline.start_ms, MOST_ROWS)
        cells = tuple(collapsed(merged(timeline.cells, step_ms)))
    table = Table(
        title=_title(timeline),
        title_justify="left",
        caption=_caption(timeline, step_ms),
        caption_justify="left",
        box=SIMPLE,
        padding=TIGHT,
    )
    table.add_column("time", no_wrap=True)
    table.add_column("state", overflow="fold", min_width=8)
    table.add_column("seen", justify="right", no_wrap=True)
    for behaviour in timeline.behaviours:
        ink = ink_of(behaviour, timeline.behaviours).terminal
        table.add_column(
            Text(behaviour, style=ink) + Text("\nnew ⌀ max", style="dim"), justify="right", overflow="fold"
        )
    table.add_column("missing", overflow="fold")
    for cell in cells:
        table.add_row(*_row(cell, timeline), style="" if cell.final else "italic")
    return table


def events_table(timeline: RoomTimeline) -> Table:
    """One line per event, in order of start; the last of them where they are very many."""
    shown = timeline.spans[-MOST_EVENTS:]
    table = Table(
        title=_title(timeline),
        title_justify="left",
        caption=_events_caption(timeline, len(shown)),
        caption_justify="left",
        box=SIMPLE,
        padding=TIGHT,
    )
    for name in ("started", "ended", "lasted", "behaviour", "camera"):
        table.add_column(name, justify="right" if name == "lasted" else "left", no_wrap=True)
    for span in shown:
        ended = span.ended_at_ms
        table.add_row(
            clock_text(span.started_at_ms, timeline.time_zone),
            "still lasts" if ended is None else clock_text(ended, timeline.time_zone).partition(" ")[2],
            "" if ended is None else seconds_text(ended - span.started_at_ms),
            Text(span.behaviour, style=ink_of(span.behaviour, timeline.behaviours).terminal),
            span.camera.rpartition("/")[2],
        )
    return table


def timeline_json(timeline: RoomTimeline) -> str:
    """One document: the room, what was covered, and every bucket with its state; `behaviours` is null where unseen."""
    return _json(
        {
            **_head(timeline),
            "coverage": timeline.coverage,
            "frames": timeline.frames,
            "missing": timeline.missing,
            "models": timeline.models,
            "buckets": [_cell_fields(cell) for cell in timeline.cells],
        }
    )


def events_json(timeline: RoomTimeline) -> str:
    """One document: the room, what was covered (so that an empty list can be judged), and every event."""
    return _json(
        {**_head(timeline), "coverage": timeline.coverage, "events": [_span_fields(s) for s in timeline.spans]}
    )


def timeline_csv(timeline: RoomTimeline) -> str:
    """One line per bucket, uncollapsed; three columns per behaviour."""
    names = timeline.behaviours
    header = ["room", "start", "end", "state", "due_ms", "observed_ms", "frames", "missing", "final", "models"]
    header += [f"{name} {figure}" for name in names for figure in ("events", "person_ms", "peak")]
    return _csv(header, (_csv_row(cell, timeline.room, names) for cell in timeline.cells))


def events_csv(timeline: RoomTimeline) -> str:
    """One line per event; `ended` is empty while it lasts."""
    header = ["room", "id", "behaviour", "started", "ended", "camera", "model"]
    rows = (
        [timeline.room, s.id, s.behaviour, rfc3339(s.started_at_ms), _when(s.ended_at_ms) or "", s.camera, s.model]
        for s in timeline.spans
    )
    return _csv(header, rows)


def clock_text(at_ms: int, time_zone: str) -> str:
    """`2026-03-02 08:15:00.4` on the room's own clock."""
    moment = local(at_ms, time_zone)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 100_000}"


def seconds_text(duration_ms: int) -> str:
    """`4.2 s`, `3 min 05 s`, `1 h 12 min`."""
    if duration_ms < 60_000:
        return f"{duration_ms / 1000:.1f} s"
    minutes, seconds = divmod(duration_ms // 1000, 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {seconds:02d} s" if seconds else f"{minutes} min"


def share_text(share: float | None) -> str:
    """`99.5 %`; `–` where there is nothing to take a share of. Anything short of the whole never reads 100 %."""
    if share is None:
        return "–"
    return "100 %" if share == 1 else f"{min(share, 0.999) * 100:.1f} %"


def missing_text(missing: Mapping[str, int]) -> str:
    """`3 stale, 1 corrupt_jpeg`; empty when nothing is missing."""
    return ", ".join(f"{count} {reason}" for reason, count in sorted(missing.items()) if count)


def coverage_text(timeline: RoomTimeline) -> str:
    """How much was seen, and of what, or why that cannot be said."""
    if timeline.coverage is not None:
        return f"seen {share_text(timeline.coverage)} of the {'' if timeline.whole else 'recorded '}time"
    return "nobody was to be observed" if timeline.recorded else "no record of this time"


def _title(timeline: RoomTimeline) -> Text:
    if not timeline.cells and not timeline.spans:
        return Text(timeline.room, style="bold")
    start = local(timeline.start_ms, timeline.time_zone)
    return Text(f"{timeline.room}  {start:%A, %d %B %Y} ({timeline.time_zone})", style="bold")


def _caption(timeline: RoomTimeline, step_ms: int) -> str:
    lost = missing_text(timeline.missing)
    meaning = "new: events confirmed in that time, ⌀: people on average while seen, max: most at once"
    lines = [f"{coverage_text(timeline)}; {timeline.frames} frames; missing: {lost or 'none'}"]
    if step_ms:
        lines.append(f"{seconds_text(step_ms)} a line; --from and --to show less of the time, closer")
    return "\n".join([*lines, f"{meaning}; in italics: provisional"])


def _events_caption(timeline: RoomTimeline, shown: int) -> str:
    told = f"{len(timeline.spans)} events"
    if shown < len(timeline.spans):
        told = f"the last {shown} of {told}; --from and --to choose others, --format csv gives all"
    return f"{told}; {coverage_text(timeline)}"


def _row(cell: Cell, timeline: RoomTimeline) -> list[Text | str]:
    start = local(cell.start_ms, timeline.time_zone)
    state = cell.state
    label = state.value if cell.unseen_ms == 0 or state is State.UNSEEN else f"{state.value}, in part"
    days = local(timeline.start_ms, timeline.time_zone).date() != local(timeline.end_ms, timeline.time_zone).date()
    row: list[Text | str] = [
        f"{start:{'%d %b ' if days else ''}%H:%M:%S} + {seconds_text(cell.duration_ms)}",
        Text(label, style=STATE_STYLES[state]),
        share_text(cell.observed_ms / cell.due_ms) if cell.due_ms else "–",
    ]
    row += [_figures(cell, name, timeline.behaviours) for name in timeline.behaviours]
    return [*row, missing_text(cell.missing)]


def _figures(cell: Cell, behaviour: str, behaviours: tuple[str, ...]) -> Text:
    """Events, most at once and mean number of people of one behaviour in one cell, or what keeps them from being known."""
    state = cell.state
    totals = cell.totals(behaviour)
    if state not in _SEEN:
        return Text(STATE_GLYPHS[state] * 3, style=STATE_STYLES[state])
    if not (totals.events or totals.person_ms):
        return Text(STATE_GLYPHS[State.QUIET], style=STATE_STYLES[State.QUIET])
    mean = totals.person_ms / cell.observed_ms
    return Text(f"{totals.events}  {mean:.1f}  {totals.peak}", style=ink_of(behaviour, behaviours).terminal)


def _head(timeline: RoomTimeline) -> dict[str, object]:
    return {
        "room": timeline.room,
        "time_zone": timeline.time_zone,
        "from": rfc3339(timeline.start_ms),
        "to": rfc3339(timeline.end_ms),
    }


def _cell_fields(cell: Cell) -> dict[str, object]:
    seen = cell.state in _SEEN
    return {
        "start": rfc3339(cell.start_ms),
        "end": rfc3339(cell.end_ms),
        "state": cell.state.value,
        "due_ms": cell.due_ms,
        "observed_ms": cell.observed_ms,
        "frames": cell.frames,
        "missing": dict(cell.missing),
        "behaviours": dict(cell.behaviours) if seen else None,
        "models": cell.models,
        "final": cell.final,
    }


def _span_fields(span: Span) -> dict[str, object]:
    return {
        "id": span.id,
        "behaviour": span.behaviour,
        "started": rfc3339(span.started_at_ms),
        "ended": _when(span.ended_at_ms),
        "camera": span.camera,
        "model": span.model,
    }


def _csv_row(cell: Cell, room: str, behaviours: Sequence[str]) -> list[object]:
    row: list[object] = [room, rfc3339(cell.start_ms), rfc3339(cell.end_ms), cell.state.value]
    row += [cell.due_ms, cell.observed_ms, cell.frames, missing_text(cell.missing), str(cell.final).lower()]
    row.append(" ".join(cell.models))
    for name in behaviours:
        totals = cell.totals(name)
        row += [totals.events, totals.person_ms, totals.peak] if cell.state in _SEEN else ["", "", ""]
    return row


def _when(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)


def _json(document: Mapping[str, object]) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
