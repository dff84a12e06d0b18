"""How a process reaches the fleet of a Ray cluster. The rest of a fleet's Ray is in on_ray.py."""

from contextlib import suppress
from importlib.metadata import version
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from classpulse.clock import SystemClock
from classpulse.detect.fleet import View
from classpulse.detect.ground import Keeper, Orders
from classpulse.detect.on_ray import ASK_S, SUPERVISOR, SupervisorActor, is_worker
from classpulse.errors import BadInput, Fatal, Recoverable
from classpulse.ray_cluster import NAMESPACE, first_line
from classpulse.settings import Settings

LOOK_AGAIN_MS = 100


class Remote:
    """The supervisor of a fleet, wherever it is. Raises Recoverable when it does not answer, Fatal when there is none any more."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def view(self) -> View:
        """What there is now."""
        found: View = self._ask("view")
        return found

    def kept(self, by: Keeper | None) -> tuple[View, int | None]:
        """As `Fleet.kept`, with what there is now."""
        found: tuple[View, int | None] = self._ask("kept", by)
        return found

    def leave(self, by: Keeper) -> None:
        """As `Fleet.leave`."""
        self._ask("leave", by)

    def made_by(self) -> tuple[str, Settings] | None:
        """The version whose code it is, and what its workers go by; None for a version that does not say so."""
        try:
            found: tuple[str, Settings] = self._ask("made_by")
        except (
            AttributeError
        ):  # of the handle; of the actor itself through Ray's client, whose handle knows the class that is here
            return None
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
        until_ms = clock.monotonic_ms() + int(1000 * within_s)
        while (left := self._ask("end").slots) and clock.monotonic_ms() < until_ms:
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
            raise Fatal(
                f"fleet: its supervisor is gone: {first_line(error)}; expected it to be raised again"
            ) from error
        except ConnectionError as error:  # of Ray's client, which does not connect again once it has given up
            raise Fatal(f"fleet: its cluster is gone: {first_line(error)}; expected it to be raised again") from error
        except RayError as error:
            raise Recoverable(f"fleet: {type(error).__name__}: {first_line(error)}") from error


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


def versions_there() -> dict[str, str]:
    """Host → the version of our code, of every node of this cluster. Raises Recoverable where one does not say it in time."""
    try:
        nodes = {one["NodeID"]: one["NodeManagerHostname"] for one in ray.nodes() if one["Alive"]}
        ask = ray.remote(version)  # the library's own: a node of any version knows it
        asked = [
            ask.options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
                "classpulse"
            )
            for node in nodes
        ]
        return dict(zip(nodes.values(), ray.get(asked, timeout=ASK_S), strict=True))
    except RayError as error:
        raise Recoverable(f"fleet: {type(error).__name__}: {first_line(error)}") from error
    except ConnectionError as error:
        raise Fatal(f"fleet: its cluster is gone: {first_line(error)}; expected it to be raised again") from error


def is_raised() -> bool:
    """Whether this cluster has a fleet."""
    return any(one["name"] == SUPERVISOR for one in ray.util.list_named_actors(all_namespaces=True))


def found() -> Remote:
    """The fleet of this cluster. Raises BadInput where there is none."""
    try:
        return Remote(ray.get_actor(SUPERVISOR, namespace=NAMESPACE))
    except ValueError as error:
        raise BadInput(["fleet: there is none on this cluster; expected one of `classpulse fleet up`"]) from error
