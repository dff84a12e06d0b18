"""`audit`: whether every captured frame is in a timeline or counted as missing, by the logs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from classpulse.clock import SystemClock, rfc3339
from classpulse.commands.options import DataOption, aligned, known_rooms, opened_bus, settings_of, window_of
from classpulse.commands.progress import progress
from classpulse.errors import BadInput
from classpulse.process import stop_on_signals
from classpulse.telemetry import start_logging

if TYPE_CHECKING:
    from classpulse.accounts import Account
    from classpulse.audit import Audit
    from classpulse.recount import Counts, Fault

HEADER = ("camera", "captured", "in timelines", "dropped", "not yet", "difference")

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def audit(
    rooms: Annotated[
        list[str] | None, typer.Argument(help="Rooms, or their last parts; none: all.", metavar="[ROOM]...")
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="RFC 3339, or HH:MM today on the rooms' clock (UTC where they differ).")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="As --from. Every bucket that touches the time is audited whole.")
    ] = None,
    form: Annotated[Literal["table", "json"], typer.Option("--format", help="How to print.")] = "table",
    every: Annotated[
        int | None,
        typer.Option(min=1, help="Audit again every so many seconds, until told to stop, what has been closed since."),
    ] = None,
    data: DataOption = None,
) -> None:
    """Account for every captured frame: in a timeline, or missing, and why.

    Exit code 1 where it does not add up. Read from the detections and timelines on the bus; a site may run meanwhile. Frames
    that are in no final bucket yet are told apart and no fault. `difference` is what is not accounted for. With --every it goes
    on as a process with metrics, and says what it finds in its log.
    """
    if every is not None:
        _keep_auditing(every, rooms or (), from_, to, form, data)
        return
    from classpulse.audit import audit as audited  # noqa: PLC0415 - keeps --help quick
    from classpulse.audit import partitions_of  # noqa: PLC0415 - as above
    from classpulse.topics import DETECTIONS  # noqa: PLC0415 - as above

    with opened_bus(settings_of(data), to_read=True) as bus:
        named = known_rooms(bus, rooms or ())
        from_ms, to_ms = window_of(bus, named, from_, to)
        ends = bus.ends(DETECTIONS)
        records = sum(ends[partition][1] - ends[partition][0] for partition in partitions_of(named))
        with progress("auditing", records) as advance:
            result = audited(bus, named, from_ms=from_ms, to_ms=to_ms, advance=advance)
    if form == "json":
        typer.echo(json.dumps(_document(result), indent=1))
    else:
        _print(result, windowed=from_ms is not None or to_ms is not None)
    if not result.balanced:
        raise typer.Exit(1)


def _keep_auditing(
    every_s: int, rooms: Sequence[str], from_: str | None, to: str | None, form: str, data: Path | None
) -> None:
    """As a process of its own, with metrics and probes. Raises BadInput for options of a single audit."""
    from classpulse.auditor import Auditor  # noqa: PLC0415 - keeps --help quick
    from classpulse.health import Health, served  # noqa: PLC0415 - as above

    for option, given in (("--to", to), ("--format", None if form == "table" else form)):
        if given is not None:
            raise BadInput([f"{option} = {given!r}: given with --every; expected one of the two"])
    stop, settings, clock = stop_on_signals(), settings_of(data), SystemClock()
    start_logging("audit", settings.log_level)
    health = Health(clock)
    with served(settings, health) as metrics, opened_bus(settings, to_read=True) as bus:
        named = known_rooms(bus, rooms)
        from_ms, _ = window_of(bus, named, from_, None)
        auditor = Auditor(bus, clock, metrics=metrics, rooms=named, from_ms=from_ms)
        health.follow(lambda: auditor.alive_ms, lambda: "")
        auditor.run(every_s, stop)


def _print(result: "Audit", *, windowed: bool) -> None:
    for line in aligned(HEADER, [_row(account) for account in result.accounts]):
        typer.echo(line)
    if windowed and result.span_ms is not None:
        first, last = map(rfc3339, result.span_ms)
        typer.echo(f"in whole buckets: from {first} to {last}")
    for room, from_ms in sorted(result.from_ms.items()):
        since = "nowhere yet" if from_ms is None else f"in buckets that begin after {rfc3339(from_ms)}"
        typer.echo(f"{room}: its oldest detections are gone (expired, or erased); compared {since}")
    for fault in result.faults:
        typer.echo(_fault_text(fault))
    if not result.accounts:
        typer.echo("no camera told of anything")
    elif result.balanced:
        typer.echo("it adds up: every captured frame is in a timeline, is counted as missing, or is not final yet")
    else:
        typer.echo("it does NOT add up")


def _row(account: "Account") -> list[str]:
    from classpulse.formats import missing_text  # noqa: PLC0415 - keeps --help quick

    dropped, not_yet = missing_text(account.dropped) or "0", missing_text(account.not_yet) or "0"
    figures = [str(account.captured), str(account.in_timelines), dropped, not_yet, str(account.difference)]
    return [account.camera, *figures]


def _fault_text(fault: "Fault") -> str:
    more = f"; {fault.buckets - 1} more of its buckets differ" if fault.buckets > 1 else ""
    return (
        f"{fault.room}: bucket {rfc3339(fault.start_ms)}: published {_counts_text(fault.published)};"
        f" its detections give {_counts_text(fault.given)}{more}"
    )


def _counts_text(counts: "Counts") -> str:
    from classpulse.formats import missing_text  # noqa: PLC0415 - keeps --help quick

    return f"{counts.frames} frames, missing {missing_text(counts.missing) or 'none'}"


def _document(result: "Audit") -> dict[str, object]:
    first_ms, last_ms = result.span_ms or (None, None)
    return {
        "balanced": result.balanced,
        "from": None if first_ms is None else rfc3339(first_ms),
        "to": None if last_ms is None else rfc3339(last_ms),
        "cameras": [
            {
                "camera": account.camera,
                "captured": account.captured,
                "in_timelines": account.in_timelines,
                "dropped": account.dropped,
                "not_yet": account.not_yet,
                "difference": account.difference,
            }
            for account in result.accounts
        ],
        "faults": [
            {
                "room": fault.room,
                "bucket": rfc3339(fault.start_ms),
                "published": {"frames": fault.published.frames, "missing": dict(fault.published.missing)},
                "detections": {"frames": fault.given.frames, "missing": dict(fault.given.missing)},
                "buckets": fault.buckets,
            }
            for fault in result.faults
        ],
        "compared_from": {
            room: None if from_ms is None else rfc3339(from_ms) for room, from_ms in result.from_ms.items()
        },
    }
