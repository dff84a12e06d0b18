"""Probes and metrics at one port: what they say, and that nobody who asks is in the way of the work."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import RemoteDisconnected
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from classpulse.clock import ManualClock
from classpulse.errors import BadInput, Fatal
from classpulse.health import QUIET_MS, STARTING_MS, Health, served
from classpulse.settings import Settings
from classpulse.telemetry import Metrics
from tests.probes import free_port
from tests.services.test_stage import Rig as StageRig

DATA = Path()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class Asked:
    """A process's port."""

    def __init__(self, port: int, metrics: Metrics, health: Health, host: str = "127.0.0.1") -> None:
        self.port, self.metrics, self.health, self._host = port, metrics, health, host

    def get(self, path: str) -> tuple[int, str]:
        request = Request(f"http://{self._host}:{self.port}{path}")
        try:
            with urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def shown(self) -> dict[str, float]:
        status, page = self.get("/metrics")
        assert status == 200
        return {s.name: s.value for family in text_string_to_metric_families(page) for s in family.samples}


@contextmanager
def process(clock: ManualClock, *, data: Path = DATA, host: str = "127.0.0.1") -> Iterator[Asked]:
    health, port = Health(clock), free_port()
    with served(Settings(data=data, metrics_port=port, metrics_host=host), health) as metrics:
        yield Asked(port, metrics, health)


def test_without_a_port_everything_is_counted_and_nothing_is_served(clock: ManualClock) -> None:
    threads = threading.active_count()
    with served(Settings(), Health(clock)) as metrics:
        metrics.frames_captured.inc()
        assert threading.active_count() == threads


def test_what_is_counted_is_on_the_page_without_series_nobody_asked_for(clock: ManualClock, tmp_path: Path) -> None:
    with process(clock, data=tmp_path / "not-there") as asked:
        assert asked.shown() == {}, "a data folder that is not there has nothing free"
        asked.metrics.frames_captured.inc(3)
        assert asked.shown() == {"classpulse_frames_captured_total": 3}


def test_what_is_free_where_the_data_lies_is_seen_at_every_scrape(clock: ManualClock, tmp_path: Path) -> None:
    with process(clock, data=tmp_path) as asked:
        assert asked.shown()["classpulse_disk_free_bytes"] > 0


def test_a_process_that_starts_is_healthy_for_a_while_and_not_ready(clock: ManualClock) -> None:
    with process(clock) as asked:
        assert asked.get("/healthz") == (200, "ok\n")
        assert asked.get("/readyz") == (503, "it is starting; expected it to begin its work\n")
        clock.advance(STARTING_MS)
        assert asked.get("/healthz") == (503, "it has not begun for 900 s; expected no more than 900 s\n")


def test_what_comes_round_is_healthy_and_what_is_stuck_is_not(clock: ManualClock) -> None:
    pulse = [clock.monotonic_ms()]
    with process(clock) as asked:
        asked.health.follow(lambda: pulse[0], lambda: "")
        clock.advance(QUIET_MS - 1)
        assert (asked.get("/healthz"), asked.get("/readyz")) == ((200, "ok\n"), (200, "ok\n"))
        clock.advance(1)
        stuck = (503, "it has not come round for 45 s; expected no more than 45 s\n")
        assert (asked.get("/healthz"), asked.get("/readyz")) == (stuck, stuck)
        pulse[0] = clock.monotonic_ms()
        assert asked.get("/healthz") == (200, "ok\n")


def test_what_is_missing_is_said_and_is_no_reason_to_start_it_again(clock: ManualClock) -> None:
    with process(clock) as asked:
        asked.health.follow(clock.monotonic_ms, lambda: "no partition is assigned")
        assert asked.get("/readyz") == (503, "no partition is assigned\n")
        assert asked.get("/healthz") == (200, "ok\n")


def test_a_loop_is_ready_when_partitions_are_its_own() -> None:
    rig = StageRig()
    with process(rig.clock) as asked:
        asked.health.follow(lambda: rig.loop.pulse.at_ms, rig.loop.missing)
        status, said = asked.get("/readyz")
        assert (status, said.split(";")[0]) == (503, "echo: no partition is assigned to this copy")
        rig.loop.turn()
        assert asked.get("/readyz") == (200, "ok\n")
        rig.clock.advance(QUIET_MS)
        assert asked.get("/healthz")[0] == 503
        rig.loop.turn()
        assert asked.get("/healthz") == (200, "ok\n")


def test_another_page_is_not_here(clock: ManualClock) -> None:
    with process(clock) as asked:
        assert asked.get("/nowhere?x=1") == (404, "/nowhere: not here; expected /metrics, /healthz or /readyz\n")


def test_who_asks_for_a_page_and_goes_or_stays_away_holds_nobody_up(clock: ManualClock) -> None:
    with process(clock) as asked:
        asked.health.follow(clock.monotonic_ms, lambda: "")
        asked.metrics.frames_captured.inc()
        silent = [socket.create_connection(("127.0.0.1", asked.port)) for _ in range(5)]
        with socket.create_connection(("127.0.0.1", asked.port)) as gone:
            gone.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert asked.get("/healthz") == (200, "ok\n")
        assert asked.shown()["classpulse_frames_captured_total"] == 1
        for one in silent:
            one.close()


def broken() -> str:
    raise RuntimeError("nobody knows")


def test_a_page_that_cannot_be_made_ends_neither_the_process_nor_the_next_page(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    with process(clock) as asked:
        asked.health.follow(clock.monotonic_ms, broken)
        with pytest.raises(RemoteDisconnected, match="without response"):
            asked.get("/readyz")
        assert asked.get("/healthz") == (200, "ok\n")
    assert "could not be answered" in caplog.text


def test_a_port_that_is_taken_and_an_address_of_another_machine_are_said(clock: ManualClock) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(
            Fatal, match=r"metrics_port = \d+: .*in use.*; expected an address of this machine and a free port"
        ),
        served(Settings(metrics_port=taken.getsockname()[1]), Health(clock)),
    ):
        pytest.fail("it was served")
    with (
        pytest.raises(Fatal, match=r"metrics_host = '203.0.113.9', .*expected an address of this machine"),
        served(Settings(metrics_port=free_port(), metrics_host="203.0.113.9"), Health(clock)),
    ):
        pytest.fail("it was served")


def test_no_address_is_not_every_address(clock: ManualClock) -> None:
    with (
        pytest.raises(BadInput, match="metrics_host = '': expected an address of this machine"),
        served(Settings(metrics_host=""), Health(clock)),
    ):
        pytest.fail("it was served")


def test_the_port_is_free_again_when_the_process_has_ended_its_work(clock: ManualClock) -> None:
    port = free_port()
    for _ in range(2):
        with served(Settings(metrics_port=port), Health(clock)):
            pass


def test_an_ipv6_address_is_one_too(clock: ManualClock) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    port = free_port()
    with served(Settings(metrics_port=port, metrics_host="::1"), Health(clock)) as metrics:
        assert Asked(port, metrics, Health(clock), host="[::1]").get("/healthz") == (200, "ok\n")
