"""The canary for real: every stage a process, the bundled lesson, the bundled model; then the node that looks is frozen."""

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from classpulse.clock import SystemClock
from tests.services.canary.process import CAME, DELAY, MISSED, canary, figure, free_port
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
            wait_until(lambda: figure(port, CAME) >= 2, site)
            assert figure(port, DELAY) < 60
            before = figure(port, MISSED)
            pid = detect_pid(site)
            os.kill(pid, signal.SIGSTOP)
            wait_until(lambda: figure(port, MISSED) > before, site)
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
