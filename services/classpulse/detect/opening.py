"""A worker's first eyes, and how those of other releases are opened beside them."""

import logging
import threading
from pathlib import Path

from classpulse.bus.base import Bus
from classpulse.clock import Clock
from classpulse.detect.devices import Device
from classpulse.detect.eyes import GestureEyes, eyes_of, open_eyes
from classpulse.detect.sight import Opener
from classpulse.errors import BadInput, Fatal, Recoverable
from classpulse.lines import Lines
from classpulse.records import ModelRelease
from classpulse.registry import fetch
from classpulse.settings import Settings
from gesturedet.card import Release

MIB = 1024 * 1024
NET_BYTES = 32 * MIB
NET_TIMES = 8
"""An opened net takes about so much memory, and so many times its file (measured with the bundled ones, on ONNX Runtime)."""

LOOK_AGAIN_MS = 1_000
CGROUP = Path("/sys/fs/cgroup")

_log = logging.getLogger("classpulse.detect")


def opener(settings: Settings, device: Device | None) -> Opener:
    """Opens registered releases on this worker's runtime, where there is memory for one more."""

    def open_(wanted: ModelRelease) -> GestureEyes:
        release = fetch(wanted)
        check_memory(release, available_bytes())
        return eyes_of(release, settings, device)

    return open_


def first_eyes(
    settings: Settings, bus: Bus, clock: Clock, device: Device | None, stop: threading.Event
) -> GestureEyes | None:
    """The line's champion's, or, where it cannot be opened, the one before it; of the settings where nobody promoted any.

    Waits for a store that is away: looking with what nobody promoted is no remedy. None when `stop` is set meanwhile.
    Raises BadInput for wrong settings, Fatal where the line's releases cannot be opened.
    """
    lines = Lines(bus, clock)
    line = lines.lines().get(settings.line)
    if line is None or not line.champion:
        return open_eyes(settings, device)
    faults: list[str] = []
    for digest in filter(None, (line.champion, line.previous)):
        while not stop.is_set():
            try:
                return eyes_of(fetch(lines.release(digest)), settings, device)
            except Recoverable as error:
                _log.warning("%s; trying again", error)
                stop.wait(LOOK_AGAIN_MS / 1000)
            except BadInput as error:
                _log.error("release %s: %s", digest[:12], error)
                faults += error.faults
                break
        if stop.is_set():
            return None
    raise Fatal(
        f"line {settings.line!r}: {'; '.join(faults)}; expected a champion, or one before it, that can be opened"
    )


def check_memory(release: Release, available: int) -> None:
    """Raises BadInput where a second net would not fit beside the first."""
    needed = NET_BYTES + NET_TIMES * len(release.onnx_bytes)
    if available < needed:
        raise BadInput([f"memory: {available // MIB} MiB available; expected {needed // MIB} MiB for a second net"])


def available_bytes(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = CGROUP) -> int:
    """What this process may still take: of the machine, and of its container where one has a limit."""
    lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    left = int(lines["MemAvailable"].split()[0]) * 1024
    try:
        limit, used = (cgroup / "memory.max").read_text().strip(), int((cgroup / "memory.current").read_text())
    except (OSError, ValueError):
        return left
    return left if limit == "max" else min(left, int(limit) - used)
