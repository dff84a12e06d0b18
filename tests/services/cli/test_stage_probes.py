"""Each stage as a process of its own says when it is ready, that it is well, and what it counts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from classpulse.settings import Settings
from classpulse.supervisor import prepare_bus
from tests.probes import free_port, page, wait_for_page

COUNTED = {
    "ingest": 'classpulse_cameras{state="up"} 0.0',
    "detect": "classpulse_model_info{",
    "aggregate": 'classpulse_rooms{state="unseen"} 0.0',
    "bridge": 'classpulse_reader_lag_records{stage="bridge"} 0.0',
    "canary": "classpulse_disk_free_bytes",
}


@pytest.mark.parametrize("stage", sorted(COUNTED))
def test_a_stage_is_ready_when_it_can_do_its_part(stage: str, tmp_path: Path) -> None:
    prepare_bus(Settings(data=tmp_path)).close()
    if stage == "detect":
        pytest.importorskip("onnxruntime", reason="needs the cpu extra")
    port = free_port()
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "CLASSPULSE_METRICS_PORT": str(port),
        "CLASSPULSE_DISTRICT": "kafka://127.0.0.1:1" if stage == "bridge" else "",
    }
    command = [sys.executable, "-m", "classpulse.cli", stage, "--data", str(tmp_path)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for_page(port, "/readyz", lambda said: said == "ok\n", lambda: process.poll() is None)
            assert page(port, "/healthz") == "ok\n", "a bridge without a link, too"
            wait_for_page(port, "/metrics", lambda text: COUNTED[stage] in text, lambda: process.poll() is None)
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
