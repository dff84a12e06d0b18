"""`audit --every` as the process that it is: metrics, probes, an end when it is told to."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from classpulse.settings import Settings
from classpulse.supervisor import prepare_bus
from tests.probes import free_port, page, wait_for_page
from tests.services.cli.conftest import Command


def test_it_audits_shows_what_it_found_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    prepare_bus(Settings(data=tmp_path)).close()
    port = free_port()
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "CLASSPULSE_METRICS_PORT": str(port)}
    command = [sys.executable, "-m", "classpulse.cli", "audit", "--every", "1", "--data", str(tmp_path)]
    with subprocess.Popen(command, env={**os.environ, **paths}, stderr=subprocess.PIPE, text=True) as process:
        try:
            found = wait_for_page(
                port,
                "/metrics",
                lambda text: "classpulse_audit_unexplained_frames 0.0" in text,
                lambda: process.poll() is None,
            )
            assert "classpulse_audit_last_timestamp_seconds" in found
            assert "classpulse_disk_free_bytes" in found
            assert (page(port, "/healthz"), page(port, "/readyz")) == ("ok\n", "ok\n")
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert ": 0 cameras, 0 frames: it adds up" in process.stderr.read()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--to", "09:00"], "--to = '09:00': given with --every; expected one of the two"),
        (["--format", "json"], "--format = 'json': given with --every; expected one of the two"),
    ],
)
def test_what_only_a_single_audit_can_do_is_refused(
    command: Command, tmp_path: Path, options: list[str], said: str
) -> None:
    prepare_bus(Settings(data=tmp_path / "data")).close()
    code, _, error = command("audit", "--every", "60", *options)
    assert (code, said in error) == (2, True)
