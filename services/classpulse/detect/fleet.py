"""Which worker looks where: keeps the wanted number of detect workers on a cluster's nodes, whatever dies. Knows no Ray.

A slot is a worker's place in the group of readers (0, 1, 2, …): who replaces a worker is the same member to the broker, and goes
on where it had committed. `turn` is called once a second, by whoever holds the fleet (on_ray.py).
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from classpulse.clock import Clock
from classpulse.detect.fleet_worker import Health
from classpulse.detect.ground import Ground, Keeper, Node, Orders, Probe
from classpulse.telemetry import Metrics

STUCK_MS = 45_000
"""A worker that has not come round for so long is stuck: above what a step and three calls at their deadlines may take."""

OPENING_MS = 900_000
"""One that still opens its net for so long is stuck: building an engine takes minutes."""

SILENT_MS = 10_000
"""One that does not answer for so long is as good as dead: its interpreter is blocked, its process stopped, its node gone."""

STARTING_MS = 120_000
"""One that has never answered has so long to be placed and to import what it needs."""

DRAIN_MS = 20_000
"""A worker that was asked to end has so long for its last step."""

FIRST_WAIT_MS = 250
MOST_WAIT_MS = 30_000
PROVEN_MS = 60_000
"""A worker that lived so long may be replaced without a wait when it dies."""

PROBE_AGAIN_MS = 60_000

KEPT_MS = 15_000
"""A keeper that has not been heard for so long is gone: it says so once a second, and no call of it takes so long."""

LATE_MS = 2_000
"""Frames that wait longer for their worker ask for another worker, where there may be more."""

LATE_TURNS = 3
IDLE_MS = 120_000
"""So long must one worker less have been enough before one is given up: every change moves partitions."""

IDLE_SHARE = 0.6
"""One worker less is enough where those left would be busy for this part of their time at most."""

_log = logging.getLogger("classpulse.fleet")


@dataclass(slots=True)
class Slot:
    """Where its worker is, if anywhere, and how it was when it last said so; rates are those between its last two answers."""

    number: int
    node: str | None = None
    started_ms: int = 0
    heard_ms: int = 0
    health: Health | None = None
    frames_per_s: float = 0.0
    batch: float = 0.0
    busy: float = 0.0
    restarts: int = 0
    due_ms: int = 0
    wait_ms: int = FIRST_WAIT_MS
    drained_ms: int | None = None
    why: str = ""

    @property
    def state(self) -> str:
        """A word for people."""
        if self.node is None:
            return "waiting"
        if self.drained_ms is not None:
            return "draining"
        return "starting" if self.health is None else self.health.state


@dataclass(frozen=True, slots=True)
class View:
    """A fleet for people: as it was after so many turns."""

    nodes: tuple[Node, ...]
    slots: tuple[Slot, ...]
    orders: Orders
    wanted: int
    capacity: int
    turns: int


class Fleet:
    """Keeps a cluster's workers as ordered."""

    def __init__(self, ground: Ground, clock: Clock, orders: Orders, *, most_workers: int, metrics: Metrics) -> None:
        """`most_workers`: more, and some would find no partition to read."""
        self._ground, self._clock, self._most_workers, self._metrics = ground, clock, most_workers, metrics
        working, told = ground.adopt()
        self.orders = told if told.revision > orders.revision else orders
        self._ending = False
        now_ms = self._kept_ms = clock.monotonic_ms()
        self.slots = {number: Slot(number, node, now_ms, now_ms) for number, node in working.items()}
        self.nodes: dict[str, Node] = {}
        self._names: dict[str, str] = {}
        self._probing: dict[str, int] = {}
        self._aim = len(working) or None
        self._late_turns = self._turns = 0
        self._idle_since_ms: int | None = None

    def turn(self) -> None:
        """See what is there, bury who died, and bring about what is wanted."""
        now_ms = self._clock.monotonic_ms()
        self.nodes = {node.id: node for node in self._ground.nodes()}
        self._names |= {node.id: node.name for node in self.nodes.values()}
        self._learn(now_ms)
        self._hear(now_ms)
        self._follow_load(now_ms)
        self._settle(now_ms)
        self._turns += 1

    def view(self) -> View:
        """What there is now."""
        slots = tuple(replace(self.slots[number]) for number in sorted(self.slots))
        return View(tuple(self.nodes.values()), slots, self.orders, self.wanted, self.capacity, self._turns)

    def order(self, **changes: object) -> None:
        """Change what is wanted, once it is kept for a supervisor to come."""
        orders = replace(self.orders, revision=self.orders.revision + 1, **changes)  # type: ignore[arg-type]
        self._ground.remember(orders)
        self.orders = orders
        self._aim = None if changes.keys() & {"least", "most"} else self._aim

    def kept(self, by: Keeper | None) -> int | None:
        """Let `by` keep it from now on; None: nobody. Where another does, nothing changes: gives for how many ms it was not heard."""
        now_ms, keeper = self._clock.monotonic_ms(), self.orders.keeper
        silent_ms = now_ms - self._kept_ms
        if keeper not in (None, by) and silent_ms < KEPT_MS:
            return silent_ms
        if keeper != by:
            self.order(keeper=by)
        self._kept_ms = now_ms
        return None

    def leave(self, by: Keeper) -> None:
        """Let whoever comes next keep it, where `by` did."""
        if self.orders.keeper == by:
            self.order(keeper=None)

    def end(self) -> None:
        """Drain every worker, whatever was ordered."""
        self._ending = True

    @property
    def draining(self) -> bool:
        """Whether a worker is about to end."""
        return any(slot.drained_ms is not None for slot in self.slots.values())

    @property
    def capacity(self) -> int:
        """How many workers the nodes carry that are not drained."""
        return min(self._most_workers, sum(map(self._room_of, self.nodes.values())))

    @property
    def wanted(self) -> int:
        """How many workers there are to be, as far as the nodes carry them."""
        if self._ending:
            return 0
        most = self.capacity if self.orders.most is None else min(self.orders.most, self.capacity)
        least = most if self.orders.least is None else min(max(1, self.orders.least), most)
        return least if self._aim is None else max(least, min(most, self._aim))

    def _room_of(self, node: Node) -> int:
        """How many workers a node carries."""
        probe = self.orders.probes.get(node.id)
        if probe is None or node.id in self.orders.drained:
            return 0
        return probe.workers * (1 if node.device == "cpu" else max(1, int(node.amount)))

    def _learn(self, now_ms: int) -> None:
        """Have every new node probed, and one that could not be again after a while."""
        if found := self._ground.probed():
            for node_id, probe in found.items():
                level = logging.WARNING if probe.error or probe.refused else logging.INFO
                _log.log(level, "node %s: %s", self._name(node_id), probe)
            self._remember(found)
        for node in self.nodes.values():
            known, begun_ms = self.orders.probes.get(node.id), self._probing.get(node.id)
            if (known is None or known.error) and (begun_ms is None or now_ms - begun_ms >= PROBE_AGAIN_MS):
                self._probing[node.id] = now_ms
                self._ground.probe(node)

    def _remember(self, found: Mapping[str, Probe]) -> None:
        """What was found out of nodes; those that are gone never come back, and are forgotten."""
        probes = {node: probe for node, probe in {**self.orders.probes, **found}.items() if node in self.nodes}
        self.order(probes=probes, drained=self.orders.drained & self.nodes.keys())

    def _hear(self, now_ms: int) -> None:
        """Ask every worker how it is, and see who is gone."""
        asked = [slot for slot in self.slots.values() if slot.node is not None]
        answers = self._ground.health([slot.number for slot in asked])
        for slot in asked:
            self._judge(slot, answers, now_ms)
            if slot.node is None and slot.drained_ms is not None:
                del self.slots[slot.number]

    def _judge(self, slot: Slot, answers: Mapping[int, Health | None], now_ms: int) -> None:
        health = answers.get(slot.number)
        if slot.number not in answers:
            self._lost(slot, "died", now_ms)
        elif health is None:
            limit_ms = STARTING_MS if slot.health is None else SILENT_MS
            if now_ms - slot.heard_ms >= limit_ms:
                self._lost(slot, f"has not answered for {limit_ms // 1000} s", now_ms)
        elif health.state == "failed":
            self._lost(slot, health.error, now_ms)
        elif health.state == "drained":
            self._ended(slot)
        elif health.quiet_ms >= (OPENING_MS if health.state == "opening" else STUCK_MS):
            self._lost(slot, f"stuck: has not come round for {health.quiet_ms // 1000} s", now_ms)
        elif slot.drained_ms is not None and now_ms - slot.drained_ms >= DRAIN_MS:
            self._lost(slot, f"did not end within {DRAIN_MS // 1000} s", now_ms)
        else:
            _note(slot, health, now_ms)

    def _lost(self, slot: Slot, why: str, now_ms: int) -> None:
        """Its worker is gone, or ended now; the slot is filled again, after a wait where it did not last."""
        _log.warning("worker %d on %s: %s", slot.number, self._name(slot.node), why)
        self._ground.kill(slot.number)
        if slot.drained_ms is not None:
            self._ground.dismiss(slot.number)
        lasted = now_ms - slot.started_ms >= PROVEN_MS
        slot.due_ms = now_ms if lasted else now_ms + slot.wait_ms
        slot.wait_ms = FIRST_WAIT_MS if lasted else min(2 * slot.wait_ms, MOST_WAIT_MS)
        slot.restarts += 1
        self._metrics.worker_restarts.labels(self._names.get(slot.node or "", "none"), f"detect-{slot.number}").inc()
        slot.node, slot.health, slot.why, slot.frames_per_s = None, None, why, 0.0

    def _ended(self, slot: Slot) -> None:
        """A drained worker's process ends, and its slot with it."""
        _log.info("worker %d on %s: drained", slot.number, self._name(slot.node))
        self._ground.kill(slot.number)
        slot.node = slot.health = None

    def _follow_load(self, now_ms: int) -> None:
        """Aim at one worker more when frames wait too long, at one less when that has long been enough."""
        working = [(slot, slot.health) for slot in self.slots.values() if slot.health is not None]
        late = any(health.oldest_ms >= LATE_MS for _, health in working)
        idle = not late and sum(slot.busy for slot, _ in working) <= IDLE_SHARE * (len(working) - 1)
        self._late_turns = self._late_turns + 1 if late else 0
        self._idle_since_ms = (self._idle_since_ms or now_ms) if idle else None
        wanted = self.wanted
        if self._late_turns >= LATE_TURNS and len(working) >= wanted:
            self._aim, self._late_turns = wanted + 1, 0
        elif self._idle_since_ms is not None and now_ms - self._idle_since_ms >= IDLE_MS:
            self._aim, self._idle_since_ms = max(1, wanted - 1), now_ms

    def _settle(self, now_ms: int) -> None:
        """Drain what is on drained nodes or too much, and fill slots where nodes have room."""
        kept = [
            slot for slot in self.slots.values() if slot.drained_ms is None and slot.node not in self.orders.drained
        ]
        kept.sort(key=lambda slot: (slot.node is None, slot.number))
        for slot in [*self.slots.values()]:
            if slot.drained_ms is None and slot not in kept[: self.wanted]:
                self._give_up(slot, now_ms)
        missing = self.wanted - len(kept)
        for number in [one for one in range(self._most_workers) if one not in self.slots][: max(0, missing)]:
            self.slots[number] = Slot(number)
        for slot in self.slots.values():
            if slot.node is None and now_ms >= slot.due_ms and (node := self._roomiest()) is not None:
                self._start(slot, node, now_ms)

    def _give_up(self, slot: Slot, now_ms: int) -> None:
        """Drain a worker; a slot without one is forgotten."""
        if slot.node is None:
            del self.slots[slot.number]
        else:
            slot.drained_ms = now_ms
            self._ground.drain(slot.number)

    def _roomiest(self) -> Node | None:
        """The node with the most room left, in pictures a second; None where none has any."""
        left: dict[str, float] = {}
        for node in self.nodes.values():
            room = self._room_of(node)
            free = room - sum(slot.node == node.id for slot in self.slots.values())
            if free > 0:
                left[node.id] = free / room * max(self.orders.probes[node.id].pictures_per_s, default=1.0)
        return self.nodes[max(left, key=lambda node: (left[node], node))] if left else None

    def _start(self, slot: Slot, node: Node, now_ms: int) -> None:
        slot.node, slot.started_ms, slot.heard_ms = node.id, now_ms, now_ms
        self._ground.start(slot.number, node, node.amount / self._room_of(node))

    def _name(self, node: str | None) -> str:
        return self.nodes[node].name if node in self.nodes else "a node that is gone"


def _note(slot: Slot, health: Health, now_ms: int) -> None:
    """Remember what a worker said, and what it did since it last did."""
    before, since_ms = slot.health, now_ms - slot.heard_ms
    if before is not None and since_ms > 0:
        frames, steps = health.frames - before.frames, health.steps - before.steps
        slot.frames_per_s = 1000 * frames / since_ms
        slot.busy = min(1.0, (health.busy_ms - before.busy_ms) / since_ms)
        slot.batch = frames / steps if steps else 0.0
    slot.health, slot.heard_ms = health, now_ms
