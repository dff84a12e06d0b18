"""How a process is, for probes: /healthz, /readyz and /metrics at one port, answered by threads of their own.

What is healthy came round lately, whatever the broker does: a restart mends no broker. What is ready has its share of the work
and what it needs for it. Neither waits for the loop, and nothing that a scrape does or suffers reaches it.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import disk_usage
from socketserver import TCPServer, ThreadingMixIn
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, MetricsHandler, disable_created_metrics

from classpulse.clock import Clock
from classpulse.errors import BadInput, Fatal
from classpulse.settings import Settings
from classpulse.telemetry import Metrics, OnRegistry

QUIET_MS = 45_000
"""What has not come round for so long is stuck: above what a step and three calls at their deadlines may take."""

STARTING_MS = 900_000
"""What has not begun after so long is stuck: building an engine takes minutes."""

ANSWERED_S = 10.0
"""Who does not take an answer for so long is given up."""

_log = logging.getLogger("classpulse.health")


class Health:
    """What a process knows of itself. Before `follow`, it is starting. May be asked from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._began_ms = clock, clock.monotonic_ms()
        self._pulse_ms: Callable[[], int] | None = None
        self._missing: Callable[[], str] = lambda: "it is starting; expected it to begin its work"

    def follow(self, pulse_ms: Callable[[], int], missing: Callable[[], str]) -> None:
        """From now on it works: when it last came round (monotonic), and what is missing before it does its part (empty: nothing)."""
        self._missing, self._pulse_ms = missing, pulse_ms

    def ill(self) -> str:
        """Why it should be started again; empty where it should not."""
        began, limit_ms = (self._began_ms, STARTING_MS) if self._pulse_ms is None else (self._pulse_ms(), QUIET_MS)
        quiet_ms = self._clock.monotonic_ms() - began
        if quiet_ms < limit_ms:
            return ""
        done = "begun" if self._pulse_ms is None else "come round"
        return f"it has not {done} for {quiet_ms // 1000} s; expected no more than {limit_ms // 1000} s"

    def unready(self) -> str:
        """Why it cannot do its part now; empty where it can."""
        return self.ill() or self._missing()


@contextmanager
def served(settings: Settings, health: Health) -> Iterator[Metrics]:
    """The metrics of this process, served with its health where the settings name a port.

    Raises BadInput for no address, Fatal naming a port that is taken or an address that is not this machine's.
    """
    if not settings.metrics_host:  # which a socket takes for every address
        raise BadInput(["metrics_host = '': expected an address of this machine, such as 127.0.0.1 or 0.0.0.0"])
    registry = CollectorRegistry()
    metrics = Metrics(OnRegistry(registry))
    if not settings.metrics_port:
        yield metrics
        return
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each counter and histogram, of which nobody asks
    try:
        server = _Server((settings.metrics_host, settings.metrics_port), registry, metrics, health, settings.data)
    except OSError as error:
        where = f"metrics_host = {settings.metrics_host!r}, metrics_port = {settings.metrics_port}"
        raise Fatal(f"{where}: {error}; expected an address of this machine and a free port, or port 0") from error
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield metrics
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingMixIn, TCPServer):
    """Answers each request in a thread that ends with the process."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, address: tuple[str, int], registry: CollectorRegistry, metrics: Metrics, health: Health, data: Path
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.registry, self.health = registry, health
        self._metrics, self._data = metrics, data
        super().__init__(address, _Answer)

    def look(self) -> None:
        """Before a scrape: see what nobody counts. A data folder that is not there has nothing free."""
        with suppress(OSError):
            free = disk_usage(self._data).free
            self._metrics.disk_free_bytes.set(free)

    def handle_error(self, _request: object, client_address: object) -> None:
        """Whoever asked is gone, or something is wrong with a metric: the next one asks again."""
        _log.warning("%s: could not be answered", client_address, exc_info=True)


class _Answer(MetricsHandler):
    """To one request."""

    server: _Server
    timeout = ANSWERED_S

    def setup(self) -> None:
        """The page is the process's own."""
        super().setup()
        self.registry = self.server.registry

    def do_GET(self) -> None:  # noqa: N802 - the name is the standard library's
        """A page for Prometheus, or a sentence for a probe."""
        match urlsplit(self.path).path:
            case "/metrics":
                self.server.look()
                super().do_GET()
            case "/healthz":
                self._say(self.server.health.ill())
            case "/readyz":
                self._say(self.server.health.unready())
            case path:
                self._write(404, f"{path}: not here; expected /metrics, /healthz or /readyz")

    def _say(self, trouble: str) -> None:
        self._write(503 if trouble else 200, trouble or "ok")

    def _write(self, status: int, text: str) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
