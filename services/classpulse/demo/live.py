"""The demo, while it runs: a table for a terminal, or a line now and then for a log."""

from collections.abc import Iterable

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from classpulse.demo.following import Follower, RoomNow
from classpulse.demo.latency import percentile
from classpulse.drawing.palette import ink_of
from classpulse.formats import missing_text, share_text
from classpulse.reading import USUAL_BEHAVIOURS

BEHIND_MS = 10_000
"""From here on a route is said to be behind: its lessons end so much later than their own time."""


def live_view(follower: Follower, *, now_ms: int, elapsed_s: float, expected_s: float) -> RenderableType:
    """The whole live display: one row per room, and how far the lessons have come."""
    table = Table(
        title="ClassPulse demo: camera → frames → detections → events, timelines",
        title_justify="left",
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    table.add_column("room", no_wrap=True)
    table.add_column("behaviour", no_wrap=True)
    for name in ("now", "events\nso far", "seen", "frames", "capture→event\np50 / p99"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("missing")
    for room in follower.rooms.values():
        table.add_row(*_row(room, now_ms))
    return Group(table, Text(_behind(follower), style="bold"), _progress(elapsed_s, expected_s))


def progress_line(follower: Follower, *, now_ms: int, elapsed_s: float) -> str:
    """One line for all rooms."""
    told = (
        f"{room.room.rpartition('/')[2]} {room.frames} frames, {sum(room.events.values())} events, "
        f"seen {share_text(room.coverage)}{_lost(room)}"
        for room in follower.rooms.values()
    )
    pace = sum(room.frames_per_s(now_ms) for room in follower.rooms.values())
    behind = _behind(follower)
    return f"{elapsed_s:5.0f} s  {pace:5.1f} frames/s  {'  |  '.join(told)}{behind and f'  |  {behind}'}"


def latency_text(latencies_ms: Iterable[int]) -> str:
    """`310 / 620 ms`; `–` before the first event."""
    held = list(latencies_ms)
    return f"{percentile(held, 0.5)} / {percentile(held, 0.99)} ms" if held else "–"


def _row(room: RoomNow, now_ms: int) -> list[RenderableType]:
    """A row as high as there are behaviours, so that nothing moves when they come and go."""
    names = (*USUAL_BEHAVIOURS, *sorted(set(room.events) - set(USUAL_BEHAVIOURS)))
    missing = missing_text(room.seen.missing)
    return [
        Text(room.room.rpartition("/")[2], style="bold"),
        _stacked((name, _style(name, names)) for name in names),
        _stacked((str(room.now.get(name, "·")), _style(name, names) if name in room.now else "dim") for name in names),
        _stacked((str(room.events.get(name, 0)), "") for name in names),
        share_text(room.coverage),
        f"{room.frames}\n{room.frames_per_s(now_ms):.1f} /s",
        latency_text(room.latencies_ms),
        Text(missing or "none", style="bold red" if missing else "dim"),
    ]


def _style(behaviour: str, behaviours: tuple[str, ...]) -> str:
    return ink_of(behaviour, behaviours).terminal


def _stacked(lines: Iterable[tuple[str, str]]) -> Text:
    return Text("\n").join(Text(words, style=style) for words, style in lines)


def _progress(elapsed_s: float, expected_s: float) -> Table:
    grid = Table.grid(padding=(0, 1))
    at_s = min(elapsed_s, expected_s)
    note = f"{elapsed_s:.0f} s of about {expected_s:.0f} s (Ctrl-C stops)"
    grid.add_row(ProgressBar(total=max(1.0, expected_s), completed=at_s, width=30), Text(note, style="dim"))
    return grid


def _behind(follower: Follower) -> str:
    """Say that the machine is too slow, where it is by far: ingest then waits for detect, and everything comes later."""
    if follower.behind_ms < BEHIND_MS:
        return ""
    lost = any(room.seen.missing for room in follower.rooms.values())
    told = f"this machine is {follower.behind_ms / 1000:.0f} s behind"
    return told if lost else f"{told}; nothing is dropped"


def _lost(room: RoomNow) -> str:
    missing = missing_text(room.seen.missing)
    return f", missing {missing}" if missing else ""
