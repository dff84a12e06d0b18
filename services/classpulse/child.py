"""One stage process under a supervisor: its start, its death, its last words, and when it is started again."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from classpulse.clock import Clock
from classpulse.errors import BadInput
from classpulse.faults import fault

FIRST_WAIT_MS = 250
MOST_WAIT_MS = 30_000
PROGRESS_MS = 5_000
"""A process that lived so long and committed something made progress: waiting begins anew."""

SETTLED_MS = 2_000
"""What refuses its settings has done so by then."""

REFUSALS = 3
"""After so many ends in a row with exit code 2 and nothing committed, starting again is no remedy."""

BAD_INPUT = 2
LAST_WORDS = 20
FLEET = "fleet"
"""What stands for detect where workers on a cluster look; one process keeps them."""

VIEW_FILE = "fleet.json"
"""In the data folder of a fleet's keeper: how the fleet is (`View` in detect/fleet.py), once a second."""

LEAVE = signal.SIGHUP
"""Told so, a fleet's keeper goes and the fleet stays."""

SPOKEN = "classpulse: "
"""How a process's lines for people begin (cli.py prints a person's faults so)."""

_log = logging.getLogger("classpulse.supervisor")


@dataclass(frozen=True)
class Copy:
    """Copy `index` of `count` of a stage."""

    stage: str
    index: int
    count: int

    @property
    def name(self) -> str:
        """`detect`, or `detect-1` where there are several."""
        return self.stage if self.count == 1 else f"{self.stage}-{self.index}"

    @property
    def command(self) -> tuple[str, ...]:
        """How it is called: a stage by its name, a fleet by who keeps it."""
        return (FLEET, "keep") if self.stage == FLEET else (self.stage,)


class Child:
    """The process of one copy, and the ones before it. Used from one thread: the kernel's death signal hangs on it."""

    def __init__(
        self,
        copy: Copy,
        command: Sequence[str],
        environ: Mapping[str, str],
        clock: Clock,
        committed: Callable[[Copy], int],
        refusals: int = REFUSALS,
    ) -> None:
        self.copy = copy
        self.restarts = 0
        self._command = [*command, *copy.command, "--index", str(copy.index), "--count", str(copy.count)]
        self._environ, self._clock, self._committed = dict(environ), clock, committed
        self._process: subprocess.Popen[str] | None = None
        self._listener: threading.Thread | None = None
        self._words: deque[str] = deque(maxlen=LAST_WORDS)
        self._started_ms = self._due_ms = self._committed_at_start = 0
        self._wait_ms = FIRST_WAIT_MS
        self._refusals, self._most_refusals = 0, refusals
        self._last_exit: int | None = None

    @property
    def running(self) -> bool:
        """Whether its process is alive as far as was noticed."""
        return self._process is not None

    @property
    def settled(self) -> bool:
        """Whether it runs for so long that it did not refuse its settings."""
        return self.running and self._clock.monotonic_ms() - self._started_ms >= SETTLED_MS

    def start(self) -> None:
        """Start the process in a process group of its own, so that Ctrl-C reaches the supervisor alone."""
        self._words.clear()
        self._committed_at_start = self._committed(self.copy)
        self._started_ms = self._clock.monotonic_ms()
        process = subprocess.Popen(  # noqa: S603 - the command is our own
            [*self._command, "--parent", str(os.getpid())],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )
        fault("supervisor.stage_started")
        self._process = process
        self._listener = threading.Thread(target=self._listen, args=(process,), name=self.copy.name, daemon=True)
        self._listener.start()
        _log.info("%s: started, pid %d", self.copy.name, process.pid)

    def watch(self) -> None:
        """Notice its death, and start it again when that is due. Raises BadInput when it refuses its input for good."""
        if self._process is None:
            if self._clock.monotonic_ms() >= self._due_ms:
                self.restarts += 1
                self.start()
        elif self._process.poll() is not None:
            self._mourn(self._process)

    def ask_to_stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send the signal."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def wait(self, within_ms: int) -> None:
        """Wait for its end, and kill it when that does not come in time."""
        if self._process is None:
            return
        try:
            self._process.wait(within_ms / 1000)
        except subprocess.TimeoutExpired:
            _log.warning("%s: did not stop in time; killed", self.copy.name)
            self._process.kill()

    def bury(self) -> None:
        """Its end has come or is certain: take note of it."""
        process, self._process = self._process, None
        if process is not None:
            self._last_exit = process.wait()
            self._join()

    def status(self) -> dict[str, object]:
        """What status.json says of it."""
        return {
            "name": self.copy.name,
            "stage": self.copy.stage,
            "index": self.copy.index,
            "count": self.copy.count,
            "pid": None if self._process is None else self._process.pid,
            "restarts": self.restarts,
            "last_exit": self._last_exit,
        }

    def _mourn(self, process: "subprocess.Popen[str]") -> None:
        self._process = None
        self._last_exit = process.returncode
        self._join()
        lived_ms = self._clock.monotonic_ms() - self._started_ms
        committed = self._committed(self.copy) > self._committed_at_start
        self._refusals = self._refusals + 1 if process.returncode == BAD_INPUT and not committed else 0
        if self._refusals == self._most_refusals:
            raise BadInput(self._why())
        if committed and lived_ms >= PROGRESS_MS:
            self._wait_ms = FIRST_WAIT_MS
        self._due_ms = self._clock.monotonic_ms() + self._wait_ms
        _log.warning(
            "%s: pid %d ended with %s after %.1f s; starting again in %d ms",
            self.copy.name, process.pid, ending(process.returncode), lived_ms / 1000, self._wait_ms,
        )  # fmt: skip
        self._wait_ms = min(2 * self._wait_ms, MOST_WAIT_MS)

    def _why(self) -> list[str]:
        said = [w.removeprefix(SPOKEN) for w in self._words if w.startswith(SPOKEN)] or list(self._words)[-3:]
        given_up = f"{self.copy.name}: exit code {BAD_INPUT} {self._most_refusals} times in a row; not started again"
        return [f"{given_up}, because:", *said] if said else [f"{given_up}; it gave no reason"]

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        """Pass on what the process says, and remember the last of it."""
        if process.stdout is None:
            return
        with process.stdout as lines:
            for line in lines:
                self._words.append(line.rstrip("\n"))
                with suppress(OSError):  # no room for the log: the stage must not find its pipe closed for that
                    sys.stderr.write(line)

    def _join(self) -> None:
        if self._listener is not None:
            self._listener.join(timeout=1)


def ending(returncode: int) -> str:
    """`exit code 1` or `signal SIGKILL`."""
    return f"exit code {returncode}" if returncode >= 0 else f"signal {signal.Signals(-returncode).name}"
