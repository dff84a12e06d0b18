"""A small site with real clips: dark, three bright seconds (a raised hand, says the fake release), dark again."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np

from classpulse.clock import SystemClock
from tests.services.fake_release import make_release

FPS = 10
BRIGHT = range(30, 60)
FRAMES_IN_CLIP = 100


def make_clip(path: Path) -> None:
    """Ten seconds of H.264."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for n in range(FRAMES_IN_CLIP):
            level = 250 if n in BRIGHT else 5
            picture = av.VideoFrame.from_ndarray(np.full((180, 320, 3), level, np.uint8), format="rgb24")
            for packet in stream.encode(picture):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def make_site(folder: Path, *sources: str, apart: bool = False) -> Path:
    """A site file with one camera per source, in one room or each in its own, and the fake release; gives its path."""
    make_release(folder / "release")
    rooms = [f"t/s/{101 + number * apart}" for number in range(len(sources))]
    text = '[settings]\ndata = "data"\nmodel = "release"\n'
    text += "".join(f'[[rooms]]\nroom = "{room}"\n' for room in dict.fromkeys(rooms))
    for number, (room, source) in enumerate(zip(rooms, sources, strict=True)):
        text += f'[[cameras]]\ncamera = "{room}/c{number}"\nsource = "{source}"\ndelivery = "complete"\nfps = 5\n'
    path = folder / "site.toml"
    path.write_text(text)
    return path


@contextmanager
def up(site: Path, **environ: str) -> Iterator["subprocess.Popen[str]"]:
    """`classpulse up` as a process, killed at the end if it still runs. Its standard error is a file beside the site."""
    command = [sys.executable, "-m", "classpulse.cli", "up", str(site)]
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with (site.parent / "up.log").open("a") as log:
        process = subprocess.Popen(command, stderr=log, text=True, env={**os.environ, **paths, **environ})
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()


def log_of(site: Path) -> str:
    """What `up` and its stages have said."""
    return (site.parent / "up.log").read_text()


def wait_for_log(site: Path, text: str, *, times: int = 1, within_ms: int = 60_000) -> None:
    """Until the log holds a text so often."""
    clock = SystemClock()
    give_up_ms = clock.monotonic_ms() + within_ms
    while log_of(site).count(text) < times:
        assert clock.monotonic_ms() < give_up_ms, f"{text!r} is not in the log:\n{log_of(site)}"
        clock.sleep_ms(50)
