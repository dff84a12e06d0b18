"""Real Kafka clusters for tests: each kind is started when first asked for, and ends with the test process, or with a group of tests."""

import atexit
import importlib.util
import shutil
import tempfile
from pathlib import Path

from deploy.local.kafka.cluster import Cluster

from tests.support import require

MORTAL = ("setpriv", "--pdeathsig", "KILL")
"""A node of a test does not outlive the process that started it, however that ends."""


def require_kafka() -> None:
    """Skip where Java or the client is absent."""
    require("kafka", importlib.util.find_spec("kafka"), "pip install '.[kafka]'")
    require("kafka", shutil.which("java") and shutil.which("mvn"), "apt install openjdk-17-jre-headless maven")
    require("kafka", shutil.which("openssl"), "apt install openssl")


_running: dict[str, Cluster] = {}


def running(kind: str) -> Cluster:
    """A cluster that runs: `plain` (one node) or `secure` (three nodes, SASL, TLS, ACLs). Skips where Java or the client is absent."""
    if kind not in _running:
        require_kafka()
        folder = Path(tempfile.mkdtemp(prefix=f"kafka-{kind}-"))
        secure = kind == "secure"
        cluster = Cluster(folder, 3 if secure else 1, secure=secure, brief=True, wrapper=MORTAL)
        try:
            cluster.start()
        except BaseException:
            _end(cluster)
            raise
        _running[kind] = cluster
    return _running[kind]


@atexit.register
def end() -> None:
    """End those that run; who asks for one gets a new one."""
    while _running:
        _end(_running.popitem()[1])


def _end(cluster: Cluster) -> None:
    try:
        cluster.stop()
    finally:
        shutil.rmtree(cluster.folder, ignore_errors=True)
