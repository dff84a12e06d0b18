"""The demo: plays the bundled lessons as classrooms through the real route, and measures what comes out. Read this first."""

import os
import shutil
import threading
from dataclasses import replace
from enum import Enum
from pathlib import Path

from rich.console import Console

from classpulse.bus.base import Bus, open_bus
from classpulse.clock import Clock, SystemClock
from classpulse.demo.bundled import Lesson, bundled_lessons, local_zone, site_text
from classpulse.demo.choosing import choice
from classpulse.demo.following import Follower
from classpulse.demo.measuring import measured, refusals
from classpulse.demo.report import write_all
from classpulse.demo.route import Route
from classpulse.demo.screens import LiveScreen, LogScreen, Screen, show_result
from classpulse.detect.eyes import open_release
from classpulse.errors import BadInput, Recoverable
from classpulse.lines import Lines, promoted
from classpulse.process import stop_on_signals
from classpulse.registry import put
from classpulse.settings import Settings, masked
from classpulse.supervisor import hold
from classpulse.topics import FRAMES, TOPICS, short_name
from gesturedet.card import Release

LOOK_EVERY_S = 0.25
START_S = 5.0
"""What starting and ending take beside the lessons themselves, for the progress bar."""

GRACE_S = 120.0
"""How much longer than its lessons a demo may take before it is given up."""

MARK = ".classpulse-demo"
"""The file that says that a folder is a demo's and may be emptied by the next one."""


class Middle:
    """The moment at which a release is promoted, if one is to be: half the lessons have been played."""

    def __init__(self, bus: Bus, clock: Clock, registry: str, release: Release | None, lessons: list[Lesson]) -> None:
        self._lines, self._registry, self._release = Lines(bus, clock), registry, release
        self.promoted: str | None = None
        self._at_s = max(lesson.truth.duration_ms for lesson in lessons) / 2000

    def pass_by(self, elapsed_s: float) -> None:
        """Promote it, once."""
        if self._release is None or elapsed_s < self._at_s:
            return
        told, self._release = put(self._release, self._registry), None
        self._lines.register(told)
        self._lines.change("main", lambda line: promoted(line, told.digest))
        self.promoted = told.digest


class Ending(Enum):
    """How a demo came to its end."""

    PLAYED = "all lessons were played"
    CUT = "stopped after the time that was asked for"
    STOPPED = "stopped by hand"
    OVERDUE = "not done long after the lessons should have ended"
    FAILED = "the route ended with an error"


ADMIN = "admin"
"""Whose credentials measure a demo on a broker: the accounts count pictures, which no operator may see."""


