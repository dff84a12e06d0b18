"""Settings of a process: frozen, built once in a `main` from CLASSPULSE_* variables, printed at start.

Every fault is found before any is reported, and an unknown name is answered with the nearest one there is.
Documented in docs/settings.md.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from classpulse.errors import BadInput

PREFIX = "CLASSPULSE_"
TESTS_PREFIX = "CLASSPULSE_TEST_"
"""Variables of the test suite; no setting may begin like this."""

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

_PASSWORD_IN_URL = re.compile(r"(?<=://)([^/@\s:]*):\S*@")
_PASSWORD_IN_QUERY = re.compile(r"(?i)([?&](?:password|passwd|pass|pwd|token|secret|key)=)[^&\s]*")


def _whole(meaning: str, least: int, most: int) -> dict[str, Any]:
    return {"meaning": meaning, "least": least, "most": most}


def _text(meaning: str, *choices: str) -> dict[str, Any]:
    return {"meaning": meaning, "choices": choices}


def _switch(meaning: str) -> dict[str, Any]:
    return {"meaning": meaning}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What one process goes by. An empty `bus` becomes the SQLite file in the data folder."""

    data: Path = field(
        default=Path("data-out"), metadata=_text("folder for the bus, the lock and the status; made when absent")
    )
    bus: str = field(default="", metadata=_text("bus URL; empty: sqlite://DATA/bus.sqlite"))
    district: str = field(default="", metadata=_text("bus URL of the district; empty: this site aggregates itself"))
    spool_mib: int = field(default=4_096, metadata=_whole("detections kept for the district, in MiB", 1, 1_048_576))
    log_level: str = field(default="INFO", metadata=_text("least level that is logged", *LOG_LEVELS))
    metrics_port: int = field(default=0, metadata=_whole("first port for metrics and probes; 0: none", 0, 65_000))
    metrics_host: str = field(default="127.0.0.1", metadata=_text("address at which they are served"))
    camera_series: int = field(
        default=100, metadata=_whole("most cameras of a process of which each is shown in the metrics", 0, 100_000)
    )
    fault: str = field(default="", metadata=_text("fault points to arm, for tests: [STAGE/]POINT:N, ..."))
    school: str = field(default="", metadata=_text("ingest watches this TENANT/SCHOOL only; empty: every school"))
    detect_workers: int = field(default=1, metadata=_whole("detect processes", 1, 24))
    runner: str = field(
        default="processes",
        metadata=_text("what detect runs as: processes here, or a fleet on Ray", "processes", "ray"),
    )
    ray_address: str = field(default="", metadata=_text("Ray cluster of the fleet; empty: one of its own, here"))
    ray_metrics_port: int = field(
        default=0, metadata=_whole("port at which a Ray cluster of its own shows metrics; 0: none", 0, 65_535)
    )
    fleet_least: int = field(default=0, metadata=_whole("fewest workers of the fleet; 0: as many as fleet_most", 0, 24))
    fleet_most: int = field(default=0, metadata=_whole("most workers of the fleet; 0: what the nodes carry", 0, 24))
    runtime: str = field(default="auto", metadata=_text("what runs the net; auto: the best that loads"))
    runtime_threads: int = field(default=1, metadata=_whole("threads of one detect process's net", 1, 256))
    model: Path | None = field(default=None, metadata=_text("name or folder of a release; empty: the bundled one"))
    line: str = field(
        default="main", metadata=_text("line of models that detect follows, once somebody has promoted one")
    )
    registry: str = field(default="", metadata=_text("where registered releases lie; empty: DATA/models"))
    freshness_ms: int = field(default=5_000, metadata=_whole("older live frames are dropped as stale", 1, 86_400_000))
    bucket_ms: int = field(default=10_000, metadata=_whole("length of a timeline bucket", 1_000, 3_600_000))
    commit_ms: int = field(default=200, metadata=_whole("longest wait between two commits of a busy stage", 10, 5_000))
    otlp_endpoint: str = field(default="", metadata=_text("OTLP/HTTP receiver of traces; empty: none are made"))
    trace_one_in: int = field(default=1_000, metadata=_whole("of so many frames one is traced", 1, 1_000_000))
    canary: bool = field(default=False, metadata=_switch("`up` plays canary lessons on every node that detects"))

    def __post_init__(self) -> None:
        """Give `bus` its default, which depends on `data`."""
        if not self.bus:
            object.__setattr__(self, "bus", f"sqlite://{self.data}/bus.sqlite")

    @classmethod
    def from_env(cls, environ: Mapping[str, str], values: Mapping[str, object] | None = None) -> "Settings":
        """From CLASSPULSE_<FIELD> variables, over `values` (a site file's table). Raises BadInput with every fault."""
        given = {f"settings.{name}": value for name, value in (values or {}).items()}
        given |= {name: text for name, text in environ.items() if name.startswith(PREFIX) and not _is_tests(name)}
        faults: list[str] = []
        read: dict[str, Any] = {}
        for key, value in given.items():
            _read(key, value, read, faults)
        if faults:
            raise BadInput(faults)
        return cls(**read)

    def to_env(self) -> dict[str, str]:
        """The variables from which `from_env` makes these settings again: what a child process is given."""
        return {PREFIX + f.name.upper(): _told(getattr(self, f.name)) for f in fields(self)}

    def bus_as(self, user: str) -> str:
        """The bus URL for a stage or a person: `{stage}` in it becomes that name, so that each has credentials of its own."""
        return self.bus.replace("{stage}", user)

    def district_bus(self) -> str:
        """The district's bus URL, as the bridge opens it. Raises BadInput for one that forwards to nowhere."""
        url = self.district.replace("{stage}", "bridge")
        if not url or url.startswith("memory:") or url == self.bus_as("bridge"):
            expected = "expected the bus of another place, such as kafka://HOST:PORT"
            raise BadInput([f"district = {masked(self.district)!r}: {expected}"])
        return url

    @property
    def registry_url(self) -> str:
        """Where registered releases lie; a folder's path is absolute, because others read it too."""
        return self.registry or str((self.data / "models").absolute())

    def describe(self) -> str:
        """`name=value` of every setting in one line, secrets masked: printed at start."""
        return " ".join(f"{name}={value}" for name, value in self.rows())

    def rows(self) -> list[tuple[str, str]]:
        """(name, value) of every setting, secrets masked."""
        return [(f.name, masked(_told(getattr(self, f.name)))) for f in fields(self)]


