"""What `doctor` looks at, one function a thing: each gives findings and changes nothing."""

import importlib.metadata
import json
import os
import platform
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Semaphore, Thread

from classpulse.bus.base import Bus, open_bus
from classpulse.bus.limits import unread
from classpulse.clock import Clock
from classpulse.detect.eyes import open_eyes
from classpulse.errors import BadInput, ClassPulseError
from classpulse.ingest.sources.base import SourceEnded, source_of
from classpulse.records import CameraConfig, room_of
from classpulse.roster import is_bridged
from classpulse.settings import Settings, masked
from classpulse.supervisor import STATUS_FILE, holder, stages_of
from classpulse.topics import DETECTIONS, FRAMES

PACKAGES = ("av", "msgspec", "numpy", "opencv-python-headless", "prometheus-client", "rich", "typer")
RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt")
DECODERS = ("h264", "hevc", "mjpeg")
LEAST_FREE_BYTES = 256 * 1024 * 1024
TRY_MS = 5_000
TRIED_AT_ONCE = 8


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `right` False makes doctor's exit code 1."""

    what: str
    said: str
    right: bool = True


def installed() -> Iterator[Finding]:
    """Python and the packages, with their versions."""
    yield Finding("classpulse", _version("classpulse") or "run from its source")
    yield Finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for name in PACKAGES:
        version = _version(name)
        yield Finding(name, version or "not installed; expected by classpulse", right=version is not None)
    found = [f"{name} {version}" for name in RUNTIMES if (version := _version(name))]
    yield Finding("runtimes", ", ".join(found) or "none; expected the extra cpu", right=bool(found))


def decoder() -> Finding:
    """Whether FFmpeg, as PyAV brings it, decodes what cameras send."""
    import av  # noqa: PLC0415 - heavy, and its absence is a finding

    absent = [name for name in DECODERS if name not in av.codecs_available]
    version = ".".join(map(str, av.library_versions["libavcodec"]))
    said = f"libavcodec {version}: {', '.join(DECODERS)}"
    return Finding("decoder", f"{said}; absent: {', '.join(absent)}" if absent else said, right=not absent)


def weights(settings: Settings) -> Finding:
    """Whether the net is the one its card describes, and the runtime loads it."""
    try:
        eyes = open_eyes(settings)
    except BadInput as error:
        return Finding("weights", str(error), right=False)
    return Finding("weights", f"digest {eyes.digest} is the card's; loaded by {eyes.runtime}")


def disk(data: Path) -> Finding:
    """Room in the data folder, or where it will be made, beside what the frames log may take."""
    if data.exists() and not data.is_dir():
        return Finding("disk", f"{data} is no folder; expected the data folder, or nothing yet", right=False)
    place = next(folder for folder in (data.resolve(), *data.resolve().parents) if folder.is_dir())
    free = shutil.disk_usage(place).free
    most = FRAMES.partitions * (FRAMES.retention_bytes or 0)
    said = f"{_gib(free)} free at {place}; frames take up to {_gib(most)}"
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding("disk", f"{said}; {place} cannot be written; expected a folder that can", right=False)
    right = free >= LEAST_FREE_BYTES
    return Finding("disk", said if right else f"{said}; expected {_gib(LEAST_FREE_BYTES)} at least", right=right)


def bus(settings: Settings, opened: Callable[[], Bus]) -> Finding:
    """Whether the bus can be read, and how far its readers are."""
    scheme, _, path = settings.bus.partition("://")
    if scheme == "sqlite" and not Path(path).exists():
        return Finding("bus", f"{masked(settings.bus)}: not there yet; the first `up` makes it")
    try:
        found = opened()
        readers = (("detect", FRAMES), (stages_of(settings)[-1], DETECTIONS))
        lags = [f"{group} {unread(found, group, topic)}" for group, topic in readers]
    except ClassPulseError as error:
        return Finding("bus", f"{masked(settings.bus)}: {error}", right=False)
    return Finding("bus", f"{masked(settings.bus)}: reachable; records not read yet: {', '.join(lags)}")


