"""What the commands share: the data folder, the settings it leads to, the bus in it, and what of it is asked for."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from classpulse.bus.base import Bus, open_bus
from classpulse.clock import SystemClock
from classpulse.errors import BadInput
from classpulse.faults import arm, check, faults_of
from classpulse.settings import Settings, masked
from classpulse.topics import TOPICS

ParentOption = Annotated[
    int | None, typer.Option(hidden=True, help="Process id of whoever started this, to die with it.")
]
DataOption = Annotated[Path | None, typer.Option("--data", help="Data folder; stronger than CLASSPULSE_DATA.")]


def environ_with(data: Path | None) -> Mapping[str, str]:
    """The environment, with --data in it where it was given."""
    return {**os.environ, **({} if data is None else {"CLASSPULSE_DATA": str(data)})}


def settings_of(data: Path | None) -> Settings:
    """The settings of a command. Raises BadInput with every fault."""
    return Settings.from_env(environ_with(data))


def arm_faults(process: str, settings: Settings) -> None:
    """Arm what the settings say of this process, for tests. Raises BadInput for what cannot be armed."""
    try:
        check(settings.fault)
        if mine := faults_of(process, settings.fault):
            arm(mine)
    except ValueError as error:
        raise BadInput([f"settings.fault: {error}"]) from error


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table under its header, each column as wide as what is in it; none where there are no rows."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows) if rows else ():
        yield "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()


def known_rooms(bus: Bus, rooms: Sequence[str]) -> list[str]:
    """The whole keys. Raises BadInput for a room that is none."""
    from classpulse.reading import known_room, room_configs  # noqa: PLC0415 - keeps --help quick

    configured = room_configs(bus) if rooms else {}
    return [room if room in configured else known_room(bus, room) for room in rooms]


def window_of(bus: Bus, rooms: Sequence[str], from_: str | None, to: str | None) -> tuple[int | None, int | None]:
    """The limits in milliseconds; HH:MM is on the clock of these rooms (none: all), UTC where they differ. Raises BadInput."""
    from classpulse.reading import moment, room_configs  # noqa: PLC0415 - keeps --help quick
    from classpulse.records import hidden  # noqa: PLC0415

    configs = room_configs(bus).items()
    zones = {config.time_zone for room, config in configs if (room in rooms if rooms else not hidden(room))}
    zone = zones.pop() if len(zones) == 1 else "UTC"
    now_ms = SystemClock().now_ms()
    from_ms = None if from_ is None else moment(from_, key="--from", time_zone=zone, now_ms=now_ms)
    to_ms = None if to is None else moment(to, key="--to", time_zone=zone, now_ms=now_ms)
    if from_ms is not None and to_ms is not None and to_ms <= from_ms:
        raise BadInput([f"--to = {to!r}: not after --from = {from_!r}; expected a later moment"])
    return from_ms, to_ms


@contextmanager
def opened_bus(settings: Settings, *, to_read: bool = False, user: str = "operator") -> Iterator[Bus]:
    """The bus of these settings with all its topics, closed at the end.

    `to_read`: looking makes nothing; raises BadInput where there is no bus yet. `user`: by whose rights; pictures are detect's.
    """
    url = settings.bus_as(user)
    scheme, _, path = url.partition("://")
    if to_read and scheme == "sqlite" and not Path(path).exists():
        raise BadInput([f"bus = {masked(url)!r}: not there; expected the data folder of an `up` or a demo (--data)"])
    bus = open_bus(url)
    try:
        bus.create(tuple(TOPICS.values()))
        yield bus
    finally:
        bus.close()
