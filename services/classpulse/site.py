"""The site file: one school's settings, rooms and cameras as a person writes them (TOML) → records. docs/settings.md.

Every fault of the file is found before any is reported. A key of `[[rooms]]` or `[[cameras]]` is a field of RoomConfig
or CameraConfig; the two tables FIELDS below say how each is read.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classpulse.detect.devices import AUTO
from classpulse.errors import BadInput
from classpulse.ingest.sources.base import source_of
from classpulse.records import CameraConfig, RoomConfig, room_of
from classpulse.roster import BRIDGED
from classpulse.settings import PREFIX, Settings, masked, nearest
from classpulse.site_fields import CAMERA_FIELDS, ROOM_FIELDS, Faults, Fields
from gesturedet.card import CARD_FILE, MODEL_FILE, released_names
from gesturedet.runtime.base import RUNTIMES

TABLES = ("settings", "rooms", "cameras")
OF_THE_SCHOOL = ("credentials_ref", "fps", "frame_width", "masks")
"""Keys that say how pictures are looked at: of a bridged camera none are looked at here."""


@dataclass(frozen=True)
class Site:
    """What a site file says. `stated` holds the keys of the rooms and cameras whose `enabled` it states."""

    settings: Settings
    rooms: tuple[RoomConfig, ...]
    cameras: tuple[CameraConfig, ...]
    stated: frozenset[str] = frozenset()


def load_site(path: Path, environ: Mapping[str, str]) -> Site:
    """Read a site file; variables of `environ` are stronger than its [settings]. Raises BadInput with every fault."""
    return parse_site(_toml(path), base=path.resolve().parent, environ=environ)


def parse_site(document: Mapping[str, Any], *, base: Path, environ: Mapping[str, str]) -> Site:
    """The site of a parsed file; relative paths in it start at `base`. Raises BadInput with every fault."""
    faults = [f"{_named(key, value)}; {nearest(key, TABLES)}" for key, value in document.items() if key not in TABLES]
    settings = _settings(document.get("settings", {}), base, environ, faults)
    rooms = [_read(t, ROOM_FIELDS, w, base, faults) for t, w in _tables(document, "rooms", faults)]
    cameras = [_camera(t, w, base, faults) for t, w in _tables(document, "cameras", faults)]
    _check_ids("rooms", "room", rooms, faults)
    _check_ids("cameras", "camera", cameras, faults)
    _check_rooms(cameras, [r["room"] for r in rooms if "room" in r], faults)
    if settings.district:
        faults += [
            f"cameras[{index}].source = {BRIDGED!r}: this site forwards to settings.district; expected a camera of its own"
            for index, camera in enumerate(cameras)
            if camera.get("source") == BRIDGED
        ]
    if faults:
        raise BadInput(faults)
    stated = {r["room"] for r in rooms if "enabled" in r} | {c["camera"] for c in cameras if "enabled" in c}
    return Site(
        settings, tuple(RoomConfig(**r) for r in rooms), tuple(CameraConfig(**c) for c in cameras), frozenset(stated)
    )


def parse_camera(values: Mapping[str, object], *, base: Path) -> CameraConfig:
    """One camera from named values, as in a `[[cameras]]` table. Raises BadInput with every fault."""
    faults: list[str] = []
    read = _camera(values, "camera", base, faults)
    if faults:
        raise BadInput(faults)
    return CameraConfig(**read)


def parse_room(values: Mapping[str, object], *, base: Path) -> RoomConfig:
    """One room from named values, as in a `[[rooms]]` table. Raises BadInput with every fault."""
    faults: list[str] = []
    read = _read(values, ROOM_FIELDS, "room", base, faults)
    if faults:
        raise BadInput(faults)
    return RoomConfig(**read)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput([f"site = {str(path)!r}: {error.strerror}; expected a readable TOML file"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput([f"site = {str(path)!r}: {error}; expected TOML"]) from error


def _settings(table: object, base: Path, environ: Mapping[str, str], faults: list[str]) -> Settings:
    if not isinstance(table, dict):
        faults.append(f"settings = {_shown(table)}: expected a table [settings]")
        table = {}
    values = dict(table)
    _check_net(table, base, environ, faults)
    for name in ("data", "model"):
        value = values.get(name)
        if isinstance(value, str) and value and not (name == "model" and value in released_names()):
            values[name] = str(base / Path(value).expanduser())
    try:
        return Settings.from_env(environ, values)
    except BadInput as error:
        faults += error.faults
        return Settings()


def _check_net(table: Mapping[str, object], base: Path, environ: Mapping[str, str], faults: list[str]) -> None:
    """Find before any process starts what detect would refuse: a model that is no release, a runtime that there is not."""
    for name, fault in (("model", _model_fault), ("runtime", _runtime_fault)):
        variable = PREFIX + name.upper()
        given = variable in environ
        key, value = (variable, environ[variable]) if given else (f"settings.{name}", table.get(name))
        if isinstance(value, str) and (found := fault(value, Path() if given else base)):
            faults.append(f"{key} = {_shown(value)}: {found}")


def _model_fault(value: str, base: Path) -> str | None:
    """Say what is wrong with the name or path of a release, as it was written; relative ones start at `base`."""
    path = base / Path(value).expanduser()
    if not value or value in released_names() or (path.suffix == ".onnx" and path.is_file()):
        return None
    if not path.is_dir():
        return f"no released model and no folder; {nearest(value, released_names())}"
    absent = [file for file in (MODEL_FILE, CARD_FILE) if not (path / file).is_file()]
    return f"no {absent[0]} in it; expected a folder with {MODEL_FILE} and {CARD_FILE}" if absent else None


def _runtime_fault(value: str, _: Path) -> str | None:
    known = [AUTO, *RUNTIMES]
    return None if value in known else f"unknown; {nearest(value, known)}"


def _tables(document: Mapping[str, Any], name: str, faults: list[str]) -> list[tuple[Mapping[str, object], str]]:
    tables = document.get(name, [])
    if isinstance(tables, list) and all(isinstance(table, dict) for table in tables):
        return [(table, f"{name}[{index}]") for index, table in enumerate(tables)]
    faults.append(f"{name} = {_shown(tables)}: expected tables [[{name}]]")
    return []


def _read(table: Mapping[str, object], known: Fields, where: str, base: Path, faults: list[str]) -> dict[str, Any]:
    """The values of one table, read and checked one by one; what is wrong goes to `faults`."""
    read: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            faults.append(f"{where}.{key} = {_shown(value)}: unknown key; {nearest(key, known)}")
            continue
        try:
            read[key] = known[key].read(value, base)
        except Faults as error:
            faults += [f"{where}.{key} = {_shown(value)}: {fault}" for fault in error.faults]
        except ValueError as error:
            faults.append(f"{where}.{key} = {_shown(value)}: {error}")
    for key, one in known.items():
        if one.required and key not in table:
            faults.append(f"{where}.{key}: missing; {one.expected}")
    return read


def _camera(table: Mapping[str, object], where: str, base: Path, faults: list[str]) -> dict[str, Any]:
    """A camera's values. A bridged one is watched as its school says.

    A recording read as fast as it can be is told whole: told live it would be stale before it is looked at.
    """
    read = _read(table, CAMERA_FIELDS, where, base, faults)
    if read.get("source") == BRIDGED:
        faults += [
            f"{where}.{key} = {_shown(table[key])}: nothing obeys it here; expected it in the school's own site file"
            for key in OF_THE_SCHOOL
            if key in table
        ]
    elif "source" in read and "delivery" not in table:
        source = source_of(CameraConfig(camera="", source=read["source"]))
        read["delivery"] = "complete" if source.recorded and not source.paced else "live"
    return read


def _check_ids(name: str, key: str, tables: Sequence[Mapping[str, Any]], faults: list[str]) -> None:
    first: dict[str, int] = {}
    for index, table in enumerate(tables):
        value = table.get(key)
        if value is not None and first.setdefault(value, index) != index:
            faults.append(
                f"{name}[{index}].{key} = {value!r}: duplicate of {name}[{first[value]}]; expected one of each"
            )


def _check_rooms(cameras: Sequence[Mapping[str, Any]], rooms: Sequence[str], faults: list[str]) -> None:
    for index, camera in enumerate(cameras):
        key = camera.get("camera")
        if key is not None and room_of(key) not in rooms:
            faults.append(
                f"cameras[{index}].camera = {key!r}: room {room_of(key)!r} is not declared; {nearest(room_of(key), rooms)}"
            )


def _named(key: str, value: object) -> str:
    """A key that is unknown, as it stands in the file."""
    if isinstance(value, dict):
        return f"[{key}]: unknown table"
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return f"[[{key}]]: unknown table"
    return f"{key} = {_shown(value)}: unknown key"


def _shown(value: object) -> str:
    """A value for an error message: short, and never a password."""
    text = masked(repr(value))
    return text if len(text) <= 120 else text[:117] + "..."