def district(settings: Settings) -> Iterator[Finding]:
    """Whether the district of a school takes what is forwarded, where there is one."""
    if not settings.district:
        return
    where = masked(settings.district)
    try:
        found = open_bus(settings.district_bus())
        try:
            found.create([DETECTIONS])
        finally:
            found.close()
    except ClassPulseError as error:
        yield Finding("district", f"{where}: {error}", right=False)
    else:
        yield Finding("district", f"{where}: reachable")


def route(data: Path) -> Finding:
    """Whether an `up` runs on the data folder, and what it says of its stages."""
    held_by = holder(data)
    if held_by is None:
        return Finding("route", f"not running on {data}")
    try:
        stages = json.loads((data / STATUS_FILE).read_text(encoding="utf-8"))["stages"]
        told = [f"{s['name']} pid {s['pid']}, {s['restarts']} restarts" for s in stages]
        waiting = [s["name"] for s in stages if s["pid"] is None]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Finding("route", f"held by {held_by}; {data / STATUS_FILE}: {error}", right=False)
    said = f"held by {held_by}: {'; '.join(told)}"
    return Finding("route", f"{said}; down: {', '.join(waiting)}" if waiting else said, right=not waiting)


def cameras(configs: Sequence[CameraConfig], rooms_off: Collection[str], clock: Clock) -> Iterator[Finding]:
    """Each camera opened once and one picture read, several at a time, in their order. What is switched off stays shut."""
    off = [c.camera for c in configs if not c.enabled or room_of(c.camera) in rooms_off]
    yield from (Finding(f"camera {camera}", "switched off; not tried") for camera in off)
    bridged = [c.camera for c in configs if is_bridged(c) and c.camera not in off]
    yield from (Finding(f"camera {camera}", "bridged: its school opens it; not tried") for camera in bridged)
    configs = [config for config in configs if config.camera not in (*off, *bridged)]
    turns = Semaphore(TRIED_AT_ONCE)
    waiting = [(Future[Finding](), config) for config in configs]
    for told, config in waiting:
        Thread(target=_try, args=(told, config, clock, turns), name=f"try {config.camera}", daemon=True).start()
    for told, _ in waiting:
        yield told.result()


def _try(told: Future[Finding], config: CameraConfig, clock: Clock, turns: Semaphore) -> None:
    """Try a camera in a thread that nobody has to wait for: Ctrl-C ends doctor while a camera says nothing."""
    with turns:
        try:
            told.set_result(_tried(config, clock))
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            told.set_exception(error)


def _tried(config: CameraConfig, clock: Clock) -> Finding:
    what = f"camera {config.camera}"
    try:
        return Finding(what, _one_picture(config, clock))
    except ClassPulseError as error:
        return Finding(what, masked(f"{config.source}: {error}"), right=False)
    except SourceEnded:
        return Finding(what, masked(f"{config.source}: over before its first picture"), right=False)


def _one_picture(config: CameraConfig, clock: Clock) -> str:
    source = source_of(config)
    try:
        opened = source.open(after_ms=-1, timeout_ms=TRY_MS)
        give_up_ms = clock.monotonic_ms() + TRY_MS
        while (picture := source.read()) is None:
            if clock.monotonic_ms() >= give_up_ms:
                raise BadInput([f"no picture within {TRY_MS} ms; expected one"])
    finally:
        source.close()
    rate = f", {opened.frames_per_s:g} frames/s" if opened.frames_per_s else ""
    length = f", {opened.duration_ms / 1000:.1f} s" if opened.duration_ms else ""
    return f"{masked(config.source)}: {picture.width}x{picture.height}{rate}{length}"


def lines(findings: Iterable[Finding]) -> Iterator[tuple[str, bool]]:
    """Each finding as a line, and whether it is right."""
    for finding in findings:
        yield f"{'ok   ' if finding.right else 'WRONG'}  {finding.what}: {finding.said}", finding.right


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / 1024**3:.1f} GiB"
