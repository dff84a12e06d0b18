"""One machine's route: starts the stage processes, starts dead ones again, and is the only one on its data folder.

The processes are the same that run as pods. They die with their supervisor, however it dies; what they had committed
is where their successors go on.
"""

import fcntl
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from classpulse.bus.base import Bus, check_bus, open_bus
from classpulse.bus.limits import keep_within
from classpulse.child import FLEET, VIEW_FILE, Child, Copy
from classpulse.clock import Clock
from classpulse.errors import BadInput, ClassPulseError, Recoverable
from classpulse.faults import fault
from classpulse.files import put
from classpulse.process import node
from classpulse.settings import Settings, masked
from classpulse.telemetry import Metrics
from classpulse.topics import DETECTIONS, FRAMES, MIB, TOPICS

STAGES = ("ingest", "detect", "aggregate")
"""A site that stands alone; `stages_of` says which ones a site has."""

CANARY = "canary"
"""Beside the stages, where it is wanted: plays lessons through all of them."""

STAGE_COMMAND = (sys.executable, "-m", "classpulse.cli")
TURN_S = 0.1
STATUS_EVERY_MS = 1_000
RETAIN_EVERY_S = 5.0
STOP_WITHIN_S = 3.0
"""How long stages may take to end before they are killed; with what surrounds it, Ctrl-C takes less than 5 s."""

FLEET_FIRST_MS = 60_000
"""So long ingest waits for a fleet's workers: what nobody can look at yet need not be captured."""

LOCK_FILE = "lock"
LOCK_ATTEMPTS = 3
STATUS_FILE = "status.json"

_log = logging.getLogger("classpulse.supervisor")


