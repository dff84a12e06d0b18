"""bus → eyes: `timeline.html`, one page that needs no network: rooms over time, what was found, what was true, what was seen.

A short time shows every span as a bar; a school day shows columns. How much is drawn has a bound, whatever the input.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from classpulse.drawing.lanes import (
    AXIS_PX,
    PAD_PX,
    RIBBON_PX,
    Brush,
    Lane,
    TrueSpan,
    axis,
    column_lane,
    ground,
    ribbon,
    span_lane,
)
from classpulse.drawing.laying import laid
from classpulse.drawing.palette import STATE_MEANINGS
from classpulse.drawing.scale import STEPS_MS, Scale, least_step
from classpulse.drawing.style import CSS, DEFINITIONS, SCRIPT, ink_rules
from classpulse.formats import clock_text, coverage_text, missing_text, seconds_text, share_text
from classpulse.reading import Cell, RoomTimeline, State, local, merged

SPANS_UP_TO_MS = 30 * 60_000
SPANS_PER_LANE = 120
COLUMNS_IN_ALL = 24_000
COLUMNS_IN_LANE = 288
TABLE_ROWS = 24
WORRYING_COVERAGE = 0.95
ROOMS_WITHOUT_INDEX = 4


@dataclass(frozen=True)
class Card:
    """A figure worth a glance."""

    name: str
    figure: str
    detail: str = ""


@dataclass(frozen=True)
class Score:
    """What was measured against the truth for one behaviour; None where there is nothing to divide by."""

    behaviour: str
    true: int
    found: int
    missed: int
    false: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Panel:
    """A room to be shown. `truths` is None where the truth is not known; `false_ids` are spans that were not true."""

    timeline: RoomTimeline
    truths: tuple[TrueSpan, ...] | None = None
    false_ids: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Sheet:
    """What all panels share."""

    scale: Scale
    behaviours: tuple[str, ...]
    classes: dict[str, str]
    step_ms: int | None
    most: Mapping[str, int]


def timeline_page(
    panels: Sequence[Panel],
    *,
    title: str,
    cards: Sequence[Card] = (),
    scores: Sequence[Score] = (),
    notes: Sequence[str] = (),
) -> str:
    """The whole page as HTML text. Every word from outside is escaped; with no panels it says so."""
    sheet = _sheet(panels)
    body = [
        f"<header><h1>{escape(title)}</h1><p class=sub>{escape(_when(panels, sheet))}</p></header>",
        _cards(cards or _own_cards(panels)),
        _scores(scores, sheet),
        _index(panels) if len(panels) > ROOMS_WITHOUT_INDEX else "",
        _legend(panels, sheet) if panels else "",
        *(_panel(panel, number, sheet) for number, panel in enumerate(panels)),
        _footer(notes),
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}{ink_rules(sheet.classes)}</style></head>"
        f'<body>{DEFINITIONS}<main>{"".join(body)}</main><div id="tip" role="status"></div>'
        f"{f'<script>{SCRIPT}</script>' if panels else ''}</body></html>\n"
    )


def _sheet(panels: Sequence[Panel]) -> _Sheet:
    lines = [panel.timeline for panel in panels]
    scale = Scale(
        min((t.start_ms for t in lines if t.cells), default=0), max((t.end_ms for t in lines if t.cells), default=0)
    )
    names = {name for timeline in lines for name in timeline.behaviours}
    usual = lines[0].behaviours if lines else ()
    behaviours = (*usual, *sorted(names - set(usual)))
    crowded = any(
        sum(span.behaviour == name for span in timeline.spans) > SPANS_PER_LANE
        for timeline in lines
        for name in behaviours
    )
    step_ms = _step(scale, lines, len(behaviours)) if crowded or scale.duration_ms > SPANS_UP_TO_MS else None
    most = {name: max([1, *(cell.totals(name).peak for t in lines for cell in t.cells)]) for name in behaviours}
    return _Sheet(scale, behaviours, {name: f"b{i}" for i, name in enumerate(behaviours)}, step_ms, most)


def _step(scale: Scale, lines: Sequence[RoomTimeline], behaviours: int) -> int:
    """The length of a column: readable, a multiple of the bucket's, and long enough that the page stays small."""
    lanes = max(1, len(lines) * (behaviours + 1))
    columns = max(12, min(COLUMNS_IN_LANE, COLUMNS_IN_ALL // lanes))
    bucket_ms = max((cell.duration_ms for t in lines for cell in t.cells if cell.recorded_ms), default=1)
    least_ms = least_step(scale.duration_ms, columns)
    fitting = (step for step in STEPS_MS if step >= max(least_ms, bucket_ms) and step % bucket_ms == 0)
    return next(fitting, -(-max(least_ms, bucket_ms) // bucket_ms) * bucket_ms)


def _panel(panel: Panel, number: int, sheet: _Sheet) -> str:
    timeline = panel.timeline
    brush = Brush(sheet.scale, timeline.time_zone, sheet.classes)
    cells = laid(timeline.cells) if sheet.step_ms is None else merged(timeline.cells, sheet.step_ms)
    lanes = _lanes(panel, cells, brush, sheet)
    bottom_px = lanes[-1].top_px + lanes[-1].height_px + PAD_PX
    lines = "".join(f'<line class="lane" x1="0" x2="100%" y1="{lane.top_px}" y2="{lane.top_px}"/>' for lane in lanes)
    picture = (
        ground(brush, cells, RIBBON_PX, bottom_px - RIBBON_PX)
        + axis(brush, bottom_px, AXIS_PX)
        + lines
        + ribbon(brush, cells)
        + "".join(lane.drawn for lane in lanes)
    )
    height_px = bottom_px + AXIS_PX
    return (
        f'<section class="panel" id="room-{number}"><div class="head"><h2>{escape(timeline.room.rpartition("/")[2])}</h2>'
        f"{_summary(panel)}</div>"
        f'<div class="plot"><div class="names" style="height:{height_px}px">{_names(lanes, sheet)}</div>'
        f'<div class="scroll" tabindex="0" aria-label="timeline of {escape(timeline.room)}"><div class="inner">'
        f'<svg height="{height_px}" role="img" aria-labelledby="d{number}">'
        f'<desc id="d{number}">{escape(_described(panel, sheet))}</desc>{picture}</svg></div></div></div>'
        f"{_numbers(timeline, sheet)}</section>"
    )


def _lanes(panel: Panel, cells: Sequence[Cell], brush: Brush, sheet: _Sheet) -> list[Lane]:
    lanes: list[Lane] = []
    top_px = RIBBON_PX + PAD_PX // 2
    for name in sheet.behaviours:
        truths = None if panel.truths is None else _of(panel.truths, name)
        if sheet.step_ms is None:
            spans = [span for span in panel.timeline.spans if span.behaviour == name]
            lane = span_lane(brush, name, top_px, spans, truths, panel.false_ids)
        else:
            lane = column_lane(brush, name, top_px, cells, truths, sheet.most[name])
        lanes.append(lane)
        top_px += lane.height_px
    return lanes


def _of(truths: Sequence[TrueSpan], behaviour: str) -> list[TrueSpan]:
    mine = (truth for truth in truths if truth.behaviour == behaviour)
    return sorted(mine, key=lambda truth: (truth.started_at_ms, truth.ended_at_ms))


def _names(lanes: Sequence[Lane], sheet: _Sheet) -> str:
    drawn = ['<small style="top:0">seen</small>']
    for lane in lanes:
        top_px = lane.top_px + PAD_PX - 3
        ink = sheet.classes[lane.behaviour]
        drawn.append(f'<div style="top:{top_px}px"><i class="dot {ink}"></i>{escape(lane.behaviour)}</div>')
        if sheet.step_ms is not None:
            drawn.append(f'<small style="top:{top_px + 16}px">height: {sheet.most[lane.behaviour]}</small>')
        if lane.true_px:
            under_px = lane.top_px + PAD_PX + lane.found_px + PAD_PX // 2 - 2
            drawn.append(f'<small style="top:{under_px}px">true</small>')
    return "".join(drawn)


def _summary(panel: Panel) -> str:
    timeline = panel.timeline
    if not timeline.cells:
        return f"<p>{escape(timeline.room)}: no record</p>"
    lost = missing_text(timeline.missing)
    seen = coverage_text(timeline)
    warn = ' class="warn"' if timeline.coverage is not None and timeline.coverage < WORRYING_COVERAGE else ""
    return (
        f"<p>{escape(timeline.room)}</p><p{warn}>{seen}</p><p>{timeline.frames:,} frames</p>"
        f"<p>{len(timeline.spans)} events</p><p{' class=warn' if lost else ''}>missing: {escape(lost) or 'none'}</p>"
    )


def _described(panel: Panel, sheet: _Sheet) -> str:
    timeline = panel.timeline
    counts = ", ".join(f"{sum(s.behaviour == name for s in timeline.spans)} {name}" for name in sheet.behaviours)
    truth = "" if panel.truths is None else f"; true events: {len(panel.truths)}"
    seen = coverage_text(timeline)
    return f"{timeline.room}, {_range(timeline.start_ms, timeline.end_ms, timeline.time_zone)}: {counts} events found{truth}; {seen}."


def _numbers(timeline: RoomTimeline, sheet: _Sheet) -> str:
    """The plot's numbers as a table, for who cannot or would not look at bars."""
    least_ms = max(
        [least_step(sheet.scale.duration_ms, TABLE_ROWS), *(c.duration_ms for c in timeline.cells if c.recorded_ms)]
    )
    rows = "".join(_number_row(cell, timeline, sheet) for cell in merged(timeline.cells, least_ms))
    names = "".join(f"<th scope=col>{escape(name)}</th>" for name in sheet.behaviours)
    return (
        "<details><summary>as numbers</summary><table><thead><tr><th scope=col>time</th><th scope=col>state</th>"
        f"<th scope=col>seen</th>{names}<th scope=col>missing</th></tr></thead><tbody>{rows}</tbody></table></details>"
    )


def _number_row(cell: Cell, timeline: RoomTimeline, sheet: _Sheet) -> str:
    seen = cell.state in (State.ACTIVE, State.QUIET)
    share = share_text(cell.observed_ms / cell.due_ms) if cell.due_ms else "–"
    figures = "".join(
        f"<td>{cell.totals(name).events} (most {cell.totals(name).peak})</td>" if seen else "<td>unknown</td>"
        for name in sheet.behaviours
    )
    start = local(cell.start_ms, timeline.time_zone)
    return (
        f"<tr><th scope=row>{start:%a %H:%M:%S} + {seconds_text(cell.duration_ms)}</th><td>{cell.state.value}</td><td>{share}</td>"
        f"{figures}<td>{escape(missing_text(cell.missing))}</td></tr>"
    )


def _cards(cards: Sequence[Card]) -> str:
    drawn = "".join(
        f'<dl class="card"><dt>{escape(card.name)}</dt><dd class="{_figure_class(card)}">'
        f'{escape(card.figure)}</dd><dd class="small">{escape(card.detail)}</dd></dl>'
        for card in cards
    )
    return f'<div class="cards">{drawn}</div>' if drawn else ""


def _figure_class(card: Card) -> str:
    return "long" if len(card.figure) > 10 else "figure"


def _own_cards(panels: Sequence[Panel]) -> list[Card]:
    """What can be said from the timelines alone."""
    cells = [cell for panel in panels for cell in panel.timeline.cells]
    due_ms = sum(cell.due_ms for cell in cells)
    seen = share_text(sum(cell.observed_ms for cell in cells) / due_ms) if due_ms else "–"
    models = sorted({model for cell in cells for model in cell.models})
    return [
        Card("rooms", str(len(panels))),
        Card("events", f"{sum(len(panel.timeline.spans) for panel in panels):,}"),
        Card("seen", seen, f"of {seconds_text(due_ms)} in which somebody was to be observed"),
        Card("frames", f"{sum(cell.frames for cell in cells):,}"),
        *(Card("model", model[:12]) for model in models),
    ]


def _scores(scores: Sequence[Score], sheet: _Sheet) -> str:
    if not scores:
        return ""
    heads = "".join(
        f"<th scope=col>{name}</th>" for name in ("true", "found", "missed", "false", "precision", "recall", "F1")
    )
    rows = "".join(
        f'<tr><th scope=row><i class="dot {sheet.classes.get(s.behaviour, "")}"></i>{escape(s.behaviour)}</th>'
        f"<td>{s.true}</td><td>{s.found}</td><td>{s.missed}</td><td>{s.false}</td>"
        f"<td>{ratio_text(s.precision)}</td><td>{ratio_text(s.recall)}</td><td><b>{ratio_text(s.f1)}</b></td></tr>"
        for s in scores
    )
    return (
        f'<div class="box"><table><thead><tr><th scope=col>measured against the truth</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def ratio_text(ratio: float | None) -> str:
    """`0.93`; `–` where there was nothing to divide by."""
    return "–" if ratio is None else f"{ratio:.2f}"


def _index(panels: Sequence[Panel]) -> str:
    rows = "".join(_index_row(panel, number) for number, panel in enumerate(panels))
    return f'<nav class="box index" aria-label="rooms">{rows}</nav>'


def _index_row(panel: Panel, number: int) -> str:
    timeline = panel.timeline
    lost = missing_text(timeline.missing)
    share = timeline.coverage
    bar = (
        "" if share is None else f'<span class="bar"><b style="width:{share * 100:.1f}%"></b></span>{share_text(share)}'
    )
    warn = f'<span class="warn">missing: {escape(lost)}</span>' if lost else ""
    return (
        f'<a href="#room-{number}"><span>{escape(timeline.room)}</span><span>{bar or "nobody to be observed"}</span>'
        f"<span>{len(timeline.spans):,} events</span>{warn}</a>"
    )


def _legend(panels: Sequence[Panel], sheet: _Sheet) -> str:
    unrecorded = any(cell.state is State.UNRECORDED for panel in panels for cell in panel.timeline.cells)
    return _tools(sheet, truth=any(panel.truths is not None for panel in panels), unrecorded=unrecorded)


def _tools(sheet: _Sheet, *, truth: bool, unrecorded: bool) -> str:
    keys = []
    if sheet.step_ms is None:
        keys.append(_key('<rect class="f b0" width="22" height="8" y="3" rx="2"/>', "found"))
        if truth:
            keys.append(_key('<rect class="f b0 no" width="20" height="8" x="1" y="3" rx="2"/>', "found, not true"))
            keys.append(_key('<rect class="t b0" width="20" height="8" x="1" y="3" rx="2"/>', "true"))
            keys.append(_key('<rect class="t b0 no" width="20" height="8" x="1" y="3" rx="2"/>', "true, but missed"))
    else:
        columns = '<rect class="peak b0" width="22" height="14"/><rect class="mean b0" width="22" height="6" y="8"/>'
        keys.append(_key(columns, f"people on average / at most, per {seconds_text(sheet.step_ms)}"))
    plain = '<rect class="ground" width="22" height="14"/>'
    keys.append(_key(f'{plain}<rect class="seen" width="22" height="4"/>', "seen (empty: nothing happened)"))
    keys.append(_key(f'{plain}<rect class="unseen" width="22" height="14"/>', "not seen"))
    keys.append(_key(f'{plain}<rect class="nobody" width="22" height="14"/>', STATE_MEANINGS[State.NOBODY]))
    if unrecorded:
        keys.append(
            _key(
                '<rect width="21" height="13" x=".5" y=".5" fill="none" class="bare"/>',
                STATE_MEANINGS[State.UNRECORDED],
            )
        )
    zoom = (
        '<span id="zoom"><button id="out" aria-label="zoom out">−</button><span id="factor">1×</span>'
        '<button id="in" aria-label="zoom in">+</button><button id="fit">fit</button></span>'
    )
    return f'<div class="tools">{"".join(keys)}{zoom}</div>'


def _key(shapes: str, meaning: str) -> str:
    return f'<span class="key"><svg width="22" height="14" aria-hidden="true">{shapes}</svg>{escape(meaning)}</span>'


def _footer(notes: Sequence[str]) -> str:
    own = (
        "Bars are observed behaviour of somebody in the room. No picture, person or score of attention or mood is kept or shown.",
        "“Seen” is the share of the time, in which somebody was to be observed, that is covered by pictures the detector has looked at.",
    )
    return "<footer>" + "".join(f"<p>{escape(note)}</p>" for note in (*notes, *own)) + "</footer>"


def _when(panels: Sequence[Panel], sheet: _Sheet) -> str:
    if not any(panel.timeline.cells for panel in panels):
        return "Nothing has been recorded."
    zones = sorted({panel.timeline.time_zone for panel in panels})
    rooms = "1 room" if len(panels) == 1 else f"{len(panels)} rooms"
    return f"{_range(sheet.scale.start_ms, sheet.scale.end_ms, zones[0])} · {rooms} · {', '.join(zones)}"


def _range(start_ms: int, end_ms: int, time_zone: str) -> str:
    start, end = local(start_ms, time_zone), local(end_ms, time_zone)
    last = f"{end:%H:%M:%S}" if start.date() == end.date() else clock_text(end_ms, time_zone).partition(".")[0]
    return f"{start:%A, %d %B %Y, %H:%M:%S} to {last}"
