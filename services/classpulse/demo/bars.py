"""The demo, at its end: each room's timeline as coloured bars in a terminal, truth under finding."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from rich.text import Text

from classpulse.drawing.lanes import TrueSpan
from classpulse.drawing.laying import laid
from classpulse.drawing.palette import STATE_GLYPHS, STATE_STYLES, ink_of
from classpulse.formats import coverage_text
from classpulse.page import Panel
from classpulse.reading import Cell, RoomTimeline, State, local

HEIGHTS = "▁▂▃▄▅▆▇█"
NAME_WIDTH = 14
LABEL_WIDTH = NAME_WIDTH + 6

Stretch = tuple[int, int]


def room_bars(panel: Panel, width: int) -> Text:
    """A room's name, two lines per behaviour (found, true), and the time below; each character is a slice of time.

    The height is the most people at once in that slice. Where nothing was seen or nobody was to be observed, the found
    line says so instead of being empty.
    """
    timeline = panel.timeline
    columns = max(10, width - LABEL_WIDTH - 1)
    lines = [Text(f"{timeline.room}  {coverage_text(timeline)}", style="bold")]
    for name in timeline.behaviours:
        style = ink_of(name, timeline.behaviours).terminal
        found = [(s.started_at_ms, s.end_or(timeline.end_ms)) for s in timeline.spans if s.behaviour == name]
        lines.append(_label(name, "found") + _found_line(timeline, found, columns, style))
        if panel.truths is not None:
            lines.append(_label("", "true") + _true_line(timeline, _of(panel.truths, name), columns, style))
    lines.append(_clock_line(timeline, columns))
    return Text("\n").join(lines)


def legend() -> Text:
    """What the signs mean."""
    text = Text("▁…█ people at once   blank: no record   ", style="dim")
    for state, words in (
        (State.UNSEEN, "not seen"),
        (State.NOBODY, "nobody to be observed"),
        (State.QUIET, "seen, nothing"),
    ):
        text.append(STATE_GLYPHS[state], style=STATE_STYLES[state])
        text.append(f" {words}   ", style="dim")
    return text


def most_at_once(stretches: Iterable[Stretch], start_ms: int, end_ms: int) -> int:
    """The most stretches that share a moment of `[start_ms, end_ms)`."""
    inside = [(max(a, start_ms), min(b, end_ms)) for a, b in stretches if a < end_ms and b > start_ms]
    return max((sum(a <= at < b for a, b in inside) for at, _ in inside), default=0)


def _found_line(timeline: RoomTimeline, found: Sequence[Stretch], columns: int, style: str) -> Text:
    line, cells = Text(), laid(timeline.cells)
    for start_ms, end_ms in _slices(timeline, columns):
        people = most_at_once(found, start_ms, end_ms)
        if people:
            line.append(_height(people), style=style)
        else:
            state = state_of(cells, start_ms, end_ms)
            line.append(STATE_GLYPHS[state], style=STATE_STYLES[state])
    return line


def _true_line(timeline: RoomTimeline, true: Sequence[Stretch], columns: int, style: str) -> Text:
    line = Text()
    for start_ms, end_ms in _slices(timeline, columns):
        people = most_at_once(true, start_ms, end_ms)
        line.append(_height(people) if people else " ", style=f"dim {style}")
    return line


def state_of(cells: Sequence[Cell], start_ms: int, end_ms: int) -> State:
    """What is true of a slice that shows nobody: unseen as soon as most of its cells' due time was not seen."""
    touching = [cell for cell in cells if cell.start_ms < end_ms and cell.end_ms > start_ms]
    due_ms = sum(cell.due_ms for cell in touching)
    if due_ms:
        return State.UNSEEN if 2 * sum(cell.observed_ms for cell in touching) < due_ms else State.QUIET
    return State.NOBODY if any(cell.recorded_ms for cell in touching) else State.UNRECORDED


def _slices(timeline: RoomTimeline, columns: int) -> list[Stretch]:
    duration_ms = max(1, timeline.end_ms - timeline.start_ms)
    edges = [timeline.start_ms + duration_ms * i // columns for i in range(columns + 1)]
    return list(pairwise(edges))


def _clock_line(timeline: RoomTimeline, columns: int) -> Text:
    first = f"{local(timeline.start_ms, timeline.time_zone):%H:%M:%S}"
    last = f"{local(timeline.end_ms, timeline.time_zone):%H:%M:%S}"
    return Text(" " * LABEL_WIDTH + first + last.rjust(columns - len(first)), style="dim")


def _of(truths: Sequence[TrueSpan], behaviour: str) -> list[Stretch]:
    return [(truth.started_at_ms, truth.ended_at_ms) for truth in truths if truth.behaviour == behaviour]


def _label(name: str, kind: str) -> Text:
    return Text(f"{name:<{NAME_WIDTH}}", style="bold") + Text(f"{kind:>5} ", style="dim")


def _height(people: int) -> str:
    return HEIGHTS[min(people * 2, len(HEIGHTS)) - 1]