@contextmanager
def hold(data: Path, command: str) -> Iterator[None]:
    """Be the only supervisor on a data folder. Raises BadInput naming the process that is.

    The lock goes with the process: nothing stale is left by a kill.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(data / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadInput([f"data = {str(data)!r}: {error.strerror}; expected a folder that can be written"]) from error
    with os.fdopen(descriptor, "r+") as file:
        if not _locked(file):
            other = file.read().strip() or "another process"
            raise BadInput([f"data = {str(data)!r}: held by {other}; expected a data folder of its own"])
        file.truncate(0)
        file.write(f"pid {os.getpid()} ({command})\n")
        file.flush()
        yield


def _locked(file: TextIO) -> bool:
    """Try for a moment: `holder` of another process takes the lock for as long as a look lasts."""
    for _ in range(LOCK_ATTEMPTS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            threading.Event().wait(TURN_S)
        else:
            return True
    return False


def holder(data: Path) -> str | None:
    """Who is the supervisor of a data folder now, None where nobody is."""
    try:
        with (data / LOCK_FILE).open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return (data / LOCK_FILE).read_text().strip() or "another process"
    except OSError:
        return None
    return None


class Supervisor:
    """Runs every stage of one data folder until told to stop, or until `ended` says that all is done."""

    def __init__(
        self,
        settings: Settings,
        bus: Bus,
        clock: Clock,
        *,
        command: Sequence[str],
        environ: Mapping[str, str],
        metrics: Metrics,
        retain_every_s: float = RETAIN_EVERY_S,
        keep_pictures: bool = False,
    ) -> None:
        """`command` starts a stage when its name, --index, --count and --parent are appended; `environ` goes with it.

        `keep_pictures`: pictures that were looked at stay for the frames' ten minutes; else they go within seconds.
        """
        if settings.bus.startswith("memory:"):
            raise BadInput([f"bus = {settings.bus!r}: processes cannot share it; expected sqlite://PATH"])
        if settings.district:
            check_bus(settings.district_bus(), key="district")
        self._settings, self._bus, self._clock, self._retain_every_s = settings, bus, clock, retain_every_s
        self._keep_pictures = keep_pictures
        copies = [Copy(stage, index, count) for stage, count in counts_of(settings).items() for index in range(count)]
        self.children = [
            Child(copy, command, _environ(settings, environ, number), clock, self._committed)
            for number, copy in enumerate(copies)
        ]
        self._restarted = {child: metrics.worker_restarts.labels(node(), child.copy.name) for child in self.children}
        self._started: list[Child] = []
        self._settled = False
        self.turned_ms = clock.monotonic_ms()
        self._status_due_ms = self._fleet_due_ms = 0
        self._status_failed = False

    def run(
        self,
        stop: threading.Event,
        ended: Callable[[], bool] = lambda: False,
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        """Until `stop` is set or `ended` (asked once a second) is true; then all stages are stopped.

        `settled` is called once, when every stage runs and none has refused its settings. Raises BadInput when a stage
        refuses its input again and again.
        """
        retention_stop = threading.Event()
        retention = threading.Thread(target=self._retain, args=(retention_stop,), name="retention", daemon=True)
        retention.start()
        try:
            self._start_first()
            while not stop.wait(TURN_S):
                if not self._settled and all(child.settled for child in self.children):
                    self._settled = True
                    settled()
                if self._turn(ended):
                    break
        finally:
            retention_stop.set()
            self._stop()
            retention.join(timeout=0.5)

    def missing(self) -> str:
        """Which processes do not run, or not yet for long enough; empty where all do. May be asked from any thread."""
        names = ", ".join(child.copy.name for child in self.children if not child.settled)
        return f"up: not at work: {names}; expected every process to run" if names else ""

    def _turn(self, ended: Callable[[], bool]) -> bool:
        self.turned_ms = self._clock.monotonic_ms()
        for child in self._started:
            restarts = child.restarts
            child.watch()
            self._restarted[child].inc(child.restarts - restarts)
        if len(self._started) < len(self.children) and self._fleet_looks():
            self._start(self.children)
        if all(child.running for child in self.children):
            fault("supervisor.watching")
        if self._clock.monotonic_ms() < self._status_due_ms:
            return False
        self._status_due_ms = self._clock.monotonic_ms() + STATUS_EVERY_MS
        self._write_status()
        try:
            return ended()
        except Recoverable as error:
            _log.warning("%s; asking again", error)
            return False

    def _start_first(self) -> None:
        """All at once; where there is a fleet, all but ingest, which waits for it."""
        fleet = any(child.copy.stage == FLEET for child in self.children)
        first = [child for child in self.children if not fleet or child.copy.stage != "ingest"]
        self._fleet_due_ms = self._clock.monotonic_ms() + FLEET_FIRST_MS
        (self._settings.data / VIEW_FILE).unlink(missing_ok=True)
        self._start(first)

    def _start(self, children: Sequence[Child]) -> None:
        for child in children:
            if child not in self._started:
                child.start()
                self._started.append(child)

    def _fleet_looks(self) -> bool:
        """Whether all workers that the fleet wants have their share of the cameras, or are not to be waited for any longer."""
        if self._clock.monotonic_ms() >= self._fleet_due_ms:
            return True
        try:
            view = json.loads((self._settings.data / VIEW_FILE).read_bytes())
        except OSError:
            return False
        at_work = [slot for slot in view["slots"] if slot["health"] is not None and slot["health"]["assigned"]]
        return bool(at_work) and len(at_work) == view["wanted"]

    def _stop(self) -> None:
        for child in self.children:
            child.ask_to_stop()
        deadline_ms = self._clock.monotonic_ms() + int(STOP_WITHIN_S * 1000)
        for child in self.children:
            child.wait(max(0, deadline_ms - self._clock.monotonic_ms()))
        for child in self.children:
            child.bury()
        self._write_status()
        _log.info("all stages have ended")

    def _committed(self, copy: Copy) -> int:
        """A number that rises with what a copy commits: the measure of its progress."""
        try:
            if copy.stage == "ingest":
                return sum(end for _, end in self._bus.ends(FRAMES).values())
            if copy.stage == FLEET:
                return sum(self._bus.positions("detect", FRAMES).values())
            if copy.stage == CANARY:
                return 0
            positions = self._bus.positions(copy.stage, FRAMES if copy.stage == "detect" else DETECTIONS)
        except Recoverable as error:
            _log.warning("%s: %s", copy.name, error)
            return 0
        return sum(next_offset for p, next_offset in positions.items() if p % copy.count == copy.index)

    def _retain(self, stop: threading.Event) -> None:
        """Apply the topics' limits now and then, beside the watching; pictures that were looked at go before their time."""
        while not stop.wait(self._retain_every_s):
            try:
                if not self._bus.retains_itself:
                    self._bus.retain(self._clock.now_ms())
                    self._bound_spool()
                if not self._keep_pictures:
                    self._bus.forget(FRAMES, self._bus.positions("detect", FRAMES))
            except ClassPulseError as error:
                if not stop.is_set():
                    _log.warning("retention: %s; trying again in %.0f s", error, self._retain_every_s)

    def _bound_spool(self) -> None:
        """What waits for the district takes no more of the disk than it may; the bridge tells what went unread."""
        if self._settings.district:
            removed = keep_within(self._bus, DETECTIONS, self._settings.spool_mib * MIB)
            if removed:
                _log.warning("spool: %d oldest detections removed; spool_mib = %d", removed, self._settings.spool_mib)

    def _write_status(self) -> None:
        status = {
            "pid": os.getpid(),
            "at_ms": self._clock.now_ms(),
            "stages": [child.status() for child in self.children],
        }
        path = self._settings.data / STATUS_FILE
        try:
            put(path, json.dumps(status, indent=1) + "\n")
        except OSError as error:
            if not self._status_failed:
                _log.warning("%s: %s; the stages go on", path, error.strerror)
            self._status_failed = True
        else:
            self._status_failed = False


