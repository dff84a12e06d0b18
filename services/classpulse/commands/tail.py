"""`tail`: what is on a topic, one line of JSON a record. Pictures are never printed, only their size."""

import heapq
import json
from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer

from classpulse.bus.base import Bus, Place
from classpulse.clock import rfc3339
from classpulse.codec import Stored, decode
from classpulse.commands.options import DataOption, opened_bus, settings_of
from classpulse.errors import BadInput, InvalidRecord
from classpulse.process import stop_on_signals
from classpulse.records import Frame, hidden
from classpulse.settings import masked
from classpulse.topics import TOPICS, Topic, short_name, topic_named

PAGE_RECORDS = 256
PAGE_BYTES = 8 * 1024 * 1024
LOOK_EVERY_S = 0.2

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def tail(
    topic: Annotated[str, typer.Argument(help=f"One of {', '.join(short_name(t) for t in TOPICS.values())}.")],
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=10_000, help="Records to begin with.")] = 10,
    once: Annotated[bool, typer.Option("--once", help="Print those and end.")] = False,
    data: DataOption = None,
) -> None:
    """Follow a topic, one line of JSON a record; never pictures, and nothing of canary lessons."""
    try:
        followed = topic_named(topic)
    except KeyError as error:
        raise BadInput([str(error.args[0])]) from None
    stop = stop_on_signals()
    with opened_bus(settings_of(data), to_read=True) as bus:
        places = {Place(followed.name, p): first for p, (first, _) in bus.ends(followed).items()}
        for record in _last(bus, followed, places, lines):
            typer.echo(line_of(record))
        while not once and not stop.wait(LOOK_EVERY_S):
            for record in _news(bus, places):
                typer.echo(line_of(record))


def line_of(record: Stored) -> str:
    """A record as one line of JSON; what cannot be decoded says why."""
    told: dict[str, object] = {
        "partition": record.partition,
        "offset": record.offset,
        "key": record.key,
        "appended": rfc3339(record.appended_at_ms),
    }
    if record.value is None and not record.headers:
        return _json({**told, "deleted": True})
    try:
        noun = decode(record)
    except InvalidRecord as error:
        return _json({**told, "unreadable": error.reason, "detail": error.detail})
    fields = msgspec.to_builtins(noun)
    if isinstance(noun, Frame):
        fields["jpeg"] = f"{len(noun.jpeg)} bytes"
    return _json({**told, "type": type(noun).__name__, **fields})


def _json(told: dict[str, object]) -> str:
    return masked(json.dumps(told, ensure_ascii=False))


def _last(bus: Bus, topic: Topic, places: dict[Place, int], lines: int) -> list[Stored]:
    """The last `lines` records by append time, reading each partition from near its end; moves `places` behind them."""
    for partition, (first, end) in bus.ends(topic).items():
        places[Place(topic.name, partition)] = max(first, end - lines) if topic.cleanup == "delete" else first
    newest = heapq.nlargest(lines, _news(bus, places), key=lambda r: (r.appended_at_ms, r.partition, r.offset))
    return newest[::-1]


def _news(bus: Bus, places: dict[Place, int]) -> Iterator[Stored]:
    """What lies at and behind `places`, which are moved as it is given; nothing of hidden rooms."""
    for place in list(places):
        while page := bus.fetch(place, places[place], max_records=PAGE_RECORDS, max_bytes=PAGE_BYTES):
            places[place] = page[-1].offset + 1
            yield from (record for record in page if not hidden(record.key))
