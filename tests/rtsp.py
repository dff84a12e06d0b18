"""GStreamer's RTSP server as a process of its own, for tests with a real camera."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import ROOT, require

PYTHON = "/usr/bin/python3"
PROBE = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


def require_server() -> None:
    """Skip, or fail, where the server cannot run."""
    there = (
        Path(PYTHON).exists()
        and subprocess.run([PYTHON, "-c", PROBE], capture_output=True, check=False).returncode == 0
    )
    require("rtsp", there, "GStreamer's RTSP server for the system's Python (gir1.2-gst-rtsp-server-1.0)")


@contextmanager
def serving(*options: str, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server and its port."""
    command = [PYTHON, str(ROOT / "tests/rtsp_server.py"), "--port", str(port), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        word, _, found = process.stdout.readline().partition(" ")
        assert word == "ready", "the server did not start"
        yield process, int(found)
    finally:
        process.kill()
        process.communicate()
