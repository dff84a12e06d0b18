"""How each key of a site file is read: one row a key, its reader and what it expects. Used by site.py alone."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import msgspec

from classpulse.aggregate.rules import DEFAULT_RULES
from classpulse.errors import BadInput
from classpulse.ingest.sources.base import SOURCES, source_of
from classpulse.records import HIDDEN, CameraConfig, Lesson, Rule, hidden
from classpulse.roster import BRIDGED
from classpulse.settings import has_password, masked, nearest
from classpulse.timetable import lessons_of

MOST_FPS = 60
LAST_MS = 253_402_300_799_999
"""The end of the year 9999: later ones no calendar says."""

FRAME_WIDTHS = (64, 7680)
SCHEMES = tuple(sorted(SOURCES))
SOURCE = f"expected a URL with one of the schemes {', '.join(f'{s}://' for s in SCHEMES)}, or {BRIDGED} alone"

T = TypeVar("T")
U = TypeVar("U")

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_BEHAVIOUR = re.compile(r"[a-z][a-z0-9-]*")


class Faults(ValueError):
    """Several things wrong with one value, each a line of its own."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


def _each(read: Callable[[T], U], values: Iterable[T]) -> list[U]:
    """All values read; raises Faults with what is wrong with any of them."""
    done: list[U] = []
    faults: list[str] = []
    for value in values:
        try:
            done.append(read(value))
        except ValueError as error:
            faults += error.faults if isinstance(error, Faults) else [str(error)]
    if faults:
        raise Faults(faults)
    return done


class Field(NamedTuple):
    """One key: how its value is read (given the folder that relative paths start at), and what a missing one expects."""

    read: Callable[[Any, Path], object]
    expected: str = ""

    @property
    def required(self) -> bool:
        """Whether a table without this key is refused."""
        return bool(self.expected)


Fields = Mapping[str, Field]


def _key(*parts: str) -> Callable[[Any, Path], str]:
    form = "/".join(parts)

    def read(value: Any, _: Path) -> str:
        if not isinstance(value, str) or not re.fullmatch("/".join([_NAME] * len(parts)), value):
            raise ValueError(f"expected {form}, each of letters, digits, '.', '_' or '-'")
        return value

    return read


def _room(value: Any, base: Path) -> str:
    room = _key("TENANT", "SCHOOL", "ROOM")(value, base)
    if hidden(room):
        raise ValueError(f"rooms that begin with {HIDDEN} are hidden, for canary lessons; expected another name")
    return room


def _choice(*choices: str) -> Callable[[Any, Path], str]:
    def read(value: Any, _: Path) -> str:
        if value not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}")
        return str(value)

    return read


def _truth(value: Any, _: Path) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")  # noqa: TRY004 - one kind of fault for the caller
    return value


def _source(value: Any, base: Path) -> str:
    """A source's URL; a relative path of a file starts at the site file's folder."""
    if value == BRIDGED:
        return BRIDGED
    expected = SOURCE
    if not isinstance(value, str) or "://" not in value:
        raise ValueError(expected)
    if has_password(value):
        expected = "expected it in a file named by credentials_ref, and any '@' of the path as %40"
        raise ValueError(f"holds a password; {expected}")
    scheme, _, rest = value.partition("://")
    if scheme not in SCHEMES:
        raise ValueError(f"unknown scheme {scheme!r}; {expected}")
    if not rest or any(c.isspace() for c in scheme):
        raise ValueError(f"says no place after {scheme}://; {expected}")
    if scheme.startswith("rtsp"):
        _check_host(value)
    local = scheme == "file" and not rest.startswith("/")
    url = f"file://{quote(str(base))}/{rest}" if local else value
    _check_options(url)
    return url