def stages_of(settings: Settings) -> tuple[str, ...]:
    """The stages of a site, in the order of the route: one that belongs to a district forwards what others aggregate."""
    return ("ingest", "detect", "bridge") if settings.district else STAGES


def processes_of(settings: Settings) -> tuple[str, ...]:
    """What is started for them: a fleet is kept by one process, wherever its workers are; a canary lesson is played by another.

    Raises BadInput for a fleet on a bus that it cannot share, and for a canary where no events are made.
    """
    if settings.runner == "ray" and not settings.bus.startswith("kafka://"):
        raise BadInput(
            [f"runner = 'ray': bus = {masked(settings.bus)!r}: the workers share a broker; expected kafka://HOST:PORT"]
        )
    if settings.canary and settings.district:
        where = f"district = {masked(settings.district)!r}"
        raise BadInput(
            [f"canary = true: {where}: its events are made there; expected the canary there, or no district"]
        )
    stages = tuple(FLEET if stage == "detect" and settings.runner == "ray" else stage for stage in stages_of(settings))
    return (*stages, CANARY) if settings.canary else stages


def counts_of(settings: Settings) -> dict[str, int]:
    """How many copies of each there are."""
    return {stage: settings.detect_workers if stage == "detect" else 1 for stage in processes_of(settings)}


def prepare_bus(settings: Settings) -> Bus:
    """The bus of these settings with all its topics. Raises BadInput for an unknown scheme or a changed topic."""
    bus = open_bus(settings.bus_as("operator"))
    bus.create(tuple(TOPICS.values()))
    return bus


def own_port(settings: Settings) -> int:
    """Where the supervisor itself is asked how it is: behind the last of its processes."""
    return settings.metrics_port + sum(counts_of(settings).values()) if settings.metrics_port else 0


def _environ(settings: Settings, environ: Mapping[str, str], number: int) -> dict[str, str]:
    """A child's variables: the settings, a metrics port of its own, and no thread pools or arenas nobody asked for."""
    port = settings.metrics_port + number if settings.metrics_port else 0
    thrift = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    return {**thrift, **environ, **settings.to_env(), "CLASSPULSE_METRICS_PORT": str(port)}
