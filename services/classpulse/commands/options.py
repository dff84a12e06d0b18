"""What the commands share: the data folder, the settings it leads to, and the bus in it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from classpulse.bus.base import Bus, open_bus
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


@contextmanager
def opened_bus(settings: Settings, *, to_read: bool = False) -> Iterator[Bus]:
    """The bus of these settings with all its topics, closed at the end.

    `to_read`: looking makes nothing; raises BadInput where there is no bus yet.
    """
    scheme, _, path = settings.bus.partition("://")
    if to_read and scheme == "sqlite" and not Path(path).exists():
        raise BadInput(
            [f"bus = {masked(settings.bus)!r}: not there; expected the data folder of an `up` or a demo (--data)"]
        )
    bus = open_bus(settings.bus_as("operator"))
    try:
        bus.create(tuple(TOPICS.values()))
        yield bus
    finally:
        bus.close()
