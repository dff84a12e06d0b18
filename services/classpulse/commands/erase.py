"""`erase`: what was seen in a room in a window, from the log and from exports; said first, done with --yes, then proved."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classpulse.clock import SystemClock, rfc3339
from classpulse.commands.options import DataOption, arm_faults, opened_bus, settings_of
from classpulse.errors import BadInput
from classpulse.topics import DEAD_LETTERS, DETECTIONS, EVENTS

if TYPE_CHECKING:
    from classpulse.bus.base import Bus
    from classpulse.erase.window import Found, Window

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def erase(
    room: Annotated[str, typer.Argument(help="tenant/school/room, or its last part where that is unique.")],
    from_: Annotated[str, typer.Option("--from", help="RFC 3339, or HH:MM today on the room's clock.")],
    to: Annotated[str, typer.Option("--to", help="As --from; the end itself is not included.")],
    exports: Annotated[
        list[Path] | None,
        typer.Option("--exports", help="Folder of `export`, also to be erased from; repeat for more."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, it is only said what would be done.")] = False,
    data: DataOption = None,
) -> None:
    """Erase what was seen in a room in a window, and prove it.

    Whole buckets that touch the window go, events that touch these, what they could be computed from again, and their rows
    in the folders named. Exit code 1 when a reading afterwards still finds something. docs/topics.md says what is not promised.
    """
    from classpulse.erase import erase as erasing  # noqa: PLC0415 - keeps --help quick
    from classpulse.export.folder import opened_there  # noqa: PLC0415 - as above
    from classpulse.export.parquet import pyarrow  # noqa: PLC0415 - as above

    settings = settings_of(data)
    arm_faults("erase", settings)
    if exports:
        pyarrow()
    with opened_bus(settings, to_read=True) as bus, ExitStack() as stack:
        folders = [stack.enter_context(opened_there(path)) for path in exports or ()]
        window = erasing.whole_buckets(bus, _window(bus, room, from_, to), folders)
        found = erasing.plan(bus, window, folders)
        typer.echo(f"{window.room} from {rfc3339(window.start_ms)} to {rfc3339(window.end_ms)}, in whole buckets")
        _tell(found)
        if not yes:
            typer.echo("nothing was erased; --yes does it", err=True)
            return
        left = erasing.erase(bus, window, found, folders)
    _prove(left)


def _tell(found: "Found") -> None:
    """What is there, and what else goes or moves with it."""
    also = {
        EVENTS.name: f"{found.events.others} others before them move to the end, with the same ce_id",
        DETECTIONS.name: f"{found.detections.others} others before them go too; a replay begins later",
        DEAD_LETTERS.name: f"{found.letters.others} others before them go too",
    }
    for place, count in found.counts().items():
        typer.echo(f"{place}: {count}" + (f"; {also[place]}" if count and place in also else ""))


def _prove(left: "Found") -> None:
    for place, count in left.counts().items():
        typer.echo(f"left in {place}: {count}")
    if left.superseded:
        typer.echo(
            f"{left.superseded} superseded revisions lie in the log until the broker compacts it, within about a day;"
            " readers who go by the latest record of a key see none of them",
            err=True,
        )
    if any(left.counts().values()):
        typer.echo("NOT erased: run it again", err=True)
        raise typer.Exit(1)
    typer.echo("erased: a reader finds nothing of it")


def _window(bus: "Bus", room: str, from_: str, to: str) -> "Window":
    """The window as it was given. Raises BadInput for an unknown room or a limit that is none."""
    from classpulse.erase.window import Window  # noqa: PLC0415 - keeps --help quick
    from classpulse.reading import known_room, moment, room_configs  # noqa: PLC0415 - as above

    room = known_room(bus, room)
    config = room_configs(bus).get(room)
    zone = config.time_zone if config else "UTC"
    now_ms = SystemClock().now_ms()
    from_ms, to_ms = (
        moment(text, key=key, time_zone=zone, now_ms=now_ms) for text, key in ((from_, "--from"), (to, "--to"))
    )
    if to_ms <= from_ms:
        raise BadInput([f"--to = {to!r}: not after --from = {from_!r}; expected a later moment"])
    return Window(room, from_ms, to_ms)
