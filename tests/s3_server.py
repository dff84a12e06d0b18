"""A real S3 server on loopback for tests: versitygw, whose buckets are folders."""

import importlib.util
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from deploy.local.kafka.cluster import free_ports

from classpulse.clock import SystemClock
from tests.brokers import MORTAL
from tests.support import ROOT, require

KEY_ID, SECRET = "a-key-id-of-tests", "a-secret-of-tests"
BUILT = ROOT / "build/s3/versitygw"
STARTS_WITHIN_MS = 60_000


@dataclass(frozen=True)
class Server:
    """Where it listens, and the folder whose folders are its buckets."""

    port: int
    buckets: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve as long as this lasts; what was stored stays."""
        binary = _binary()
        assert binary is not None
        command = [*MORTAL, str(binary), "--quiet", "--port", f"127.0.0.1:{self.port}", "posix", str(self.buckets)]
        environ = {"ROOT_ACCESS_KEY_ID": KEY_ID, "ROOT_SECRET_ACCESS_KEY": SECRET}
        process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_for(self.port, process)
            yield
        finally:
            process.kill()
            process.wait()


def require_s3() -> None:
    """Skip, or fail, where the server or the client is absent."""
    require("s3", importlib.util.find_spec("s3fs"), "pip install '.[s3]'")
    require("s3", _binary(), "make build/s3/versitygw")


def server_in(folder: Path, *buckets: str) -> Server:
    """A server that does not run yet."""
    for bucket in buckets:
        (folder / bucket).mkdir(parents=True)
    return Server(free_ports(1)[0], folder)


def give_credentials(monkeypatch: pytest.MonkeyPatch, server: Server, folder: Path) -> None:
    """As people do: in the environment, which children inherit. Nothing is looked for elsewhere, and tried once."""
    for name, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def serving_s3(folder: Path, monkeypatch: pytest.MonkeyPatch, *buckets: str) -> Iterator[Server]:
    """A server that runs, and this process with the credentials for it. Skips, or fails, where there is none."""
    require_s3()
    server = server_in(folder / "buckets", *buckets)
    give_credentials(monkeypatch, server, folder)
    with server.running():
        yield server


def _binary() -> Path | str | None:
    return BUILT if BUILT.exists() else shutil.which("versitygw")


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    clock = SystemClock()
    until_ms = clock.monotonic_ms() + STARTS_WITHIN_MS
    while clock.monotonic_ms() < until_ms:
        assert process.poll() is None, "the S3 server has ended; its folder must be on a disk with extended attributes"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        clock.sleep_ms(50)
    raise AssertionError("the S3 server did not start")
