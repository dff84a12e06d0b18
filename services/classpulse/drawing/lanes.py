"""bus → eyes: one room's plot as SVG: a coverage ribbon, and per behaviour either every span or columns of people.

What was not seen is hatched, time in which nobody was to be observed is ruled, time without a record is left out of the
plot's ground: all three lie behind the bars over the plot's whole height, because they hold for every behaviour.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from classpulse.drawing.palette import STATE_MEANINGS
from classpulse.drawing.scale import Scale, number
from classpulse.formats import clock_text, missing_text, seconds_text, share_text
from classpulse.reading import Cell, Span, State

RIBBON_PX = 12
PAD_PX = 8
BAR_PX = 8
ROW_PX = 11
AXIS_PX = 24
COLUMN_PX = 40
TRUE_COLUMN_PX = 18
LEAST_ROWS = 1


@dataclass(frozen=True)
class TrueSpan:
    """One behaviour that truly was, in event time, and whether a finding was matched to it."""

    behaviour: str
    started_at_ms: int
    ended_at_ms: int
    found: bool


@dataclass(frozen=True)
class Lane:
    """One behaviour's part of a plot: where it lies, how high it is, and how much of that shows the truth."""

    behaviour: str
    top_px: int
    found_px: int
    true_px: int
    drawn: str

    @property
    def height_px(self) -> int:
        """Found and true together with the space around them."""
        return PAD_PX + self.found_px + (self.true_px + PAD_PX // 2 if self.true_px else 0)


@dataclass(frozen=True)
class Brush:
    """What every lane of a plot is drawn with: scale, the room's zone, the class of each behaviour, end of open spans."""

    scale: Scale
    time_zone: str
    classes: Mapping[str, str]

    def clock(self, at_ms: int) -> str:
        """A moment on the room's clock, without its date."""
        return clock_text(at_ms, self.time_zone).partition(" ")[2]


def rows_of(stretches: Sequence[tuple[int, int]]) -> list[int]:
    """A row for each stretch (given in order of start) so that none overlaps another; the topmost free row is taken."""
    free_from_ms: list[int] = []
    rows: list[int] = []
    for start_ms, end_ms in stretches:
        row = next((i for i, free_ms in enumerate(free_from_ms) if free_ms <= start_ms), len(free_from_ms))
        free_from_ms[row : row + 1] = [end_ms]
        rows.append(row)
    return rows


def span_lane(
    brush: Brush,
    behaviour: str,
    top_px: int,
    spans: Sequence[Span],
    truths: Sequence[TrueSpan] | None,
    false_ids: frozenset[str],
) -> Lane:
    """Every span as a bar; under them, where it is known, the truth as outlines (dashed where it was missed)."""
    ink = brush.classes[behaviour]
    found = [(span.started_at_ms, span.end_or(brush.scale.end_ms)) for span in spans]
    found_rows = rows_of(found)
    found_px = ROW_PX * max(LEAST_ROWS, *(row + 1 for row in found_rows), 0)
    first_px = top_px + PAD_PX
    bars = [
        _bar(
            brush,
            stretch,
            first_px + ROW_PX * row,
            f"f {ink}{' no' if span.id in false_ids else ''}",
            _told(span, span.id in false_ids),
        )
        for span, stretch, row in zip(spans, found, found_rows, strict=True)
    ]
    true_px = 0
    if truths is not None:
        true = [(truth.started_at_ms, truth.ended_at_ms) for truth in truths]
        true_rows = rows_of(true)
        true_px = ROW_PX * max(LEAST_ROWS, *(row + 1 for row in true_rows), 0)
        under_px = first_px + found_px + PAD_PX // 2
        bars += [
            _bar(brush, stretch, under_px + ROW_PX * row, f"t {ink}{'' if truth.found else ' no'}", _truth_told(truth))
            for truth, stretch, row in zip(truths, true, true_rows, strict=True)
        ]
    return Lane(behaviour, top_px, found_px, true_px, "".join(bars))


def column_lane(
    brush: Brush, behaviour: str, top_px: int, cells: Iterable[Cell], truths: Sequence[TrueSpan] | None, most: int
) -> Lane:
    """One column per cell: solid for the people on average while seen, pale for the most at once; truth hangs below."""
    ink = brush.classes[behaviour]
    foot_px = top_px + PAD_PX + COLUMN_PX
    drawn: list[str] = []
    for cell in cells:
        drawn += _column(brush, cell, behaviour, ink, foot_px, most)
        if truths:
            drawn += _true_column(brush, cell, ink, foot_px + PAD_PX // 2, truths, most)
    return Lane(behaviour, top_px, COLUMN_PX, TRUE_COLUMN_PX if truths is not None else 0, "".join(drawn))


def ribbon(brush: Brush, cells: Iterable[Cell]) -> str:
    """How much was seen, cell by cell: solid from below for the seen share; hatched, ruled or nothing for the rest."""
    drawn: list[str] = []
    for cell in cells:
        if cell.state is State.UNRECORDED:
            continue
        top = 0.0
        parts = (("nobody", cell.nobody_ms), ("unseen", cell.unseen_ms), ("seen", cell.observed_ms))
        shapes = []
        for kind, part_ms in parts:
            height = RIBBON_PX * part_ms / max(1, cell.recorded_ms)
            if part_ms > 0:
                shapes.append(_rect(brush, cell, top, height, kind))
            top += height
        drawn.append(f"<g><title>{escape(_cell_told(brush, cell))}</title>{''.join(shapes)}</g>")
    return "".join(drawn)


def ground(brush: Brush, cells: Sequence[Cell], top_px: int, height_px: int) -> str:
    """The plot's ground behind all lanes: plain where seen, and one wash per run of cells with the same shares."""
    drawn: list[str] = []
    for start_ms, end_ms, unseen, nobody in _runs(cells):
        stretch = Cell(start_ms, end_ms)
        drawn.append(_rect(brush, stretch, top_px, height_px, "ground"))
        for kind, share in (("unseen", unseen), ("nobody", nobody)):
            if share > 0:
                opacity = "" if share == 1 else f' opacity="{number(0.2 + 0.5 * share)}"'
                drawn.append(_rect(brush, stretch, top_px, height_px, kind, opacity))
    return "".join(drawn)


def axis(brush: Brush, bottom_px: int, height_px: int) -> str:
    """Vertical lines at round moments, labelled below the plot; every other label is spared on narrow pages."""
    drawn = []
    for place, tick in enumerate(brush.scale.ticks(brush.time_zone)):
        at = f"{number(tick.percent)}%"
        drawn.append(f'<line class="tick" x1="{at}" x2="{at}" y1="0" y2="{bottom_px}"/>')
        kind = "tick spare" if place % 2 else "tick"
        drawn.append(f'<text class="{kind}" x="{at}" y="{bottom_px + height_px - 7}">{escape(tick.label)}</text>')
    return "".join(drawn)


def _runs(cells: Sequence[Cell]) -> Iterator[tuple[int, int, float, float]]:
    """(start, end, unseen share, nobody share) of neighbouring cells with the same shares; none where no record is."""
    run: tuple[int, int, float, float] | None = None
    for cell in cells:
        if cell.state is State.UNRECORDED:
            continue
        shares = (cell.unseen_ms / cell.recorded_ms, cell.nobody_ms / cell.recorded_ms)
        if run is not None and run[1] == cell.start_ms and run[2:] == shares:
            run = (run[0], cell.end_ms, *shares)
            continue
        if run is not None:
            yield run
        run = (cell.start_ms, cell.end_ms, *shares)
    if run is not None:
        yield run


def _column(brush: Brush, cell: Cell, behaviour: str, ink: str, foot_px: int, most: int) -> list[str]:
    totals = cell.totals(behaviour)
    if not cell.observed_ms or not (totals.person_ms or totals.events):
        return []
    mean = totals.person_ms / cell.observed_ms
    peak_px, mean_px = (max(1.0, COLUMN_PX * min(1.0, people / most)) for people in (totals.peak, mean))
    told = (
        f"{behaviour}, {brush.clock(cell.start_ms)} + {seconds_text(cell.duration_ms)}: {totals.events} events confirmed, "
        f"{mean:.2f} people on average while seen, at most {totals.peak} at once"
    )
    return [
        f"<g><title>{escape(told)}</title>",
        _rect(brush, cell, foot_px - peak_px, peak_px, f"peak {ink}"),
        _rect(brush, cell, foot_px - mean_px, mean_px, f"mean {ink}"),
        "</g>",
    ]


def _true_column(brush: Brush, cell: Cell, ink: str, top_px: int, truths: Sequence[TrueSpan], most: int) -> list[str]:
    person_ms = sum(max(0, min(t.ended_at_ms, cell.end_ms) - max(t.started_at_ms, cell.start_ms)) for t in truths)
    if not person_ms or not cell.duration_ms:
        return []
    height_px = max(1.0, TRUE_COLUMN_PX * min(1.0, person_ms / cell.duration_ms / most))
    return [_rect(brush, cell, top_px, height_px, f"t {ink}")]


def _bar(brush: Brush, stretch: tuple[int, int], top_px: int, classes: str, told: str) -> str:
    start_ms, end_ms = stretch
    text = f"{told}, {brush.clock(start_ms)} for {seconds_text(end_ms - start_ms)}"
    return (
        f'<rect class="{classes}" {brush.scale.box(start_ms, end_ms)} y="{top_px}" height="{BAR_PX}" rx="2">'
        f"<title>{escape(text)}</title></rect>"
    )


def _told(span: Span, false: bool) -> str:
    lasts = " (still lasts)" if span.ended_at_ms is None else ""
    return f"{span.behaviour}: found{', but not true' if false else ''}{lasts}"


def _truth_told(truth: TrueSpan) -> str:
    return f"{truth.behaviour}: true, {'and found' if truth.found else 'but missed'}"


def _cell_told(brush: Brush, cell: Cell) -> str:
    seen = f"seen {share_text(cell.observed_ms / cell.due_ms)}" if cell.due_ms else "nobody was to be observed"
    lost = missing_text(cell.missing)
    parts = [
        f"{brush.clock(cell.start_ms)} + {seconds_text(cell.duration_ms)}: {STATE_MEANINGS[cell.state]}",
        f"{seen}, {cell.frames} frames" + (f", missing {lost}" if lost else ""),
    ]
    parts += [
        f"{name}: {t.events} events confirmed, at most {t.peak} at once"
        for name, t in sorted(cell.behaviours.items())
        if t.peak
    ]
    return "\n".join(parts + ([] if cell.final else ["provisional"]))


def _rect(brush: Brush, cell: Cell, top_px: float, height_px: float, kind: str, more: str = "") -> str:
    box = brush.scale.box(cell.start_ms, cell.end_ms)
    return f'<rect class="{kind}" {box} y="{number(top_px)}" height="{number(height_px)}"{more}/>'
