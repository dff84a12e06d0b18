"""The demo, the route itself: `classpulse up` on the demo's own site, as a process of its own like anybody else's."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

STOP_WITHIN_S = 4.5
"""Above what a supervisor gives its stages, below the 5 s that Ctrl-C may take."""

LAST_WORDS = 12
FOREIGN = ("CLASSPULSE_DATA", "CLASSPULSE_BUS")
"""Variables that would lead the demo into somebody's real data folder."""


def own_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """What of somebody's environment a demo goes by."""
    return {name: value for name, value in environ.items() if name not in FOREIGN}


class Route:
    """A running `classpulse up`, which dies with the thread that made this. What it says goes to a log file."""

    def __init__(self, site: Path, data: Path, log: Path, environ: Mapping[str, str]) -> None:
        self._log = log
        command = [sys.executable, "-m", "classpulse.cli", "up", str(site), "--data", str(data)]
        command += ["--parent", str(os.getpid()), "--keep-pictures"]  # drawn ones, and the accounts count them
        self._file: IO[bytes] = log.open("wb")
        self._process = subprocess.Popen(  # noqa: S603 - the command is our own
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=self._file,
            env=own_variables(environ),
            process_group=0,
        )

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    @property
    def last_words(self) -> str:
        """The end of its log."""
        text = self._log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-LAST_WORDS:])

    def stop(self) -> None:
        """Ask it to end, and end it when it does not; nothing to do for one that has ended."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(timeout=STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                os.kill(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self._file.close()
