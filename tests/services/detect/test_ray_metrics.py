"""A fleet's metrics on a real Ray: on the node's port, under the names of the table, a dead worker's beside its successor's."""

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from classpulse.telemetry import Metrics
from tests.probes import free_port, page
from tests.support import require

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("kafka-fleet")]

SHOWN_WITHIN_S = 90.0
"""Workers report every ten seconds, to an agent that takes some to start."""

DROPPED = {"WorkerId", "SessionName", "otel_scope_name", "otel_scope_version", "otel_scope_schema_url"}
"""What whoever scrapes drops (docs/metrics.md)."""

KEPT = {"Component", "NodeAddress", "Version", "le"}
"""What Ray adds beside that."""

Samples = dict[str, list[tuple[dict[str, str], float]]]


class Workers:
    """On a cluster of their own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.port = self._answer()

    def ask(self, line: str) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"it ended with {self._process.wait(60)}"
        return json.loads(line)  # type: ignore[no-any-return]


@contextmanager
def workers(port: int) -> Iterator[Workers]:
    require("ray", importlib.util.find_spec("ray"), "pip install '.[ray]'")
    script = Path(__file__).with_name("workers_process.py")
    process = subprocess.Popen(
        [sys.executable, script, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    with process:
        try:
            yield Workers(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


def samples(port: int) -> Samples:
    """Every sample of ours by its name; nothing while nobody answers."""
    found: Samples = {}
    for family in text_string_to_metric_families(page(port, "/metrics")):
        for sample in family.samples:
            if "classpulse" in sample.name:
                found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def wait_for(port: int, condition: Callable[[Samples], bool]) -> Samples:
    give_up = time.monotonic() + SHOWN_WITHIN_S
    while not condition(found := samples(port)):
        assert time.monotonic() < give_up, f"not shown within {SHOWN_WITHIN_S} s: {sorted(found)}"
        time.sleep(1)
    return found


def frames(found: Samples) -> dict[tuple[str, str], float]:
    """How many each worker has detected, by slot and pid."""
    shown = found.get("ray_classpulse_frames_detected_total", [])
    return {(labels["worker"], labels["pid"]): value for labels, value in shown}


def looking(found: Samples) -> set[tuple[str, str]]:
    """Of which workers a gauge is shown."""
    return {(labels["worker"], labels["pid"]) for labels, _ in found.get("ray_classpulse_model_info", [])}


def test_what_workers_count_is_on_the_nodes_port_and_a_dead_one_hides_nobody() -> None:
    require("ray", importlib.util.find_spec("aiohttp_cors"), "pip install 'ray[default]'")
    with workers(free_port()) as there:
        pids = {name: str(there.ask(f"count {name} {count}")) for name, count in (("0", 5), ("1", 7))}
        first = {("0", pids["0"]): 5, ("1", pids["1"]): 7}
        assert frames(wait_for(there.port, lambda found: len(frames(found)) == 2)) == first

        there.ask("kill 0")
        successor = "0", str(there.ask("count 0 2"))
        found = wait_for(there.port, lambda found: successor in frames(found))
        assert frames(found) == {**first, successor: 2}, (
            "Ray shows a dead worker's counters for as long as the node lives"
        )
        wait_for(there.port, lambda found: successor in looking(found) and ("0", pids["0"]) not in looking(found))

    rows = {row.shown: row for row in Metrics.table()}
    for name, series in found.items():
        row = rows[re.sub(r"_(bucket|sum|count)$", "", name.removeprefix("ray_"))]
        for labels, _ in series:
            assert {*row.labels, "worker", "pid"} <= labels.keys(), name
            assert labels.keys() <= {*row.labels, "worker", "pid"} | DROPPED | KEPT, name
        left = [frozenset((k, v) for k, v in labels.items() if k not in DROPPED) for labels, _ in series]
        assert len(set(left)) == len(left), f"{name}: series that differ in nothing but what a scrape drops"
    counted = {"frames_detected_total", "transactions_total", "model_info", "capture_to_detection_seconds_count"}
    assert {f"ray_classpulse_{name}" for name in counted} <= found.keys()
    assert "ray_classpulse_frames_dropped_total" not in found, "Ray takes no 0"


def test_where_nobody_asked_for_metrics_nothing_is_shown_and_counting_goes_on() -> None:
    with workers(0) as there:
        pid = there.ask("count 0 3")
        assert pid > 0
        assert psutil.Process(pid).nice() == psutil.Process().nice(), "pictures would wait for whatever else runs"
        assert there.port <= 0 or not answers(there.port)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
