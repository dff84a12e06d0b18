"""`topics`: what a Kafka cluster lacks beside topics.py, and bringing it about. Other buses make their topics themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from classpulse.bus.base import check_bus
from classpulse.commands.options import DataOption, settings_of
from classpulse.errors import BadInput
from classpulse.settings import masked
from classpulse.topics import TOPICS

if TYPE_CHECKING:
    from classpulse.bus.kafka_admin import Cluster

ADMIN = "admin"
"""Whose credentials are used where the bus URL says `{stage}`."""

ReplicasOption = Annotated[int, typer.Option(help="Copies of each new topic; -1: as the brokers are set up.")]

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Compare a Kafka cluster's topics and access with what is wanted; bring it about."""


@app.command()
def plan(replicas: ReplicasOption = -1, data: DataOption = None) -> None:
    """Say what `apply` would change."""
    with _cluster(data) as cluster:
        changes = cluster.changes(tuple(TOPICS.values()), replicas=replicas)
    for change in changes:
        typer.echo(f"{change.line} (only with --force)" if change.loses else change.line)
    typer.echo(f"{len(changes)} changes" if changes else "nothing to change", err=True)


@app.command()
def check(data: DataOption = None) -> None:
    """Say what differs from what is wanted; exit code 1 if anything does."""
    with _cluster(data) as cluster:
        changes = cluster.changes(tuple(TOPICS.values()))
    for change in changes:
        typer.echo(change.line)
    typer.echo(f"{len(changes)} differences" if changes else "all is as wanted", err=True)
    if changes:
        raise typer.Exit(1)


@app.command(name="apply")
def apply_(
    replicas: ReplicasOption = -1,
    force: Annotated[bool, typer.Option("--force", help="Also what loses records or their order.")] = False,
    data: DataOption = None,
) -> None:
    """Create and change topics, limits and access; exit code 1 if something was refused."""
    refused = 0
    with _cluster(data) as cluster:
        changes = cluster.changes(tuple(TOPICS.values()), replicas=replicas)
        for change in changes:
            if change.act is None or (change.loses and not force):
                refused += 1
                typer.echo(f"refused: {change.line}{'' if change.act is None else ' (--force does it)'}", err=True)
            else:
                cluster.apply(change)
                typer.echo(change.line)
    if not changes:
        typer.echo("nothing to change", err=True)
    if refused:
        raise typer.Exit(1)


@contextmanager
def _cluster(data: "DataOption") -> "Iterator[Cluster]":
    settings = settings_of(data)
    scheme, _, address = settings.bus_as(ADMIN).partition("://")
    if scheme != "kafka":
        raise BadInput(
            [
                f"bus = {masked(settings.bus)!r}: makes its topics itself; expected kafka://HOST:PORT[,…] in CLASSPULSE_BUS"
            ]
        )
    check_bus(settings.bus_as(ADMIN))
    from classpulse.bus.kafka_admin import Cluster  # noqa: PLC0415 - the client is there, as was just seen
    from classpulse.bus.kafka_link import parse_link  # noqa: PLC0415

    cluster = Cluster(parse_link(address))
    try:
        yield cluster
    finally:
        cluster.close()
