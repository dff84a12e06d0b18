"""The fleet on Ray: workers and their supervisor as detached actors. Pixels go from the broker to the worker; Ray carries words.

Actors hold plain classes (`FleetWorker`, `Fleet`) that know nothing of Ray. The supervisor is found by its name; Ray starts it
again when it dies, and it finds the workers, which live on meanwhile, and what it had been ordered, in the head's key-value store.
"""

import logging
import os
import signal
import threading
import uuid
from collections.abc import Collection
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import ray
from ray.exceptions import RayError
from ray.experimental import internal_kv
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from classpulse.clock import SystemClock
from classpulse.detect import fleet_worker
from classpulse.detect.devices import Device
from classpulse.detect.fleet import Fleet, View
from classpulse.detect.fleet_worker import FleetWorker, Health
from classpulse.detect.ground import Keeper, Node, Orders, Probe
from classpulse.detect.probe import probe
from classpulse.detect.ray_metrics import OnRay
from classpulse.ray_cluster import NAMESPACE
from classpulse.settings import Settings
from classpulse.telemetry import Metrics, start_logging
from classpulse.topics import FRAMES

SUPERVISOR = "fleet"
ORDERS = b"fleet"
TURN_S = 1.0
SOON_S = 0.1
ANSWER_S = 1.0
ASK_S = 10.0
GRAIN = 10_000
"""Ray gives out resources by this fraction of one."""

_log = logging.getLogger("classpulse.fleet")


class WorkerActor:
    """A worker."""

    def __init__(self, settings: Settings, slot: int, device: Device) -> None:
        start_logging(f"detect-{slot}", settings.log_level)
        self._worker = FleetWorker(settings, slot, device, Metrics(OnRay(f"{slot}")))

    def health(self) -> Health:
        """As `FleetWorker.health`."""
        return self._worker.health()

    def drain(self) -> None:
        """As `FleetWorker.drain`."""
        self._worker.drain()

    def node(self) -> str:
        """Where this is."""
        found: str = ray.get_runtime_context().get_node_id()
        return found


class SupervisorActor:
    """Holds the fleet, and turns it once a second."""

    def __init__(self, settings: Settings, orders: Orders) -> None:
        start_logging("fleet", settings.log_level)
        self._lock, self._ordered = threading.Lock(), threading.Event()
        metrics = Metrics(OnRay("fleet"))
        self._settings = settings
        self._fleet = Fleet(RayGround(settings), SystemClock(), orders, most_workers=FRAMES.partitions, metrics=metrics)
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)
        self._thread.start()

    def view(self) -> View:
        """What there is now."""
        with self._lock:
            return self._fleet.view()

    def scale(self, least: int | None, most: int | None) -> None:
        """Between so many workers from now on."""
        with self._lock:
            self._fleet.order(least=least, most=most)
        self._ordered.set()

    def drain(self, node: str, *, on: bool) -> None:
        """Take every worker off a node, or let it be used again."""
        with self._lock:
            drained = self._fleet.orders.drained
            self._fleet.order(drained=drained | {node} if on else drained - {node})
        self._ordered.set()

    def kept(self, by: Keeper | None) -> tuple[View, int | None]:
        """As `Fleet.kept`, with what there is."""
        with self._lock:
            silent_ms = self._fleet.kept(by)
            return self._fleet.view(), silent_ms

    def leave(self, by: Keeper) -> None:
        """As `Fleet.leave`."""
        with self._lock:
            self._fleet.leave(by)

    def made_by(self) -> tuple[str, Settings]:
        """The version whose code this is, and what its workers go by."""
        return version("classpulse"), self._settings

    def end(self) -> View:
        """As `Fleet.end`, with what there still is."""
        with self._lock:
            self._fleet.end()
            self._ordered.set()
            return self._fleet.view()

    def _run(self) -> None:
        while True:
            self._ordered.wait(SOON_S if self._fleet.draining else TURN_S)
            self._ordered.clear()
            try:
                with self._lock:
                    self._fleet.turn()
            except RayError as error:
                _log.warning("cluster: %s; looking again", error)
            except Exception:  # noqa: BLE001 - whatever it is: Ray starts a fresh supervisor, which adopts the workers
                _log.exception("fleet: ended")
                os.kill(os.getpid(), signal.SIGKILL)