def run_demo(out: Path, *, headless: bool, seconds: float | None, bus_url: str = "", swap: str = "") -> int:
    """Play, show, measure and write; gives the exit code. Raises BadInput for a folder, bus or release that is not for a demo.

    `swap`: a release that is promoted in the middle.
    """
    lessons = bundled_lessons()
    release = open_release(swap) if swap else None
    clock = SystemClock()
    console = Console()
    stop = stop_on_signals()
    chosen = choice(os.environ, lessons, broker=bool(bus_url))
    lessons = [replace(lesson, fps=min(lesson.fps, chosen.fps)) for lesson in lessons]
    data = emptied(out)
    site = out / "site.toml"
    site.write_text(site_text(lessons, data.resolve(), local_zone(), bus_url, chosen.model), encoding="utf-8")
    bus = open_bus(Settings(data=data.resolve(), bus=bus_url).bus_as(ADMIN))
    try:
        bus.create(tuple(TOPICS.values()))
        _check_empty(bus, bus_url)
        middle = Middle(bus, clock, Settings(data=data.resolve()).registry_url, release, lessons)
        screen = _screen(console, clock, lessons, headless=headless)
        if chosen.why:
            console.print(chosen.why, highlight=False, soft_wrap=True)
        ending, words = _play(bus, lessons, out, screen, stop, clock, seconds, middle)
        if ending is Ending.STOPPED:
            _forget_pictures(bus)
            console.print(f"{ending.value}; what was recorded so far lies in {out}", highlight=False)
            return 1
        result = measured(bus, lessons, whole=ending is Ending.PLAYED)
        files = write_all(result, bus, lessons, out)
        refused = refusals(bus) if middle.promoted not in (None, *result.models) else []
        _forget_pictures(bus)
    finally:
        bus.close()
    show_result(console, result, files, None if bus_url else data)
    for why in refused:
        console.print(f"not swapped: {why}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    if ending in (Ending.PLAYED, Ending.CUT):
        return 0
    console.print(f"the demo is not whole: {ending.value}\n{words}", style="bold red", markup=False, highlight=False)
    return 1


def emptied(out: Path) -> Path:
    """Make `out` an empty folder of a demo with a data folder in it, which is given.

    Raises BadInput when the folder holds anything that no demo has made, or when a demo is at work in it.
    """
    data = out / "data"
    if out.exists() and not out.is_dir():
        raise BadInput([f"--out = {str(out)!r}: is a file; expected a folder"])
    if out.exists() and any(out.iterdir()):
        if not (out / MARK).exists():
            raise BadInput([f"--out = {str(out)!r}: holds files that no demo made; expected an empty or a new folder"])
        if data.is_dir():
            with hold(data, "classpulse demo"):
                pass
        for child in out.iterdir():
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
    try:
        data.mkdir(parents=True, exist_ok=True)
        (out / MARK).write_text(
            "Made by `classpulse demo`, which empties this folder when it runs again.\n", encoding="utf-8"
        )
    except OSError as error:
        raise BadInput([f"--out = {str(out)!r}: {error.strerror}; expected a folder that can be written"]) from error
    return data


def _play(
    bus: Bus,
    lessons: list[Lesson],
    out: Path,
    screen: Screen,
    stop: threading.Event,
    clock: Clock,
    seconds: float | None,
    middle: Middle,
) -> tuple[Ending, str]:
    """Run the route until something ends it; gives what, and the route's last words."""
    longest_s = max(lesson.truth.duration_ms for lesson in lessons) / 1000
    follower = Follower(bus, [lesson.room for lesson in lessons])
    route = Route(out / "site.toml", out / "data", out / "up.log", os.environ)
    try:
        with screen:
            ending = watch(
                route, follower, screen, stop, clock, cut_s=seconds, give_up_s=longest_s + GRACE_S, middle=middle
            )
    finally:
        route.stop()
    return ending, route.last_words


def watch(
    route: Route,
    follower: Follower,
    screen: Screen,
    stop: threading.Event,
    clock: Clock,
    *,
    cut_s: float | None,
    give_up_s: float,
    middle: Middle,
) -> Ending:
    """Show what is going on until the route has ended by itself or is to be ended."""
    began_ms = clock.monotonic_ms()
    while True:
        exit_code = route.exit_code
        elapsed_s = (clock.monotonic_ms() - began_ms) / 1000
        _look(follower)
        middle.pass_by(elapsed_s)
        screen.show(follower, elapsed_s)
        if exit_code is not None:
            return Ending.PLAYED if exit_code == 0 and follower.done else Ending.FAILED
        if cut_s is not None and elapsed_s >= cut_s:
            return Ending.CUT
        if elapsed_s >= give_up_s:
            return Ending.OVERDUE
        if stop.wait(LOOK_EVERY_S):
            return Ending.STOPPED


def _check_empty(bus: Bus, url: str) -> None:
    """Somebody's rooms are no place for a demo. Raises BadInput where the bus holds any."""
    held = [short_name(topic) for topic in TOPICS.values() if any(end for _, end in bus.ends(topic).values())]
    if held:
        raise BadInput([f"--bus = {masked(url)!r}: holds records of {', '.join(held)}; expected an empty bus"])


def _forget_pictures(bus: Bus) -> None:
    """The accounts were counted in them; the page and the files say that none is kept."""
    bus.forget(FRAMES, {partition: end for partition, (_, end) in bus.ends(FRAMES).items()})


def _look(follower: Follower) -> None:
    """One look at the bus; a busy one is looked at again a moment later."""
    try:
        follower.look()
    except Recoverable:
        return


def _screen(console: Console, clock: Clock, lessons: list[Lesson], *, headless: bool) -> Screen:
    expected_s = max(lesson.truth.duration_ms for lesson in lessons) / 1000 + START_S
    return (LogScreen if headless or not console.is_terminal else LiveScreen)(console, clock, expected_s)
