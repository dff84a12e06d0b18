"""`dead-letters`: what could not be read, shown to people, and given another turn."""

import json
from collections import deque
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from classpulse.clock import SystemClock, rfc3339
from classpulse.commands.options import DataOption, aligned, opened_bus, settings_of
from classpulse.errors import BadInput
from classpulse.settings import masked
from classpulse.topics import TOPICS, topic_named

if TYPE_CHECKING:
    from classpulse.codec import Stored
    from classpulse.deadletters import Letter

MOST_ROWS = 500
MOST_DETAIL = 100
MOST_HEX_BYTES = 256
HEX_BYTES = 16

ReasonOption = Annotated[str | None, typer.Option("--reason", help="Only those put aside for this reason.")]

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def _group() -> None:
    """List and show what could not be read, and publish it again."""


@app.command("list")
def list_(
    topic: Annotated[str | None, typer.Option("--topic", help="Only those of this topic.")] = None,
    reason: ReasonOption = None,
    form: Annotated[Literal["table", "json"], typer.Option("--format", help="How to print.")] = "table",
    data: DataOption = None,
) -> None:
    """What could not be read, newest last; as JSON one line each. No payloads."""
    from classpulse.deadletters import letters  # noqa: PLC0415 - keeps --help quick

    name = None if topic is None else _topic(topic)
    rows: deque[list[str]] = deque(maxlen=MOST_ROWS)
    count = 0
    with opened_bus(settings_of(data), to_read=True) as bus:
        for letter in letters(bus, topic=name, reason=reason):
            count += 1
            if form == "json":
                typer.echo(_json(letter))
            else:
                rows.append(_row(letter))
    for line in aligned(("id", "time", "stage", "where", "key", "reason", "retried", "detail"), rows):
        typer.echo(line)
    if count > len(rows) > 0:
        typer.echo(f"the last {len(rows)} of {count}; --format json gives all", err=True)
    if not count:
        typer.echo("no dead letters", err=form == "json")


@app.command()
def show(
    id_: Annotated[int, typer.Argument(help="As `list` shows it.", metavar="ID")],
    data: DataOption = None,
) -> None:
    """Everything that is known of one, its payload included where it is kept."""
    from classpulse.deadletters import letters_named, original  # noqa: PLC0415 - keeps --help quick

    with opened_bus(settings_of(data), to_read=True) as bus:
        (letter,) = letters_named(bus, [id_])
        found = original(bus, letter.noun)
    noun = letter.noun
    told = {
        "id": str(letter.id),
        "time": rfc3339(noun.at_ms),
        "stage": noun.stage,
        "where": letter.where,
        "key": noun.key,
        "reason": noun.reason,
        "detail": noun.detail,
        "retried": "no" if letter.retried_at_ms is None else rfc3339(letter.retried_at_ms),
        "record": found if isinstance(found, str) else "still there",
        **(_headers(found) if not isinstance(found, str) else {}),
    }
    width = max(map(len, told))
    for name, text in told.items():
        typer.echo(f"{name:<{width}}  {_plain(text)}")
    for line in _payload(letter):
        typer.echo(_plain(line))


@app.command()
def retry(
    ids: Annotated[list[int] | None, typer.Argument(help="As `list` shows them.", metavar="[ID]...")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All that were not retried yet.")] = False,
    reason: ReasonOption = None,
    data: DataOption = None,
) -> None:
    """Publish records again, exactly as they were, so that they take their turn anew; exit code 1 if any was refused.

    A camera's story goes on meanwhile: what it told later stays, and an older sequence counts as told already.
    """
    from classpulse.deadletters import retry as retried  # noqa: PLC0415 - keeps --help quick

    if bool(ids) == all_:
        raise BadInput([f"ids = {ids or []} with{'' if all_ else 'out'} --all: expected either ids or --all"])
    if reason is not None and not all_:
        raise BadInput([f"--reason = {reason!r} without --all: expected both, or ids alone"])
    done = refused = 0
    with opened_bus(settings_of(data), to_read=True) as bus:
        for attempt in retried(bus, SystemClock(), None if all_ else ids, reason=reason):
            letter = attempt.letter
            if attempt.refused is None:
                typer.echo(f"retried {letter.id}: {letter.where}")
            else:
                typer.echo(f"refused {letter.id}: {letter.where}: {attempt.refused}", err=True)
            done, refused = done + (attempt.refused is None), refused + (attempt.refused is not None)
    if not done + refused:
        typer.echo("no dead letters to retry")
    if refused:
        raise typer.Exit(1)


def _topic(name: str) -> str:
    """The full name. Raises BadInput naming those there are."""
    try:
        return topic_named(name).name
    except KeyError as error:
        raise BadInput([f"--topic: {error.args[0]}"]) from None


def _row(letter: "Letter") -> list[str]:
    noun = letter.noun
    detail = noun.detail if len(noun.detail) <= MOST_DETAIL else f"{noun.detail[:MOST_DETAIL]}…"
    retried = "" if letter.retried_at_ms is None else rfc3339(letter.retried_at_ms)
    told = [str(letter.id), rfc3339(noun.at_ms), noun.stage, letter.where, noun.key, noun.reason, retried, detail]
    return [_plain(text) for text in told]


def _json(letter: "Letter") -> str:
    noun, retried_ms = letter.noun, letter.retried_at_ms
    told = {
        "id": letter.id,
        "time": rfc3339(noun.at_ms),
        "stage": noun.stage,
        "topic": noun.topic,
        "partition": noun.partition,
        "offset": noun.offset,
        "key": noun.key,
        "reason": noun.reason,
        "detail": noun.detail,
        "retried": None if retried_ms is None else rfc3339(retried_ms),
    }
    return masked(json.dumps(told, ensure_ascii=False))


def _headers(record: "Stored") -> dict[str, str]:
    return {f"header {name}": value.decode(errors="replace") for name, value in record.headers}


def _payload(letter: "Letter") -> list[str]:
    """The payload as JSON, else as the beginning of its bytes; or why there is none."""
    payload, topic = letter.noun.payload, TOPICS.get(letter.noun.topic)
    if topic is not None and topic.pictures:
        return ["payload not kept: its topic holds pictures"]
    if not payload:
        return ["payload empty"]
    try:
        lines = json.dumps(json.loads(payload), indent=2, ensure_ascii=False).splitlines()
    except (ValueError, RecursionError):
        return [f"payload, {len(payload)} bytes, no JSON:", *_hex(payload)]
    return [f"payload, {len(payload)} bytes of JSON:", *lines]


def _hex(payload: bytes) -> list[str]:
    """Offset, bytes and what of them is ASCII, line by line; no more than MOST_HEX_BYTES."""
    lines = []
    for start in range(0, min(len(payload), MOST_HEX_BYTES), HEX_BYTES):
        row = payload[start : start + HEX_BYTES][: MOST_HEX_BYTES - start]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{start:08x}  {row.hex(' '):<{3 * HEX_BYTES - 1}}  {text}")
    more = len(payload) - MOST_HEX_BYTES
    return [*lines, f"… {more} bytes more"] if more > 0 else lines


def _plain(text: str) -> str:
    """On one line, without what a terminal would obey, passwords masked: all of this was written by somebody else."""
    return masked("".join(char if char.isprintable() else repr(char)[1:-1] for char in text))
