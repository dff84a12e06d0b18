"""The canary for real: every stage a process, the bundled lesson, the bundled model; then the node that looks is frozen."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from classpulse.clock import SystemClock
from tests.services.cli.site import log_of, up
from tests.services.export.school import run

PATIENCE_MS = 180_000
SITE = """
[settings]
data = "data"
[[rooms]]
room = "t/s/1"
[[cameras]]
camera = "t/s/1/front"
source = "synth://?seed=1&width=320&height=180"
fps = 1
"""


@contextmanager
def canary(data: Path, port: int) -> Iterator[None]:
    """`classpulse canary` as a process, in a hurry; what it says goes into `canary.log` beside the data."""
    command = [sys.executable, "-m", "classpulse.cli", "canary", "--every", "5", "--late", "10", "--data", str(data)]
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "CLASSPULSE_METRICS_PORT": str(port)}
    with (data.parent / "canary.log").open("w") as log:
        process = subprocess.Popen(command, stderr=log, env={**os.environ, **paths})
    try:
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def figure(port: int, name: str) -> float:
    """A metric of this host's node; 0 where there is none yet."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
            text = page.read().decode()
    except OSError:
        return 0.0
    found = re.search(rf'^{name}{{node="{re.escape(socket.gethostname())}"}} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def wait_until(condition: Callable[[], bool], site: Path) -> None:
    clock = SystemClock()
    give_up_ms = clock.monotonic_ms() + PATIENCE_MS
    while not condition():
        logs = "\n".join(path.read_text() for path in site.parent.glob("*.log"))
        assert clock.monotonic_ms() < give_up_ms, logs
        clock.sleep_ms(200)


def detect_pid(site: Path) -> int:
    stages = json.loads((site.parent / "data" / "status.json").read_text())["stages"]
    return next(int(stage["pid"]) for stage in stages if stage["stage"] == "detect")


def test_a_lesson_comes_while_all_live_and_is_missed_where_detect_is_frozen(tmp_path: Path) -> None:
    site, data, port = tmp_path / "site.toml", tmp_path / "data", free_port()
    site.write_text(SITE)
    with up(site):
        wait_until(lambda: "up running" in log_of(site), site)
        with canary(data, port):
            wait_until(lambda: figure(port, "classpulse_canary_delay_seconds_count") >= 2, site)
            assert figure(port, "classpulse_canary_delay_seconds_sum") < 60
            before = figure(port, "classpulse_canary_missed_total")
            pid = detect_pid(site)
            os.kill(pid, signal.SIGSTOP)
            wait_until(lambda: figure(port, "classpulse_canary_missed_total") > before, site)
            os.kill(pid, signal.SIGCONT)
        check_hidden(data)
    said = (tmp_path / "canary.log").read_text()
    assert f"node {socket.gethostname()}: canary lesson missed: pictures of it were captured (" in said


def check_hidden(data: Path) -> None:
    """Nothing of the lesson is declared any more, and nobody meets what was seen of it who does not ask for it."""
    for words in (["cameras", "list"], ["rooms", "list"], ["tail", "events", "--once"], ["audit"]):
        told = run(data, *words)
        assert told.returncode == 0, told.stderr
        assert "canary-" not in told.stdout
    assert run(data, "tail", "events", "--once").stdout == "", "there are no other events"
    events = run(data, "events", "t/s/canary-1", "--format", "json").stdout
    assert {"stand-up", "hand-raising"} <= {one["behaviour"] for one in json.loads(events)["events"]}
    assert "canary-1/" not in run(data, "tail", "cameras", "--once").stdout


def test_up_keeps_a_canary_where_its_site_wants_one(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(SITE.replace('data = "data"\n', 'data = "data"\ncanary = true\n'))
    with up(site) as process:
        wait_until(
            lambda: "canary settings: " in log_of(site) and "up running: 1 camera of 1 room" in log_of(site), site
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert "Traceback" not in log_of(site)
