"""Real Kafka clusters for tests: each kind is started once a test process, when first asked for, and ends with it."""

import atexit
import importlib.util
import shutil
import tempfile
from functools import cache
from pathlib import Path

from deploy.local.kafka.cluster import Cluster

from tests.support import require

MORTAL = ("setpriv", "--pdeathsig", "KILL")
"""A node of a test does not outlive the process that started it, however that ends."""


def require_kafka() -> None:
    """Skip where Java or the client is absent."""
    require("kafka", importlib.util.find_spec("kafka"), "pip install '.[kafka]'")
    require("kafka", shutil.which("java") and shutil.which("mvn"), "apt install openjdk-17-jre-headless maven")


@cache
def running(kind: str) -> Cluster:
    """A cluster that runs: `plain` (one node) or `secure` (three nodes, SASL, TLS, ACLs). Skips where Java or the client is absent."""
    require_kafka()
    folder = Path(tempfile.mkdtemp(prefix=f"kafka-{kind}-"))
    cluster = Cluster(folder, 3 if kind == "secure" else 1, secure=kind == "secure", wrapper=MORTAL)
    atexit.register(_end, cluster, folder)
    cluster.start()
    return cluster


def _end(cluster: Cluster, folder: Path) -> None:
    cluster.stop()
    shutil.rmtree(folder, ignore_errors=True)
