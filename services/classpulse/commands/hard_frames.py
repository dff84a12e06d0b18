"""`hard-frames`: where the champion is unsure, or a candidate sees otherwise: rooms and times, never a picture."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Annotated, NamedTuple

import typer

from classpulse.aggregate.rules import rules_of
from classpulse.audit import partitions_of
from classpulse.bus.base import Bus
from classpulse.clock import SystemClock, rfc3339
from classpulse.codec import Stored, decode
from classpulse.commands.models import SHOWN
from classpulse.commands.options import DataOption, aligned, known_rooms, opened_bus, settings_of, window_of
from classpulse.commands.progress import progress
from classpulse.commands.reading import FromOption, ToOption
from classpulse.detect.opening import opener
from classpulse.errors import BadInput, ClassPulseError, InvalidRecord
from classpulse.formats import clock_text, missing_text
from classpulse.hard_frames import Doubt, Stories, Stretch, Thresholds, disagreements, hardest, stretches
from classpulse.lines import Lines
from classpulse.reading import offset_at, room_configs, stored_records
from classpulse.records import FrameDetections, RoomConfig, hidden, room_of
from classpulse.registry import fetch
from classpulse.second_look import SecondLook
from classpulse.stage import ALLOWED_SKEW_MS
from classpulse.topics import DETECTIONS

HEADER = ("room", "camera", "from", "to", "behaviour", "reason", "frames")

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class Wanted(NamedTuple):
    """Which frames: of these rooms (none: all), captured in `[from_ms, to_ms)`, seen by this release (None: by any)."""

    rooms: Collection[str]
    from_ms: int | None
    to_ms: int | None
    model: str | None

    def holds(self, frame: FrameDetections) -> bool:
        """Whether it is one of them."""
        late_enough = self.from_ms is None or frame.captured_at_ms >= self.from_ms
        early_enough = self.to_ms is None or frame.captured_at_ms < self.to_ms
        return late_enough and early_enough and self.model in (None, frame.model)


@app.command("hard-frames")
def hard_frames(
    candidate: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="Also compare with this release, on pictures that are there.")
    ] = None,
    rooms: Annotated[
        list[str] | None, typer.Option("--room", metavar="KEY", help="A room, or its last part; repeat for more.")
    ] = None,
    from_: FromOption = None,
    to: ToOption = None,
    most: Annotated[int, typer.Option(min=1, help="So many rows, the hardest first.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line; totals go to standard error.")] = False,
    line: Annotated[
        str | None, typer.Option(help="Only what this line's champion saw; default: whoever looked.")
    ] = None,
    data: DataOption = None,
) -> None:
    """List where the champion is unsure or a candidate sees otherwise; never pictures.

    By room and time, from the detections on the bus; docs/fleet.md says what makes a frame hard. HH:MM is on the rooms'
    clock, UTC where they differ.
    """
    settings = settings_of(data)
    with ExitStack() as stack:
        bus = stack.enter_context(opened_bus(settings, to_read=True))
        lines, named = Lines(bus, SystemClock()), known_rooms(bus, rooms or ())
        wanted = Wanted(named, *window_of(bus, named, from_, to), None if line is None else _champion(lines, line))
        look = None
        if candidate is not None:
            eyes = opener(settings, None)(lines.release(candidate))
            look = SecondLook(stack.enter_context(opened_bus(settings, to_read=True, user="detect")), eyes)
        search = _Search(bus, lines, wanted, look)
        rows = search.hardest(most)
    for text in map(_json, rows) if as_json else aligned(HEADER, [_cells(row, search.zone(row)) for row in rows]):
        typer.echo(text)
    for text in search.totals(len(rows)):
        typer.echo(text, err=as_json)


class _Search:
    """One reading of the log, and of the pictures that are there."""

    def __init__(self, bus: Bus, lines: Lines, wanted: Wanted, look: SecondLook | None) -> None:
        self._bus, self._wanted, self._look = bus, wanted, look
        self._configs = room_configs(bus)
        self._thresholds_of = cache(lambda digest: _thresholds(lines, digest))
        self._stories = Stories(self._thresholds_of, lambda room: rules_of(self._config(room)))
        self._hard: Counter[str] = Counter()
        self._rows = 0

    def hardest(self, most: int) -> list[Stretch]:
        """Read everything; so many rows at most are kept."""
        return hardest(self._counted(stretches(self._doubts())), most)

    def zone(self, row: Stretch) -> str:
        """The time zone of a row's room."""
        return self._config(room_of(row.camera)).time_zone

    def totals(self, shown: int) -> Iterator[str]:
        """What was found in all, and what could not be judged."""
        yield f"{shown} of {self._rows} rows; hard frames: {missing_text(self._hard) or 'none'}"
        unjudged = self._stories.unjudged
        said = f", {unjudged} of them by releases that are not known: their scores say nothing" if unjudged else ""
        yield f"{self._stories.frames} frames were looked at{said}"
        if (look := self._look) is not None:
            yield f"candidate: {look.compared} pictures compared, {look.gone} are gone, {look.own} were its own"

    def _config(self, room: str) -> RoomConfig:
        return self._configs.get(room, RoomConfig(room=room))

    def _counted(self, found: Iterable[Stretch]) -> Iterator[Stretch]:
        for one in found:
            self._rows += 1
            self._hard[one.reason] += one.frames
            yield one

    def _doubts(self) -> Iterator[Doubt]:
        for stored, frame in self._frames():
            if self._stories.go_on(frame):
                yield from self._stories.doubts(frame)
                if self._look is not None:
                    self._look.told(frame, stored.appended_at_ms)
        if self._look is None:
            return
        with progress("looking", len(self._look)) as advance:
            for frame, found in self._look.found():
                known = self._thresholds_of(frame.model)
                yield from disagreements(frame, found, self._look.labels.intersection(known or self._look.labels))
                advance(1)

    def _frames(self) -> Iterator[tuple[Stored, FrameDetections]]:
        """The wanted frames in the order of the log, partition by partition."""
        rooms, from_ms = self._wanted.rooms, self._wanted.from_ms
        partitions = partitions_of(rooms)
        with progress("reading", len(partitions)) as advance:
            for partition in partitions:
                start = 0 if from_ms is None else offset_at(self._bus, DETECTIONS, partition, from_ms - ALLOWED_SKEW_MS)
                for stored in stored_records(self._bus, DETECTIONS, partition, start=start):
                    asked_for = stored.key in rooms if rooms else not hidden(stored.key)
                    frame = _frame(stored) if asked_for else None
                    if frame is not None and self._wanted.holds(frame):
                        yield stored, frame
                advance(1)