class RayGround:
    """A Ray cluster as a `Ground`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._actors: dict[int, Any] = {}
        self._asked: dict[int, Any] = {}
        self._where: dict[int, str] = {}
        self._pids: dict[int, int] = {}
        self._probes: dict[Any, str] = {}

    def nodes(self) -> list[Node]:
        """Those alive that have anything to look with."""
        return [found for node in ray.nodes() if node["Alive"] and (found := _node(node)) is not None]

    def probe(self, node: Node) -> None:
        """As a task on that node, in a process that ends with it; one at a time."""
        if node.id in self._probes.values():
            return
        task = ray.remote(max_calls=1, max_retries=0)(probe)
        whole = _options(node, min(1.0, node.amount) if node.device != "cpu" else 0)
        self._probes[task.options(**whole).remote(self._settings, node.device, int(node.amount))] = node.id

    def probed(self) -> dict[str, Probe]:
        """Of the tasks that ended."""
        ended, _ = ray.wait([*self._probes], num_returns=len(self._probes), timeout=0) if self._probes else ([], [])
        return {self._probes.pop(one): _result(one) for one in ended}

    def adopt(self) -> tuple[dict[int, str], Orders]:
        """Ask every worker that has a name; of two in one slot the one that answers last stays."""
        for name in sorted(one["name"] for one in ray.util.list_named_actors(all_namespaces=True) if is_worker(one)):
            slot = int(name.split("/")[1])
            try:
                actor = ray.get_actor(name, namespace=NAMESPACE)
                node = ray.get(actor.node.remote(), timeout=ASK_S)
            except (RayError, ValueError) as error:
                _log.warning("worker %s: %s; not adopted", name, error)
                with suppress(RayError, ValueError):
                    ray.kill(ray.get_actor(name, namespace=NAMESPACE))
                continue
            if slot in self._actors:
                ray.kill(self._actors[slot])
            self._actors[slot], self._where[slot] = actor, node
        return dict(self._where), _remembered()

    def start(self, slot: int, node: Node, share: float) -> None:
        """A detached actor on that node and no other."""
        kind = ray.remote(WorkerActor).options(
            name=f"worker/{slot}/{uuid.uuid4().hex[:8]}",
            namespace=NAMESPACE,
            lifetime="detached",
            max_restarts=0,
            **_options(node, share),
        )
        self._actors[slot] = kind.remote(self._settings, slot, node.device)
        self._where[slot] = node.id

    def health(self, slots: Collection[int]) -> dict[int, Health | None]:
        """Ask all at once; who has not answered yet is not asked again."""
        for slot in slots:
            if slot in self._actors and slot not in self._asked:
                self._asked[slot] = self._actors[slot].health.remote()
        waiting = {self._asked[slot]: slot for slot in slots if slot in self._asked}
        if waiting:
            ray.wait([*waiting], num_returns=len(waiting), timeout=ANSWER_S)
        answers: dict[int, Health | None] = {}
        for question, slot in waiting.items():
            try:
                answers[slot] = health = ray.get(question, timeout=0)
                self._pids[slot] = health.pid
            except ray.exceptions.GetTimeoutError:
                answers[slot] = None
                continue
            except RayError:  # dead, out of memory, or never placed: there is no worker
                pass
            del self._asked[slot]
        return answers

    def remember(self, orders: Orders) -> None:
        """In the key-value store of Ray's head: nothing else of a cluster outlives supervisor and workers."""
        internal_kv._internal_kv_put(ORDERS, msgspec.json.encode((_own_id(), orders)), namespace=NAMESPACE)  # noqa: SLF001

    def drain(self, slot: int) -> None:
        """Without waiting."""
        self._actors[slot].drain.remote()

    def kill(self, slot: int) -> None:
        """By Ray, and by the kernel: a stopped process hears nothing of Ray."""
        actor = self._actors.pop(slot, None)
        self._asked.pop(slot, None)
        if actor is not None:
            ray.kill(actor)
        node, pid = self._where.pop(slot, ""), self._pids.pop(slot, 0)
        if pid:
            on_node = NodeAffinitySchedulingStrategy(node, soft=False)
            ray.remote(num_cpus=0, max_retries=0)(_kill).options(scheduling_strategy=on_node).remote(pid)

    def dismiss(self, slot: int) -> None:
        """As a task, without waiting: what it does to the group passes by itself after a session's length."""
        ray.remote(num_cpus=0, max_retries=0)(fleet_worker.dismiss).remote(self._settings, slot)


def _remembered() -> Orders:
    """What this supervisor had been ordered before Ray started it again. Another one's orders went with its fleet."""
    kept = internal_kv._internal_kv_get(ORDERS, namespace=NAMESPACE)  # noqa: SLF001 - Ray has no public way to it
    owner, orders = msgspec.json.decode(kept, type=tuple[str, Orders]) if kept else ("", Orders())
    return orders if owner == _own_id() else Orders()


def _own_id() -> str:
    """Of the actor that this is: the same when Ray has started it again."""
    found: str = ray.get_runtime_context().get_actor_id()
    return found


def _kill(pid: int) -> None:
    """End a process of Ray's that still is the worker it was."""
    with suppress(OSError):
        if b"WorkerActor" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)


def _options(node: Node, share: float) -> dict[str, Any]:
    """What an actor or a task takes of a node, and that it has to be that node."""
    taken = int(share * GRAIN) / GRAIN
    device: dict[Device, dict[str, Any]] = {
        "cpu": {"num_cpus": taken},
        "gpu": {"num_cpus": 0, "num_gpus": taken},
        "jetson": {"num_cpus": 0, "resources": {"jetson": taken}},
    }
    return {**device[node.device], "scheduling_strategy": NodeAffinitySchedulingStrategy(node.id, soft=False)}


def _node(told: dict[str, Any]) -> Node | None:
    """A node of Ray's; None for one that has nothing to look with, as a head often is."""
    resources = told["Resources"]
    kinds: tuple[tuple[Device, str], ...] = (("jetson", "jetson"), ("gpu", "GPU"), ("cpu", "CPU"))
    for device, resource in kinds:
        if resources.get(resource, 0) > 0:
            return Node(told["NodeID"], told["NodeManagerHostname"], device, resources[resource])
    return None


def _result(task: Any) -> Probe:
    """What a probe found, or why it found nothing."""
    try:
        found: Probe = ray.get(task)
    except RayError as error:
        return Probe(0, error=str(error).strip().splitlines()[-1])
    return found


def is_worker(named: dict[str, str]) -> bool:
    """Whether an actor that Ray lists is one of ours."""
    return named["namespace"] == NAMESPACE and named["name"].startswith("worker/")
