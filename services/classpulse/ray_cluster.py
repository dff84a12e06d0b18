"""How a process reaches a Ray cluster: one that is there, or one of its own."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.exceptions import RayError

from classpulse.errors import BadInput

NAMESPACE = "classpulse"
OBJECT_STORE_BYTES = 100 * 1024 * 1024
"""The least that Ray takes: nothing but words goes through it."""

REACHED_S = 5.0
WAYS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
}
"""Ray tells nobody elsewhere that it was used, and warns of nothing that is meant so. A process whose head has gone ends itself
after this time: 60 s by itself, which is long for pictures that wait."""


@contextmanager
def connected(address: str) -> Iterator[None]:
    """A connection to the cluster at `address`, or a cluster of this process's own where it is empty, which ends with it.

    Raises BadInput for an address where there is none.
    """
    os.environ.update({name: value for name, value in WAYS.items() if name not in os.environ})
    shared = {"namespace": NAMESPACE, "log_to_driver": False, "configure_logging": True, "logging_level": "ERROR"}
    own = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES, "_node_ip_address": "127.0.0.1"}
    _check_reachable(address)
    try:
        if not address:
            ray.init(address="local", **own, **shared)
        else:
            ray.init(address=address, **shared)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        raise BadInput(
            [f"--address = {address!r}: {first_line(error)}; expected a Ray cluster that answers"]
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def first_line(error: BaseException) -> str:
    """The first line of what Ray says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _check_reachable(address: str) -> None:
    """Raises BadInput where nobody listens: Ray itself would go on asking for many minutes."""
    host, _, port = address.rpartition(":")
    if not host:
        return
    if not port.isdigit() or "://" in address:
        raise BadInput([f"--address = {address!r}: expected HOST:PORT of Ray's head (6379 by default), or auto"])
    try:
        socket.create_connection((host, int(port)), timeout=REACHED_S).close()
    except OSError as error:
        raise BadInput([f"--address = {address!r}: {error}; expected a Ray cluster that answers"]) from error