def _frame(stored: Stored) -> FrameDetections | None:
    try:
        noun = decode(stored)
    except InvalidRecord:
        return None  # aggregate has put it aside
    return noun if isinstance(noun, FrameDetections) else None


def _champion(lines: Lines, name: str) -> str:
    """The digest of a line's champion. Raises BadInput for a line that has none."""
    line = lines.lines().get(name)
    if line is None or not line.champion:
        there = ", ".join(sorted(lines.lines())) or "none: `classpulse models promote` makes them"
        raise BadInput([f"--line = {name!r}: no line with a champion; expected one of {there}"])
    return line.champion


def _thresholds(lines: Lines, digest: str) -> Thresholds | None:
    """Those of a release's card; None, once said, where it cannot be had."""
    release = lines.releases().get(digest)
    try:
        if release is None:
            raise BadInput([f"release {digest[:SHOWN]}: not registered; expected `classpulse models register`"])
        card = fetch(release).card
    except ClassPulseError as error:
        typer.echo(f"{error}; its scores are not judged", err=True)
        return None
    return {label: card.thresholds[label] for label in card.published}


def _cells(row: Stretch, time_zone: str) -> tuple[str, ...]:
    room, _, camera = row.camera.rpartition("/")
    first, last = clock_text(row.from_ms, time_zone), clock_text(row.to_ms, time_zone).partition(" ")[2]
    return room, camera, first, last, row.behaviour, row.why, str(row.frames)


def _json(row: Stretch) -> str:
    return json.dumps(
        {
            "room": room_of(row.camera),
            "camera": row.camera,
            "from": rfc3339(row.from_ms),
            "to": rfc3339(row.to_ms),
            "behaviour": row.behaviour,
            "reason": row.reason,
            "scores": row.scores,
            "frames": row.frames,
        }
    )