def masked(text: str) -> str:
    """The text with the passwords of URLs replaced by ***: for anything that is printed, logged or published.

    Also hides what only might be one (a password with an unescaped slash): hiding a path costs less.
    """
    return _PASSWORD_IN_QUERY.sub(r"\1***", _PASSWORD_IN_URL.sub(r"\1:***@", text))


def has_password(url: str) -> bool:
    """Whether a URL carries a password, in front of its host or in its query, or what cannot be told from one."""
    return bool(_PASSWORD_IN_URL.search(url) or _PASSWORD_IN_QUERY.search(url))


def nearest(name: str, known: Iterable[str]) -> str:
    """`; nearest is X` for an unknown name, or all there are when none resembles it: the end of an error message."""
    known = sorted(known)
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"nearest is {matches[0]}" if matches else f"expected one of {', '.join(known) or 'none: there are none'}"


def _told(value: object) -> str:
    """A setting's value as text, from which it is read again."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _is_tests(name: str) -> bool:
    return name.startswith(TESTS_PREFIX)


def _read(key: str, value: object, read: dict[str, Any], faults: list[str]) -> None:
    """Read one given value into `read`, or say in `faults` what is wrong with it."""
    name = key.removeprefix("settings.") if key.startswith("settings.") else key.removeprefix(PREFIX).lower()
    known = {f.name: f for f in fields(Settings)}
    if name not in known:
        names = known if key.startswith("settings.") else [PREFIX + n.upper() for n in known]
        found = key.removeprefix("settings.") if key.startswith("settings.") else key
        faults.append(f"{key} = {masked(str(value))!r}: unknown setting; {nearest(found, names)}")
        return
    try:
        read[name] = _value(known[name], value)
    except ValueError as error:
        faults.append(f"{key} = {masked(str(value))!r}: {error}")


def _value(setting: "Field[Any]", value: object) -> object:
    """The value in the setting's type. Raises ValueError saying what was expected."""
    if setting.type is int:
        return _int(value, setting.metadata["least"], setting.metadata["most"])
    if setting.type is bool:
        return _bool(value)
    if not isinstance(value, str):
        raise ValueError(f"found {type(value).__name__}; expected text")  # noqa: TRY004 - one kind of fault for callers
    if setting.type is Path and not value:
        raise ValueError("expected a path")
    if setting.type in (Path, Path | None):
        return Path(value).expanduser() if value else None
    choices = setting.metadata["choices"]
    if choices and value not in choices:
        near = nearest(value.upper(), choices)
        raise ValueError(f"{near} (one of {', '.join(choices)})" if near.startswith("nearest") else near)
    return value


def _bool(value: object) -> bool:
    """True or false, in TOML or as text."""
    text = _told(value)
    if text not in ("true", "false"):
        raise ValueError("expected true or false")
    return text == "true"


def _int(value: object, least: int, most: int) -> int:
    expected = f"expected a whole number from {least} to {most}"
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"found {type(value).__name__}; {expected}")  # noqa: TRY004 - one kind of fault for callers
    try:
        number = int(value)
    except ValueError:
        raise ValueError(expected) from None
    if not least <= number <= most:
        raise ValueError(expected)
    return number
