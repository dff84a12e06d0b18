"""How a process reaches a Ray cluster and the fleet on it. The rest of a fleet's Ray is in on_ray.py."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayError

from classpulse.clock import SystemClock
from classpulse.detect.fleet import View
from classpulse.detect.ground import Orders
from classpulse.detect.on_ray import ASK_S, NAMESPACE, SUPERVISOR, SupervisorActor, is_worker
from classpulse.errors import BadInput, Fatal, Recoverable
from classpulse.settings import Settings

OBJECT_STORE_BYTES = 100 * 1024 * 1024
"""The least that Ray takes: nothing but words goes through it."""

LOOK_AGAIN_MS = 100
REACHED_S = 5.0
WAYS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
}
"""Ray tells nobody elsewhere that it was used, and warns of nothing that is meant so. A process whose head has gone ends itself
after this time: 60 s by itself, which is long for pictures that wait."""


class Remote:
    """The supervisor of a fleet, wherever it is. Raises Recoverable when it does not answer, Fatal when there is none any more."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def view(self) -> View:
        """What there is now."""
        found: View = self._ask("view")
        return found

    def scale(self, least: int | None, most: int | None) -> None:
        """Between so many workers from now on."""
        self._ask("scale", least, most)

    def drain(self, node: str, *, on: bool) -> None:
        """Take every worker off a node, or let it be used again."""
        self._ask("drain", node, on=on)

    def ended(self, within_s: float) -> int:
        """Drain every worker, then end the supervisor; gives how many workers had to be killed."""
        clock = SystemClock()
        self.scale(0, 0)
        until_ms = clock.monotonic_ms() + int(1000 * within_s)
        while (left := self.view().slots) and clock.monotonic_ms() < until_ms:
            clock.sleep_ms(LOOK_AGAIN_MS)
        ray.kill(self._actor, no_restart=True)
        killed = (
            [one["name"] for one in ray.util.list_named_actors(all_namespaces=True) if is_worker(one)] if left else []
        )
        for name in killed:
            with suppress(ValueError):
                ray.kill(ray.get_actor(name, namespace=NAMESPACE))
        return len(killed)

    def _ask(self, what: str, *arguments: object, **named: object) -> Any:
        try:
            return ray.get(getattr(self._actor, what).remote(*arguments, **named), timeout=ASK_S)
        except ActorDiedError as error:  # Ray starts it again for ever, unless somebody ended it, or it cannot be made
            raise Fatal(f"fleet: its supervisor is gone: {_first(error)}; expected it to be raised again") from error
        except (RayError, ConnectionError) as error:
            raise Recoverable(f"fleet: {type(error).__name__}: {_first(error)}") from error


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
        raise BadInput([f"--address = {address!r}: {_first(error)}; expected a Ray cluster that answers"]) from error
    try:
        yield
    finally:
        ray.shutdown()


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


def raised(settings: Settings, orders: Orders) -> Remote:
    """The fleet of this cluster; made where there is none."""
    kind = ray.remote(SupervisorActor).options(
        name=SUPERVISOR,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        max_restarts=-1,
        max_task_retries=0,
        num_cpus=0,
    )
    return Remote(kind.remote(settings, orders))


def found() -> Remote:
    """The fleet of this cluster. Raises BadInput where there is none."""
    try:
        return Remote(ray.get_actor(SUPERVISOR, namespace=NAMESPACE))
    except ValueError as error:
        raise BadInput(["fleet: there is none on this cluster; expected one of `classpulse fleet up`"]) from error


def _first(error: Exception) -> str:
    """The first line of what Ray says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
