"""`models`: which releases there are, which of them looks where, and what changed between two."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from classpulse.bus.base import Bus
from classpulse.clock import SystemClock
from classpulse.commands.options import DataOption, aligned, opened_bus, settings_of
from classpulse.commands.reports import looks_now, whole_keys
from classpulse.detect.eyes import open_release
from classpulse.errors import BadInput
from classpulse.lines import Lines, promoted, rolled_back, with_canary, without_canary
from classpulse.records import ExamFigures, ModelLine, ModelRelease
from classpulse.registry import fetch, put

SHOWN = 12
"""So many digits of a digest are enough to tell releases apart."""

DigestArgument = Annotated[str, typer.Argument(help="Digest of a release, or the beginning that no other has.")]
LineOption = Annotated[str | None, typer.Option(help="Name of the line; default: the setting `line`.")]
RevisionOption = Annotated[
    int | None, typer.Option(help="Refuse where the line is not at this revision any more (`models list` shows it).")
]

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def _models() -> None:
    """Register, promote, try and take back what looks at pictures."""


@app.command("list")
def list_(data: DataOption = None) -> None:
    """Every release, what it is on each line, and how many cameras it looks at now."""
    with opened_bus(settings_of(data), to_read=True) as bus:
        lines = Lines(bus, SystemClock())
        releases, known, used = lines.releases(), lines.lines(), _used(bus)
    for line in aligned(("line", "revision", "champion", "canary", "previous"), [_line(one) for one in known.values()]):
        typer.echo(line)
    if known and (releases or used):
        typer.echo("")
    digests = sorted({*releases, *used}, key=lambda one: (one not in releases, one))
    rows = [_release(digest, releases.get(digest), known, used.get(digest, 0)) for digest in digests]
    for line in aligned(("release", "name", "input", "behaviours", "is", "cameras now"), rows):
        typer.echo(line)


@app.command()
def show(digest: DigestArgument, data: DataOption = None) -> None:
    """One release: what it is, where it lies, what it was made from, and how it did on its exams."""
    with opened_bus(settings_of(data), to_read=True) as bus:
        release = Lines(bus, SystemClock()).release(digest)
    height, width = release.input_hw
    for name, value in (
        ("digest", release.digest),
        ("name", release.name),
        ("behaviours", ", ".join(release.labels)),
        ("input", f"{width} x {height} pixels"),
        ("artefact", release.artefact),
        ("made from", "; ".join(release.lineage) or "nothing that is known"),
    ):
        typer.echo(f"{name:<11} {value}")
    rows = [(one.exam, one.behaviour, str(one.truths), *_figures(one)) for one in release.figures]
    for line in aligned(("exam", "behaviour", "objects", "ap50", "precision", "recall"), rows):
        typer.echo(line)


@app.command()
def register(
    folder: Annotated[
        str, typer.Argument(help="Folder with model.onnx and card.json, or the name of a bundled release.")
    ],
    data: DataOption = None,
) -> None:
    """Copy a release into the registry and make it known. Nothing uses it yet."""
    settings = settings_of(data)
    with opened_bus(settings) as bus:
        release = put(open_release(folder), settings.registry_url)
        Lines(bus, SystemClock()).register(release)
    typer.echo(f"registered {release.digest}  {release.name}")


@app.command()
def promote(
    digest: DigestArgument, line: LineOption = None, revision: RevisionOption = None, data: DataOption = None
) -> None:
    """Make a release the line's champion: workers load it beside what they use, compare, and flip between two frames."""
    with _line_of(line, data) as (_, lines, name):
        release = lines.release(digest)
        fetch(release)
        after = lines.change(name, lambda before: promoted(before, release.digest), revision=revision)
    typer.echo(f"line {name}: champion {after.champion[:SHOWN]}, revision {after.revision}")


