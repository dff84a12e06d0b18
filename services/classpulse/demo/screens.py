"""The demo, where it speaks: a live table where there is a terminal, plain lines where there is none; the same end."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from classpulse.accounts import Account
from classpulse.clock import Clock
from classpulse.demo.accounts import on_their_way
from classpulse.demo.bars import legend, room_bars
from classpulse.demo.following import Follower
from classpulse.demo.live import latency_text, live_view, progress_line
from classpulse.demo.measuring import Result
from classpulse.demo.report import how_measured, scores
from classpulse.drawing.palette import ink_of
from classpulse.formats import missing_text
from classpulse.page import ratio_text

LINE_EVERY_S = 5.0
WIDEST = 132


class Screen(Protocol):
    """Shows a demo while it runs."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, follower: Follower, elapsed_s: float) -> None:
        """Show how things stand now."""
        ...


class LiveScreen:
    """A table that is drawn again and again in its place."""

    def __init__(self, console: Console, clock: Clock, expected_s: float) -> None:
        self._clock, self._expected_s = clock, expected_s
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show(self, follower: Follower, elapsed_s: float) -> None:
        """Draw the table."""
        now_ms = self._clock.now_ms()
        self._live.update(live_view(follower, now_ms=now_ms, elapsed_s=elapsed_s, expected_s=self._expected_s))


class LogScreen:
    """A line now and then."""

    def __init__(self, console: Console, clock: Clock, expected_s: float) -> None:
        self._console, self._clock, self._expected_s = console, clock, expected_s
        self._due_s = 0.0

    def __enter__(self) -> Self:
        self._console.print(f"playing the lessons as they happened, about {self._expected_s:.0f} s", soft_wrap=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def show(self, follower: Follower, elapsed_s: float) -> None:
        """Print a line when one is due."""
        if elapsed_s >= self._due_s:
            self._due_s = elapsed_s + LINE_EVERY_S
            line = progress_line(follower, now_ms=self._clock.now_ms(), elapsed_s=elapsed_s)
            self._console.print(line, soft_wrap=True, highlight=False, markup=False)


def show_result(console: Console, result: Result, files: Sequence[Path], data: Path | None) -> None:
    """The end of a demo: every room as bars, what was measured, and where everything lies. `data` None: in no folder."""
    width = min(console.width, WIDEST)
    for panel in result.panels:
        console.print(room_bars(panel, width), soft_wrap=True)
        console.print()
    console.print(legend(), soft_wrap=True)
    console.print()
    console.print(score_table(result))
    console.print(how_measured(result), style="dim", highlight=False)
    console.print()
    console.print(account_table(result))
    pace = "–" if result.frames_per_s is None else f"{result.frames_per_s:.1f}"
    console.print(f"capture → event p50 / p99: {latency_text(result.latencies_ms)}; {pace} frames/s", highlight=False)
    console.print(f"model: {', '.join(result.models) or 'none was used'}", highlight=False, soft_wrap=True)
    console.print("wrote " + ", ".join(map(str, files)), highlight=False, soft_wrap=True)
    if result.panels and data is not None:
        room = result.panels[0].timeline.room
        command = "classpulse" if shutil.which("classpulse") else Path(sys.executable).with_name("classpulse")
        console.print(f"look closer: {command} timeline {room} --data {data}", highlight=False, soft_wrap=True)


def score_table(result: Result) -> Table:
    """Measured against the truth, one line per behaviour."""
    table = Table(title="measured against the truth", title_justify="left")
    table.add_column("behaviour")
    for name in ("true", "found", "missed", "false", "precision", "recall", "F1"):
        table.add_column(name, justify="right")
    for s in scores(result):
        named = Text(s.behaviour, style=ink_of(s.behaviour, tuple(result.counts)).terminal)
        ratios = (ratio_text(share) for share in (s.precision, s.recall, s.f1))
        table.add_row(named, str(s.true), str(s.found), str(s.missed), str(s.false), *ratios)
    return table


def account_table(result: Result) -> Table:
    """Every captured frame accounted for, one line per camera."""
    caption = on_their_way(result.accounts) or None
    table = Table(title="every frame accounted for", title_justify="left", caption=caption, caption_justify="left")
    table.add_column("camera")
    for name in ("in the clip", "captured", "in timelines", "dropped", "adds up"):
        table.add_column(name, justify="right")
    for account in result.accounts:
        clip = "–" if account.clip_frames is None else str(account.clip_frames)
        adds_up = _adds_up(account)
        dropped = missing_text(account.dropped) or "none"
        camera = "/".join(account.camera.split("/")[-2:])
        table.add_row(camera, clip, str(account.captured), str(account.in_timelines), dropped, adds_up)
    return table


def _adds_up(account: Account) -> Text:
    """Whether it does; of a demo that was cut short, what had not come so far."""
    if not account.balanced:
        return Text("NO", style="bold red")
    if account.not_yet:
        return Text(f"{sum(account.not_yet.values())} not yet")
    return Text("yes", style="green")