def _check_host(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:  # its text repeats a part of the URL
        raise ValueError("host or port cannot be read; expected rtsp://HOST[:PORT]/PATH") from None
    if not host:
        raise ValueError("no host; expected rtsp://HOST[:PORT]/PATH")


def _check_options(url: str) -> None:
    """Let the source itself read its URL; nothing is opened."""
    try:
        source_of(CameraConfig(camera="", source=url))
    except BadInput as error:
        said = f"source = {masked(url)!r}: "
        raise Faults([fault.removeprefix(said) for fault in error.faults]) from None


def _path(value: Any, base: Path) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected the path of a file")
    return str(base / Path(value).expanduser())


def _fps(value: Any, _: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MOST_FPS:
        raise ValueError(f"expected a number above 0 and at most {MOST_FPS}")
    return float(value)


def _whole(least: int, most: int) -> Callable[[Any, Path], int]:
    def read(value: Any, _: Path) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"expected a whole number from {least} to {most}")
        return value

    return read


def _masks(value: Any, _: Path) -> tuple[tuple[tuple[float, float], ...], ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("expected a list of polygons")  # noqa: TRY004 - one kind of fault for the caller
    return tuple(_each(_polygon, enumerate(value)))


def _polygon(numbered: tuple[int, Any]) -> tuple[tuple[float, float], ...]:
    index, value = numbered
    expected = f"polygon {index}: expected 3 or more points [x, y], fractions 0..1 of the picture, enclosing an area"
    if not isinstance(value, list | tuple) or len(value) < 3 or not all(_is_point(point) for point in value):
        raise ValueError(expected)
    points = tuple((float(x), float(y)) for x, y in value)
    turned = (*points[1:], points[0])
    if math.isclose(sum(x * v - u * y for (x, y), (u, v) in zip(points, turned, strict=True)), 0.0, abs_tol=1e-9):
        raise ValueError(expected)
    return points


def _is_point(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v <= 1 for v in value)
    )


def _time_zone(value: Any, _: Path) -> str:
    try:
        return ZoneInfo(value).key
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise ValueError(f"unknown time zone; {_near_zone(str(value))}") from None


def _near_zone(name: str) -> str:
    zones = available_timezones()
    near = nearest(name, zones)
    return near if near.startswith("nearest") else "expected an IANA name such as Europe/Berlin"


def _timetable(value: Any, _: Path) -> tuple[Lesson, ...]:
    lines = [value] if isinstance(value, str) else value
    if not isinstance(lines, list | tuple) or not all(isinstance(line, str) for line in lines):
        raise ValueError("expected a list of lines such as 'Mon-Fri 08:00-12:30'")
    return tuple(lesson for lessons in _each(_lessons, lines) for lesson in lessons)


def _lessons(line: str) -> tuple[Lesson, ...]:
    try:
        return lessons_of(line)
    except ValueError as error:
        raise ValueError(f"{line!r}: {error}") from None


def _holidays(value: Any, _: Path) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("expected a list of dates YYYY-MM-DD")  # noqa: TRY004 - one kind of fault for the caller
    return tuple(_each(_holiday, value))


def _holiday(value: Any) -> str:
    try:
        return (value if type(value) is date else date.fromisoformat(value)).isoformat()
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is no date; expected YYYY-MM-DD") from None


RULE_FIELDS: dict[str, Callable[[Any], bool]] = {
    "least_score": lambda value: isinstance(value, int | float) and 0 <= value <= 1,
    "least_duration_ms": lambda value: isinstance(value, int) and 0 <= value <= 3_600_000,
    "longest_gap_ms": lambda value: isinstance(value, int) and 0 <= value <= 3_600_000,
}
_RULE = "least_score (0..1), least_duration_ms and longest_gap_ms (whole numbers from 0 to 3600000)"


def _rules(value: Any, _: Path) -> dict[str, Rule]:
    if not isinstance(value, dict):
        raise ValueError("expected tables such as [rooms.rules.hand-raising]")  # noqa: TRY004 - as above
    return dict(zip(value, _each(_rule, value.items()), strict=True))


def _rule(entry: tuple[str, Any]) -> Rule:
    behaviour, table = entry
    if not _BEHAVIOUR.fullmatch(behaviour):
        raise ValueError(f"{behaviour!r} is no behaviour; expected a name such as hand-raising")
    near = get_close_matches(behaviour, DEFAULT_RULES, n=1, cutoff=0.8)
    if near and behaviour not in DEFAULT_RULES:
        raise ValueError(f"{behaviour}: unknown behaviour; nearest is {near[0]}")
    if not isinstance(table, dict):
        raise ValueError(f"{behaviour}: expected a table with {_RULE}")  # noqa: TRY004 - as above
    _each(_check_rule, ((behaviour, key, value) for key, value in table.items()))
    usual = DEFAULT_RULES.get(behaviour)
    missing = [key for key in RULE_FIELDS if key not in table]
    if usual is not None:
        return msgspec.structs.replace(usual, **table)
    if missing:
        raise ValueError(
            f"{behaviour}: {', '.join(missing)} missing for a behaviour without a rule of its own; expected {_RULE},"
            f" or one of {', '.join(DEFAULT_RULES)}"
        )
    return Rule(**table)


def _check_rule(entry: tuple[str, str, Any]) -> None:
    behaviour, key, value = entry
    if key not in RULE_FIELDS:
        raise ValueError(f"{behaviour}.{key}: unknown key; {nearest(key, RULE_FIELDS)}")
    if isinstance(value, bool) or not RULE_FIELDS[key](value):
        raise ValueError(f"{behaviour}.{key} = {value!r}; expected {_RULE}")


CAMERA_FIELDS: Fields = {
    "camera": Field(_key("TENANT", "SCHOOL", "ROOM", "CAMERA"), "expected TENANT/SCHOOL/ROOM/CAMERA"),
    "source": Field(_source, "expected a URL such as rtsp://10.0.0.7/stream or file:///clips/lesson.mp4"),
    "credentials_ref": Field(_path),
    "fps": Field(_fps),
    "frame_width": Field(_whole(*FRAME_WIDTHS)),
    "masks": Field(_masks),
    "delivery": Field(_choice("live", "complete")),
    "enabled": Field(_truth),
}
ROOM_FIELDS: Fields = {
    "room": Field(_room, "expected TENANT/SCHOOL/ROOM"),
    "valid_from_ms": Field(_whole(0, LAST_MS)),
    "time_zone": Field(_time_zone),
    "timetable": Field(_timetable),
    "holidays": Field(_holidays),
    "views": Field(_choice("overlapping", "disjoint")),
    "rules": Field(_rules),
    "samples_allowed": Field(_truth),
    "enabled": Field(_truth),
}