@app.command()
def canary(
    digest: Annotated[str, typer.Argument(help="Digest of a release; empty with --stop.")] = "",
    cameras: Annotated[list[str] | None, typer.Argument(help="The cameras it is to look at.")] = None,
    *,
    stop: Annotated[bool, typer.Option("--stop", help="No canary any more.")] = False,
    line: LineOption = None,
    revision: RevisionOption = None,
    data: DataOption = None,
) -> None:
    """Let a release look at a few cameras, in the champion's place."""
    with _line_of(line, data) as (bus, lines, name):
        if stop:
            after = lines.change(name, without_canary, revision=revision)
        else:
            release, keys = lines.release(digest), _known_cameras(bus, cameras or [])
            fetch(release)
            after = lines.change(name, lambda before: with_canary(before, release.digest, keys), revision=revision)
    told = f"canary {after.canary[:SHOWN]} on {', '.join(after.canary_cameras)}" if after.canary else "no canary"
    typer.echo(f"line {name}: {told}, revision {after.revision}")


@app.command()
def rollback(line: LineOption = None, revision: RevisionOption = None, data: DataOption = None) -> None:
    """Take the last promotion back."""
    with _line_of(line, data) as (_, lines, name):
        after = lines.change(name, rolled_back, revision=revision)
    typer.echo(f"line {name}: champion {after.champion[:SHOWN]}, revision {after.revision}")


@app.command()
def diff(first: DigestArgument, second: DigestArgument, data: DataOption = None) -> None:
    """What changed from one release to another."""
    with opened_bus(settings_of(data), to_read=True) as bus:
        lines = Lines(bus, SystemClock())
        before, after = lines.release(first), lines.release(second)
    for field in ("name", "labels", "input_hw", "lineage"):
        one, other = getattr(before, field), getattr(after, field)
        typer.echo(f"{field:<10} {one if one == other else f'{one} → {other}'}")
    for line in aligned(
        ("exam", "behaviour", "ap50", "", "precision", "", "recall", ""), list(_changes(before, after))
    ):
        typer.echo(line)


def _changes(before: ModelRelease, after: ModelRelease) -> Iterator[tuple[str, ...]]:
    """Each exam and behaviour with its figures and by how much they moved; only what both were examined on can move."""
    old = {(one.exam, one.behaviour): one for one in before.figures}
    new = {(one.exam, one.behaviour): one for one in after.figures}
    for key in sorted({*old, *new}):
        row: list[str] = []
        for figure in ("ap50", "precision", "recall"):
            was, now = (getattr(side.get(key), figure, None) for side in (old, new))
            row += [f"{_figure(was)} → {_figure(now)}", "" if was is None or now is None else f"{now - was:+.3f}"]
        yield (*key, *row)


@contextmanager
def _line_of(line: str | None, data: DataOption) -> Iterator[tuple[Bus, Lines, str]]:
    settings = settings_of(data)
    with opened_bus(settings) as bus:
        yield bus, Lines(bus, SystemClock()), line or settings.line


def _known_cameras(bus: Bus, wanted: list[str]) -> tuple[str, ...]:
    """The whole keys of cameras. Raises BadInput for none and for unknown ones."""
    if not wanted:
        raise BadInput(["cameras: none; expected the cameras that the canary is to look at"])
    return whole_keys(bus, wanted)


def _used(bus: Bus) -> dict[str, int]:
    """How many cameras each release looks at, as detect reports."""
    found: dict[str, int] = {}
    for report in looks_now(bus).values():
        found[report.model] = found.get(report.model, 0) + 1
    return found


def _line(line: ModelLine) -> tuple[str, ...]:
    canary = f"{line.canary[:SHOWN]} on {len(line.canary_cameras)} cameras" if line.canary else "-"
    return line.line, str(line.revision), line.champion[:SHOWN] or "-", canary, (line.previous or "-")[:SHOWN]


def _release(digest: str, release: ModelRelease | None, lines: dict[str, ModelLine], cameras: int) -> tuple[str, ...]:
    """A release, or what is in use and was never registered."""
    roles = [f"champion of {one.line}" for one in lines.values() if one.champion == digest]
    roles += [f"canary of {one.line}" for one in lines.values() if one.canary == digest]
    if release is None:
        return digest[:SHOWN], "(not registered)", "", "", "", str(cameras)
    height, width = release.input_hw
    return digest[:SHOWN], release.name, f"{width}x{height}", ", ".join(release.labels), ", ".join(roles), str(cameras)


def _figures(one: ExamFigures) -> tuple[str, str, str]:
    return _figure(one.ap50), _figure(one.precision), _figure(one.recall)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
