"""How a process reaches a Ray cluster: one that is there, or one of its own."""

import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.exceptions import RayError

from classpulse.errors import BadInput, Recoverable

NAMESPACE = "classpulse"
OBJECT_STORE_BYTES = 100 * 1024 * 1024
"""The least that Ray takes: nothing but words goes through it."""

CLIENT = "ray://"
"""Before the address of a head's client server: who connects so needs no node of the cluster on its machine."""

REACHED_S = 5.0
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""How HTTP/2 begins, which all of Ray speaks: with a frame of settings."""

FRAME_HEADER_BYTES, SETTINGS_FRAME = 9, 4
WAYS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
    "RAY_CLIENT_RECONNECT_GRACE_PERIOD": "10",
    "RAY_CLIENT_INITIAL_CONNECTION_TIMEOUT_S": "3",
    "RAY_CLIENT_MAX_CONNECTION_TIMEOUT_S": "3",
}
"""Ray tells nobody elsewhere that it was used, and warns of nothing that is meant so. A process whose head has gone ends itself
after this time, or gives up its connection: 60 s and 30 s by themselves, which is long for pictures that wait. A client server
that does not answer is asked three times, each time for so long."""


NO_METRICS = {"enable_metrics_collection": False}
"""What Ray is told where nobody asked for metrics: it would show them at a port that it picks, to the whole network."""


@contextmanager
def connected(address: str, *, metrics_port: int = 0, niceness: int = 0) -> Iterator[None]:
    """A connection to the cluster at `address`, or a cluster of this process's own where it is empty, which ends with it.

    One of its own shows its actors' metrics at a port, on every address of this machine; 0: nowhere. Its actors step back for
    what else runs there by `niceness`: Ray's own is 15, by which pictures wait as soon as a core is wanted by anything. Raises
    BadInput for an address where there is none, Recoverable where it is and could not take this process.
    """
    ways = {**WAYS, "RAY_worker_niceness": str(niceness)}
    os.environ.update({name: value for name, value in ways.items() if name not in os.environ})
    shared = {"namespace": NAMESPACE, "log_to_driver": False, "configure_logging": True, "logging_level": "ERROR"}
    own = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES, "_node_ip_address": "127.0.0.1"}
    shows = {"_metrics_export_port": metrics_port} if metrics_port else {"_system_config": NO_METRICS}
    _check_reachable(address)
    try:
        with warnings.catch_warnings(action="ignore"):  # what they say of a failure, the error says too
            if not address:
                ray.init(address="local", **own, **shows, **shared)
            else:
                ray.init(address=address, **shared)
    except ConnectionAbortedError as error:  # by a client server that is there, and could not serve this time
        raise Recoverable(f"--address = {address!r}: {_in_a_line(error)}") from error
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        raise _refused(address, _in_a_line(error)) from error
    try:
        yield
    finally:
        ray.shutdown()


def first_line(error: BaseException) -> str:
    """The first line of what Ray says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _in_a_line(error: BaseException) -> str:
    """All that Ray says, but of a traceback from elsewhere only what it ends with."""
    before, traceback, after = str(error).partition("Traceback (most recent call last):")
    last = after.strip().splitlines()[-1:] if traceback else []
    return " ".join(" ".join([before, *last]).split())


def _check_reachable(address: str) -> None:
    """Raises BadInput where nobody listens, or something else: Ray itself would go on asking for many minutes."""
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    if not host and not address.startswith(CLIENT):
        return
    if not host or not port.isdigit() or "://" in host:
        expected = "HOST:PORT of Ray's head (6379 by default), ray://HOST:PORT of its client server (10001 by default), or auto"
        raise BadInput([f"--address = {address!r}: expected {expected}"])
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=REACHED_S) as line:
            spoken = os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true") or _speaks_http2(line)
    except (OSError, OverflowError) as error:
        raise _refused(address, str(error)) from error
    if not spoken:
        raise _refused(address, "what listens there is not Ray")


def _speaks_http2(line: socket.socket) -> bool:
    """Whether the other end answers as a server of HTTP/2 does. Raises OSError where it does not answer."""
    line.sendall(HELLO)
    with line.makefile("rb") as answer:
        return answer.read(FRAME_HEADER_BYTES)[3:4] == bytes((SETTINGS_FRAME,))


def _refused(address: str, why: str) -> BadInput:
    """No way to a cluster, and what each kind of address needs."""
    token = "RAY_AUTH_MODE=token and its token where it asks for one"  # noqa: S105 - the name of a way
    if address.startswith(CLIENT):
        expected = f"the client server of Ray's head (10001 by default), with the same Ray and Python, and {token}"
    elif ":" in address:
        expected = (
            f"Ray's head (6379 by default) with a node of that cluster on this machine (`ray start --address`), and {token};"
            " from a machine without one, ray://HOST:PORT of its client server (10001 by default)"
        )
    else:
        expected = "a Ray cluster that answers"
    return BadInput([f"--address = {address!r}: {why}; expected {expected}"])
